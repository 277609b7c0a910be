#!/usr/bin/env python3
"""How good long videos are, setting by setting: the table of docs/performance.md.

    bench/longvideo.py                      all settings, 8 prompts of 10 s (161 frames)
    bench/longvideo.py --quick              two prompts
    bench/longvideo.py --jobs 16 --prompts 24
    bench/longvideo.py --only "default:decode streamed" --seeds 1,2,3
    bench/longvideo.py --sheet docs/images/long.png

Renders with build/haloreel, measures the pixels, and keeps one JSON file per video under
runs/longvideo, so that a stopped run goes on where it was. Needs numpy, torch and safetensors: the
Python of scripts/reference_env.sh.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

import pixel_checker
import captions  # of demo/train, on the path now
import world

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCENES_SEED = 6
NATIVE, PER_LATENT = world.FRAMES, 4
DEFAULT = {
    "windows.overlap": 4,
    "windows.grid": "moving",
    "windows.noise": "rescheduled",
    "windows.blend": "ramp",
    "windows.anchor": "first",
    "windows.decode": "windowed",
    "sampler.steps": 25,
}
SETTINGS = {  # what differs from DEFAULT
    "default": {},
    "overlap 8": {"windows.overlap": 8},
    "overlap 12": {"windows.overlap": 12},
    "grid fixed": {"windows.grid": "fixed"},
    "noise independent": {"windows.noise": "independent"},
    "blend triangle": {"windows.blend": "triangle"},
    "anchor previous": {"windows.anchor": "previous"},
    "anchor none": {"windows.anchor": "none"},
    "decode streamed": {"windows.decode": "streamed"},
    "anchor none, decode streamed": {"windows.anchor": "none", "windows.decode": "streamed"},
    "overlap 8, 21 steps": {"windows.overlap": 8, "sampler.steps": 21},
    "overlap 12, 16 steps": {"windows.overlap": 12, "sampler.steps": 16},
}


def scenes(count):
    """The first held-out scenes: combinations that the model was never trained on."""
    rng = np.random.default_rng(SCENES_SEED)
    return [world.random_scene(rng, 0.2, held=True) for _ in range(count)]


def starts(keys, latent_frames, step):
    """First frames of a step's windows, as coordinator/windows.h has them."""
    length = (NATIVE - 1) // PER_LATENT + 1
    stride, last = length - keys["windows.overlap"] // PER_LATENT, latent_frames - length
    mirrored = int(f"{step:032b}"[::-1], 2)
    offset = mirrored * stride >> 32 if keys["windows.grid"] == "moving" else 0
    return sorted({min(max(at, 0), last) for at in range(offset - stride, last + stride, stride)})


def window_borders(keys, pictures):
    """First pictures of the latent frames at which a window of the last step begins or ends."""
    length, frames = (NATIVE - 1) // PER_LATENT + 1, (pictures - 1) // PER_LATENT + 1
    first, *others = starts(keys, frames, keys["sampler.steps"] - 1)
    dropped = int(keys["windows.anchor"] != "none")
    latent = {s + dropped for s in others} | {s + length for s in (first, *others)} - {frames}
    return sorted(PER_LATENT * (f - 1) + 1 for f in latent)


def blended_pictures(keys, pictures):
    """Pictures of which two pieces of the decoder have a share, as in worker/segments.h."""
    length, frames = (NATIVE - 1) // PER_LATENT + 1, (pictures - 1) // PER_LATENT + 1
    if keys["windows.decode"] != "windowed":
        return []
    latent = range(length - 1, frames - 1, length - 3)
    return [PER_LATENT * (f - 1) + 1 + k for f in latent for k in range(PER_LATENT)]


def differences(video):
    """Mean absolute difference of each picture from the one before, in grey levels."""
    return np.array([np.abs(a - b).mean() for a, b in zip(video[1:], video)])


def split(rows, positions):
    """(mean difference at the positions, elsewhere), over all videos: pictures counted from 0."""
    d = np.array([r["differences"] for r in rows])
    n = d.shape[1] + 1
    here = np.zeros(n, bool)
    here[[p for p in positions if p < n]] = True
    return d[:, here[1:]], d[:, ~here[1:]]


