"""Bad input: one line, the right exit code, no crash, nothing half-written under its final name."""
import os
import random
import resource
import shutil
import struct
import subprocess
import unittest

from harness import (DEADLINE, PROGRAM, QUICK, SANITIZED, SOURCE, CliTest, edit_json, main, read_safetensors,
                     write_safetensors)

USAGE, MODEL, RESOURCES, CHECKPOINT = 2, 3, 4, 5


class JobFile(CliTest):
    def job(self, text, part):
        path = self.write("cat.yaml", text)
        return self.refused(USAGE, part, "render", path)

    def test_bad_jobs(self):
        for text, part in (
                ("prompt: a\ncolour: red\n", "cat.yaml:2:1: colour"),
                ("prompt: a\nsampler: {steps: many}\n", "sampler.steps: many"),
                ("prompt: a\nsampler:\n  steps: 0\n", "cat.yaml:3:10: sampler.steps: 0 is not in 1.."),
                ("prompt: a\nsampler:\n\tsteps: 3\n", "cat.yaml:3:"),
                ("prompt: a\nprompt: b\n", "cat.yaml:2:1: prompt"),
                ("", "cat.yaml"),
                ("- a\n- b\n", "cat.yaml:1:1"),
                ("prompt: [a, b]\n", "prompt"),
                ("prompt: a\nvideo: 5\n", "video"),
                ("prompt: a\nsampler: {guidance: .nan}\n", "sampler.guidance"),
                ("prompt: a\nvideo: {frames: 99999999999999999999}\n", "video.frames"),
                (b"prompt: \xff\xfe\n", "cat.yaml"),
                (random.Random(1).randbytes(10_000_000), "cat.yaml"),
                ("prompt: a\nvideo: {width: 100}\n", "nearest: 96 or 112"),
                ("prompt: a\nvideo: {frames: 20}\n", "nearest: 17 or 21"),
                ("prompt: a\nmodel: nosuch\n", "nosuch")):
            with self.subTest(text=text[:40]):
                if b"nosuch" in (text if isinstance(text, bytes) else text.encode()):
                    path = self.write("cat.yaml", text)
                    self.refused(MODEL, part, "render", path)
                else:
                    self.job(text, part)

    def test_missing_file(self):
        self.refused(USAGE, "nosuch.yaml", "render", "nosuch.yaml")

    def test_no_prompt(self):
        self.refused(USAGE, "no prompt", "render")

    def test_bad_options(self):
        for arguments, part in (
                (["--set", "sampler.steps"], "--set"),
                (["--set", "nosuch=1"], "nosuch"),
                (["--seed", "-1"], "--seed"),
                (["--seeds", "8..1"], "--seeds"),
                (["--seeds", "1..99999999"], "--seeds"),
                (["--stop-after-step", "0"], "--stop-after-step"),
                (["--latents", "nosuch.safetensors"], "nosuch.safetensors"),
                (["--set", "device=cuda"], "cuda")):
            with self.subTest(arguments=arguments):
                self.refused(USAGE, part, "render", "--prompt", "a", *QUICK[:-2], *arguments, "-o", "a.mp4")

    def test_prompts_file_without_prompts(self):
        for content in ("", "\n\n", "# nothing\n"):
            self.refused(USAGE, "no prompts", "render", "--prompts", self.write("p.txt", content))

    def test_side_files_are_checked_before_any_work(self):
        common = ["render", "--prompt", "a", "--set", "sampler.steps=1000", "-o", "a.mp4"]
        self.refused(RESOURCES, "nodir", *common, "--latents-out", "nodir/x")
        self.refused(RESOURCES, "nodir", *common, "--frames-out", "nodir/x")
        self.refused(USAGE, "two outputs", *common, "--frames-out", "x", "--latents-out", "x")
        self.write("there", "")
        self.refused(USAGE, "--force", *common, "--latents-out", "there")

    def test_unknown_command(self):
        self.refused(USAGE, "nosuch", "nosuch")

    def test_noise_that_overflows(self):
        data = struct.pack("<256f", *[1e38 * (-1) ** i for i in range(256)]) * 2
        write_safetensors(self.path("noise"), {"latents": {"dtype": "F32", "shape": [1, 16, 2, 4, 4],
                                                           "data_offsets": [0, 2048]}}, data)
        self.refused(MODEL, "not finite", "render", "--prompt", "a", *QUICK, "--latents", "noise", "-o", "a.mp4")

    def test_prompt_that_is_not_utf8(self):
        self.refused(USAGE, "UTF-8", "render", "--prompt", b"caf\xe9", *QUICK, "-o", "a.mp4")

    def test_latents_of_another_shape(self):
        write_safetensors(self.path("noise"), {"latents": {"dtype": "F32", "shape": [1, 16, 1, 2, 2],
                                                           "data_offsets": [0, 256]}}, bytes(256))
        self.refused(USAGE, "latents", "render", "--prompt", "a", *QUICK, "--latents", "noise", "-o", "a.mp4")


