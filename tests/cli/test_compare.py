"""haloreel compare and haloreel status as their user sees them."""
import json
import os
import socket
import subprocess
import time

from harness import QUICK, CliTest, main

PROMPT = "A red cat walks through a green meadow."


def digits(*what):
    """Some hash: 32 hexadecimal digits."""
    return "".join(f"{value:08x}" for value in (*what, 1, 2, 3, 4))[:32]


def receipt(steps=8, latent_frames=15, frames=57, seed="7"):
    return {
        "format": "haloreel receipt 1",
        "job": {"seed": seed}, "model": {"transformer": digits(0)}, "machine": {"ranks": "1"},
        "steps": steps, "latent_frames": latent_frames, "frames": frames,
        "latent_hashes": [" ".join(digits(1, step, f) for f in range(latent_frames)) for step in range(steps)],
        "frame_hashes": [digits(2, f) for f in range(frames)],
    }


class Compare(CliTest):
    def folder_with(self, name, content):
        os.makedirs(self.path(name), exist_ok=True)
        return self.write(os.path.join(name, "receipt.json"), json.dumps(content))

    def differs(self, expected, a="a", b="b"):
        result = self.run_program("compare", a, b)
        self.assertEqual(result.returncode, 1, result.stderr.decode())
        self.assertEqual(result.stderr, b"")
        self.assertEqual(result.stdout.decode(), f"different: {expected}\n")

    def test_same(self):
        other = receipt()
        other["machine"] = {"ranks": "4", "layout": "2 windows"}
        self.folder_with("a", receipt())
        self.folder_with("b", other)
        result = self.succeeds("compare", "a", os.path.join("b", "receipt.json"))
        self.assertEqual(result.stdout.decode(),
                         "the same video: 15 latent frames after each of 8 steps, 57 frames\n")

    def test_one_bit(self):
        self.folder_with("a", receipt())
        other = receipt()
        line = other["latent_hashes"][6].split()
        line[12] = f"{int(line[12], 16) ^ 1 << 40:032x}"
        other["latent_hashes"][6] = " ".join(line)
        self.folder_with("b", other)
        self.differs("step 7: latent frame 12 differs")
        other = receipt()
        other["frame_hashes"][56] = f"{int(other['frame_hashes'][56], 16) ^ 1:032x}"
        self.folder_with("b", other)
        self.differs("frame 56 differs")

    def test_heads(self):
        self.folder_with("a", receipt())
        self.folder_with("b", receipt(seed="8"))
        self.differs("job seed: 7 and 8; every latent and frame is the same")
        self.folder_with("b", receipt(frames=61))
        self.differs("frames: 57 and 61")

    def test_refused(self):
        good = self.folder_with("a", receipt())
        self.refused(2, "no receipt.json", "compare", "a", self.folder)
        self.refused(2, "none: No such file", "compare", "a", "none")
        with open(good, "rb") as file:
            content = file.read()
        for n in (0, 1, 40, len(content) // 2, len(content) - 1):
            self.write("cut.json", content[:n])
            self.refused(2, "cut.json", "compare", "cut.json", "a")
        for bad, part in ((b"[]", "cut.json"), (b"{}", "no format"), (b"\x00\xff" * 99, "cut.json"),
                          (content.replace(b'"steps": 8', b'"steps": 9'), "found 8 lines, expected 9"),
                          (content[:-4] + b"x" + content[-3:], "hexadecimal digits")):
            self.write("cut.json", bad)
            self.refused(2, part, "compare", "a", "cut.json")

    def test_usage(self):
        for arguments in ([], ["a"], ["a", "b", "c"], ["--nonsense"]):
            self.assertEqual(self.run_program("compare", *arguments).returncode, 2)

    def test_renders(self):
        for name, more in (("a", []), ("b", []), ("c", ["--seed", "8"])):
            self.succeeds("render", "--prompt", PROMPT, *QUICK, *more, "--set", f"output.folder={name}")
        self.assertIn(b"the same video", self.succeeds("compare", "a", "b").stdout)
        result = self.run_program("compare", "a", "c")
        self.assertEqual(result.returncode, 1)
        self.assertIn("different: step 1: latent frame 0 differs (job ", result.stdout.decode())


class Status(CliTest):
    def write_status(self, **fields):
        os.makedirs(self.path("run"), exist_ok=True)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - fields.pop("age", 0)))
        content = {"state": "running", "stage": "denoise", "step": 7, "steps": 25, "window": 3, "windows": 5,
                   "frame": 0, "frames": 161, "step_seconds": 12.34, "eta_seconds": 222, "updated": now,
                   "host": "far away", "pid": 1, **fields}
        self.write(os.path.join("run", "status.json"), json.dumps(content))

    def lines(self, *arguments):
        return self.succeeds("status", "run", *arguments).stdout.decode().splitlines()

    def test_running(self):
        self.write_status(ranks=4, hosts=["alpha", "beta"], layout="2 windows x 2 stages",
                          slowest_rank=3, slowest_host="beta\u009b\x1b[1m", slowest_factor=1.44)
        lines = self.lines()
        self.assertEqual(lines[:4], [
            "running: denoise",
            "step 7/25, window 3/5, frame 0/161, 12.3 s/step, ETA 3:42",
            "4 ranks on alpha, beta: 2 windows x 2 stages",
            "slowest: rank 3 on beta??[1m, 1.4 times the median"])
        self.assertRegex(lines[4], r"^last news 0:\d\d ago from process 1 on far away$")
        self.assertEqual(len(lines), 5)

    def test_silent(self):
        self.write_status(age=700)
        self.assertIn(": no news for 12 min: is it still running?", self.lines()[-1])
        self.write_status(age=700, state="done")
        self.assertNotIn("no news for", self.lines()[-1])

    def test_process(self):
        ended = subprocess.Popen(["true"], stdout=subprocess.PIPE)
        ended.stdout.read()  # to its end: a zombie by now, or in a moment
        self.write_status(host=socket.gethostname(), pid=ended.pid)
        until = time.monotonic() + 10
        while "it is gone" not in self.lines()[-1] and time.monotonic() < until:
            time.sleep(0.02)
        self.assertIn("it is gone, the run was killed", self.lines()[-1])
        ended.communicate()
        self.assertIn("it is gone, the run was killed", self.lines()[-1])
        self.assertIs(json.loads("\n".join(self.lines("--json")))["alive"], False)
        self.write_status(host=socket.gethostname(), pid=os.getpid())
        self.assertNotIn("gone", self.lines()[-1])
        self.assertIs(json.loads("\n".join(self.lines("--json")))["alive"], True)

    def test_ended(self):
        self.write_status(state="done", result="run/video.mp4")
        self.assertEqual(self.lines()[0], "done: run/video.mp4")
        self.write_status(state="stopped")
        self.assertEqual(self.lines()[0], "stopped on request")
        self.write_status(state="failed", checkpoint="run/checkpoint/a.h5")
        self.assertTrue(self.lines()[2].endswith("; to go on: haloreel resume run"), self.lines())
        self.write_status(state="failed", error="out of memory")
        self.assertEqual(self.lines()[0], "failed: out of memory; see run/log/rank-0000.log")
        self.assertEqual(self.lines()[2], "no checkpoint; to start from the beginning: haloreel resume run")

    def test_json(self):
        self.write_status(age=90, hosts=["alpha"])
        status = json.loads("\n".join(self.lines("--json")))
        self.assertEqual((status["state"], status["step"], status["hosts"]), ("running", 7, ["alpha"]))
        self.assertTrue(90 <= status["age_seconds"] < 120)
        self.assertIsNone(status["alive"])

    def test_refused(self):
        self.refused(2, "no status.json", "status", self.folder)
        self.refused(2, "none: No such file", "status", "none")
        self.write_status(state="asleep")
        self.refused(2, "state: found asleep", "status", "run")
        self.write(os.path.join("run", "status.json"), "{\"state\": \"run")
        self.refused(2, "status.json:1:", "status", "run")
        self.assertEqual(self.run_program("status").returncode, 2)

    def test_render(self):
        self.succeeds("render", "--prompt", PROMPT, *QUICK, "--set", "output.folder=run")
        lines = self.lines()
        self.assertEqual(lines[0], "done: run/video.mp4")
        self.assertIn("step 2/2, frame 5/5", lines[1])


if __name__ == "__main__":
    main()
