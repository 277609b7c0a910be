#!/usr/bin/env python3
"""A wire between two TUN devices with a bandwidth and a delay: delay_wire.py A B MBIT MS

For kernels without tc's netem. Makes the devices A and B, prints "ready", and carries each packet
from one to the other: a packet leaves when the ones before it have left at MBIT megabit per second,
and arrives MS milliseconds later. Needs root; ends when it is killed.
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MAX_PACKET, MAX_QUEUED = 65536, 4096


def open_tun(name):
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


class Direction:
    def __init__(self, source, target, bits_per_second, delay):
        self.source, self.target = source, target
        self.seconds_per_byte, self.delay = 8 / bits_per_second, delay
        self.free_at = 0.0  # when the last packet has left
        self.queue = collections.deque()  # (arrival, packet)

    def take(self):
        try:
            packet = os.read(self.source, MAX_PACKET)
        except OSError:
            return  # the device is not up yet
        if len(self.queue) == MAX_QUEUED:
            return  # dropped, as a switch would
        self.free_at = max(self.free_at, time.monotonic()) + len(packet) * self.seconds_per_byte
        self.queue.append((self.free_at + self.delay, packet))

    def deliver(self):
        """Seconds until the next packet is due, None when there is none."""
        while self.queue:
            wait = self.queue[0][0] - time.monotonic()
            if wait > 0:
                return wait
            try:
                os.write(self.target, self.queue.popleft()[1])
            except OSError:
                pass  # lost: the other side is not up yet
        return None


def main():
    a, b, mbit, ms = sys.argv[1:]
    taps = [open_tun(a), open_tun(b)]
    ways = [Direction(taps[i], taps[1 - i], float(mbit) * 1e6, float(ms) / 1e3) for i in range(2)]
    print("ready", flush=True)
    while True:
        waits = [wait for wait in (way.deliver() for way in ways) if wait is not None]
        readable, _, _ = select.select(taps, [], [], min(waits) if waits else None)
        for way in ways:
            if way.source in readable:
                way.take()


if __name__ == "__main__":
    main()