def seam(rows, keys):
    """Frame difference at window borders over that elsewhere: (anywhere, at latent frames' borders).

    The decoder makes four pictures of a latent frame at once and steps a little from one to the
    next, in native clips too: the second value is free of that.
    """
    n = keys["video.frames"]
    borders = window_borders(keys, n)
    at, elsewhere = split(rows, borders)
    others = [p for p in range(1, n, PER_LATENT) if p not in borders]
    return at.mean() / elsewhere.mean(), at.mean() / split(rows, others)[0].mean()


def seam_of_decoder(rows, keys):
    """The same for the pictures of which two pieces of the decoder have a share, phase by phase."""
    n, zone = keys["video.frames"], blended_pictures(keys, keys["video.frames"])
    if not zone:
        return 1.0
    zone = set(zone) | {p + 1 for p in zone}
    shares = []
    for phase in range(PER_LATENT):
        here = [p for p in range(1, n) if p % PER_LATENT == phase]
        inside = split(rows, [p for p in here if p in zone])[0].mean()
        shares.append(inside / split(rows, [p for p in here if p not in zone])[0].mean())
    return float(np.mean(shares))


def correlations(small, scene):
    """How alike pictures are that are 4 to 80 pictures apart; the characters are left out.

    They step, jump and turn with periods of 8, 16 and 32 pictures.
    """
    width = small.shape[2]
    behind = np.ones(width, bool)
    for centre in pixel_checker.centres(scene):
        x = centre * width / 128
        behind[int(x - 6) : int(x + 6) + 1] = False
    v = small[:, :, behind].astype(np.float64).reshape(len(small), -1)
    v -= v.mean(0)
    power = (v**2).mean()
    return {k: float((v[:-k] * v[k:]).mean() / power) for k in range(4, 81)}


def loop(near, lag):
    """Peak of the correlations at `lag` above those around it."""
    return max(near[lag + k] for k in (-1, 0, 1)) - (near[lag - 6] + near[lag + 6]) / 2


def loops(rows, keys):
    """Mean peaks at the stride of the windows, and at that of the decoder's pieces."""
    frames = (NATIVE - 1) // PER_LATENT + 1
    stride = NATIVE - 1 + PER_LATENT - keys["windows.overlap"]
    near = [r["correlations"] for r in rows]
    pieces = [loop(n, PER_LATENT * (frames - 3)) for n in near]
    windowed = keys["windows.decode"] == "windowed"
    return np.mean([loop(n, stride) for n in near]), np.mean(pieces) if windowed else 0.0


def drift(video, fps=world.FPS):
    """Largest change of a mean colour channel from the first to the last second; share of 255."""
    return float(np.abs(video[:fps].mean((0, 1, 2)) - video[-fps:].mean((0, 1, 2))).max() / 255)


def look(cut, scene):
    """What the checker says of a cut: [colour, subject, both right], overlap with what is asked."""
    overlaps = pixel_checker.overlaps_of(cut, scene, every=4)
    asked = [
        float(o[pixel_checker.COLOURS.index(c), pixel_checker.SUBJECTS.index(s)])
        for o, (c, s) in zip(overlaps, scene.characters)
    ]
    found = [pixel_checker.named(o) for o in overlaps]
    right = pixel_checker.agrees(found, scene.characters)
    return {"right": [bool(r) for r in right], "overlap": min(asked), "found": found}


def shrunk(video):
    """A quarter of the size."""
    return video.reshape(len(video), 20, 4, 32, 4, 3).mean((2, 4))


def measure(frames, scene):
    """All measures of one video; a native clip has those that need no windows."""
    video, fps = frames.astype(np.float32), world.FPS
    out = {"differences": differences(video).round(4).tolist()}
    if len(frames) <= NATIVE:
        return {**out, "seconds": [look(frames, scene)]}
    cuts = [frames[k : k + fps] for k in range(0, len(frames) - fps + 1, fps)]
    return {
        **out,
        "drift": drift(video),
        "seconds": [look(cut, scene) for cut in cuts],
    }


