"""Makes the calls of a small render fail one by one (base/fault.h) and looks at how it ends.

First each scenario runs without a fault and tells its places: calls that can fail, by point and line of the
source (of memory: by caller). Then, for each place, the first, the middle and the last pass fail alone, and
the middle one with all later calls of that point; on the first rank and on the last. However such a run ends,
the same command has to make the right video then.
"""
import concurrent.futures
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import traceback
import zlib

from harness import FAULTS, SOURCE
from ranks import MPI_ENVIRONMENT, Result, end_ranks, start_ranks

DEADLINE = 90  # of one run, with other work beside it
JOB = ["--prompt", "a red cat", "--seed", "7", "--set", "video.width=32", "--set", "video.height=32", "--set",
       "checkpoint.every=1steps", "--set", "layout.deadline=20", "--set", "threads=1", "--set", "output.folder=a"]
# Three steps of two or three windows, with a preview.
STEPS = [*JOB, "--set", "sampler.steps=3", "--set", "video.frames=33", "--set", "output.preview_every=2"]
# Long enough for two parts of the film.
PARTS = [*JOB, "--set", "sampler.steps=1", "--set", "video.frames=105", "--set", "windows.frames=105"]
PICTURES = [*JOB, "--set", "sampler.steps=2", "--set", "video.frames=5", "--set", "output.video=png"]
# How a run may end when a call of that kind fails (docs/errors.md), and what its log line says.
ENDS = {
    "memory": ({4}, "memory"),
    "file": ({2, 3, 4, 5}, ""),
    "mpi": ({69}, "MPI"),
    "device": ({4, 69}, "device|operator|memory|packing"),
    "onednn": ({4, 69}, "oneDNN|memory"),
    "thread": ({4}, "thread|signals"),
    "yaml": ({4}, "memory"),
    "sentencepiece": ({4}, "memory"),
    "av": ({4}, ""),
    "hdf5": ({4, 5}, ""),
    "lock": ({4}, "lock"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    scenario: str
    n: int
    rank: int
    point: str
    place: str
    at: int  # pass
    stays: bool

    def rule(self):
        return f"{self.point}@{self.place}:{self.at}{'+' if self.stays else ''}@rank{self.rank}"

    def __str__(self):
        return f"{self.scenario} on {self.n}: {self.rule()}"


class Run:
    """One run of the program in `folder`: codes, outs and errors by rank; code is the agreed one or None."""

    def __init__(self, program, folder, n, arguments, env=None, deadline=DEADLINE):
        self.is_late = False
        env = {"HALOREEL_CONFIGS": os.path.join(SOURCE, "configs"), **(env or {})}
        if n == 1:
            self.run_alone(folder, [program, *arguments], env, deadline)
        else:
            self.run_ranks(folder, n, [program, *arguments], env, deadline)
        self.code = self.codes[0] if len(set(self.codes)) == 1 else None

    def run_alone(self, folder, command, env, deadline):
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **MPI_ENVIRONMENT, **env},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        try:
            out, error = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            self.is_late = True
            process.kill()
            out, error = process.communicate()
        self.codes = [process.returncode]
        self.outs, self.errors = [out.decode(errors="replace")], [error.decode(errors="replace")]

    def run_ranks(self, folder, n, command, env, deadline):
        process = start_ranks(folder, n, command, env, deadline=deadline)
        try:
            result = end_ranks(folder, n, process, deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            result = Result(os.path.join(folder, "wrapped"), n, None)
        self.is_late = None in result.codes
        for r, code in enumerate(result.codes):
            if code is None:
                end_process(Result.read(os.path.join(folder, "wrapped"), "pid", r))
        self.codes, self.outs, self.errors = result.codes, result.outs, result.errors

    def error_lines(self):
        return [line for text in self.errors for line in text.splitlines() if "error: " in line]

    def __str__(self):
        return f"exit codes {self.codes}\n" + "".join(self.errors)


def end_process(pid):
    try:
        os.kill(int(pid), signal.SIGKILL)
    except (ValueError, ProcessLookupError):
        pass


class Trace:
    """What ranks passed: [rank][(point, place)] = passes; failed and alive likewise."""

    def __init__(self, prefix, n):
        self.passes, self.failed, self.alive = [{} for _ in range(n)], [[] for _ in range(n)], [None] * n
        for r in range(n):
            try:
                with open(f"{prefix}.{r}") as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            for line in lines:
                words = line.split()
                if words[0] == "live":
                    self.alive[r] = int(words[1])
                elif words[0] == "failed":
                    self.failed[r].append((words[1], words[2]))
                else:
                    self.passes[r][words[0], words[1]] = int(words[2])


def read(path):
    with open(path, "rb") as file:
        return file.read()


def hashes(folder):
    with open(os.path.join(folder, "receipt.json")) as file:
        receipt = json.load(file)
    return receipt["latent_hashes"], receipt["frame_hashes"]


def ways(n_passes):
    """The four ways in which a place fails: (pass, with all later ones)."""
    middle = (n_passes + 1) // 2
    return [(1, False), (middle, False), (n_passes, False), (middle, True)]


def left_parts(folder):
    return [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names
            if name.endswith(".part") and "wrapped" not in root]


class Walk:
    """All runs of one program."""

    # What each scenario starts from, what it runs and what of a/ it makes.
    SCENARIOS = {
        "render": (None, ["render", *STEPS], "video.mp4"),
        "resume": ("stopped", ["resume", "a"], "video.mp4"),
        "decode": ("killed", ["resume", "a"], "video.mp4"),
        "pictures": (None, ["render", *PICTURES], "frames"),
        "strict": (None, ["render", *PICTURES, "--set", "device=strict", "--set", "output.video=mp4"], "video.mp4"),
    }

    def __init__(self, program=FAULTS):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="haloreel-faults-")
        self.reference, self.templates, self.names = {}, {}, {}

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self, name):
        return tempfile.mkdtemp(prefix=name + "-", dir=self.folder)

    def template(self, kind):
        """A folder with a run that has come so far."""
        if kind not in self.templates:
            folder = self.new_folder(kind)
            if kind == "stopped":
                run = Run(self.program, folder, 1, ["render", *STEPS, "--stop-after-step", "1"])
                assert run.code == 0, str(run)
            else:  # while the second part of the film is made
                prefix = os.path.join(folder, "trace")
                run = Run(self.program, folder, 1, ["render", *PARTS], {"HR_FAULT_TRACE": prefix})
                passes = sum(n for (point, _), n in Trace(prefix, 1).passes[0].items() if point == "device.to_rgb")
                shutil.rmtree(os.path.join(folder, "a"))
                run = Run(self.program, folder, 1, ["render", *PARTS], {"HR_FAULT": f"device.to_rgb:{passes}=kill"})
                assert run.code == -signal.SIGKILL and os.listdir(os.path.join(folder, "a", "segments")), str(run)
            self.templates[kind] = os.path.join(folder, "a")
        return self.templates[kind]

    def prepare(self, folder, scenario):
        start, arguments, _ = self.SCENARIOS[scenario]
        if start:
            shutil.copytree(self.template(start), os.path.join(folder, "a"))
        return arguments

    def made(self, scenario, folder):
        """The bytes of the film or pictures, and the hashes of latents and frames."""
        path = os.path.join(folder, "a", self.SCENARIOS[scenario][2])
        files = [os.path.join(path, name) for name in sorted(os.listdir(path))] if os.path.isdir(path) else [path]
        return [read(file) for file in files], hashes(os.path.join(folder, "a"))

    def trace(self, scenario, n):
        """Runs without a fault; what it made is what all runs have to make."""
        folder = self.new_folder(f"{scenario}-{n}")
        arguments = self.prepare(folder, scenario)
        run = Run(self.program, folder, n, arguments, {"HR_FAULT_TRACE": os.path.join(folder, "trace")})
        assert run.code == 0, f"{scenario} on {n} without a fault: {run}"
        trace = Trace(os.path.join(folder, "trace"), n)
        assert trace.alive == [0] * n, f"{scenario} on {n} without a fault: alive at the end: {trace.alive}"
        made = self.made(scenario, folder)
        assert self.reference.setdefault(scenario, made) == made, f"{scenario} on {n}: another video"
        shutil.rmtree(folder)
        return trace

    def cases(self, scenario, n):
        trace = self.trace(scenario, n)
        return [Case(scenario, n, rank, *place, at, stays) for rank in sorted({0, n - 1})
                for place, n_passes in trace.passes[rank].items() for at, stays in dict.fromkeys(ways(n_passes))]

    def cover(self, scenarios, n):
        """One case for each place, and a line for each scenario and rank of how many places there are."""
        render, cases, lines = self.trace("render", n), [], []
        for scenario in scenarios:
            trace = self.trace(scenario, n) if scenario != "render" else render
            for rank in sorted({0, n - 1}):
                passes = trace.passes[rank]
                new = [place for place in passes if scenario == "render" or place not in render.passes[rank]]
                cases += [Case(scenario, n, rank, *place, *self.way(n, rank, place, passes[place])) for place in new]
                lines.append(f"{scenario} on {n}, rank {rank}: {len(passes)} places, {len(new)} to walk" +
                             (f", {len(passes) - len(new)} as in render" if scenario != "render" else ""))
        return cases, lines

    def way(self, n, rank, place, n_passes):
        turn = max(0, 2 * n.bit_length() - 3) + (rank > 0) + zlib.crc32(f"{place[0]} {self.name(place[1])}".encode())
        return ways(n_passes)[turn % 4]

    def walk(self, case):
        """(exit code, whether the fault was met, what is wrong)"""
        folder = self.new_folder("case")
        try:
            return self.walk_in(folder, case)
        except Exception:  # a test must not end the walk
            return None, True, [traceback.format_exc()]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def walk_in(self, folder, case):
        arguments = self.prepare(folder, case.scenario)
        prefix, before = os.path.join(folder, "trace"), set(left_parts(folder))
        run = Run(self.program, folder, case.n, arguments, {"HR_FAULT": case.rule(), "HR_FAULT_TRACE": prefix})
        trace = Trace(prefix, case.n)
        wrong = self.look(case, run, trace, set(left_parts(folder)) - before)
        if run.code == 0:
            wrong += self.compare(case, folder)
        else:
            again = Run(self.program, folder, 1, arguments)
            wrong += [f"afterwards: {again}"] if again.code != 0 else self.compare(case, folder, "afterwards: ")
        if wrong:
            wrong.append(str(run))
        return run.code, bool(trace.failed[case.rank]) or trace.alive[case.rank] is None, wrong

    def look(self, case, run, trace, parts):
        wrong = []
        codes, words = ENDS[case.point.split(".")[0]]
        if run.is_late:
            wrong.append(f"hangs: {run.codes} after {DEADLINE} s")
        elif case.point == "mpi.init":  # the others cannot hear it; the launcher ends them
            if run.codes[case.rank] not in codes or not set(run.codes) <= codes | {75}:
                wrong.append(f"ranks end with {run.codes}")
        elif run.code is None:
            wrong.append(f"ranks end with {run.codes}")
        elif run.code not in codes | {0}:
            wrong.append(f"exit code {run.code}, expected one of {sorted(codes)}")
        if any("runtime error" in text or "Sanitizer" in text for text in run.errors):
            wrong.append("a sanitizer's report")
        wrong += [f"rank {r}: {n} blocks alive at the end" for r, n in enumerate(trace.alive) if n]
        wrong += [f"left: {path}" for path in parts]
        if run.code != 0:
            lines = run.error_lines()
            if not lines or (len(lines) > 1 and not case.stays):
                wrong.append(f"{len(lines)} lines of errors, expected 1")
            elif not any(re.search(words, line) for line in lines):
                wrong.append(f"the log does not name the cause ({words})")
            elif case.rank > 0 and "error: " not in run.errors[case.rank] and not any(
                    f"rank {case.rank} (" in line for line in lines):  # before the ranks have numbers it speaks itself
                wrong.append(f"the log does not name rank {case.rank}")
        return wrong

    def compare(self, case, folder, when=""):
        made, wanted = self.made(case.scenario, folder), self.reference[case.scenario]
        wrong = [when + "another film"] if made[0] != wanted[0] else []
        return wrong + ([when + "other hashes in the receipt"] if made[1] != wanted[1] else [])

    def name(self, place):
        """An address in the program as a line of the source."""
        if not place.startswith("+"):
            return place
        if place not in self.names:
            self.names[place] = self.look_up(place)
        return self.names[place]

    def look_up(self, place):
        out = subprocess.run(["addr2line", "-e", self.program, hex(int(place[1:], 16) - 1)], capture_output=True,
                             text=True).stdout.split()
        return os.path.relpath(out[0], SOURCE) if out and out[0].startswith(SOURCE) else place

    def walk_all(self, cases, n_jobs, tell):
        """Tells (case, (code, was met, what is wrong)) of each, in any order."""
        with concurrent.futures.ThreadPoolExecutor(n_jobs) as pool:
            futures = {pool.submit(self.walk, case): case for case in cases}
            for future in concurrent.futures.as_completed(futures):
                tell(futures[future], future.result())


def summary(results):
    """Lines about [(case, (code, was met, what is wrong))]."""
    by_code, places = {}, {(case.point, case.place) for case, _ in results}
    for _, (code, is_met, _) in results:
        key = "not met" if not is_met else "survived" if code == 0 else f"exit {code}"
        by_code[key] = by_code.get(key, 0) + 1
    ends = ", ".join(f"{n} x {key}" for key, n in sorted(by_code.items()))
    n_bad = sum(bool(wrong) for _, (_, _, wrong) in results)
    return f"{len(results)} faults at {len(places)} places walked: {ends}; {n_bad} wrong"
