"""Two hosts for real: two network namespaces at 1 Gbit/s and 1 ms (bench/two_hosts.sh)."""
import json
import os
import shutil
import subprocess
import unittest

from harness import DEADLINE, PROGRAM, SOURCE, CliTest, main

LAUNCH = os.path.join(SOURCE, "bench", "two_hosts.sh")
JOB = ["render", "--model", "demo", "--prompt", "A red ball rolls to the right on a beach.", "--quiet",
       "--seed", "7", "--set", "sampler.steps=3", "--set", "video.frames=81", "--set", "video.width=64",
       "--set", "video.height=48", "--set", "threads=1"]


def why_not():
    """What keeps two hosts from being made here, or None."""
    for program in ("mpirun", "ip", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    if os.geteuid() != 0:
        return "needs root"
    try:
        result = subprocess.run([LAUNCH, "hostname"], capture_output=True, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        return "two hosts do not answer"
    hosts = set(result.stdout.split())
    return None if result.returncode == 0 and len(hosts) == 2 else "namespaces cannot be made here"


class TwoHosts(CliTest):
    @classmethod
    def setUpClass(cls):
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)

    def renders(self, name, ranks_per_host, layout):
        """The receipt of a render on two hosts that equals the one of a single rank."""
        keys = [x for item in layout.items() for x in ("--set", "layout.%s=%d" % item)]
        result = subprocess.run([LAUNCH, PROGRAM, *JOB, *keys, "-o", self.path(name + ".mp4")],
                                env={**os.environ, "RANKS_PER_HOST": str(ranks_per_host)},
                                capture_output=True, timeout=DEADLINE)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.succeeds("compare", self.path("one.run"), self.path(name + ".run"))
        self.assertEqual(self.read("one.mp4"), self.read(name + ".mp4"))
        return json.loads(self.read(name + ".run", "receipt.json"))["machine"]

    def test_same_bits_and_what_crosses_the_wire(self):
        self.succeeds(*JOB, "-o", self.path("one.mp4"))
        windows = self.renders("windows", 1, {"windows": 2})
        self.assertEqual(windows["hosts"], "2")
        self.assertRegex(windows["rank 0"], r"halo_bytes_between_hosts=[1-9]")
        self.assertRegex(windows["rank 0"], r"stage_bytes_between_hosts=0 ")
        stages = self.renders("stages", 2, {"windows": 1, "stages": 2, "tensor": 2})
        self.assertRegex(stages["rank 0"], r"stage_bytes_between_hosts=[1-9]")
        self.assertRegex(stages["rank 0"], r"tensor_bytes_between_hosts=0 ")


if __name__ == "__main__":
    main()
