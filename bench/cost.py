#!/usr/bin/env python3
"""What long videos cost: the table of docs/performance.md.

    bench/cost.py                 161 frames on one rank and on two, variants in turn, medians
    bench/cost.py --lengths       seconds of computing per second of video, 161 to 1025 frames

Every rank has one thread. The least speed-ups are asked of the denoising, which is what layouts share
out; decoding is shared out by rows whatever the layout. Needs build/haloreel, mpirun, and a machine that does nothing else.
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "A red car stands still in the desert, animated style."
FPS = 16
LAYOUTS = {  # what is run, and the least speed-up that is asked of it
    "1 rank": (1, {}, None),
    "2 ranks, windows": (2, {"layout.windows": 2}, 1.8),
    "2 ranks, stages": (2, {"layout.stages": 2}, 1.7),
    "2 ranks, tensor": (2, {"layout.tensor": 2}, 1.5),
}
TRAFFIC = ("halo", "stage", "tensor", "rows", "other")
KEYS = ("layout.windows", "layout.stages", "layout.tensor", "layout.cfg")


def command_for(ranks, keys, folder, args):
    words = [args.haloreel, "render", "--quiet", "--force", "--model", "demo", "--seed", 1]
    words += ["--prompt", PROMPT, "-o", f"{folder}/video.mp4"]
    settings = {**dict.fromkeys(KEYS, 1), **keys, "threads": 1, "sampler.steps": args.steps}
    settings["output.preview_every"] = 0
    words += [x for k, v in settings.items() for x in ("--set", f"{k}={v}")]
    if ranks > 1:
        words = ["mpirun", "--oversubscribe", "--bind-to", args.bind, "-n", ranks, *words]
    return [str(w) for w in words]


def values_of(line):
    """The numbers of a rank's line in the receipt."""
    return {k: float(v) for k, v in re.findall(r"(\w+)=([0-9.]+)(?= |$)", line)}


def run(ranks, keys, args):
    """Seconds of the stages, and the receipt's numbers of each rank."""
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command_for(ranks, keys, folder, args),
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=env,
            timeout=args.limit,
        )
        if done.returncode:
            sys.exit(f"cost: {' '.join(done.args)}\n{done.stderr[-2000:]}")
        receipt = json.loads(next(pathlib.Path(folder).glob("*/receipt.json")).read_text())
    stages = re.findall(r"^(text|denoise|decode) +([0-9.]+) s", done.stdout, re.M)
    seconds = {name: float(value) for name, value in stages}
    seconds["both"] = seconds["denoise"] + seconds["decode"]
    machine = receipt["machine"]
    return seconds, [values_of(machine[f"rank {r}"]) for r in range(ranks)]


def medians(runs):
    """Of the seconds, and of each rank's numbers."""
    seconds = {k: statistics.median(s[k] for s, _ in runs) for k in runs[0][0]}
    ranks = [
        {k: statistics.median(each[r][k] for _, each in runs) for k in runs[0][1][r]}
        for r in range(len(runs[0][1]))
    ]
    return seconds, ranks


def in_turn(variants, args):
    """Medians of several rounds; each round runs every variant once."""
    runs = {name: [] for name in variants}
    for _ in range(args.rounds):
        for name, (ranks, keys) in variants.items():
            runs[name].append(run(ranks, keys, args))
            print(f"  {name}: {runs[name][-1][0]}", file=sys.stderr, flush=True)
    return {name: medians(rows) for name, rows in runs.items()}


def waiting(rank):
    """Seconds that a rank waited for others while denoising, and the share of it, as text."""
    seconds = sum(rank[f"denoise_{kind}_wait_seconds"] for kind in TRAFFIC)
    return f"{seconds:.2f} ({100 * seconds / rank['denoise_seconds']:.1f} %)"


def megabytes(rank):
    return sum(rank[f"{kind}_bytes"] for kind in TRAFFIC) / 1e6


def compare_layouts(args):
    chosen = {n: (r, {**k, "video.frames": args.frames}) for n, (r, k, _) in LAYOUTS.items()}
    found, bad = in_turn(chosen, args), 0
    alone = found["1 rank"][0]
    print(
        "| layout | denoise s | decode s | denoise | decode | both | at least |"
        " waits while denoising s, by rank | MB sent, by rank |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, (seconds, ranks) in found.items():
        gains = {k: alone[k] / seconds[k] for k in ("denoise", "decode", "both")}
        least = LAYOUTS[name][2]
        bad += least is not None and gains["denoise"] < least
        cells = [f"{seconds['denoise']:.2f}", f"{seconds['decode']:.2f}"]
        cells += [f"{gains[k]:.2f} x" for k in ("denoise", "decode", "both")]
        cells += [f"{least} x" if least else ""]
        cells += [", ".join(waiting(r) for r in ranks)]
        cells += [", ".join(f"{megabytes(r):.1f}" for r in ranks)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    return bad


def compare_lengths(args):
    keys = {"layout.windows": args.ranks}
    lengths = {f"{n}": (args.ranks, {**keys, "video.frames": n}) for n in args.frames_list}
    found = in_turn(lengths, args)
    print("| frames | windows' seconds | decode | both, a second of video | peak MB a rank |")
    print("|---|---|---|---|---|")
    each = []
    for name, (seconds, ranks) in found.items():
        film = int(name) / FPS
        each.append(seconds["both"] / film)
        print(
            f"| {name} | {seconds['denoise']:.1f} | {seconds['decode']:.1f} | {each[-1]:.3f} |"
            f" {max(r['memory_bytes'] for r in ranks) / 1e6:.1f} |"
        )
    print(f"\nlargest over smallest: {max(each) / min(each):.3f}")
    return int(max(each) / min(each) > 1.1)


def numbers(text):
    return [int(x) for x in text.split(",")]


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--lengths", action="store_true")
    p.add_argument("--frames-list", type=numbers, default=[161, 321, 641, 1025])
    p.add_argument("--ranks", type=int, default=1, help="of windows, with --lengths")
    p.add_argument("--frames", type=int, default=161)
    p.add_argument("--steps", type=int, default=25)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--bind", default="core", help="mpirun --bind-to")
    p.add_argument("--limit", type=float, default=3600, help="seconds, of one run")
    p.add_argument("--haloreel", default=ROOT / "build/haloreel")
    args = p.parse_args()
    return compare_lengths(args) if args.lengths else compare_layouts(args)


if __name__ == "__main__":
    sys.exit(main())
