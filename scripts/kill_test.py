#!/usr/bin/env python3
"""Kills ranks of renders at random moments, goes on with other ranks, and looks at what comes out.

    scripts/kill_test.py build/haloreel-faults [--kills 200] [--seed 1]

A small render in a folder of its own: each try runs on 1 to 4 ranks in some layout and is killed (SIGKILL of
one rank or of all), now and then while a checkpoint is written or the film is made (base/fault.h: at that
very call, or while it is slow). After some kills a try may finish: film, latents and frames have to be those
of a render that nobody touched. Prints each kill; the last line has the sums.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "cli"))

if __name__ == "__main__" and sys.argv[1:] in ([], ["-h"], ["--help"]):
    sys.exit(__doc__.strip())

from faults import JOB, hashes, left_parts, read  # noqa: E402
from harness import FAULTS, SOURCE  # noqa: E402
from ranks import MPI_ENVIRONMENT, Result, end_ranks, start_ranks  # noqa: E402

DEADLINE = 120
RENDER = ["render", *JOB, "--set", "sampler.steps=4", "--set", "video.frames=105", "--set",
          "output.preview_every=2", "--set", "windows.frames=33", "--set", "windows.overlap=8"]
LAYOUTS = {  # windows, stages, tensor, cfg
    1: [(1, 1, 1, 1)],
    2: [(2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2)],
    3: [(3, 1, 1, 1), (1, 3, 1, 1), (1, 2, 1, 1)],
    4: [(4, 1, 1, 1), (2, 2, 1, 1), (2, 1, 2, 1), (2, 1, 1, 2), (1, 2, 1, 2), (1, 2, 2, 1), (1, 1, 2, 2)],
}
# Calls while something is saved or the film is made, and at most how often they pass in a try.
MOMENTS = {"hdf5.write": 60, "hdf5.create": 5, "hdf5.close": 5, "file.reserve": 8, "file.write": 60, "file.sync": 30,
           "file.rename": 20, "file.read": 100, "av.encode": 80, "av.write": 80, "device.to_rgb": 240, "mpi.send": 400}
MOST_KILLS = 8  # of one render
# Of ranks that were killed, or that lost one; that were ended by the launcher before all were together, or before
# they had begun; 1: by MPI itself in the middle of its start.
ENDS = {-9, 137, 69, 75, 143, 1, 0}


class Try:
    """The program on n ranks, as it runs."""

    def __init__(self, folder, n, arguments, fault):
        self.folder, self.n, self.begin = folder, n, time.monotonic()
        self.has_launcher_hung = False
        env = {"HALOREEL_CONFIGS": os.path.join(SOURCE, "configs"), **({"HR_FAULT": fault} if fault else {})}
        command = [FAULTS, *arguments]
        if n > 1:
            self.process = start_ranks(folder, n, command, env, deadline=DEADLINE)
        else:
            with open(os.path.join(folder, "error"), "wb") as error:
                self.process = subprocess.Popen(command, cwd=folder, env={**os.environ, **MPI_ENVIRONMENT, **env},
                                                stdin=subprocess.DEVNULL, stdout=error, stderr=error)

    def pids(self):
        if self.n == 1:
            return [self.process.pid]
        found = [Result.read(os.path.join(self.folder, "wrapped"), "pid", r) for r in range(self.n)]
        return [int(pid) for pid in found if pid]

    def wait_until(self, seconds):
        """Whether it still runs then."""
        while time.monotonic() - self.begin < seconds and self.process.poll() is None:
            time.sleep(0.005)
        return self.process.poll() is None

    def kill(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def end(self):
        """(exit codes, what was said); a try that hangs is a failure of the test."""
        if self.n > 1:
            result = end_ranks(self.folder, self.n, self.process, DEADLINE)
            self.has_launcher_hung = result.code is None
            return result.codes, str(result)
        try:
            code = self.process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            code = "none: it hung"
            self.process.kill()
            self.process.wait()
        return [code], read(os.path.join(self.folder, "error")).decode(errors="replace")


class Test:
    def __init__(self, seed, tell=print):
        self.random, self.tell = random.Random(seed), tell
        self.folder = tempfile.mkdtemp(prefix="haloreel-kills-")
        self.seconds = {}  # of a whole try, by number of ranks
        self.n_kills = self.n_tries = self.n_renders = self.n_resumed = 0
        self.at = {}  # kills by moment
        self.wanted, self.was_done = None, False

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def layout(self):
        n = self.random.choice((1, 2, 2, 3, 4))
        sizes = self.random.choice(LAYOUTS[n])
        return n, [f"--set=layout.{key}={size}" for key, size in zip(("windows", "stages", "tensor", "cfg"), sizes)]

    def arguments(self, folder, keys):
        """Both ways to go on."""
        if os.path.exists(os.path.join(folder, "a", "job.yaml")) and self.random.random() < 0.5:
            return ["resume", "a", *keys]
        return [*RENDER, *keys]

    def attempt(self, folder, may_kill):
        """One try; True when the video is there."""
        n, keys = self.layout()
        rank, fault, moment = self.random.randrange(n), None, "any moment"
        how = self.random.choice(("one", "all", "at a call", "at a slow call")) if may_kill else "not"
        if how in ("at a call", "at a slow call"):
            moment = self.random.choice(list(MOMENTS))
            does = "kill" if how == "at a call" else "sleep400"
            fault = f"{moment}:{self.random.randint(1, MOMENTS[moment])}={does}@rank{rank}"
        arguments = self.arguments(folder, keys)
        one = Try(folder, n, arguments, fault)
        if how in ("one", "all", "at a slow call"):
            if one.wait_until(self.random.uniform(0.1, 1.1) * self.seconds.get(n, 2.0)):
                pids = one.pids()
                one.kill([self.random.choice(pids)] if pids and how != "all" else pids)
        codes, said = one.end()
        self.n_tries += 1
        if one.has_launcher_hung:
            self.tell(f"mpirun did not end, {DEADLINE} s after all of its ranks had: {codes}")
        self.n_resumed += "going on at step" in said or "going on with the decoding" in said
        if not set(codes) <= ENDS:
            raise AssertionError(f"{n} ranks, killed {how} ({fault or moment}): exit codes {codes}\n{said}")
        if codes == [0] * n:
            self.was_done = "done already" in said  # killed after its end: a part may be left
            self.seconds[n] = time.monotonic() - one.begin
            return True
        if not may_kill:
            raise AssertionError(f"{n} ranks, nobody was killed: exit codes {codes}\n{said}")
        self.n_kills += 1
        key = f"{how}: {moment}" if fault else how
        self.at[key] = self.at.get(key, 0) + 1
        self.tell(f"kill {self.n_kills}: {how} of {n} ranks, {fault or moment}, {arguments[0]}: {codes}")
        return False

    def render(self, most_kills):
        """One render, killed until it is done."""
        folder = tempfile.mkdtemp(prefix="render-", dir=self.folder)
        n_before = self.n_kills
        while not self.attempt(folder, self.n_kills - n_before < most_kills):
            continue
        made = read(os.path.join(folder, "a", "video.mp4")), hashes(os.path.join(folder, "a"))
        if self.wanted is None:
            self.wanted = made
        if made[0] != self.wanted[0]:
            raise AssertionError(f"{folder}: another film")
        if made[1] != self.wanted[1]:
            raise AssertionError(f"{folder}: other hashes in the receipt")
        if left_parts(folder) and not self.was_done:
            raise AssertionError(f"left: {left_parts(folder)}")
        self.n_renders += 1
        shutil.rmtree(folder)

    def run(self, n_kills):
        self.render(0)
        while self.n_kills < n_kills:
            self.render(min(MOST_KILLS, n_kills - self.n_kills))
        kinds = ", ".join(f"{n} {key}" for key, n in sorted(self.at.items()))
        self.tell(f"{self.n_kills} kills survived in {self.n_renders - 1} renders, {self.n_tries} tries, "
                  f"{self.n_resumed} of them went on from a checkpoint; all films the same ({kinds})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    test, begin = Test(options.seed, lambda line: print(line, flush=True)), time.monotonic()
    try:
        test.run(options.kills)
    except AssertionError as error:
        print(error)
        print(f"its folder stays: {test.folder}")
        return 1
    print(f"{time.monotonic() - begin:.0f} s")
    test.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
