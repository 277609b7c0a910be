"""A run that was stopped, killed or half lost goes on, on any ranks, to the same bytes."""
import calendar
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import DEADLINE, FAULTS, PROGRAM, CliTest, main
from ranks import RanksTest

PROMPT = "a red cat"
STEPS = 10
# Several windows a step, and several steps between checkpoints.
JOB = ["--prompt", PROMPT, "--set", "video.width=32", "--set", "video.height=32", "--set", "video.frames=37",
       "--set", "sampler.steps=%d" % STEPS, "--set", "output.preview_every=0"]
OFTEN = ["--set", "checkpoint.every=2steps"]
SEED = ["--seed", "7"]


def setUpModule():
    """The same run, undisturbed."""
    global REFERENCE
    REFERENCE = tempfile.mkdtemp(prefix="haloreel-reference-")
    subprocess.run([PROGRAM, "render", *JOB, *SEED, "--set", "output.folder=run"], cwd=REFERENCE, check=True,
                   capture_output=True, timeout=DEADLINE)


def tearDownModule():
    shutil.rmtree(REFERENCE)


class Runs:
    """What a test asks of a run folder, "out" unless said otherwise."""

    def same(self, folder="out", video=None):
        result = self.run_program("compare", os.path.join(REFERENCE, "run"), folder)
        self.assertEqual(result.returncode, 0, result.stdout.decode() + result.stderr.decode())
        with open(os.path.join(REFERENCE, "run", "video.mp4"), "rb") as file:
            self.assertEqual(self.read(video or os.path.join(folder, "video.mp4")), file.read())
        self.assertFalse(os.path.exists(self.path(folder, "lock")))
        self.assertFalse(os.path.exists(self.path(folder, "checkpoint")))
        self.assertFalse(os.path.exists(self.path(folder, "segments")))

    def checkpoints(self, folder="out"):
        return sorted(glob.glob(self.path(folder, "checkpoint", "step-*.h5")))

    def status(self, folder="out"):
        return json.loads(self.read(folder, "status.json"))

    def stopped_at(self, step, folder="out", *arguments):
        """A run that has a checkpoint of this step."""
        return self.succeeds("render", *JOB, *SEED, *OFTEN, "--set", "output.folder=" + folder, "--stop-after-step",
                             str(step), *arguments)

    def start_alone(self, *arguments, env=None, program=PROGRAM):
        process = subprocess.Popen([program, *arguments], cwd=self.folder, env={**os.environ, **(env or {})},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition, process):
        until = time.monotonic() + DEADLINE
        while not condition():
            self.assertIsNone(process.poll(), "it has ended")
            self.assertLess(time.monotonic(), until, "the render did not get that far")
            time.sleep(0.01)

    def ends(self, process, code):
        _, errors = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, code, errors.decode())
        return errors.decode()


