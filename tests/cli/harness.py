"""What the tests of the command line share. Only Python's standard library.

Each test_*.py takes the paths of the program and of haloreel-faults as its first arguments.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "build/haloreel"
# The same program, but for calls that can be made to fail (base/fault.h).
FAULTS = PROGRAM if PROGRAM.endswith("-faults") else PROGRAM + "-faults"
if sys.argv[1:] and sys.argv[1].endswith("-faults"):
    FAULTS = os.path.abspath(sys.argv.pop(1))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(SOURCE, "tests", "golden")
SANITIZED = bool(os.environ.get("HR_SANITIZED"))  # the address sanitizer maps terabytes
DEADLINE = 120  # seconds that any one run may take

# A short job of the demo model.
QUICK = ["--set", "sampler.steps=2", "--set", "video.frames=5", "--set", "video.width=32",
         "--set", "video.height=32", "--seed", "7"]


class CliTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="haloreel-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def run_program(self, *arguments, env=None, limit=None):
        """Runs in the test's folder; `limit` is called in the child before the program."""
        return subprocess.run([PROGRAM, *arguments], cwd=self.folder, env={**os.environ, **(env or {})},
                              preexec_fn=limit, capture_output=True, timeout=DEADLINE,
                              stdin=subprocess.DEVNULL)

    def succeeds(self, *arguments, **options):
        result = self.run_program(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr.decode(errors="replace"))
        return result

    def refused(self, code, part, *arguments, **options):
        """Exit code `code`, exactly one error line, which holds `part`; nothing has a final name."""
        result = self.run_program(*arguments, **options)
        lines = [line for line in result.stderr.decode().splitlines() if "error: " in line]
        self.assertEqual(result.returncode, code, result.stderr.decode())
        self.assertEqual(len(lines), 1, result.stderr.decode())
        self.assertIn(part, lines[0])
        self.assertFalse(self.products(), "something was left under its final name")
        return lines[0]

    def products(self):
        """Videos and pictures below the test's folder, previews aside."""
        found = []
        for root, _, names in os.walk(self.folder):
            found += [os.path.join(root, name) for name in names if not name.startswith(".")
                      and name.endswith((".mp4", ".png")) and "preview" not in root]
        return found

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def model(self, case="wan21-tiny"):
        """A copy of a golden case's model folder that the test may damage."""
        path = self.path("model")
        shutil.copytree(os.path.join(GOLDEN, case, "pipeline"), path)
        return path


def read_safetensors(path):
    """(header, data)"""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length)), file.read()


def write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def edit_json(path, **changes):
    with open(path) as file:
        content = json.load(file)
    content.update(changes)
    with open(path, "w") as file:
        json.dump(content, file)


def main():
    unittest.main(verbosity=2)
