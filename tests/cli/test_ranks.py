"""haloreel render on several ranks as its user sees it: the same bytes, one line per mistake, no hang."""
import json
import os
import shutil
import signal
import time
import unittest

from harness import PROGRAM, SANITIZED, SOURCE, main, read_safetensors, write_safetensors
from ranks import RanksTest, Result

# Seven windows.
LONG = ["--prompt", "a red cat", "--seed", "7", "--set", "sampler.steps=2", "--set", "video.width=32", "--set",
        "video.height=48", "--set", "video.frames=65", "--set", "output.preview_every=0"]
SHORT = [*LONG, "--set", "video.frames=5"]
ENDLESS = [*LONG, "--set", "sampler.steps=1000", "--set", "output.folder=out"]
USAGE, MODEL, RESOURCES, CHECKPOINT, DEVICE, STOPPED = 2, 3, 4, 5, 69, 75


class SameBits(RanksTest):
    def test_any_number_of_ranks(self):
        self.succeeds("render", *LONG, "-o", "1.mp4", "--latents-out", "1", "--frames-out", "f1")
        for n in (2, 3, 4):
            self.ranks_succeed(n, "render", *LONG, "-o", f"{n}.mp4", "--latents-out", str(n), "--frames-out", f"f{n}")
            self.assertEqual(self.read("1"), self.read(str(n)))
            self.assertEqual(self.read("f1"), self.read(f"f{n}"))
            self.assertEqual(self.read("1.mp4"), self.read(f"{n}.mp4"))
            self.assertIn("the same video", self.succeeds("compare", "1.run", f"{n}.run").stdout.decode())

    def test_layouts(self):
        self.succeeds("render", *LONG, "-o", "one.mp4")
        for layout in ((1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2), (2, 1, 1, 1)):
            keys = [f"--set=layout.{key}={value}" for key, value in zip(("windows", "stages", "tensor", "cfg"), layout)]
            with self.subTest(layout=layout):
                self.ranks_succeed(2, "render", *LONG, *keys, "--force", "-o", "two.mp4")
                self.assertEqual(self.read("one.mp4"), self.read("two.mp4"))
                self.succeeds("compare", "one.run", "two.run")

    def test_receipt_says_who_did_it(self):
        self.ranks_succeed(2, "render", *SHORT, "-o", "a.mp4")
        machine = json.loads(self.read("a.run", "receipt.json"))["machine"]
        self.assertEqual(machine["ranks"], "2")
        self.assertIn("memory_bytes=", machine["rank 1"])
        status = json.loads(self.read("a.run", "status.json"))
        self.assertEqual((status["state"], status["ranks"]), ("done", 2))

    def test_batch(self):
        self.write("prompts.txt", b"a red cat\n\xff\xfe broken\na blue robot\n")
        arguments = ["render", "--prompts", "prompts.txt", *SHORT[2:]]
        self.run_program(*arguments, "--set", "output.folder=one")
        result = self.run_ranks(2, *arguments, "--set", "output.folder=two")
        self.assertEqual(result.codes, [USAGE] * 2, str(result))
        self.assertIn("2 of 3 videos done", result.outs[0])
        for name in ("a-red-cat-seed-7", "a-blue-robot-seed-7"):
            self.assertEqual(self.read("one", name, "video.mp4"), self.read("two", name, "video.mp4"))
        os.remove(self.path("two", "a-blue-robot-seed-7", "video.mp4"))  # it is decoded again
        result = self.run_ranks(2, *arguments, "--set", "output.folder=two")
        self.assertIn("2 of 3 videos done", result.outs[0], str(result))
        for name in ("a-red-cat-seed-7", "a-blue-robot-seed-7"):
            self.assertEqual(self.read("one", name, "video.mp4"), self.read("two", name, "video.mp4"))

    def test_drawn_seed_is_the_same_on_all(self):
        arguments = [a for a in SHORT if a not in ("--seed", "7")]
        self.ranks_succeed(3, "render", *arguments, "-o", "a.mp4")
        self.ranks_succeed(2, "render", *arguments, "-o", "b.mp4")
        self.assertNotEqual(self.read("a.mp4"), self.read("b.mp4"))
        self.succeeds("render", "a.run/job.yaml", "-o", "c.mp4")
        self.assertEqual(self.read("a.mp4"), self.read("c.mp4"))

    def test_idle_ranks_are_named(self):
        result = self.ranks_succeed(3, "render", *LONG, "--set", "layout.windows=1", "--set", "layout.cfg=2", "--set",
                                    "layout.stages=1", "--set", "layout.tensor=1", "-o", "a.mp4")
        lines = [line for line in result.errors[0].splitlines() if "idle" in line]
        self.assertEqual(len(lines), 1, str(result))
        self.assertIn("rank 2 (", lines[0])

    def test_verify(self):
        result = self.ranks_succeed(3, "render", *LONG, "--verify")
        self.assertIn("same bits on 1 rank and on 3", result.outs[0])
        self.assertEqual(len(result.outs[0].splitlines()), 1)
        self.assertFalse(self.products())

    def test_instruction_sets_are_mixed(self):
        plain = {1: "export HALOREEL_ISA=plain"}
        result = self.ranks_succeed(2, "render", *LONG, "-o", "mixed.mp4", on_rank=plain)
        lines = [line for line in result.errors[0].splitlines() if "all ranks use that" in line]
        self.assertEqual(len(lines), 1, str(result))
        self.assertIn("rank 1 (", lines[0])
        self.succeeds("render", *LONG, "-o", "plain.mp4", env={"HALOREEL_ISA": "plain"})
        self.assertEqual(self.read("mixed.mp4"), self.read("plain.mp4"))

    def test_threads_are_shared(self):
        result = self.ranks_succeed(2, "render", *SHORT, "-o", "a.mp4")
        n = max(1, len(os.sched_getaffinity(0)) // 2)
        self.assertIn(f"{n} thread{'s' if n > 1 else ''};", result.errors[0])


class Refused(RanksTest):
    def test_bad_jobs(self):
        self.write("steps.yaml", "prompt: a\nsampler:\n  steps: 0\n")
        bad = ((USAGE, "steps.yaml:3:10: sampler.steps: 0 is not in 1..", ["steps.yaml"]),
               (USAGE, "nearest: 61 or 65", [*LONG, "--set", "video.frames=62"]),
               (MODEL, "nosuch", ["--prompt", "a", "--model", "nosuch"]),
               (RESOURCES, "nodir", [*LONG, "--latents-out", "nodir/x"]),
               (USAGE, "missing.yaml", ["missing.yaml"]),
               (USAGE, "no prompt", []),
               (USAGE, "nosuch", ["--prompt", "a", "--set", "nosuch=1"]),
               (USAGE, "windows.overlap", [*LONG, "--set", "windows.overlap=24"]),
               (USAGE, "windows.frames", [*LONG, "--set", "windows.frames=20"]))
        for n, some in ((1, bad[:4]), (2, bad[:4]), (3, bad)):
            for code, part, arguments in some:
                with self.subTest(n=n, part=part):
                    self.ranks_refused(n, code, part, "render", *arguments)

    def test_bad_option(self):
        for n in (1, 3):
            result = self.run_ranks(n, "render", "--nosuch")
            self.assertEqual(result.codes, [USAGE] * n)
            self.assertEqual([text.count("nosuch") for text in result.errors], [1] + [0] * (n - 1), str(result))

    def test_help(self):
        result = self.ranks_succeed(2, "render", "--help")
        self.assertIn("--prompt", result.outs[0])

    def test_layouts_that_contradict(self):
        for n, key, part in ((2, "windows=3", "3"), (2, "stages=3", "3"), (3, "tensor=3", "nearest"),
                             (2, "cfg=3", "cfg")):
            with self.subTest(key=key):
                self.ranks_refused(n, USAGE, part, "render", *LONG, "--set", "layout." + key)
        self.ranks_refused(2, USAGE, "cfg", "render", *LONG, "--set", "layout.cfg=2", "--set", "sampler.guidance=1")

    def test_the_folder_is_taken(self):
        self.ranks_succeed(2, "render", *SHORT, "-o", "a.mp4")
        before = self.read("a.mp4")
        result = self.run_ranks(2, "render", *SHORT, "-o", "a.mp4", "--set", "sampler.steps=3")
        self.assertEqual(result.codes, [CHECKPOINT] * 2, str(result))
        self.assertEqual(len(result.error_lines()), 1, str(result))
        self.assertEqual(before, self.read("a.mp4"))
        result = self.ranks_succeed(2, "render", *SHORT, "-o", "a.mp4")
        self.assertIn("done already", result.errors[0])
        shutil.rmtree(self.path("a.run"))
        result = self.run_ranks(2, "render", *SHORT, "-o", "a.mp4")
        self.assertEqual(result.codes, [USAGE] * 2, str(result))
        self.assertEqual(before, self.read("a.mp4"))

    def test_a_rank_that_cannot_read_the_weights(self):
        model = self.model()
        lines = 'mount() { :; }\nset -- "${@/$OLD/$OLD-2}"'
        shutil.copytree(model, model + "-2")
        os.remove(os.path.join(model + "-2", "transformer", "diffusion_pytorch_model.safetensors"))
        line = self.ranks_refused(3, MODEL, "rank 1 (", "render", *SHORT, "--model", model,
                                  on_rank={1: f"OLD={model}\n{lines}"})
        self.assertIn("diffusion_pytorch_model.safetensors", line)

    def other_model(self, damage):
        model = self.model()
        shutil.copytree(model, model + "-2")
        damage(model + "-2")
        return self.ranks_refused(3, MODEL, "rank 2 (", "render", *SHORT, "--model", model, on_rank={
            2: f'OLD={model}\nset -- "${{@/$OLD/$OLD-2}}"'})

    def test_a_flipped_byte_in_the_weights(self):
        def damage(model):
            path = os.path.join(model, "vae", "diffusion_pytorch_model.safetensors")
            header, data = read_safetensors(path)
            data = bytearray(data)
            data[len(data) // 2] ^= 1
            write_safetensors(path, header, bytes(data))
        self.assertIn("vae/diffusion_pytorch_model.safetensors", self.other_model(damage))

    def test_another_config(self):
        def damage(model):
            path = os.path.join(model, "scheduler", "scheduler_config.json")
            with open(path) as file:
                text = file.read()
            with open(path, "w") as file:
                file.write(text + " ")
        self.assertIn("scheduler/scheduler_config.json", self.other_model(damage))

    def test_another_program(self):
        program = self.path("haloreel-2")
        shutil.copy(PROGRAM, program)
        with open(program, "ab") as file:
            file.write(b"\0")
        configs = os.path.join(SOURCE, "configs")
        line = self.ranks_refused(2, USAGE, "rank 1 (", "render", *SHORT, on_rank={
            1: f"program={program}\nexport HALOREEL_CONFIGS={configs}"})
        self.assertIn("program", line)

    def test_another_job(self):
        write_safetensors(self.path("noise"), {"latents": {"dtype": "F32", "shape": [1, 16, 2, 6, 4],
                                                           "data_offsets": [0, 3072]}}, bytes(3072))
        for options, part in (("--set sampler.shift=4", "sampler.shift: 4 here, 3 there"),
                              ("--latents noise", "--latents"), ("--latents-out l", "--latents-out"),
                              ("--set layout.windows=1", "layout.windows"), ("--verify", "--verify"),
                              ("--latents-out l --stop-after-step 1", "--")):
            with self.subTest(options=options):
                line = self.ranks_refused(2, USAGE, "rank 1 (", "render", *SHORT,
                                          on_rank={1: f'set -- "$@" {options}'})
                self.assertIn(part, line)
        self.ranks_refused(2, USAGE, "rank 1 (", "render", *SHORT[:2], *SHORT[4:], "--seeds", "1..2", "--set",
                           "output.folder=out", on_rank={1: 'set -- "${@/1..2/1..3}"'})

    def test_other_entries(self):
        """configs/ of another host."""
        shutil.copytree(os.path.join(SOURCE, "configs"), self.path("configs"))
        path = self.path("configs", "models", "demo.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("../../demo/model", os.path.join(SOURCE, "demo", "model"))
                       .replace("guidance: 3.0", "guidance: 3.5"))
        line = self.ranks_refused(2, USAGE, "rank 1 (", "render", *SHORT,
                                  on_rank={1: f"export HALOREEL_CONFIGS={self.path('configs')}"})
        self.assertIn("sampler.guidance", line)

    @unittest.skipIf(SANITIZED, "the address space cannot be limited under the sanitizer")
    def test_a_rank_with_little_memory(self):
        line = self.ranks_refused(2, RESOURCES, "rank 1 (", "render", *LONG, "--set", "video.width=2048", "--set",
                                  "video.height=2048", on_rank={1: "ulimit -v 2000000"})
        self.assertIn("memory", line)


class Lost(RanksTest):
    def started(self, n, *arguments, stage="denoise"):
        process = self.start(n, "render", *ENDLESS, *arguments)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                status = json.loads(self.read("out", "status.json"))
                if status["stage"] == stage and status["unit"] > 0:
                    return process
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
        self.fail("the render did not get that far")

    def signal(self, rank, number):
        os.kill(int(Result.read(self.wrapped, "pid", rank)), number)

    def is_said_to_have_failed_by(self, rank):
        """In status.json, which the first rank writes, and by haloreel status."""
        status = json.loads(self.read("out", "status.json"))
        self.assertEqual(status["state"], "failed")
        self.assertRegex(status["error"], rf"^rank {rank} \(")
        self.assertIn(f"failed: rank {rank} (", self.succeeds("status", "out").stdout.decode())

    def test_a_killed_rank(self):
        for n, victim in ((2, 1), (3, 0), (3, 2)):
            with self.subTest(n=n, victim=victim):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                process = self.started(n)
                began = time.monotonic()
                self.signal(victim, signal.SIGKILL)
                result = self.ended(n, process)
                self.assertLess(time.monotonic() - began, 10)
                others = [code for r, code in enumerate(result.codes) if r != victim]
                self.assertEqual(others, [DEVICE] * (n - 1), str(result))
                self.assertEqual(len(result.error_lines()), 1, str(result))
                self.assertIn(f"rank {victim} (", result.error_lines()[0])
                self.assertNotIn("stopped", "".join(result.errors))
                self.assertFalse(self.products())
                if victim != 0:
                    self.is_said_to_have_failed_by(victim)

    def test_a_rank_killed_in_the_decode(self):
        process = self.started(2, "--set", "sampler.steps=1", "--set", "video.frames=1281", stage="decode")
        self.signal(1, signal.SIGKILL)
        result = self.ended(2, process)
        self.assertEqual(result.codes[0], DEVICE, str(result))
        self.assertRegex(result.error_lines()[0], r"rank 1 \(host \S+, pid \d+, decode latent frame \d+\) is gone")

    @unittest.skipIf(SANITIZED, "too slow for so short a deadline")
    def test_a_rank_that_stands_still(self):
        process = self.started(2, "--set", "layout.deadline=2")
        self.signal(1, signal.SIGSTOP)
        until = time.monotonic() + 15
        while time.monotonic() < until and not Result.read(self.wrapped, "code", 0):
            time.sleep(0.05)
        try:
            self.signal(1, signal.SIGKILL)
        except ProcessLookupError:  # the launcher was faster
            pass
        result = self.ended(2, process)
        self.assertEqual(result.codes[0], DEVICE, str(result))
        self.assertIn("rank 1 (", "".join(result.error_lines()))
        self.is_said_to_have_failed_by(1)

    def test_stopped_on_request(self):
        for victims in ([0, 1, 2], [1]):  # all of them, as a launcher does, or one
            with self.subTest(victims=victims):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                process = self.started(3)
                for rank in victims:
                    self.signal(rank, signal.SIGTERM)
                result = self.ended(3, process)
                self.assertEqual(result.codes, [STOPPED] * 3, str(result))
                self.assertEqual(result.error_lines(), [], str(result))
                self.assertFalse(self.products())
                self.assertEqual(json.loads(self.read("out", "status.json"))["state"], "stopped")


if __name__ == "__main__":
    main()