class Killed(Runs, RanksTest):
    def killed(self, n, fault, *layout):
        """On n ranks, one of them in the middle of a later checkpoint than the second."""
        result = self.run_ranks(n, "render", *JOB, *SEED, *OFTEN, *layout, "--set", "output.folder=out",
                                program=FAULTS, env={"HR_FAULT": fault})
        self.assertNotEqual(result.code, 0, str(result))
        self.assertEqual(len(self.checkpoints()), 2, str(result))

    def test_on_other_ranks(self):
        for before, fault, first, after, layout in (
                (1, "hdf5.create:3=kill", [], 2, []),
                (2, "hdf5.write:20=kill@rank1", ["--set", "layout.cfg=2"], 1, []),
                (3, "hdf5.create:3=kill@rank0", ["--set", "layout.windows=3"], 2, ["--set", "layout.stages=2"])):
            with self.subTest(before=before, after=after):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                self.killed(before, fault, *first)
                newest = os.path.relpath(self.checkpoints()[-1], self.folder)
                result = self.ranks_succeed(after, "resume", "out", *layout)
                self.assertIn("of %d from %s, written " % (STEPS, newest), result.errors[0])
                self.same()

    def test_the_rank_that_died_is_named_by_who_looks_last(self):
        """A launcher that lets the others go on, as Slurm's: they wait for it in MPI, look for it in turns, and
        those who have found it leave."""
        for slow in (0, 1):
            with self.subTest(slow=slow):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                result = self.run_ranks(3, "render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out",
                                        on_rank={slow: "sleep 0.5"}, program=FAULTS,
                                        env={"HR_FAULT": "hdf5.write:8=kill@rank2",
                                             "OMPI_MCA_orte_enable_recovery": "1"})
                self.assertEqual(result.codes[:2], [69, 69], str(result))
                self.assertEqual(len(result.error_lines()), 1, str(result))
                self.assertIn("rank 2 (", result.error_lines()[0])

    def test_one_rank_is_told_to_stop(self):
        process = self.start(2, "render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out")
        self.wait_for(self.checkpoints, process)
        with open(self.path("wrapped", "pid.1")) as file:
            os.kill(int(file.read()), signal.SIGUSR1)
        result = self.ended(2, process)
        self.assertEqual(result.codes, [75, 75], str(result))
        self.assertIn("to go on: haloreel resume out", result.errors[0])
        self.assertEqual(self.status()["state"], "stopped")
        self.succeeds("resume", "out")
        self.same()

    def test_a_rank_that_does_not_see_the_folder(self):
        """No checkpoints, said once; and none to go on from."""
        elsewhere = {1: "mkdir -p elsewhere; cd elsewhere"}
        result = self.ranks_succeed(2, "render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out", on_rank=elsewhere)
        self.assertEqual(result.errors[0].count("does not see the folder out"), 1, str(result))
        self.assertFalse(os.path.exists(self.path("out", "latents.h5")))
        self.same()
        self.stopped_at(2, "draft")
        self.ranks_refused_here(2, "does not see the folder draft", "render", *JOB, *SEED, "--set",
                                "output.folder=draft", on_rank=elsewhere)

    def ranks_refused_here(self, n, part, *arguments, **options):
        result = self.run_ranks(n, *arguments, **options)
        self.assertEqual(result.codes, [4] * n, str(result))
        self.assertEqual(len(result.error_lines()), 1, str(result))
        self.assertIn(part, result.error_lines()[0])
        self.assertEqual(len(self.checkpoints("draft")), 1)


class Signals(Runs, CliTest):
    def test_each_signal_stops_with_a_checkpoint(self):
        arguments = ["render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out"]
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            before = len(self.read("out", "log", "rank-0000.log")) if os.path.exists(self.path("out")) else 0
            process = self.start_alone(*arguments)
            self.wait_for(lambda: self.logged(before, "saved out/checkpoint"), process)
            process.send_signal(number)
            said = self.ends(process, 75)
            self.assertIn("waiting for the windows at work and a checkpoint", said)
            self.assertIn("to go on: haloreel resume out", said)
            self.assertNotIn("error:", said)
            self.assertEqual(self.status()["state"], "stopped")
            self.assertEqual(self.path(self.status()["checkpoint"]), self.checkpoints()[-1])
            self.assertFalse(self.products())
            arguments = ["resume", "out"]
        self.succeeds("resume", "out")
        self.same()

    def logged(self, start, part):
        try:
            return part in self.read("out", "log", "rank-0000.log")[start:].decode()
        except OSError:
            return False

    def test_the_second_signal_ends_at_once(self):
        """The checkpoint takes half a minute."""
        process = self.start_alone("render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out", program=FAULTS,
                                   env={"HR_FAULT": "hdf5.create:2=sleep30000"})
        self.wait_for(lambda: glob.glob(self.path("out", "checkpoint", "step-0002*")), process)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)  # the same wish, as Slurm sends it
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertIn("stopped at once", self.ends(process, 75))
        self.assertLess(time.monotonic() - began, 2)
        self.succeeds("resume", "out")
        self.same()


