"""A disk that gets full, cannot be written to, or goes away under a render."""
import os
import shutil
import signal
import subprocess
import time

from faults import JOB, Trace, hashes, left_parts, read
from harness import DEADLINE, FAULTS, main
from ranks import RanksTest, Result

STEPS = [*JOB, "--set", "sampler.steps=3", "--set", "video.frames=105", "--set", "windows.frames=33", "--set",
         "windows.overlap=8", "--set", "output.preview_every=0"]
RESOURCES = 4
STALE, READ_ONLY = 116, 30  # errno
MEGABYTE = 1 << 20
reference = []  # film, and hashes of latents and frames; how often a point is passed


class DiskTest(RanksTest):
    def setUp(self):
        super().setUp()
        if not reference:
            self.run_one("render", *STEPS, env={"HR_FAULT_TRACE": self.path("trace")})
            reference.append(self.made())
            passes = {}
            for (point, _), n in Trace(self.path("trace"), 1).passes[0].items():
                passes[point] = passes.get(point, 0) + n
            reference.append(passes)
            shutil.rmtree(self.path("a"))
        passes = reference[1]
        self.per_save = passes["file.reserve"] // 3  # three checkpoints; the last one becomes the latents
        self.second_checkpoint = f"file.reserve:{self.per_save + 1}"
        self.film = f"device.to_rgb:{passes['device.to_rgb'] * 3 // 4}"

    def run_one(self, *arguments, env=None, code=0):
        result = subprocess.run([FAULTS, *arguments], cwd=self.folder, env={**os.environ, **(env or {})},
                                capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
        if code is not None:
            self.assertEqual(result.returncode, code, result.stderr)
        return result

    def made(self, *names):
        return read(self.path(*names, "a", "video.mp4")), hashes(self.path(*names, "a"))

    def is_right(self, *names):
        self.assertEqual(self.made(*names), reference[0])
        self.assertEqual(left_parts(self.path(*names, "a")), [])

    def goes_on(self):
        """The run in a/ makes the right film after all."""
        result = self.run_one("resume", "a")
        self.is_right()
        return result.stderr

    def error_line(self, text, part=""):
        lines = [line for line in text.splitlines() if "error: " in line and part in line]
        self.assertTrue(lines, f"no error about {part}:\n{text}")
        return lines[0]

    def stopped_at(self, rule, n=1, *arguments):
        """Starts a run that stops itself at a call; gives it and the process that has stopped."""
        env = {"HR_FAULT": rule + "=stop"}
        if n > 1:
            process, rank = self.start(n, "render", *STEPS, *arguments, env=env, program=FAULTS), 0
        else:
            process = subprocess.Popen([FAULTS, "render", *STEPS, *arguments], cwd=self.folder, text=True,
                                       env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(process.kill)
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            pid = process.pid if n == 1 else int(Result.read(self.wrapped, "pid", rank) or 0)
            if pid and state_of(pid) == "T":
                return process, pid
            time.sleep(0.01)
        self.fail(f"has not come to {rule}")

    def ends_now(self, process, pid, n=1):
        """Lets it go on; its exit code and what it says. A run may do without checkpoints, not without a film."""
        os.kill(pid, signal.SIGCONT)
        if n > 1:
            result = self.ended(n, process)
            self.assertEqual(len(set(result.codes)), 1, str(result))
            return result.codes[0], str(result)
        _, said = process.communicate(timeout=DEADLINE)
        return process.returncode, said

    def fails_now(self, process, pid, n=1):
        code, said = self.ends_now(process, pid, n)
        self.assertEqual(code, RESOURCES, said)
        return said

    def checkpoints(self, *names):
        folder = self.path(*names, "a", "checkpoint")
        return {name: read(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(".h5")}


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


class Full(DiskTest):
    """A disk of 12 MB."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("disk"))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", self.path("disk")],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a small disk: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.path("disk")], check=True)
        self.on_disk = ["--set", "output.folder=disk/a"]

    def fill(self, leave=0):
        free = os.statvfs(self.path("disk"))
        n = free.f_bavail * free.f_frsize - leave
        with open(self.path("disk", "filler"), "wb") as file:
            os.posix_fallocate(file.fileno(), 0, n)

    def make_room(self):
        os.remove(self.path("disk", "filler"))

    def says_how_much(self, said, path):
        line = self.error_line(said, path)
        self.assertRegex(line, r"needs [0-9.]+ [kM]?B.* free|[0-9]+ bytes more needed, [0-9]+ free")

    def test_too_small_from_the_start(self):
        self.fill(leave=MEGABYTE)
        self.says_how_much(self.run_one("render", *STEPS, *self.on_disk, code=RESOURCES).stderr, "disk/a")
        self.assertFalse(os.path.exists(self.path("disk", "a", "checkpoint")), "work had begun")
        self.run_one("render", *STEPS, *self.on_disk, "--set", "checkpoint.every=never")  # room for what that writes
        self.assertEqual(self.made("disk"), reference[0])
        shutil.rmtree(self.path("disk", "a"))
        self.make_room()
        self.run_one("render", *STEPS, *self.on_disk)
        self.assertEqual(self.made("disk"), reference[0])

    def full_at(self, rule, path, n=1, has_checkpoints=True):
        process, pid = self.stopped_at(rule, n, *self.on_disk)
        before = self.checkpoints("disk") if has_checkpoints else {}
        self.assertEqual(bool(before), has_checkpoints)
        self.fill()
        self.says_how_much(self.fails_now(process, pid, n), path)
        self.assertEqual(left_parts(self.path("disk")), [])
        again = self.run_one("resume", "disk/a", code=None)  # it is still full, but for what was left
        if again.returncode != 0:
            self.assertEqual(again.returncode, RESOURCES, again.stderr)
            if has_checkpoints:
                self.assertEqual(self.checkpoints("disk"), before)
            self.make_room()
            again = self.run_one("resume", "disk/a")
        self.is_right("disk")
        return again.stderr

    def test_full_at_a_checkpoint(self):
        said = self.full_at(self.second_checkpoint, "disk/a/checkpoint")
        self.assertIn("going on at step 1", said)

    def test_full_at_a_checkpoint_of_two_ranks(self):
        self.full_at(self.second_checkpoint + "@rank0", "disk/a/checkpoint", n=2)

    def full_at_the_latents(self, n, keep, damage=False):
        """A run whose disk gets full when latents.h5 is to be written, with `keep` checkpoints there."""
        self.run_one("render", *STEPS, *self.on_disk, "--set", f"checkpoint.keep={keep}", "--stop-after-step", "2")
        process, pid = self.stopped_at("file.reserve:1" + ("@rank0" if n > 1 else ""), n, *self.on_disk,
                                       "--set", "checkpoint.every=never")
        before = self.checkpoints("disk")
        self.assertEqual(len(before), keep)
        if damage:
            os.truncate(self.path("disk", "a", "checkpoint", max(before)), 5000)
            before.pop(max(before))
        self.fill(leave=0 if damage else 100_000)  # they take 186 kB at most, the older checkpoint 131
        return *self.ends_now(process, pid, n), before

    def test_full_at_the_latents(self):
        """The older checkpoint makes room for them, the other one for the film."""
        code, said, before = self.full_at_the_latents(1, keep=2)
        self.assertEqual(code, 0, said)
        self.says_how_much(said, "disk/a/latents.h5")
        self.assertEqual(said.count(f"removed all checkpoints but disk/a/checkpoint/{max(before)}, trying again"), 1)
        self.is_right("disk")

    def test_full_at_the_latents_with_a_damaged_checkpoint(self):
        """The older one stays in place of the newest."""
        code, said, before = self.full_at_the_latents(1, keep=2, damage=True)
        self.assertEqual(code, RESOURCES, said)
        self.assertEqual(said.count(f"removed all checkpoints but disk/a/checkpoint/{max(before)}"), 1, said)
        self.assertEqual(self.checkpoints("disk"), before)
        self.make_room()
        self.assertIn(f"last checkpoint disk/a/checkpoint/{max(before)}", self.run_one("status", "disk/a").stdout)
        self.assertIn("going on at step 1", self.run_one("resume", "disk/a").stderr)
        self.is_right("disk")

    def test_full_at_the_latents_with_one_checkpoint(self):
        for n in (1, 2):
            with self.subTest(ranks=n):
                code, said, before = self.full_at_the_latents(n, keep=1)
                self.assertEqual(code, RESOURCES, said)
                self.says_how_much(said, "disk/a/latents.h5")
                self.assertEqual(said.count("error: "), 1, said)
                self.assertEqual(said.count("to go on, once there is room: haloreel resume disk/a"), 1, said)
                self.assertEqual(self.checkpoints("disk"), before)
                self.make_room()
                self.assertIn("going on at step 2", self.run_one("resume", "disk/a").stderr)
                self.is_right("disk")
                shutil.rmtree(self.path("disk", "a"))

    def test_full_at_the_latents_without_a_checkpoint(self):
        """The film has room, though it is estimated to need more than there is."""
        process, pid = self.stopped_at("file.reserve:1", 1, *self.on_disk, "--set", "checkpoint.every=never")
        self.fill(leave=100_000)
        code, said = self.ends_now(process, pid)
        self.assertEqual(code, 0, said)
        self.says_how_much(said, "disk/a/latents.h5")
        self.assertEqual(said.count("the latents are not saved, and there is no checkpoint"), 1)
        self.is_right("disk")

    def test_full_while_the_film_is_made(self):
        said = self.full_at(self.film, "disk/a/segments", has_checkpoints=False)
        self.assertIn("going on with the decoding", said)


class Away(DiskTest):
    def test_latents_that_cannot_be_written(self):
        """With a checkpoint there the film is not begun; without one it is made all the same."""
        never = ["--set", "checkpoint.every=never"]
        full = {"HR_FAULT": "file.reserve:1+=errno28"}
        self.run_one("render", *STEPS, "--stop-after-step", "2")
        result = self.run_one("render", *STEPS, *never, env=full, code=RESOURCES)
        self.assertEqual(result.stderr.count("removed all checkpoints but"), 1)
        self.assertEqual(len(self.checkpoints()), 1)
        self.assertIn("going on at step 2", self.goes_on())
        shutil.rmtree(self.path("a"))
        result = self.run_one("render", *STEPS, *never, env=full)
        self.assertEqual(result.stderr.count("the latents are not saved, and there is no checkpoint"), 1)
        self.is_right()

    def test_renamed(self):
        """The folder is not made anew, without its lock; the run goes on where it is now."""
        process, pid = self.stopped_at(self.second_checkpoint)
        before = self.checkpoints()
        os.rename(self.path("a"), self.path("b"))
        code, said = self.ends_now(process, pid)
        self.error_line(said, " a/checkpoint/")
        self.assertEqual(code, RESOURCES, said)
        self.assertFalse(os.path.exists(self.path("a")), said)
        os.rename(self.path("b"), self.path("a"))
        self.assertEqual(self.checkpoints(), before)
        self.assertIn("going on at step 1", self.goes_on())

    def test_removed(self):
        for rule in (self.second_checkpoint, self.film):
            with self.subTest(rule=rule):
                process, pid = self.stopped_at(rule)
                shutil.rmtree(self.path("a"))
                code, said = self.ends_now(process, pid)
                self.error_line(said, " a/")
                if code != 0:
                    self.run_one("render", *STEPS)
                self.assertEqual(self.made(), reference[0])
                shutil.rmtree(self.path("a"))

    def test_stale_or_read_only_from_some_moment_on(self):
        """What NFS says of a folder whose server is gone."""
        for point, at in (("file.reserve", 2), ("file.rename", 5), ("file.write", 10), ("file.sync", 8)):
            code, text = (STALE, "Stale file handle") if at % 2 == 0 else (READ_ONLY, "Read-only file system")
            with self.subTest(point=point, text=text):
                result = self.run_one("render", *STEPS, env={"HR_FAULT": f"{point}:{at}+=errno{code}"}, code=None)
                self.assertIn(result.returncode, (0, RESOURCES), result.stderr)
                self.error_line(result.stderr, text)
                self.assertEqual(left_parts(self.path("a")), [])
                if result.returncode != 0:
                    self.goes_on()
                self.assertEqual(self.made(), reference[0])
                shutil.rmtree(self.path("a"))


if __name__ == "__main__":
    main()
