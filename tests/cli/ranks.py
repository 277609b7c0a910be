"""Runs the program on several ranks and keeps what each of them says and how it ends."""
import os
import shutil
import subprocess
import time
import unittest

from harness import DEADLINE, PROGRAM, CliTest

MPIRUN = os.environ.get("HR_MPIRUN") or shutil.which("mpirun")
MPI_ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                   "OMPI_MCA_mpi_yield_when_idle": "1"}

# Of each rank: its process, what it says and its exit code. When one rank ends, the launcher ends the
# others: by SIGTERM, which is passed on, and a second later by SIGKILL, which must not reach the one
# that sees how the program ends: it has a session of its own.
WRAPPER = """#!/bin/bash
here=$(dirname "$0") r=${OMPI_COMM_WORLD_RANK:-0}
export here r
program="$1"
shift
[ -f "$here/rank-$r.sh" ] && . "$here/rank-$r.sh"
setsid "$here/watch.sh" "$program" "$@" &
trap 'kill -TERM "$(cat "$here/pid.$r")"' TERM
until wait; do [ -f "$here/code.$r" ] && break; done
exit "$(cat "$here/code.$r")"
"""
WATCH = """#!/bin/bash
(
    echo $BASHPID >"$here/pid.$r"
    exec "$@"
) >"$here/out.$r" 2>"$here/err.$r"
echo $? >"$here/code.part.$r"
mv "$here/code.part.$r" "$here/code.$r"
"""


def start_ranks(folder, n, command, env=None, on_rank=None, deadline=DEADLINE):
    """mpirun, in `folder`, with `command` on n ranks; what they say comes below folder/wrapped (Result).

    `on_rank`: lines of shell that a rank runs before the program, by rank."""
    wrapped = os.path.join(folder, "wrapped")
    shutil.rmtree(wrapped, ignore_errors=True)
    os.makedirs(wrapped)
    files = {"wrapper.sh": WRAPPER, "watch.sh": WATCH}
    files.update({f"rank-{rank}.sh": lines + "\n" for rank, lines in (on_rank or {}).items()})
    for name, text in files.items():
        with open(os.path.join(wrapped, name), "w") as file:
            file.write(text)
        os.chmod(file.name, 0o755)
    return subprocess.Popen(
        [MPIRUN, "--oversubscribe", "--bind-to", "none", "--timeout", str(deadline - 10), "-n", str(n),
         os.path.join(wrapped, "wrapper.sh"), *command],
        cwd=folder, env={**os.environ, **MPI_ENVIRONMENT, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end_ranks(folder, n, process, deadline=DEADLINE):
    """Open MPI's launcher may wait for ever where all ranks are killed in their start: ended, code None."""
    wrapped = os.path.join(folder, "wrapped")
    try:
        code = process.wait(timeout=deadline)
    except subprocess.TimeoutExpired:
        if not all_ended(wrapped, n):
            raise
        code = None
        process.kill()
        process.wait()
    until = time.monotonic() + 20  # a rank may end a little behind the launcher
    while time.monotonic() < until and not all_ended(wrapped, n):
        time.sleep(0.02)
    return Result(wrapped, n, code)


def all_ended(wrapped, n):
    return all(Result.read(wrapped, "code", r) for r in range(n))


class Result:
    """codes, outs and errors by rank; `code` is the launcher's."""

    def __init__(self, folder, n, code):
        self.code = code
        self.codes = [self.read(folder, "code", r) for r in range(n)]
        self.codes = [int(c) if c else None for c in self.codes]
        self.outs = [self.read(folder, "out", r) for r in range(n)]
        self.errors = [self.read(folder, "err", r) for r in range(n)]

    @staticmethod
    def read(folder, kind, rank):
        try:
            with open(os.path.join(folder, f"{kind}.{rank}"), errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def error_lines(self):
        return [line for text in self.errors for line in text.splitlines() if "error: " in line]

    def __str__(self):
        return f"mpirun {self.code}, ranks {self.codes}\n" + "\n".join(
            f"-- {r}:\n{out}{err}" for r, (out, err) in enumerate(zip(self.outs, self.errors)))


@unittest.skipIf(MPIRUN is None, "there is no mpirun")
class RanksTest(CliTest):
    def start(self, n, *arguments, on_rank=None, env=None, program=PROGRAM):
        self.wrapped = self.path("wrapped")
        process = start_ranks(self.folder, n, [program, *arguments], env, on_rank)
        self.addCleanup(process.kill)
        return process

    def ended(self, n, process):
        return end_ranks(self.folder, n, process)

    def run_ranks(self, n, *arguments, **options):
        return self.ended(n, self.start(n, *arguments, **options))

    def ranks_succeed(self, n, *arguments, **options):
        result = self.run_ranks(n, *arguments, **options)
        self.assertEqual(result.codes, [0] * n, str(result))
        self.assertEqual(result.outs[1:], [""] * (n - 1), "the first rank alone speaks")
        return result

    def ranks_refused(self, n, code, part, *arguments, **options):
        """All ranks end with `code`, and there is exactly one line about it."""
        result = self.run_ranks(n, *arguments, **options)
        lines = result.error_lines()
        self.assertEqual(result.codes, [code] * n, str(result))
        self.assertEqual(len(lines), 1, str(result))
        self.assertIn(part, lines[0])
        self.assertFalse(self.products(), "something was left under its final name")
        return lines[0]