class TimeLimit(Runs, CliTest):
    LONG = ["render", "--prompt", PROMPT, "--seed", "7", "--set", "sampler.steps=1000", "--set", "video.frames=5",
            "--set", "video.width=32", "--set", "video.height=32", "--set", "output.folder=out"]

    def stops_in_time(self, seconds, *arguments, env=None):
        began = time.monotonic()
        result = self.run_program(*self.LONG, *arguments, env=env)
        self.assertEqual(result.returncode, 75, result.stderr.decode())
        self.assertLess(time.monotonic() - began, seconds + 4)  # all steps take many times that
        self.assertIn("stopping with a checkpoint", result.stderr.decode())
        self.assertEqual(len(self.checkpoints()), 1)
        self.assertIsNotNone(self.status()["ends"])
        return result.stderr.decode()

    def test_the_users(self):
        self.stops_in_time(3, "--time-limit", "3s")
        said = self.succeeds("status", "out").stdout.decode()
        self.assertIn("stopped: time limit\n", said)
        self.assertIn("to go on: haloreel resume out", said)

    def test_slurms_environment(self):
        self.assertIn("of the Slurm job", self.stops_in_time(
            3, "--time-limit", "1:00:00", env={"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": "%d" % (time.time() + 3)}))

    def test_squeue(self):
        os.mkdir(self.path("bin"))
        os.chmod(self.write("bin/squeue", "#!/bin/sh\n[ \"$*\" = '-h -j 12 -o %L' ] && echo 0:03\n"), 0o755)
        environment = {"SLURM_JOB_ID": "12", "PATH": self.path("bin") + ":" + os.environ["PATH"]}
        self.assertIn("of the Slurm job", self.stops_in_time(3, env=environment))

    def test_times(self):
        for text, seconds in (("90min", 5400), ("1:30:00", 5400), ("5400", 5400), ("2:05", 125), ("1-00:00:00", 86400)):
            self.succeeds(*self.LONG, "--fresh", "--stop-after-step", "1", "--time-limit", text)
            status = self.status()
            ends, started = (calendar.timegm(time.strptime(status[key], "%Y-%m-%dT%H:%M:%SZ"))
                             for key in ("ends", "started"))
            self.assertAlmostEqual(ends - started, seconds, delta=20)

    def test_what_is_no_time(self):
        for text in ("soon", "", "-5", "0", "1:2:3:4", "5 min", "1:99"):
            self.refused(2, "--time-limit: ", "render", *JOB, "--time-limit", text)