class ModelFolder(CliTest):
    def bad(self, part, case="wan21-tiny"):
        self.refused(MODEL, part, "render", "--model", self.path("model"), "--prompt", "a cat", *QUICK,
                     "-o", "a.mp4")

    def weights(self, component="transformer", name="diffusion_pytorch_model.safetensors"):
        return self.path("model", component, name)

    def edited(self, component, change):
        self.model()
        path = self.path("model", component,
                         "model.safetensors" if component == "text_encoder" else "diffusion_pytorch_model.safetensors")
        header, data = read_safetensors(path)
        data = bytearray(data)
        change(header, data)
        write_safetensors(path, header, bytes(data))

    def test_missing(self):
        self.refused(MODEL, "nosuch", "render", "--model", self.path("nosuch"), "--prompt", "a", "-o", "a.mp4")

    def test_no_index(self):
        os.remove(os.path.join(self.model(), "model_index.json"))
        self.bad("model")

    def test_missing_parts(self):
        for name in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler"):
            with self.subTest(name=name):
                shutil.rmtree(self.path("model"), ignore_errors=True)
                shutil.rmtree(os.path.join(self.model(), name))
                self.bad(name)

    def test_missing_shard(self):
        self.model("bf16")
        os.remove(self.weights(name="diffusion_pytorch_model-00002-of-00002.safetensors"))
        self.bad("00002-of-00002")

    def test_truncated_shard(self):
        self.model("bf16")
        path = self.weights(name="diffusion_pytorch_model-00002-of-00002.safetensors")
        os.truncate(path, os.path.getsize(path) - 100)
        self.bad("00002-of-00002")

    def test_header_longer_than_the_file(self):
        self.model()
        with open(self.weights(), "r+b") as file:
            file.write(struct.pack("<Q", 1 << 40))
        self.bad("header")

    def test_garbage_weights(self):
        self.model()
        with open(self.weights("vae"), "wb") as file:
            file.write(random.Random(2).randbytes(100_000))
        self.bad("vae/diffusion_pytorch_model.safetensors")

    def test_overlapping_offsets(self):
        def change(header, _):
            entry = header["proj_out.bias"]
            begin, end = entry["data_offsets"]
            entry["data_offsets"] = [begin - 4, end - 4]
        self.edited("transformer", change)
        self.bad("diffusion_pytorch_model.safetensors")

    def test_wrong_shape(self):
        def change(header, _):
            header["proj_out.weight"]["shape"].reverse()
        self.edited("transformer", change)
        self.bad("proj_out.weight")

    def test_wrong_dtype(self):
        def change(header, _):
            header["proj_out.bias"]["dtype"] = "I32"
        self.edited("transformer", change)
        self.bad("proj_out.bias")

    def test_missing_tensor(self):
        def change(header, _):
            header["renamed"] = header.pop("blocks.1.attn1.to_q.weight")
        self.edited("transformer", change)
        self.bad("blocks.1.attn1.to_q.weight")

    def test_nan_weight(self):
        for component, name in (("transformer", "blocks.1.ffn.net.2.weight"),
                                ("vae", "decoder.conv_in.weight"),
                                ("text_encoder", "encoder.final_layer_norm.weight")):
            def change(header, data, name=name):
                begin = header[name]["data_offsets"][0]
                data[begin + 8:begin + 12] = struct.pack("<f", float("nan"))
            with self.subTest(component=component):
                shutil.rmtree(self.path("model"), ignore_errors=True)
                shutil.rmtree(self.path("a.run"), ignore_errors=True)
                self.edited(component, change)
                self.bad(name)

    def test_nan_that_would_be_found_late(self):
        """The VAE's weights are looked at before the first step of many."""
        def change(header, data):
            begin = header["decoder.conv_in.bias"]["data_offsets"][0]
            data[begin:begin + 4] = struct.pack("<f", float("inf"))
        self.edited("vae", change)
        self.refused(MODEL, "decoder.conv_in.bias", "render", "--model", self.path("model"), "--prompt", "a cat",
                     *QUICK[2:], "--set", "sampler.steps=1000", "-o", "a.mp4")

    def test_impossible_configs(self):
        for component, changes, part in (
                ("transformer", {"attention_head_dim": 23}, "attention_head_dim"),
                ("transformer", {"num_layers": 0}, "num_layers"),
                ("transformer", {"num_attention_heads": -4}, "num_attention_heads"),
                ("transformer", {"num_layers": 4}, "blocks.3"),
                ("transformer", {"in_channels": 36}, "in_channels"),
                ("transformer", {"text_dim": 64}, "text_dim"),
                ("vae", {"z_dim": 0}, "z_dim"),
                ("vae", {"latents_std": [1.0]}, "latents_std"),
                ("text_encoder", {"num_layers": 10**9}, "num_layers"),
                ("text_encoder", {"d_model": "wide"}, "d_model")):
            with self.subTest(changes=changes):
                shutil.rmtree(self.path("model"), ignore_errors=True)
                edit_json(os.path.join(self.model(), component, "config.json"), **changes)
                self.bad(part)

    def test_damaged_tokenizer(self):
        for content in (b"", b"garbage" * 100):
            shutil.rmtree(self.path("model"), ignore_errors=True)
            with open(os.path.join(self.model(), "tokenizer", "spiece.model"), "wb") as file:
                file.write(content)
            self.bad("spiece.model")


