#!/usr/bin/env python3
"""Runs the demo job through haloreel and through diffusers, in turn, and compares them.

    bench/vs_diffusers.py               wall time, stages, peak memory of whole processes
    bench/vs_diffusers.py --accuracy    how far the results are from diffusers in float32

Same model folder, prompt, seed (and with it the same initial noise) and number of threads. haloreel
writes an MP4 besides; diffusers' time has none in it. Needs build/haloreel (scripts/build.sh);
diffusers is installed at need (scripts/reference_env.sh) unless --python names one that has it. On a
CPU without bf16 instructions diffusers takes minutes in bf16; --numerics f32 leaves it out.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "A red cat walks to the right in a meadow, animated style."
# haloreel's name of the arithmetic, and diffusers'
ARITHMETIC = {"f32": "float32", "exact": "bfloat16"}


def reference_python(given):
    if given:
        return given
    made = subprocess.run([ROOT / "scripts/reference_env.sh"], stdout=subprocess.PIPE, text=True)
    if made.returncode:
        sys.exit("vs_diffusers: no Python with diffusers; name one with --python")
    return made.stdout.strip()


def run(command, threads):
    """(wall and CPU seconds, peak MB), standard output of a whole process."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    env.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(c) for c in command], cwd=ROOT, env=env, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        out.seek(0), err.seek(0)
        if status:
            sys.exit(f"vs_diffusers: {command[0]} failed:\n{err.read()[-3000:]}")
        cpu = usage.ru_utime + usage.ru_stime
        return (seconds, cpu, usage.ru_maxrss / 1000), out.read()


class Job:
    """The demo job, in a scratch folder."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder

    def haloreel(self, numerics, more=()):
        keys = {"numerics": numerics, "threads": self.args.threads, "sampler.rng": "torch"}
        command = [self.args.haloreel, "render", "--quiet", "--force", "--model", "demo"]
        command += ["--prompt", self.args.prompt, "--seed", self.args.seed]
        command += [x for k, v in keys.items() for x in ("--set", f"{k}={v}")]
        command += ["-o", self.folder / "video.mp4", *more]
        cost, text = run(command, self.args.threads)
        stages = re.findall(r"^(text|denoise|decode) +([0-9.]+) s", text, re.M)
        return cost, {name: float(value) for name, value in stages}

    def diffusers(self, numerics, more=()):
        """The job file that haloreel wrote, all defaults filled in, through WanPipeline."""
        command = [self.args.python, ROOT / "bench/diffusers_job.py", ROOT / "demo/model"]
        command += [self.folder / "video.run/job.yaml", ARITHMETIC[numerics], *more]
        cost, text = run(command, self.args.threads)
        return cost, json.loads(text)


def middle(rows):
    """Medians of the costs and of the stages over the repetitions."""
    cost = [statistics.median(row) for row in zip(*(cost for cost, _ in rows))]
    return cost, {k: statistics.median(stages[k] for _, stages in rows) for k in rows[0][1]}


STAGES = ("load", "text", "denoise", "decode")


def print_speed(table, args):
    """A table for people, or CSV."""
    head = ["numerics", "program", "wall s", "cpu s", "peak MB"] + [s + " s" for s in STAGES]
    rows = [head] if not args.csv else [[h.replace(" ", "_").lower() for h in head]]
    for numerics, program, (wall, cpu, peak), stages in table:
        parts = [f"{stages[s]:.2f}" if s in stages else "" for s in STAGES]
        rows.append([numerics, program, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}", *parts])
    for row in rows:
        print(",".join(row) if args.csv else " ".join(f"{cell:>10}" for cell in row))
    if args.csv:
        return
    for (numerics, _, ours, _), (_, _, theirs, _) in zip(table[::2], table[1::2]):
        wall, cpu, peak = (b / a for a, b in zip(ours, theirs))
        print(f"{numerics}: {wall:.1f} x as fast, {cpu:.1f} x less CPU, {peak:.1f} x less memory")
    print(
        f"{args.threads} threads, median of {args.repetitions}; haloreel's stages load their weights"
    )


def compare_speed(job, args):
    table = []
    for numerics in args.numerics.split(","):
        job.haloreel(numerics)  # writes the job file; files are in memory after it
        ours, theirs = [], []
        for _ in range(args.repetitions):
            ours.append(job.haloreel(numerics))
            theirs.append(job.diffusers(numerics))
        table.append((numerics, "haloreel", *middle(ours)))
        table.append((numerics, "diffusers", *middle(theirs)))
    print_speed(table, args)
    return 0


def compare_results(job, args):
    """haloreel's float32 against diffusers' float32, and both programs' bf16 against that."""
    import numpy as np
    from safetensors.numpy import load_file

    found = {}
    for numerics in ARITHMETIC:
        latents, frames = job.folder / "latents.safetensors", job.folder / "frames.safetensors"
        job.haloreel(numerics, ["--latents-out", latents, "--frames-out", frames])
        found["haloreel", numerics] = load_file(latents)["latents"], load_file(frames)["frames"]
        job.diffusers(numerics, [job.folder / "reference.safetensors"])
        reference = load_file(job.folder / "reference.safetensors")
        found["diffusers", numerics] = reference["latents"], reference["frames"]
    right = found["diffusers", "f32"]
    worst = 0
    for k, name in enumerate(("latents", "frames")):
        distance = {}
        for (program, numerics), tensors in found.items():
            d = tensors[k].astype(np.float64) - right[k]
            distance[program, numerics] = float(np.sqrt(np.mean(d**2)))
            print(
                f"{name:8} {program:10} {numerics:6} rms {distance[program, numerics]:.3e} max {np.abs(d).max():.3e}"
            )
        ratio = distance["haloreel", "exact"] / distance["diffusers", "exact"]
        worst = max(worst, ratio)
        print(f"{name:8} haloreel's bf16 is {ratio:.2f} x as far from float32 as diffusers' (rms)")
    print(f"at most 1.2: {'yes' if worst <= 1.2 else 'NO'}")
    return int(worst > 1.2)


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--accuracy", action="store_true")
    p.add_argument("--python", help="a Python that has diffusers")
    p.add_argument("--haloreel", default=ROOT / "build/haloreel")
    p.add_argument("--prompt", default=PROMPT)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--numerics", default="f32,exact")
    p.add_argument("--repetitions", type=int, default=3)
    p.add_argument("--csv", action="store_true")
    args = p.parse_args()
    python = reference_python(args.python)
    if args.accuracy and os.path.realpath(sys.prefix) != os.path.realpath(
        pathlib.Path(python).parent.parent
    ):
        os.execv(python, [python, __file__, *sys.argv[1:], "--python", python])  # for its numpy
    args.python = python
    with tempfile.TemporaryDirectory() as folder:
        job = Job(args, pathlib.Path(folder))
        return compare_results(job, args) if args.accuracy else compare_speed(job, args)


if __name__ == "__main__":
    sys.exit(main())