def render(scene, seed, keys, args):
    """uint8 frames, seconds of each stage."""
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        file = pathlib.Path(folder) / "frames.safetensors"
        command = [args.haloreel, "render", "--quiet", "--force", "--model", "demo"]
        command += ["--prompt", captions.plain_caption(scene), "--seed", seed]
        more = {**keys, "threads": args.threads, "output.video": "none"}
        more.update({"output.folder": f"{folder}/run", "output.preview_every": 0})
        command += [x for k, v in more.items() for x in ("--set", f"{k}={v}")]
        command += ["--frames-out", file]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            sys.exit(f"longvideo: {' '.join(map(str, command))}\n{done.stderr[-2000:]}")
        from safetensors.numpy import load_file

        frames = (load_file(file)["frames"] * 255).round().clip(0, 255).astype(np.uint8)
    stages = re.findall(r"^(text|denoise|decode) +([0-9.]+) s", done.stdout, re.M)
    return frames, {name: float(value) for name, value in stages}


def place_of(name, scene, seed, args):
    folder = args.results / name.replace(", ", "-").replace(" ", "-")
    return folder / f"{scene.key().replace('/', '_')}-{seed}.json"


def result(name, keys, scene, seed, args):
    """The measures of one video, from its file if there is one."""
    file = place_of(name, scene, seed, args)
    if file.exists():
        found = json.loads(file.read_text())
        return with_correlations(found, file, scene)
    frames, seconds = render(scene, seed, keys, args)
    found = {"prompt": captions.plain_caption(scene), "keys": keys, "wall": seconds}
    found.update(measure(frames, scene))
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(  # enough to measure again, and a picture of each second
        file.with_suffix(".npz"), small=shrunk(frames).astype(np.uint8), seconds=frames[8::16]
    )
    part = file.with_suffix(".part")
    part.write_text(json.dumps(found))
    os.replace(part, file)
    print(f"  {name}: {scene.key()} seed {seed}", file=sys.stderr, flush=True)
    return with_correlations(found, file, scene)


def with_correlations(found, file, scene):
    small = np.load(file.with_suffix(".npz"))["small"]
    return {**found, "correlations": correlations(small, scene) if len(small) > NATIVE else None}


def native_keys(keys):
    return {"video.frames": NATIVE, "sampler.steps": keys["sampler.steps"]}


def mean(rows, key):
    return float(np.mean([np.mean(r[key]) for r in rows]))


def hits(rows, kind):
    """Share of seconds that are right: over all of them, and second by second."""
    table = np.array([[s["right"][kind] for s in r["seconds"]] for r in rows], float)
    return table.mean(), table.mean(0)


def overlap(rows):
    return float(np.mean([s["overlap"] for r in rows for s in r["seconds"]]))


