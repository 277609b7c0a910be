"""haloreel submit and its script, with stand-ins for Slurm's programs. test_slurm.py has the real ones."""
import json
import os
import re
import signal
import subprocess
import time

from harness import DEADLINE, FAULTS, PROGRAM, CliTest, main

JOB = """
prompt: A red ball rolls to the right on a beach.
video: {width: 64, height: 48, frames: 49}
sampler: {steps: 4, seed: 7}
output: {folder: run}
"""

# Each notes how it was called. They answer with the files ANSWER/NAME.
FAKES = {
    "sbatch": 'note "$@"; [ -e "$ANSWER/sbatch" ] && { cat "$ANSWER/sbatch" >&2; exit 1; }; echo "$((41 + $(count)))"',
    "scontrol": 'note "$@"; [ "$1 $2" = "show hostnames" ] && printf "n0\\nn1\\n"; exit 0',
    "squeue": 'case "$*" in *%r) cat "$ANSWER/reason" 2>/dev/null;; \n'
              '*%e) cat "$ANSWER/end" 2>/dev/null || echo 2031-01-31T12:00:00;; *) exit 1;; esac',
    "sinfo": 'case "$*" in *%N) printf "n0\\nn1\\n";; *) cat "$ANSWER/sinfo" 2>/dev/null;; esac',
    "srun": 'note "$@"; [ -e "$ANSWER/no-srun" ] && { cat "$ANSWER/no-srun" >&2; exit 1; }\n'
            'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "mpirun": 'note "$@"; while [ "$1" != "$ANSWER/program" ]; do shift; done; exec "$@"',
}
HEAD = """#!/bin/bash
note() { printf '%s\\n' "$(basename "$0") $*" >>"$ANSWER/calls"; }
count() { grep -c "^sbatch" "$ANSWER/calls"; }
"""
# What stands in for haloreel: it ends as the file "does" says.
STAND_IN = f"""#!/bin/bash
[ "$2" = --usage ] && exit 0
[ "$1" = status ] && exec '{PROGRAM}' "$@"
echo "$SLURM_JOB_END_TIME $*" >>"$ANSWER/ran"
. "$ANSWER/does"
"""
MAKES = 'touch "${2%%/slurm/*}/%s"; exit 0'
DONE = MAKES % "frames"
NOW = "2026-01-31T12:00:00Z"


