"""haloreel submit on a real Slurm: whatever ends a job, the video is that of an undisturbed run."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import FAULTS, PROGRAM, CliTest, main
from slurm import Cluster

DEADLINE = 150  # of one wait, with other work beside it
JOB = """
prompt: A red ball rolls to the right on a beach.
video: {width: 64, height: 48, frames: 33}
sampler: {steps: 16, seed: 7}
checkpoint: {every: 2steps}
output: {preview_every: 0, folder: run}
threads: 1
"""
STEPS = 16
SHORT = ["--set", "video.frames=21", "--set", "sampler.steps=3"]
# Each message between ranks takes so many milliseconds longer: a run is long enough to be disturbed.
SLOW = "mpi.send:1+=sleep12"

cluster = None
reference = None  # the run folder of the undisturbed run, on one rank


def setUpModule():
    global cluster, reference
    cluster = Cluster()
    folder = tempfile.mkdtemp(prefix="haloreel-test-")
    with open(os.path.join(folder, "job.yaml"), "w") as file:
        file.write(JOB)
    subprocess.run([PROGRAM, "render", "job.yaml", "--quiet"], cwd=folder, check=True, capture_output=True,
                   timeout=DEADLINE, stdin=subprocess.DEVNULL)
    reference = os.path.join(folder, "run")


def tearDownModule():
    if reference:
        shutil.rmtree(os.path.dirname(reference))
    if cluster:
        cluster.stop()


class Slurm(CliTest):
    def setUp(self):
        super().setUp()
        self.write("job.yaml", JOB)

    def submit(self, *arguments, job="job.yaml", **environment):
        result = subprocess.run([FAULTS, "submit", job, "--cpus-per-rank=1", "--time=5", *arguments],
                                cwd=self.folder, capture_output=True, timeout=DEADLINE, stdin=subprocess.DEVNULL,
                                env={**os.environ, **cluster.environment, **environment})
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        ids = [line.split()[1].rstrip(":") for line in result.stdout.decode().splitlines() if line.startswith("job ")]
        for each in ids:
            self.addCleanup(self.cancel, each)
        return ids

    def cancel(self, job):
        subprocess.run(["scancel", job], env={**os.environ, **cluster.environment}, timeout=DEADLINE)
        self.wait_for(lambda: not cluster.call("squeue", "-h", "-j", job), "the job to be gone")

    def log(self, run="run"):
        text = ""
        for path in sorted(glob.glob(os.path.join(glob.escape(self.path(run)), "slurm", "*.log"))):
            with open(path, errors="replace") as file:
                text += file.read()
        return text

    def wait_for(self, condition, what):
        until = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > until:
                self.fail(f"waited in vain for {what}\n{self.log()}{cluster.logs()}")
            time.sleep(0.1)

    def step(self, run="run"):
        try:
            with open(self.path(run, "status.json")) as file:
                return json.load(file)["step"]
        except (OSError, ValueError):
            return 0

    def wait_for_step(self, step, run="run"):
        self.wait_for(lambda: self.step(run) >= step, f"step {step}")
        self.assertLess(self.step(run), STEPS, "too late to disturb it")

    def finish(self, job):
        """Until it is completed; a job that was requeued is started at once. How often that was."""
        n = 0
        until = time.monotonic() + DEADLINE
        while (now := cluster.job(job))[0] != "COMPLETED":
            if now == ("PENDING", "BeginTime"):
                cluster.start_now(job)
                n += 1
                self.wait_for(lambda: cluster.job(job)[0] != "PENDING", "the next start")
            if now[0] in ("FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL") or time.monotonic() > until:
                self.fail(f"job is {now}\n{self.log()}{cluster.logs()}")
            time.sleep(0.2)
        return n

    def is_the_same(self, run="run", other=None):
        other = other or reference
        self.succeeds("compare", other, self.path(run))
        with open(os.path.join(other, "video.mp4"), "rb") as file:
            self.assertEqual(self.read(run, "video.mp4"), file.read())

    def test_time_limit(self):
        """The fifth checkpoint takes 20 s: there the signal finds the first attempt. The second has no fifth."""
        cluster.sleep_until_tick(14)
        job, = self.submit("--nodes=2", "--time=1", "--signal-before=100", HR_FAULT="hdf5.create:5=sleep20000@rank0")
        self.wait_for(lambda: cluster.job(job) == ("PENDING", "BeginTime"), "the requeue")
        self.assertTrue(os.listdir(self.path("run", "checkpoint")))
        self.assertLess(self.step(), STEPS)
        cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=10")
        self.assertEqual(self.finish(job), 1)
        self.is_the_same()
        self.assertIn("the time limit is near", self.log())
        self.assertIn("attempt 2: 2 ranks on n[0-1] by srun", self.log())

    def test_scontrol_requeue(self):
        job, = self.submit("--nodes=2", HR_FAULT=SLOW)
        self.wait_for_step(3)
        cluster.call("scontrol", "requeue", job)
        self.assertEqual(self.finish(job), 1)
        self.is_the_same()

    def test_a_lost_node(self):
        """Half of the ranks are gone; the rest of the run has another layout."""
        job, = self.submit("--nodes=1-2", "--ranks-per-node=2", HR_FAULT=SLOW)
        self.wait_for_step(3)
        self.addCleanup(cluster.call, "scontrol", "update", "NodeName=n1", "State=RESUME")
        cluster.call("scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=test")
        self.wait_for(lambda: cluster.job(job) == ("PENDING", "BeginTime"), "the requeue")
        self.assertEqual(self.finish(job), 1)
        self.is_the_same()
        self.assertIn("attempt 1: 4 ranks on n[0-1]", self.log())
        self.assertIn("attempt 2: 2 ranks on n0", self.log())

    def test_a_bad_node(self):
        """Rank 2 is killed again and again: its node is left out, and the other one does it alone."""
        job, = self.submit("--nodes=1-2", "--ranks-per-node=2", HR_FAULT="mpi.send:40=kill@rank2")
        self.assertEqual(self.finish(job), 2, self.log())
        self.is_the_same()
        self.assertIn("n1 failed twice and is no longer used", self.log())
        self.assertIn("attempt 3: 2 ranks on n0", self.log())

    def test_array(self):
        self.write("job.yaml", JOB.replace(", seed: 7", ""))
        job, = self.submit("--seeds=7..9", "--nodes=1", *SHORT)
        self.wait_for(lambda: cluster.job(job)[0] in ("COMPLETED", {"COMPLETED"}), "the array")
        self.succeeds("render", "job.yaml", "--seeds=7..9", *SHORT, "--set", "output.folder=undisturbed", "--quiet")
        names = sorted(os.listdir(self.path("undisturbed")))
        self.assertEqual(len(names), 3)
        for name in names:
            self.is_the_same(os.path.join("run", name), self.path("undisturbed", name))
        text = self.succeeds("status", job + "_2", env=cluster.environment).stdout.decode()
        self.assertIn(names[1] + "\ndone: ", text)
        self.assertEqual(self.succeeds("status", job, env=cluster.environment).stdout.decode().count("done: "), 3)

    def test_scancel(self):
        job, = self.submit("--nodes=2", HR_FAULT=SLOW)
        self.wait_for_step(3)
        cluster.call("scancel", job)
        self.wait_for(lambda: cluster.job(job)[0] == "CANCELLED", "the end")
        self.assertFalse(self.products())
        self.succeeds("resume", "run", "--quiet")
        self.is_the_same()

    def test_split_decode(self):
        denoise, decode = self.submit("--nodes=2", "--split-decode")
        self.finish(denoise)
        self.assertTrue(os.path.exists(self.path("run", "latents.h5")))
        self.finish(decode)
        self.is_the_same()
        self.assertEqual(self.log().count("by srun"), 2)

    def test_mpirun_in_an_odd_folder(self):
        folder = "it's a \"run\" für 100 %j $HOME #1"
        self.write("job.yaml", JOB.replace("folder: run", json.dumps({"folder": folder}, ensure_ascii=False)[1:-1]))
        job, = self.submit("--nodes=2", HR_FAULT=SLOW, HALOREEL_LAUNCHER="mpirun")
        self.wait_for_step(3, folder)
        cluster.call("scancel", "--batch", "--signal=USR1", job)
        self.assertEqual(self.finish(job), 1)
        self.is_the_same(folder)
        self.assertIn("stopped with a checkpoint: requeued", self.log(folder))
        self.assertIn("by mpirun", self.log(folder))


if __name__ == "__main__":
    main()