HEAD = (
    "| setting | forwards | seam | same phase | blended | loops | drift | colour | both"
    " | worst second | overlap kept | motion |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def line(name, keys, rows, natives):
    """A row of the table; shares of the native clips' values where that is what counts."""
    frames = (rows[0]["keys"]["video.frames"] - 1) // PER_LATENT + 1
    forwards = sum(len(starts(keys, frames, k)) for k in range(keys["sampler.steps"]))
    colour, _ = hits(rows, 0)
    both, each = hits(rows, 2)
    cells = [
        f"{forwards}",
        *(f"{x:.3f}" for x in (*seam(rows, keys), seam_of_decoder(rows, keys))),
        ", ".join(f"{x:.2f}" for x in loops(rows, keys)),
        f"{100 * mean(rows, 'drift'):.1f} %",
        f"{100 * colour:.0f} %",
        f"{100 * both:.0f} %",
        f"{100 * each.min():.0f} %",
        f"{100 * overlap(rows) / overlap(natives):.0f} %",
        f"{mean(rows, 'differences') / mean(natives, 'differences'):.2f}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def keys_of(name, args):
    return {**DEFAULT, **SETTINGS[name], "video.frames": args.frames}


def use_threads(n):
    pixel_checker.torch.set_num_threads(n)


def render_ahead(chosen, args):
    """Several videos at a time, so that the table only has to read them."""
    work = [
        ("native", native_keys(DEFAULT), s, seed, args) for s in chosen for seed in args.native_seeds
    ]
    work += [(n, keys_of(n, args), s, x, args) for n in args.only for s in chosen for x in args.seeds]
    with multiprocessing.get_context("spawn").Pool(args.jobs, use_threads, (1,)) as pool:
        pool.starmap(result, work, chunksize=1)


def table(args):
    chosen = [scenes(n + 1)[n] for n in args.numbers or range(args.prompts)]
    if args.jobs > 1:
        render_ahead(chosen, args)
    natives = [
        result("native", native_keys(DEFAULT), s, seed, args)
        for s in chosen
        for seed in args.native_seeds
    ]
    colour, both = hits(natives, 0)[0], hits(natives, 2)[0]
    pulse = split(natives, range(1, NATIVE, PER_LATENT))
    print(
        f"native clips ({len(natives)}): colour {100 * colour:.0f} %, both {100 * both:.0f} %, "
        f"mean frame difference {mean(natives, 'differences'):.2f}, at latent frames' borders / "
        f"elsewhere {pulse[0].mean() / pulse[1].mean():.3f}\n\n{HEAD}"
    )
    for name in args.only:
        keys = keys_of(name, args)
        rows = [result(name, keys, s, seed, args) for s in chosen for seed in args.seeds]
        print(line(name, keys, rows, natives), flush=True)
        if args.verbose:
            print("   ", hits(rows, 2)[1].round(2).tolist())


def sheet(args):
    """One video a row, one picture a second, of the default setting."""
    from PIL import Image, ImageDraw

    rows, height = [], 14
    for number in args.rows:
        scene = scenes(number + 1)[number]
        keys = {**DEFAULT, "video.frames": args.frames}
        file = place_of("default", scene, args.seeds[0], args)
        text = result("default", keys, scene, args.seeds[0], args)["prompt"]
        strip = Image.fromarray(np.concatenate(list(np.load(file.with_suffix(".npz"))["seconds"]), 1))
        page = Image.new("RGB", (strip.width, strip.height + height), "white")
        page.paste(strip, (0, height))
        ImageDraw.Draw(page).text((2, 1), text, fill="black")
        rows.append(np.asarray(page))
    picture = Image.fromarray(np.concatenate(rows, 0)).quantize(256, dither=Image.Dither.NONE)
    picture.save(args.sheet, optimize=True)
    print(f"{args.sheet}: {args.sheet.stat().st_size / 1000:.0f} KB")


def numbers(text):
    return [int(x) for x in text.split(",")]


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--quick", action="store_true", help="two prompts")
    p.add_argument("--prompts", type=int, default=8)
    p.add_argument("--numbers", type=numbers, help="of scenes, in place of the first ones")
    p.add_argument("--frames", type=int, default=161)
    p.add_argument("--seeds", type=numbers, default=[1])
    p.add_argument("--native-seeds", type=numbers, default=[1, 2, 3, 4])
    p.add_argument("--only", type=lambda s: s.split(":"), default=list(SETTINGS), help="A:B:...")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--jobs", type=int, default=1, help="videos at a time, a process each")
    p.add_argument("--haloreel", default=ROOT / "build/haloreel")
    p.add_argument("--results", type=pathlib.Path, default=ROOT / "runs/longvideo")
    p.add_argument("--scratch", help="folder for the videos while they are measured")
    p.add_argument("--sheet", type=pathlib.Path, help="draw a contact sheet instead")
    p.add_argument("--rows", type=numbers, default=[13, 6, 23], help="of which scenes, by number")
    p.add_argument("--verbose", action="store_true", help="second by second too")
    args = p.parse_args()
    args.prompts = 2 if args.quick else args.prompts
    use_threads(args.threads)
    return sheet(args) if args.sheet else table(args)


if __name__ == "__main__":
    sys.exit(main())