class GoingOn(Runs, CliTest):
    def test_render_goes_on_and_says_when_it_is_done(self):
        draft = self.stopped_at(5)
        self.assertIn("step 5 of %d is done; to go on: haloreel resume out" % STEPS, draft.stderr.decode())
        self.assertEqual([os.path.basename(p)[:9] for p in self.checkpoints()], ["step-0004", "step-0005"])
        self.assertIn("at step 5 of %d already" % STEPS, self.stopped_at(5).stderr.decode())
        # A call without a seed takes that of the run.
        result = self.succeeds("render", *JOB, "--set", "output.folder=out", "--set", "threads=1")
        self.assertIn("going on at step 5 of %d from out/checkpoint/step-0005-" % STEPS, result.stderr.decode())
        self.same()
        before = os.stat(self.path("out", "video.mp4")).st_mtime_ns
        self.assertIn("going on at step 5", self.read("out", "log", "rank-0000.log").decode())
        for arguments in (["render", *JOB, "--set", "output.folder=out"], ["resume", "out"]):
            result = self.succeeds(*arguments)
            self.assertIn("done already", result.stderr.decode())
            self.assertEqual(b"--fresh" in result.stderr, arguments[0] == "render")
            self.assertEqual(result.stdout, b"out/video.mp4\n")
        self.assertEqual(before, os.stat(self.path("out", "video.mp4")).st_mtime_ns)

    def test_draft_look_finish(self):
        self.stopped_at(3, "out", "--set", "output.preview_every=2")
        self.assertEqual(sorted(os.listdir(self.path("out", "preview"))), ["step-0002.png", "step-0003.png"])
        self.assertEqual(self.status()["state"], "stopped")
        self.assertIn("haloreel resume out", self.succeeds("status", "out").stdout.decode())
        said = self.succeeds("resume", "out", "--stop-after-step", str(STEPS)).stderr.decode()
        self.assertIn("all steps are done; to decode: haloreel resume out", said)
        self.assertEqual(self.checkpoints(), [])
        self.assertTrue(os.path.exists(self.path("out", "latents.h5")))
        result = self.succeeds("resume", "out")
        self.assertIn("going on with the decoding of out/latents.h5", result.stderr.decode())
        self.same()

    def test_a_damaged_receipt(self):
        """Checkpoints and latents say themselves of which run they are."""
        for command in (["resume", "out"], ["render", *JOB, "--set", "output.folder=out"]):
            shutil.rmtree(self.path("out"), ignore_errors=True)
            self.stopped_at(2)
            self.write("out/receipt.json", "x{")
            said = self.succeeds(*command).stderr.decode()
            self.assertEqual(said.count("out/receipt.json is not used: the run makes it anew when it ends"), 1, said)
            self.assertIn("going on at step 2 of", said)
            self.same()
        self.write("out/receipt.json", "x{")
        self.assertIn("going on with the decoding of out/latents.h5", self.succeeds("resume", "out").stderr.decode())
        self.same()

    def test_a_damaged_receipt_that_is_missed(self):
        """Nothing else says of which job the film is."""
        self.succeeds("render", *JOB, *SEED, "--set", "output.folder=out")
        os.remove(self.path("out", "latents.h5"))
        self.write("out/receipt.json", "x{")
        before = self.read("out", "video.mp4")
        for command, way in ((["resume", "out"], "move the result away"),
                             (["render", *JOB, *SEED, "--set", "output.folder=out"], "--fresh or --force")):
            result = self.run_program(*command)
            lines = result.stderr.decode().splitlines()
            self.assertEqual((result.returncode, sum("error: " in line for line in lines)), (2, 1), lines)
            self.assertIn("only out/receipt.json says of which job out/video.mp4 is", lines[-1])
            self.assertIn(way, lines[-1])
        self.assertEqual(self.read("out", "video.mp4"), before)

    def test_a_status_that_cannot_be_written(self):
        os.makedirs(self.path("out", "status.json"))
        self.refused(4, "status.json", "render", *JOB, *SEED, "--set", "output.folder=out")

    def test_another_job_is_refused_with_a_table(self):
        self.stopped_at(2)
        result = self.run_program("render", *JOB, *SEED, "--set", "output.folder=out", "--set", "sampler.steps=12",
                                  "--prompt", "A cat in a hat. " * 10)
        lines = result.stderr.decode().splitlines()
        self.assertEqual(result.returncode, 5, lines)
        self.assertEqual(len(lines), 4, lines)
        self.assertEqual(lines[0].split(), ["haloreel:", "key", "in", "checkpoint", "now"])
        self.assertEqual(lines[2].split(), ["haloreel:", "sampler.steps", str(STEPS), "12"])
        self.assertTrue(lines[1].startswith('haloreel:   prompt') and lines[1].endswith("..."), lines)
        self.assertEqual(lines[0].index("now"), lines[2].index("12"), "the columns are aligned")
        self.assertIn("out holds another run: 2 keys differ; --fresh", lines[3])
        self.assertEqual(len(self.checkpoints()), 1)

    def test_another_model_is_refused(self):
        self.stopped_at(2)
        shutil.copytree(os.path.dirname(self.demo()), self.path("models"))
        model = self.path("models", os.path.basename(self.demo()))
        self.succeeds("resume", "out", "--set", "model=" + model, "--stop-after-step", "3")
        config = os.path.join(model, "scheduler", "scheduler_config.json")
        with open(config, "a") as file:
            file.write(" ")
        self.refused(5, "1 key differs; nothing was touched", "resume", "out", "--set", "model=" + model)

    def demo(self):
        said = self.succeeds("inspect", "demo").stdout.decode()
        return said.splitlines()[0]

    def test_fresh_and_force(self):
        self.stopped_at(2)
        result = self.succeeds("render", *JOB, *SEED, "--set", "output.folder=out", "--fresh", "--stop-after-step",
                               "1")
        self.assertIn("out.old-1", result.stderr.decode())
        self.assertEqual([os.path.basename(p)[:9] for p in self.checkpoints("out.old-1")], ["step-0002"])
        self.assertEqual([os.path.basename(p)[:9] for p in self.checkpoints()], ["step-0001"])
        self.succeeds("render", *JOB, *SEED, "--set", "output.folder=out", "--force")
        self.same()
        self.refused_quietly(2, "--fresh and --force", "render", *JOB, "--fresh", "--force")

    def refused_quietly(self, code, part, *arguments):
        result = self.run_program(*arguments)
        self.assertEqual(result.returncode, code)
        self.assertIn(part, result.stderr.decode())

    def test_what_resume_may_not_set(self):
        self.stopped_at(2)
        for key, part in (("sampler.steps=5", "sampler.steps would make it another video"),
                          ("prompt=x", "prompt would make it another video"),
                          ("output.folder=x", "output.folder is out itself")):
            self.refused(2, part, "resume", "out", "--set", key)
        self.refused(2, "nowhere: no job.yaml there", "resume", "nowhere")
        self.refused_quietly(2, "give a run folder", "resume")

    def test_a_strangers_job_writes_nowhere_else(self):
        self.stopped_at(2)
        job = self.read("out", "job.yaml").decode().replace('folder: "out"', 'folder: "%s"' % self.path("victim"))
        self.assertIn("victim", job)
        self.write("out/job.yaml", job)
        self.succeeds("resume", "out")
        self.assertFalse(os.path.exists(self.path("victim")))
        self.same()

    def test_side_files_of_its_own(self):
        files = ["--latents-out", "l", "--frames-out", "f"]
        process = self.start_alone("render", *JOB, *SEED, *files, "--set", "output.folder=out", program=FAULTS,
                                   env={"HR_FAULT": "av.encode:20=kill"})
        process.wait()
        self.assertTrue(os.path.exists(self.path("l")))
        self.succeeds("resume", "out", *files)
        self.same()
        self.assertTrue(os.path.exists(self.path("f")))
        self.refused_quietly(2, "--force", "render", *JOB, *SEED, *files, "--set", "output.folder=new")

    def test_noise_of_a_file(self):
        """It is in the checkpoint; without one it has to be given again."""
        noise = ["--latents", "noise"]
        self.succeeds("render", *JOB, *SEED, "--set", "output.folder=first", "--stop-after-step", "1",
                      "--latents-out", "noise")
        self.succeeds("render", *JOB, *SEED, *noise, "-o", "whole.mp4")
        self.stopped_at(2, "out", *noise)
        shutil.copytree(self.path("out"), self.path("none"))
        shutil.rmtree(self.path("none", "checkpoint"))
        self.succeeds("resume", "out")
        self.assertEqual(self.read("out", "video.mp4"), self.read("whole.mp4"))
        self.succeeds("compare", "out", "whole.run")
        os.remove(self.path("out", "video.mp4"))
        os.remove(self.path("whole.mp4"))
        self.refused(5, "the file that --latents gave", "resume", "none")
        self.succeeds("resume", "none", *noise)
        self.succeeds("compare", "none", "out")

    def test_the_video_goes_where_it_was_to_go(self):
        self.succeeds("render", *JOB, *SEED, "-o", "cat.mp4", "--stop-after-step", "2")
        self.succeeds("resume", "cat.run")
        self.same("cat.run", "cat.mp4")
        self.assertFalse(os.path.exists(self.path("cat.run", "video.mp4")))

    def test_batches_go_on_by_themselves(self):
        batch = ["render", *JOB, "--seeds", "7..8", "--set", "output.folder=out"]
        self.succeeds(*batch, "--stop-after-step", "3")
        shutil.rmtree(self.path("out", "a-red-cat-seed-8"))
        result = self.succeeds(*batch)
        self.assertEqual(result.stderr.decode().count("going on at step 3"), 1)
        self.assertIn("2 of 2 videos done", result.stdout.decode())
        self.same("out/a-red-cat-seed-7")
        self.assertEqual(self.succeeds(*batch).stderr.decode().count("done already"), 2)

    def test_links_in_the_folder_are_not_written_through(self):
        """It may come from a stranger. A link to the whole folder is the user's own."""
        self.stopped_at(2)
        mine = self.write("mine", "mine")
        os.mkdir(self.path("yours"))
        for name, target, code in (("log/rank-0000.log", mine, 4), ("checkpoint", self.path("yours"), 2)):
            os.rename(self.path("out", name), self.path("kept"))
            os.symlink(target, self.path("out", name))
            line = self.refused(code, f"out/{name}", "resume", "out")
            self.assertIn("is a symbolic link", line)
            os.remove(self.path("out", name))
            os.rename(self.path("kept"), self.path("out", name))
        self.assertEqual(self.read("mine"), b"mine")
        self.assertEqual(os.listdir(self.path("yours")), [])
        os.remove(self.path("out", "receipt.json"))
        os.symlink("nowhere", self.path("out", "receipt.json"))  # a file takes its place
        os.symlink("out", self.path("link"))
        self.succeeds("resume", "link")
        self.same()
        self.assertFalse(os.path.exists(self.path("out", "nowhere")))

    def stopped_batch(self, video, at, *arguments):
        """What it says when it is stopped in the video of this folder, while a checkpoint is written."""
        process = self.start_alone("render", *arguments, *OFTEN, "--set", "output.folder=out", program=FAULTS,
                                   env={"HR_FAULT": f"hdf5.create:{at}=sleep1000"})
        self.wait_for(lambda: glob.glob(self.path("out", video, "checkpoint", "step-*.h5")), process)
        process.send_signal(signal.SIGUSR1)
        return self.ends(process, 75)

    def test_a_batch_that_is_stopped_says_how_to_go_on(self):
        # The first video is saved five times.
        said = self.stopped_batch("a-red-cat-seed-8", 7, *JOB, "--seeds", "7..8", "--force")
        lines = [line for line in said.splitlines() if "to go on" in line]
        self.assertEqual(len(lines), 1, said)
        command = shlex.split(lines[0].partition("to go on with the batch: ")[2])
        self.assertEqual(command, ["haloreel", "render", *JOB, "--seeds", "7..8", *OFTEN, "--set", "output.folder=out"])
        result = self.succeeds(*command[1:])
        self.assertEqual(result.stderr.decode().count("done already"), 1)
        self.assertEqual(result.stderr.decode().count("going on at step"), 1)
        self.same("out/a-red-cat-seed-7")

    def test_a_batch_of_drawn_seeds_that_is_stopped(self):
        self.write("prompts", "a red cat\na blue dog\n")
        said = self.stopped_batch("a-red-cat-seed-*", 2, "--prompts", "prompts", *JOB[2:])
        self.assertRegex(said, "to go on with this video: haloreel resume out/a-red-cat-seed-[0-9]+ ")

    def test_saving_that_fails_is_not_tried_at_each_window(self):
        process = self.start_alone("render", *JOB, *SEED, "--set", "checkpoint.every=1step", "--set",
                                   "output.folder=out", program=FAULTS, env={"HR_FAULT": "hdf5.create:1+"})
        said = self.ends(process, 0)
        self.assertEqual(said.count("error: "), 2, said)  # of the first checkpoint and of the latents
        with open(os.path.join(REFERENCE, "run", "video.mp4"), "rb") as file:
            self.assertEqual(self.read("out", "video.mp4"), file.read())

    def test_two_programs(self):
        process = self.start_alone("render", *JOB, *SEED, *OFTEN, "--set", "output.folder=out", program=FAULTS,
                                   env={"HR_FAULT": "hdf5.create:1=sleep30000"})
        self.wait_for(lambda: os.path.exists(self.path("out", "status.json")), process)
        self.refused(2, "out: process %d on host " % process.pid, "resume", "out")
        self.refused(2, "works in this folder since ", "render", *JOB, *SEED, "--set", "output.folder=out", "--fresh")
        process.kill()
        process.wait()
        self.assertTrue(os.path.exists(self.path("out", "lock")))
        self.assertIn("is gone and had not ended its work", self.succeeds("resume", "out").stderr.decode())
        self.same()