class Submit(CliTest):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.mkdir(self.path("answer"))
        for name, text in FAKES.items():
            os.chmod(self.write(os.path.join("bin", name), HEAD + text + "\n"), 0o755)
        os.chmod(self.write("answer/program", STAND_IN), 0o755)
        self.write("job.yaml", JOB)
        self.environment = {"PATH": self.path("bin") + ":" + os.environ["PATH"], "ANSWER": self.path("answer")}

    def submit(self, *arguments):
        return self.succeeds("submit", *arguments, env=self.environment).stdout.decode()

    def refuses(self, code, part, *arguments):
        return self.refused(code, part, "submit", *arguments, env=self.environment)

    def answer(self, name, text):
        self.write(os.path.join("answer", name), text)

    def calls(self, of=""):
        try:
            with open(self.path("answer", "calls")) as file:
                return [line.rstrip("\n") for line in file if line.startswith(of)]
        except OSError:
            return []

    def script(self, *names):
        return self.read(*(names or ("run", "slurm", "job.sbatch"))).decode()

    def start_script(self, *names, restarts=0, task=None):
        """As Slurm would start it, but with the stand-in in place of the program."""
        text = re.sub(r"^program=.*$", lambda _: "program=$ANSWER/program", self.script(*names), flags=re.M)
        environment = {**os.environ, **self.environment, "SLURM_JOB_ID": "41", "SLURM_JOB_NUM_NODES": "2",
                       "SLURM_JOB_NODELIST": "n[0-1]", "SLURM_JOB_PARTITION": "render",
                       "SLURM_RESTART_COUNT": str(restarts), "TZ": "UTC"}
        if task is not None:
            environment["SLURM_ARRAY_TASK_ID"] = str(task)
        log = self.path("log")
        with open(log, "ab") as out:
            process = subprocess.Popen(["bash", self.write("script", text)], env=environment, stdout=out, stderr=out,
                                       stdin=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        return process

    def run_script(self, does, *names, **options):
        self.answer("does", does)
        code = self.start_script(*names, **options).wait(timeout=DEADLINE)
        return code, self.read("log").decode()

    def requeues(self):
        return len(self.calls("scontrol requeue 41"))


class Script(Submit):
    """What the job does when the program ends."""

    def setUp(self):
        super().setUp()
        self.submit("job.yaml", "--nodes=2")

    def test_done(self):
        code, log = self.run_script(MAKES % "video.mp4")
        self.assertEqual((code, self.requeues()), (0, 0), log)
        run = self.path("run")
        self.assertEqual(self.read("answer", "ran").decode(), f"1927627200 render {run}/slurm/job.yaml\n")
        self.assertIn("attempt 1: 2 ranks on n[0-1] by srun", log)
        self.assertIn("--ntasks=2 --ntasks-per-node=1", self.calls("srun")[-1])

    def test_done_without_a_film(self):
        self.write("run/status.json", json.dumps({"state": "done", "updated": NOW}))
        code, log = self.run_script("exit 0")
        self.assertEqual((code, self.requeues()), (0, 0), log)

    def test_nothing_is_made_with_0(self):
        """As srun may say when a node is gone."""
        self.write("run/status.json", json.dumps({"state": "running", "updated": NOW, "error": '"state": "done"'}))
        for attempt in range(4):
            code, log = self.run_script(MAKES % "latents.h5", restarts=attempt)
            self.assertEqual((code, self.requeues()), (69, min(attempt + 1, 3)), log)
        self.assertNotIn(": done", log)
        self.assertEqual(log.count("ended with code 0, but has not made what it is for: fail"), 4)

    def test_no_time_limit(self):
        for said in ("", "NONE\n"):
            self.answer("end", said)
            self.run_script(DONE)
        self.assertEqual([line.split()[0] for line in self.read("answer", "ran").decode().splitlines()], ["render"] * 2)

    def test_a_stop_with_a_checkpoint(self):
        code, log = self.run_script("mkdir -p run/checkpoint; touch run/checkpoint/step-0001; exit 75")
        self.assertEqual((code, self.requeues()), (75, 1), log)
        self.assertFalse(os.path.exists(self.path("run", "slurm", "job-41.failures")))

    def test_stops_that_come_to_nothing(self):
        for attempt in range(4):
            code, log = self.run_script("exit 75", restarts=attempt)
            self.assertEqual((code, self.requeues()), (75, min(attempt + 1, 3)), log)
        self.assertIn("failed more than 3 times", log)

    def test_failures_are_bounded(self):
        for attempt in range(4):
            code, log = self.run_script("exit 69", restarts=attempt)
            self.assertEqual((code, self.requeues()), (69, min(attempt + 1, 3)), log)
        self.assertIn("failed more than 3 times", log)
        self.assertEqual(self.read("run", "slurm", "job-41.failures").decode(), "69\t-\n" * 4)

    def test_failures_that_cannot_be_counted(self):
        """It would be requeued for ever."""
        os.mkdir(self.path("run", "slurm", "job-41.failures"))
        code, log = self.run_script("exit 69")
        self.assertEqual((code, self.requeues()), (69, 0), log)
        self.assertIn("failures cannot be counted in ", log)

    def test_a_node_that_failed_twice(self):
        self.submit("job.yaml", "--nodes=1-2")
        says = "echo 'haloreel: error: rank 1 (host b, pid 12, denoise step 3 window 2) is gone' >&2; exit 69"
        self.run_script(says)
        self.assertEqual(self.calls("scontrol update JobId=41 ExcNodeList"), [])
        _, log = self.run_script(says, restarts=1)
        self.assertEqual(self.calls("scontrol update JobId=41 ExcNodeList"),
                         ["scontrol update JobId=41 ExcNodeList=n1"], log)
        self.assertIn("scontrol update JobId=41 NumTasks=1", self.calls())

    def test_no_node_is_left_out_when_too_few_are_left(self):
        for attempt in range(2):
            _, log = self.run_script("echo 'srun: error: n0: task 0: Killed'; exit 137", restarts=attempt)
        self.assertEqual(self.calls("scontrol update"), [], log)
        self.assertIn("n0 failed twice, but without it too few nodes are left", log)

    def test_other_codes_end_the_job(self):
        for wanted in (2, 3, 4, 5, 70):
            code, log = self.run_script(f"exit {wanted}")
            self.assertEqual((code, self.requeues()), (wanted, 0), log)
            self.assertIn("this goes on with the run: sbatch " + self.path("run", "slurm", "job.sbatch"), log)

    def test_mpirun_where_srun_does_not_work(self):
        self.answer("no-srun", "srun: error: no plugin\n")
        code, log = self.run_script(DONE)
        self.assertEqual(code, 0, log)
        self.assertEqual(log.count("starts by mpirun (srun --mpi=pmix does not start it: srun: error: no plugin)"), 1)
        self.assertIn("mpirun -n 2 --map-by ppr:1:node --bind-to none", self.calls("mpirun")[0])

    def signalled(self, number, reason):
        """The program stops with a checkpoint and 75 when it is asked to; says whether it was."""
        self.answer("reason", reason + "\n")
        self.answer("does", "trap 'touch \"$ANSWER/asked\"; mkdir -p run/checkpoint; touch run/checkpoint/a; exit 75' "
                            "USR1\ntouch \"$ANSWER/runs\"\nfor ((k = 0; k < 80; k++)); do sleep 0.05; done\nexit 75")
        process = self.start_script()
        until = time.monotonic() + DEADLINE
        while not os.path.exists(self.path("answer", "runs")):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(timeout=DEADLINE)
        return os.path.exists(self.path("answer", "asked"))

    def test_before_the_time_limit(self):
        self.assertTrue(self.signalled(signal.SIGUSR1, "None"))
        self.assertEqual(self.requeues(), 1, self.read("log"))

    def test_at_the_time_limit(self):
        self.assertFalse(self.signalled(signal.SIGTERM, "TimeLimit"))
        self.assertEqual(self.requeues(), 1, self.read("log"))
        self.assertEqual(self.read("run", "slurm", "job-41.failures").decode(), "75\t-\n", "it came to nothing")

    def test_scancel(self):
        self.assertFalse(self.signalled(signal.SIGTERM, "None"))
        self.assertEqual(self.requeues(), 0, self.read("log"))


class Command(Submit):
    def test_one_job(self):
        said = self.submit("job.yaml", "--nodes=2", "--ranks-per-node=3", "--cpus-per-rank=4", "--time=1:00:00",
                           "--partition=p", "--account=a", "--", "--gpus-per-node=3", "-q", "long")
        self.assertTrue(said.startswith("job 42: 2 nodes with 3 ranks each; "), said)
        self.assertIn("haloreel status 42", said)
        self.assertEqual(self.calls("sbatch"), ["sbatch --parsable " + self.path("run/slurm/job.sbatch")])
        self.assertIn('#SBATCH "--job-name=job" "--nodes=2" "--ntasks-per-node=3" "--cpus-per-task=4" '
                      '"--time=60" "--partition=p" "--account=a" "--gpus-per-node=3" "-q" "long"\n', self.script())
        self.assertIn("\n#SBATCH --requeue --open-mode=append --signal=B:USR1@", self.script().split("--job-name")[0],
                      "what the user says comes last and holds")
        self.assertEqual(self.read("run/slurm/job-42.runs").decode(), self.path("run") + "\n")

    def test_nodes_as_the_plan_says(self):
        """One holds the model; more of them when the time limit asks for it, as far as they are worth it."""
        self.answer("sinfo", "2 8\n1 4+\n")
        self.submit("job.yaml", "--dry-run", "--time=24h")
        self.assertIn('"--nodes=1" "--ntasks-per-node=1" "--cpus-per-task=4"', self.script())
        long = ["--set", "sampler.steps=400", "--set", "video.frames=81", "--set", "video.width=256", "--set",
                "video.height=160", "--time=1"]
        self.submit("job.yaml", "--dry-run", *long)
        self.assertRegex(self.script(), '"--nodes=[23]"')
        self.submit("job.yaml", "--dry-run", *long, "--set", "layout.windows=1", "--set", "layout.stages=1",
                    "--set", "layout.tensor=1", "--set", "layout.cfg=1")
        self.assertIn('"--nodes=1"', self.script())

    def test_a_dry_run(self):
        self.assertTrue(self.submit("job.yaml", "--dry-run").startswith("not submitted: "))
        self.assertEqual(self.calls("sbatch"), [])
        self.assertIn("#SBATCH", self.script())

    def test_odd_folders(self):
        folder = "it's a \"run\" für 100 %j $HOME #1 `x`"
        self.submit("job.yaml", "--nodes=2", "--set", "output.folder=" + folder)
        code, log = self.run_script(DONE, folder, "slurm", "job.sbatch")
        self.assertEqual(code, 0, log)
        self.assertIn(" render " + self.path(folder, "slurm", "job.yaml"), self.read("answer", "ran").decode())
        self.assertIn(folder.replace('"', '\\"').replace("%", "%%") + '/slurm/job-%j.log"',
                      self.script(folder, "slurm", "job.sbatch"))
        self.refuses(2, "backslashes", "job.yaml", "--set", "output.folder=a\\b")
        self.refuses(2, "control characters", "job.yaml", "--set", "output.folder=a\nb")

    def test_seeds(self):
        self.write("job.yaml", JOB.replace(", seed: 7", ""))
        said = self.submit("job.yaml", "--seeds=3..5", "--nodes=1")
        self.assertIn("3 tasks of 1 node with 1 rank", said)
        self.assertIn('"--array=1-3"', self.script())
        self.assertIn('job-%A_%a.log"', self.script())
        runs = self.read("run/slurm/job-42.runs").decode().split("\n")[:-1]
        for task, run in enumerate(runs, 1):
            self.assertIn(f"seed-{task + 2}", run)
            self.assertIn(f"seed: {task + 2}\n", self.read(run, "slurm", "job.yaml").decode())
            code, log = self.run_script(DONE, task=task)
            self.assertEqual(code, 0, log)
            self.assertTrue(self.read("answer", "ran").decode().endswith(f"{run}/slurm/job.yaml\n"))
        self.write("job.yaml", JOB)
        self.submit("job.yaml", "--seeds=6", "--nodes=1")
        self.assertIn("seed-6", self.read("run/slurm/job-43.runs").decode(), "they hold over that of the file")
        self.refuses(2, "--seeds and --set sampler.seed", "job.yaml", "--seeds=3..5", "--set", "sampler.seed=1")

    def test_several_jobs(self):
        self.write("other.yaml", JOB.replace("folder: run", "folder: other"))
        self.submit("--jobs", "job.yaml", "other.yaml", "--nodes=1")
        self.assertEqual(self.read("run/slurm/job-42.runs").decode().split(), [self.path("run"), self.path("other")])
        self.refuses(2, "two of the jobs have", "--jobs", "job.yaml", "job.yaml")
        self.refuses(2, "--jobs makes a task of each", "job.yaml", "other.yaml")

    def test_split_decode(self):
        said = self.submit("job.yaml", "--nodes=2", "--split-decode", "--decode-sbatch=--partition=cpu", "--",
                           "--gpus-per-node=1")
        self.assertEqual(said.count("job 4"), 2, said)
        decode = self.path("run/slurm/decode.sbatch")
        self.assertEqual(self.calls("sbatch")[1],
                         f"sbatch --parsable --dependency=afterok:42 --kill-on-invalid-dep=yes {decode}")
        text = self.script("run", "slurm", "decode.sbatch")
        self.assertIn('"--nodes=1"', text)
        self.assertIn('"--partition=cpu"', text)
        self.assertNotIn("gpus", text)
        code, log = self.run_script("exit 0")
        self.assertEqual(code, 69, log)
        os.remove(self.path("answer", "ran"))
        code, log = self.run_script(MAKES % "latents.h5")
        self.assertEqual(code, 0, log)
        code, log = self.run_script("exit 0", "run", "slurm", "decode.sbatch")
        self.assertEqual(code, 69, log)
        os.remove(self.path("answer", "ran"))
        self.run_script(MAKES % "latents.h5")
        code, log = self.run_script(DONE, "run", "slurm", "decode.sbatch")
        self.assertEqual(code, 0, log)
        first, second = self.read("answer", "ran").decode().splitlines()
        self.assertTrue(first.endswith("job.yaml --stop-after-step=4"), first)
        self.assertTrue(second.endswith("job.yaml"), second)

    def test_the_seed_stays(self):
        """Who submits again means the same video, whose seed was drawn the first time."""
        self.write("job.yaml", JOB.replace(", seed: 7", ""))
        seeds = set()
        for _ in range(2):
            self.submit("job.yaml", "--nodes=1")
            seeds.add(re.search(r"seed: (\d+)", self.read("run/slurm/job.yaml").decode()).group(1))
        self.assertEqual(len(seeds), 1)

    def test_a_template_of_its_own(self):
        self.write("own", "#!/bin/sh\n#SBATCH {{options}}\n{{program}} render {{runs}}\n")
        self.submit("job.yaml", "--nodes=1", "--template=own")
        self.assertRegex(self.script(), r"(?m)^/.* render /.*/run$")
        self.write("own", "#!/bin/sh\n\n{{programm}}\n")
        self.refuses(2, "own:3: {{programm}}", "job.yaml", "--nodes=1", "--template=own")
        self.refuses(2, "none: ", "job.yaml", "--nodes=1", "--template=none")

    def test_refused(self):
        for code, part, arguments in (
                (2, "give a job file", []), (2, "none.yaml", ["none.yaml"]), (2, "--nodes", ["job.yaml", "--nodes=0"]),
                (2, "--nodes", ["job.yaml", "--nodes=3-2"]), (2, "--nodes", ["job.yaml", "--nodes=many"]),
                (2, "--time", ["job.yaml", "--time=soon"]), (2, "--time", ["job.yaml", "--time=0"]),
                (2, "--seeds", ["job.yaml", "--seeds=x"]), (2, "nearest", ["job.yaml", "--set", "video.frames=6"]),
                (2, "--split-decode", ["job.yaml", "--decode-sbatch=-N2"])):
            with self.subTest(arguments=arguments):
                self.refuses(code, part, *arguments)
        self.assertFalse(os.path.exists(self.path("run")), "nothing is left behind")
        self.answer("sbatch", "sbatch: invalid partition\nsbatch: cannot go on\n")
        self.refuses(2, "ended with 1: sbatch: invalid partition;sbatch: cannot go on", "job.yaml", "--nodes=1")
        self.refuses(2, "ended with 1: ", "job.yaml", "--nodes=1", "--seeds=1..3")
        self.assertFalse(os.path.exists(self.path("run")), "nothing is left behind")
        os.remove(self.path("bin", "sbatch"))
        self.environment["PATH"] = self.path("bin")
        self.refuses(2, "there is no sbatch here", "job.yaml", "--nodes=1")

    def test_handed_in_but_not_noted(self):
        """Whoever submits has to learn the number of the job that Slurm has."""
        os.makedirs(self.path("run", "slurm", "job-42.runs"))
        result = self.run_program("submit", "job.yaml", "--nodes=1", env=self.environment)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertIn(b"job 42: 1 node", result.stdout)
        self.assertIn(b"scancel 42 takes it back", result.stderr)
        self.assertIn("#SBATCH", self.script(), "what Slurm has is not removed")

    def test_a_stop_at_the_start(self):
        said = [self.run_program("submit", "job.yaml", "--nodes=1", "--dry-run", *time, env=self.environment).stderr
                for time in (["--time=2"], ["--time=3"], [])]
        self.assertEqual(["asked to stop as soon as it starts" in text.decode() for text in said],
                         [True, False, False])

    def test_without_memory(self):
        """No option may be lost on the way: the script is whole, or there is none."""
        arguments = ["submit", "job.yaml", "--dry-run", "--nodes=2", "--time=60", "--account=a"]
        trace = self.path("trace")
        self.assertEqual(self.fault(arguments, HR_FAULT_TRACE=trace), 0)
        wanted = self.script()
        with open(trace + ".0") as file:
            passes = sum(int(line.split()[2]) for line in file if line.startswith("memory.alloc "))
        codes = []
        for k in range(passes - 40, passes + 2):
            os.remove(self.path("run", "slurm", "job.sbatch"))
            codes.append(self.fault(arguments, HR_FAULT=f"memory.alloc:{k}"))
            if os.path.exists(self.path("run", "slurm", "job.sbatch")):
                self.assertEqual(self.script(), wanted, f"allocation {k}")
            else:
                self.assertEqual(codes[-1], 4, f"allocation {k}")
                self.assertEqual(self.fault(arguments), 0)
        self.assertEqual((codes[0], codes[-1]), (4, 0))

    def fault(self, arguments, **environment):
        return subprocess.run([FAULTS, *arguments], cwd=self.folder, capture_output=True, timeout=DEADLINE,
                              env={**os.environ, **self.environment, **environment},
                              stdin=subprocess.DEVNULL).returncode

    def test_status_of_a_job(self):
        """Slurm has forgotten it: what submit left below the current folder says where the run is."""
        self.write("job.yaml", JOB.replace(", seed: 7", "").replace("folder: run", "folder: runs/a"))
        self.submit("job.yaml", "--seeds=1..2", "--nodes=1")
        text = self.succeeds("status", "42", env=self.environment).stdout.decode()
        self.assertEqual(text.count("not started yet"), 2, text)
        self.assertEqual(json.loads(self.succeeds("status", "42", "--json", env=self.environment).stdout), [None, None])
        self.assertIn("seed-2", self.succeeds("status", "42_2", env=self.environment).stdout.decode())
        self.refused(2, "job 43", "status", "43", env=self.environment)
        self.refused(2, "job 42", "status", "42_3", env=self.environment)
        os.mkdir(self.path("42"))
        self.refused(2, "no status.json", "status", "42", env=self.environment)


if __name__ == "__main__":
    main()
