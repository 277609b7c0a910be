"""Ctrl-C: the program stops when the windows at work are done and saved, here within a second, and no broken
video stands under its final name. test_resume.py goes on afterwards."""
import json
import os
import signal
import subprocess
import time
import unittest

from harness import DEADLINE, FAULTS, PROGRAM, CliTest, main


class Signals(CliTest):
    def start(self, *arguments, program=PROGRAM, env=None):
        if os.path.exists(self.path("out", "status.json")):
            os.remove(self.path("out", "status.json"))  # of the render before
        process = subprocess.Popen([program, "render", "--prompt", "a red cat", "--set", "output.folder=out",
                                    *arguments], cwd=self.folder, env={**os.environ, **(env or {})},
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition):
        until = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > until:
                self.fail("the render did not get that far")
            time.sleep(0.02)

    def stage(self):
        try:
            with open(self.path("out", "status.json")) as file:
                return json.load(file).get("stage")
        except (OSError, ValueError):
            return None

    def stopped(self, process, number):
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE)
        self.assertLess(time.monotonic() - began, 1.5)  # a second, and what a busy machine adds
        self.assertEqual(process.returncode, 75, errors)
        self.assertNotIn(b"error:", errors)
        self.assertFalse(self.products())
        self.errors = errors.decode()
        with open(self.path("out", "status.json")) as file:
            self.assertEqual(json.load(file)["state"], "stopped")

    def test_while_denoising(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = self.start("--set", "sampler.steps=1000", "--force")
                self.wait_for(lambda: self.stage() == "denoise")
                self.stopped(process, number)

    def test_before_the_denoising(self):
        """There is nothing to wait for: the text encoder takes half a minute (its first passes are the estimate's)."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            process = self.start(program=FAULTS, env={"HR_FAULT": "device.geglu:6=sleep30000"})
            self.wait_for(lambda: os.path.exists(self.path("out", "status.json")))
            time.sleep(0.3)
            self.stopped(process, number)
            self.assertIn("stopped by " + number.name, self.errors)
            self.assertNotIn("waiting", self.errors)

    def test_while_decoding(self):
        process = self.start("--set", "sampler.steps=1", "--set", "sampler.guidance=1", "--set", "video.frames=401")
        self.wait_for(lambda: self.stage() == "decode")
        self.stopped(process, signal.SIGINT)

    def test_a_step_that_takes_long(self):
        process = self.start("--set", "video.frames=401", "--set", "sampler.steps=2")
        self.wait_for(lambda: self.stage() == "denoise")
        time.sleep(0.3)
        self.stopped(process, signal.SIGINT)

    def test_the_folder_can_be_used_again(self):
        process = self.start("--set", "sampler.steps=1000")
        self.wait_for(lambda: self.stage() == "denoise")
        self.stopped(process, signal.SIGINT)
        process = self.start("--set", "sampler.steps=1", "--set", "video.frames=1", "--fresh")
        process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0)
        self.assertTrue(os.path.isdir(self.path("out.old-1")))
        self.assertTrue(os.path.exists(self.path("out", "picture.png")))


if __name__ == "__main__":
    main()