class Damaged(Runs, CliTest):
    def setUp(self):
        super().setUp()
        self.stopped_at(5)
        self.older, self.newest = self.checkpoints()

    def damage(self, path, how):
        if how in ("folder", "pipe"):
            os.remove(path)
            return os.mkdir(path) if how == "folder" else os.mkfifo(path)
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            if how == "cut":
                file.truncate(size - 1)
            elif how == "empty":
                file.truncate(0)
            else:
                file.seek(size // 2)
                byte = file.read(1)[0]
                file.seek(size // 2)
                file.write(bytes([byte ^ 4]))

    def test_the_older_one_is_used(self):
        shutil.copytree(self.path("out"), self.path("kept"))
        for how in ("cut", "flipped", "empty", "folder", "pipe"):
            with self.subTest(how=how):
                shutil.rmtree(self.path("out"))
                shutil.copytree(self.path("kept"), self.path("out"))
                self.damage(self.newest, how)
                said = self.succeeds("resume", "out", "--stop-after-step", "7").stderr.decode()
                self.assertIn("error: " + os.path.relpath(self.newest, self.folder), said)
                self.assertIn("going on at step 4 of", said)
                self.assertEqual(len(self.checkpoints()), 2)  # the damaged one is none of them
                self.assertTrue(os.path.exists(self.newest + ".damaged"))
        self.succeeds("resume", "out")
        self.same()

    def test_none_is_whole(self):
        self.damage(self.newest, "empty")
        self.damage(self.older, "flipped")
        before = sorted(os.listdir(self.path("out", "checkpoint")))
        for arguments in (["resume", "out"], ["render", *JOB, "--set", "output.folder=out"]):
            result = self.run_program(*arguments)
            self.assertEqual(result.returncode, 5, result.stderr.decode())
            self.assertIn("none of its checkpoints is whole; nothing was deleted", result.stderr.decode())
        self.assertEqual(before, sorted(os.listdir(self.path("out", "checkpoint"))))

    def test_inspect(self):
        said = self.succeeds("inspect", self.newest).stdout.decode()
        self.assertIn("checkpoint at step 5 of %d" % STEPS, said)
        self.assertIn('prompt: "a red cat"', said)
        self.assertEqual(json.loads(self.succeeds("inspect", "--json", self.older).stdout)["steps_done"], 4)
        self.damage(self.newest, "flipped")
        self.refused(5, os.path.basename(self.newest), "inspect", self.newest)


class DecodeOnly(Runs, CliTest):
    def latents(self):
        shutil.copy(os.path.join(REFERENCE, "run", "latents.h5"), self.path("latents.h5"))
        return "latents.h5"

    def test_same_bytes(self):
        self.succeeds("render", "--decode-only", self.latents(), "-o", "a.mp4")
        self.same("a.run", "a.mp4")
        result = self.succeeds("render", "--decode-only", "latents.h5", "-o", "a.mp4")
        self.assertIn("done already", result.stderr.decode())
        self.succeeds("render", "--decode-only", "latents.h5", "--set", "output.folder=p", "--set", "output.video=png")
        self.assertEqual(len(os.listdir(self.path("p", "frames"))), 37)

    def test_resume_decodes(self):
        """The run knows its latents, wherever they were."""
        process = self.start_alone("render", "--decode-only", self.latents(), "--set", "output.folder=out",
                                   program=FAULTS, env={"HR_FAULT": "av.encode:20=sleep30000"})
        self.wait_for(lambda: os.path.exists(self.path("out", "status.json")), process)
        process.kill()
        process.wait()
        said = self.succeeds("resume", "out").stderr.decode()
        self.assertIn("going on with the decoding of out/latents.h5", said)
        self.same()

    def test_in_its_own_folder(self):
        shutil.copytree(os.path.join(REFERENCE, "run"), self.path("out"))
        os.remove(self.path("out", "video.mp4"))
        self.succeeds("render", "--decode-only", "out/latents.h5", "--set", "output.folder=out")
        self.same()
        self.succeeds("render", "--decode-only", "out/latents.h5", "--set", "output.folder=out", "--force")
        self.same()

    def test_refused(self):
        self.refused(2, "say where the video goes", "render", "--decode-only", self.latents())
        for arguments, part in ((["--set", "sampler.steps=3"], "would make it another video"),
                                (["--prompt", "x"], "would make it another video"),
                                (["--stop-after-step", "2"], "nothing is denoised")):
            self.refused(2, part, "render", "--decode-only", "latents.h5", "-o", "a.mp4", *arguments)
        self.write("bad.h5", b"haloreel checkpoint 1\n" + bytes(5000))
        self.refused(5, "bad.h5", "render", "--decode-only", "bad.h5", "-o", "a.mp4")
        self.stopped_at(2)
        self.refused(5, "at step 2 of %d: not denoised yet" % STEPS, "render", "--decode-only",
                     self.checkpoints()[0], "-o", "a.mp4")


if __name__ == "__main__":
    main()