class Output(CliTest):
    def test_not_a_folder(self):
        self.write("file", "")
        self.refused(RESOURCES, "file", "render", "--prompt", "a", *QUICK, "--set", "output.folder=file/run")

    def test_file_exists(self):
        self.succeeds("render", "--prompt", "a", *QUICK, "-o", "a.mp4")
        before = self.read("a.mp4")
        result = self.run_program("render", "--prompt", "b", *QUICK, "-o", "a.mp4")
        self.assertEqual(result.returncode, CHECKPOINT)  # it is that of another job
        self.assertIn("--force", result.stderr.decode())
        self.assertEqual(before, self.read("a.mp4"))
        shutil.rmtree(self.path("a.run"))
        result = self.run_program("render", "--prompt", "a", *QUICK, "-o", "a.mp4")
        self.assertEqual(result.returncode, USAGE)  # nobody knows whose it is
        self.assertIn("--force", result.stderr.decode())
        self.succeeds("render", "--prompt", "b", *QUICK, "-o", "a.mp4", "--force")
        self.assertNotEqual(before, self.read("a.mp4"))

    def test_full_disk(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        for arguments in ([], ["--set", "video.frames=1"], ["--set", "output.video=none", "--frames-out", "f"],
                          ["--latents-out", "l"]):
            with self.subTest(arguments=arguments):
                shutil.rmtree(self.path("out"), ignore_errors=True)
                self.refused(RESOURCES, "", "render", "--prompt", "a", *QUICK[:4],
                             "--set", "output.folder=out", "--set", "output.preview_every=0", *arguments,
                             limit=small_files)
                self.assertFalse(os.path.exists(self.path("f")) or os.path.exists(self.path("l")))

    def test_an_answer_that_cannot_be_written(self):
        demo = os.path.join(SOURCE, "demo", "model")
        self.succeeds("inspect", demo)
        with open("/dev/full", "wb") as full:
            result = subprocess.run([PROGRAM, "inspect", demo], cwd=self.folder, stdout=full, stderr=subprocess.PIPE,
                                    stdin=subprocess.DEVNULL, timeout=DEADLINE)
        self.assertEqual(result.returncode, RESOURCES)
        self.assertEqual(result.stderr.decode(), "haloreel: error: standard output cannot be written\n")

    @unittest.skipIf(SANITIZED, "the address space cannot be limited under the sanitizer")
    def test_not_enough_memory(self):
        def little_memory():
            resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        line = self.refused(RESOURCES, "not enough memory", "render", "--prompt", "a",
                            "--set", "video.width=4096", "--set", "video.height=4096", "--set", "video.frames=81",
                            "-o", "a.mp4", limit=little_memory)
        self.assertIn("needed", line)
        self.assertIn("available", line)


if __name__ == "__main__":
    main()
