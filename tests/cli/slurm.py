"""A real Slurm cluster of two nodes on this host (scripts/slurm_on_one_host.sh), for test_slurm.py."""
import atexit
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import SOURCE

SCRIPT = os.path.join(SOURCE, "scripts", "slurm_on_one_host.sh")
TICK = 30  # seconds between two looks of slurmctld at time limits


def why_not():
    """What keeps a cluster from being started here, or None."""
    for program in ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol", "mpirun"):
        if shutil.which(program) is None:
            return f"there is no {program} (scripts/slurm_on_one_host.sh install)"
    return None if os.geteuid() == 0 else "needs root"


def free_ports():
    """The first of three in a row."""
    for _ in range(100):
        first = random.randrange(17100, 29000)
        sockets = [socket.socket() for _ in range(3)]
        try:
            for k, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + k))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no three free ports in a row")


class Cluster:
    """Nodes n0 and n1 with two cores each."""

    def __init__(self):
        reason = why_not()
        if reason and os.environ.get("CI") == "true":
            raise RuntimeError(f"CI has to test Slurm: {reason}")
        if reason:
            raise unittest.SkipTest(reason)
        self.folder = tempfile.mkdtemp(prefix="haloreel-slurm-")
        atexit.register(self.stop)
        environment = {**os.environ, "CPUS": "2", "PORT": str(free_ports())}
        result = subprocess.run([SCRIPT, "start", self.folder], env=environment, capture_output=True, timeout=60,
                                stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise RuntimeError("Slurm did not start: " + result.stderr.decode() + self.logs())
        self.began = time.monotonic()
        self.environment = {"SLURM_CONF": os.path.join(self.folder, "slurm.conf"),
                            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                            # Both nodes have this host's name: their files of shared memory would be the same ones.
                            "OMPI_MCA_btl": "self,tcp"}

    def stop(self):
        atexit.unregister(self.stop)
        if os.path.exists(os.path.join(self.folder, "slurm.conf")):
            subprocess.run([SCRIPT, "stop", self.folder], capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        text = ""
        for name in ("slurmctld", "slurmd-n0", "slurmd-n1", "munged"):
            try:
                with open(os.path.join(self.folder, "log", name), errors="replace") as file:
                    text += f"-- {name}\n" + "".join(file.readlines()[-30:])
            except OSError:
                pass
        return text

    def call(self, *command):
        result = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, timeout=60,
                                stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {result.stderr.decode()}{self.logs()}")
        return result.stdout.decode(errors="replace")

    def job(self, job):
        """State and reason: "PENDING", "BeginTime"; of an array a set of states."""
        lines = [line.split() for line in self.call("squeue", "-h", "-t", "all", "-j", job, "-o", "%T %r").splitlines()]
        if not lines:
            raise AssertionError(f"job {job} is not there\n{self.logs()}")
        return ({line[0] for line in lines}, None) if len(lines) > 1 else tuple(lines[0])

    def start_now(self, job):
        """A job that has been requeued waits for two minutes, unless it is told to start. In the first
        second or two Slurm would take it for the one that it has just ended."""
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now+3")

    def sleep_until_tick(self, seconds):
        """Until so many seconds before Slurm looks at time limits."""
        time.sleep((-seconds - (time.monotonic() - self.began)) % TICK)
