"""haloreel render as its user sees it: files, names, the same bytes twice."""
import json
import os
import shutil
import struct
import zlib

from harness import QUICK, CliTest, edit_json, main, read_safetensors

PROMPT = "A red cat walks through a green meadow."


def png_size(data):
    return struct.unpack(">II", data[16:24])


def pixels(path):
    """The bytes of an 8-bit RGB PNG, its row filters undone."""
    data, at, packed = open_bytes(path), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    raw, (width, height), out = zlib.decompress(packed), png_size(data), []
    before = [0] * (3 * width)
    for y in range(height):
        line = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        row = []
        for x, value in enumerate(line[1:]):
            left = row[x - 3] if x >= 3 else 0
            corner = before[x - 3] if x >= 3 else 0
            row.append((value + unfiltered(line[0], left, before[x], corner)) % 256)
        out += row
        before = row
    return out


def unfiltered(kind, left, up, corner):
    if kind == 4:
        guess = left + up - corner
        return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
    return (0, left, up, (left + up) // 2)[kind]


def open_bytes(path):
    with open(path, "rb") as file:
        return file.read()


class Render(CliTest):
    def render(self, *arguments, **options):
        return self.succeeds("render", "--prompt", PROMPT, *QUICK, *arguments, **options)

    def test_run_folder(self):
        result = self.render()
        folder = self.path("runs", "a-red-cat-walks-through-a-green-meadow")
        self.assertTrue(result.stdout.decode().rstrip().endswith("video.mp4"))
        self.assertEqual(sorted(os.listdir(folder)),
                         ["job.yaml", "latents.h5", "log", "preview", "receipt.json", "status.json", "video.mp4"])
        status = json.loads(self.read(folder, "status.json"))
        self.assertEqual(status["state"], "done")
        self.assertIn("seed 7", self.read(folder, "log", "rank-0000.log").decode())
        self.assertEqual(self.read(folder, "video.mp4")[4:8], b"ftyp")

    def test_same_job_same_bytes(self):
        self.render("-o", "one.mp4", "--latents-out", "one.safetensors", "--frames-out", "f1.safetensors")
        self.render("-o", "two.mp4", "--latents-out", "two.safetensors", "--frames-out", "f2.safetensors")
        self.assertEqual(self.read("one.mp4"), self.read("two.mp4"))
        self.assertEqual(self.read("one.safetensors"), self.read("two.safetensors"))
        self.assertEqual(self.read("f1.safetensors"), self.read("f2.safetensors"))

    def test_resolved_job_renders_the_same(self):
        self.render("-o", "one.mp4")
        job = self.read("one.run", "job.yaml").decode()
        self.write("again.yaml", "".join(line + "\n" for line in job.splitlines()))
        self.succeeds("render", "again.yaml", "-o", "two.mp4")
        self.assertEqual(self.read("one.mp4"), self.read("two.mp4"))

    def test_threads_and_instruction_sets(self):
        names = []
        for threads in (1, 2, 3, 4):
            names.append("t%d" % threads)
            self.render("--set", "threads=%d" % threads, "-o", names[-1] + ".mp4", "--latents-out", names[-1])
        self.assertEqual(len({self.read(name) for name in names}), 1)
        self.assertEqual(len({self.read(name + ".mp4") for name in names}), 1)
        self.render("-o", "plain.mp4", "--latents-out", "plain", env={"HALOREEL_ISA": "plain"})

    def test_strict_device_gives_the_same_bits(self):
        self.render("-o", "cpu.mp4", "--latents-out", "cpu")
        self.render("-o", "strict.mp4", "--latents-out", "strict", "--set", "device=strict")
        self.assertEqual(self.read("cpu"), self.read("strict"))
        self.assertEqual(self.read("cpu.mp4"), self.read("strict.mp4"))

    def test_still_picture(self):
        self.render("--set", "video.frames=1", "-o", "still.png")
        self.assertEqual(png_size(self.read("still.png")), (32, 32))

    def test_picture_sequence(self):
        self.render("--set", "output.video=png", "--set", "output.folder=out")
        self.assertEqual(len(os.listdir(self.path("out", "frames"))), 5)
        self.assertEqual(png_size(self.read("out", "frames", "frame-0005.png")), (32, 32))

    def test_latents_in_and_out(self):
        self.render("-o", "a.mp4", "--latents-out", "noise", "--stop-after-step", "1")
        self.assertFalse(self.products())
        header, _ = read_safetensors(self.path("noise"))
        self.assertEqual(header["latents"]["shape"], [1, 16, 2, 4, 4])
        self.render("-o", "b.mp4", "--latents", "noise", "--frames-out", "frames")
        header, _ = read_safetensors(self.path("frames"))
        self.assertEqual(header["frames"]["shape"], [5, 32, 32, 3])

    def test_previews(self):
        self.render("--set", "output.preview_every=1", "-o", "a.mp4")
        self.assertEqual(os.listdir(self.path("a.run", "preview")), ["step-0001.png"])

    def test_previews_change_nothing(self):
        self.render("--set", "output.preview_every=1", "-o", "a.mp4")
        self.render("--set", "output.preview_every=0", "-o", "b.mp4")
        self.assertEqual(self.read("a.mp4"), self.read("b.mp4"))

    def test_style_changes_the_video(self):
        for style in ("animated", "photorealistic", "none"):
            self.render("--set", "style=" + style, "-o", style + ".mp4")
        self.assertEqual(len({self.read(s + ".mp4") for s in ("animated", "photorealistic", "none")}), 3)

    def test_force_keeps_one_result(self):
        self.render("--set", "output.folder=out", "--set", "output.preview_every=1")
        self.render("--set", "output.folder=out", "--set", "output.video=png", "--force",
                    "--set", "output.preview_every=0")
        self.assertEqual(sorted(n for n in os.listdir(self.path("out")) if n in ("video.mp4", "frames")), ["frames"])
        self.render("--set", "output.folder=out", "--force")
        self.assertFalse(os.path.exists(self.path("out", "frames")))
        self.assertEqual(os.listdir(self.path("out", "preview")), [])

    def test_one_memory_figure(self):
        """Alone, in a batch and in inspect: previews count."""
        alone = self.render("-o", "a.mp4").stderr.decode()
        batch = self.succeeds("render", "--prompt", PROMPT, *QUICK[:-2], "--seeds", "7", "--set",
                              "output.folder=b").stderr.decode()
        figures = [float(line.split("memory ")[1].split(" MB of")[0]) for line in (alone + batch).splitlines()
                   if "memory " in line]
        self.assertEqual(len(figures), 2)
        self.assertAlmostEqual(figures[0], figures[1], delta=0.11)  # names of files, and rounding

    def test_preview_shows_what_becomes_of_it(self):
        """The last preview but one of a still is nearly the picture, and the pictures are compressed alike."""
        arguments = ["--set", "video.frames=1", "--set", "sampler.steps=12", "--set", "output.preview_every=11"]
        self.render(*arguments, "-o", "a.png")
        preview, picture = pixels(self.path("a.run", "preview", "step-0011.png")), pixels(self.path("a.png"))
        difference = sum(abs(a - b) for a, b in zip(preview, picture)) / len(picture)
        self.assertLess(difference, 10)

    def test_run_folder_of_a_file(self):
        self.render("-o", "a.mp4", "--set", "output.folder=b")
        self.assertIn('folder: "b"', self.read("b", "job.yaml").decode())
        self.render("-o", "c.mp4")
        self.assertIn('folder: "c.run"', self.read("c.run", "job.yaml").decode())

    def test_scheduler_with_infinities(self):
        """diffusers writes what JSON does not have."""
        path = os.path.join(self.model("wan21-tiny"), "scheduler", "scheduler_config.json")
        with open(path) as file:
            text = file.read().rstrip()
        self.write("model/scheduler/scheduler_config.json", text[:-1] + ', "lambda_min_clipped": -Infinity}')
        self.succeeds("render", "--model", self.path("model"), "--prompt", "a cat", *QUICK, "-o", "a.mp4")

    def test_drawn_seed_is_recorded(self):
        self.succeeds("render", "--prompt", PROMPT, *QUICK[:-2], "-o", "a.mp4")
        self.assertIn("seed:", self.read("a.run", "job.yaml").decode())

    def test_empty_prompt(self):
        self.succeeds("render", "--prompt", "", *QUICK, "-o", "a.mp4")

    def test_long_prompt_is_cut_and_said(self):
        result = self.succeeds("render", "--prompt", "red " * 25000, *QUICK, "-o", "a.mp4")
        self.assertIn("more than 512 tokens", result.stderr.decode())

    def test_other_models(self):
        for case, size in (("wan22-moe", 32), ("wan22-5b", 64), ("bf16", 32), ("wan21-odd", 32)):
            model = os.path.join(os.path.dirname(__file__), "..", "golden", case, "pipeline")
            self.succeeds("render", "--model", os.path.abspath(model), "--prompt", "a cat", *QUICK,
                          "--set", "video.width=%d" % size, "--set", "video.height=%d" % size,
                          "-o", case + ".mp4")

    def test_the_boundary_belongs_to_the_first_expert(self):
        """wan-spec: t >= boundary is high noise. Timesteps of 5 UniPC steps at shift 3."""
        sigma = [3 * u / (1 + 2 * u) for u in (1 - 0.999 * i / 5 for i in range(5))]
        middle = int(sigma[2] * 1000)
        results = {}
        for name, boundary in (("at", middle), ("below", middle - 0.5), ("above", middle + 0.5)):
            shutil.rmtree(self.path("model"), ignore_errors=True)
            edit_json(os.path.join(self.model("wan22-moe"), "model_index.json"), boundary_ratio=boundary / 1000)
            self.succeeds("render", "--model", self.path("model"), "--prompt", "a cat", *QUICK, "--set", "sampler.steps=5",
                          "--set", "sampler.shift=3", "-o", name + ".mp4", "--latents-out", name)
            results[name] = self.read(name)
        self.assertEqual(results["at"], results["below"])
        self.assertNotEqual(results["at"], results["above"])

    def test_all_samplers(self):
        for name in ("unipc", "euler", "dpm++"):
            self.render("--set", "sampler.name=" + name, "-o", name + ".mp4")
        self.assertEqual(len({self.read(n + ".mp4") for n in ("unipc", "euler", "dpm++")}), 3)
        self.render("--set", "sampler.sigmas=diffusers-0.36", "-o", "old.mp4")
        self.assertNotEqual(self.read("old.mp4"), self.read("unipc.mp4"))


class Batch(CliTest):
    def test_parents_that_are_made_are_said(self):
        for made, *place in (("one", "-o", "one/two/a.mp4"), ("three", "--set", "output.folder=three/four"),
                             ("five", "--set", "output.folder=run", "-o", "five/a.mp4")):
            for times in (1, 0):  # the second time it is there
                said = self.succeeds("render", "--prompt", PROMPT, *QUICK, "--force", *place).stderr.decode()
                self.assertEqual(said.count(f"made folder {made}, which"), times, said)
                self.assertEqual(said.count("made folder"), times, said)
        self.assertNotIn("made folder", self.succeeds("render", "--prompt", PROMPT, *QUICK).stderr.decode())

    def test_prompts_and_seeds(self):
        self.write("prompts.txt", "a red cat\n\n# a comment\na blue robot\r\n")
        result = self.succeeds("render", "--prompts", "prompts.txt", "--seeds", "1..2,9", *QUICK[:-2],
                               "--set", "output.folder=out")
        self.assertEqual(sorted(os.listdir(self.path("out"))),
                         sorted("%s-seed-%d" % (p, s) for p in ("a-red-cat", "a-blue-robot") for s in (1, 2, 9)))
        self.assertIn("6 of 6 videos done", result.stdout.decode())
        self.succeeds("render", "--prompt", "a blue robot", "--seed", "9", *QUICK[:-2], "-o", "single.mp4")
        self.assertEqual(self.read("single.mp4"), self.read("out", "a-blue-robot-seed-9", "video.mp4"))

    def test_drafts_are_not_called_videos(self):
        said = self.succeeds("render", "--prompt", "a red cat", "--seeds", "1..2", *QUICK[:-2], "--set",
                             "output.folder=out", "--stop-after-step", "1").stdout.decode()
        self.assertIn("2 of 2 drafts done: step 1 of 2, no videos yet\n", said)
        self.assertNotIn("videos done", said)

    def test_one_failure_does_not_stop_the_rest(self):
        self.write("prompts.txt", b"a red cat\n\xff\xfe broken\na blue robot\n")
        result = self.run_program("render", "--prompts", "prompts.txt", *QUICK, "--set", "output.folder=out")
        self.assertEqual(result.returncode, 2)
        self.assertIn("2 of 3 videos done", result.stdout.decode())
        self.assertEqual(len(self.products()), 2)

    def test_a_video_that_exists_is_kept(self):
        """And one whose film is gone is decoded again."""
        arguments = ["render", "--prompt", "a red cat", "--seeds", "1..2", *QUICK[:-2], "--set", "output.folder=out"]
        self.succeeds(*arguments)
        before = [self.read("out", "a-red-cat-seed-%d" % n, "video.mp4") for n in (1, 2)]
        written = os.stat(self.path("out", "a-red-cat-seed-1", "video.mp4")).st_mtime_ns
        os.remove(self.path("out", "a-red-cat-seed-2", "video.mp4"))
        result = self.succeeds(*arguments)
        self.assertIn("2 of 2 videos done", result.stdout.decode())
        self.assertEqual(before, [self.read("out", "a-red-cat-seed-%d" % n, "video.mp4") for n in (1, 2)])
        self.assertEqual(written, os.stat(self.path("out", "a-red-cat-seed-1", "video.mp4")).st_mtime_ns)


if __name__ == "__main__":
    main()
