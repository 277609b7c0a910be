"""Which coloured character is in a video of the demo model's world, told from its pixels alone.

The checker knows the place, the style and the motion of a scene, not who is asked for: every pixel
is given to one of the seven colours (in any shade that the renderer draws), to a material that all
characters share (ink, steel, glass, ...) or to the background of that place at that height; then
the pixels of each colour are laid over the silhouettes of all characters in all poses. The best
overlap (intersection over union) of the 7 x 6 names the character; below a least overlap there is
none.

    pixel_checker.py            how often it is right on rendered clips of held-out scenes, and what
                                it says when colours are swapped or characters taken away half-way
"""

import argparse
import dataclasses
import functools
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "demo/train"))

import characters  # noqa: E402
import places  # noqa: E402
import world  # noqa: E402

COLOURS, SUBJECTS = tuple(characters.COLOURS), world.SUBJECTS
SOFTNESS = 12.0  # RGB distance over which a pixel's share of a colour falls to 1/e
STRANGE = 70.0  # a pixel further than this from all that is known belongs to nobody
LEAST = 0.20  # overlap below which nobody is there; places without anybody reach 0.17
SLACK = 3  # pixels that a character may stand beside its place
LEVELS = 32  # steps a colour channel is rounded to for look-ups
BAND = 4  # rows that share a background palette


def shades(rgb, style):
    """The colours that a surface of this colour has in pictures of a style."""
    rgb = np.asarray(rgb, np.float32)
    if style == "animated":
        return [rgb * k for k in (0.62, 0.68, 0.76, 0.84, 0.92, 1.0)]
    out = []
    for k in np.linspace(-0.9, 1.0, 9):
        gloss = np.clip(k - 0.35, 0, 1) * 110
        for tone in (0.68, 1.0):
            out.append(np.clip(tone * rgb * np.clip(0.8 + 0.42 * k, 0.35, 1.15) + gloss, 0, 255))
    return out


def nearest(grid, known):
    return torch.cdist(grid, torch.as_tensor(np.stack(known), dtype=torch.float32)).amin(1)


def backdrop(place, style):
    """Rows (80, n, 3) of what may be seen behind the characters at each height."""
    sky, far, near = places.layers(place, style, 1, 128)
    pictures = []
    for shift in range(0, places.PANORAMA, 4):
        picture = sky.copy()
        world.draw_layer(picture, far, shift)
        world.draw_layer(picture, near, (3 * shift + 5) % places.PANORAMA)
        pictures.append(picture)
    return np.concatenate(pictures, 1)


@functools.lru_cache(maxsize=None)
def shares(place, style):
    """Share of each colour (bands, LEVELS^3, 7) in a pixel of that value at that height."""
    axis = (torch.arange(LEVELS) + 0.5) * (256 / LEVELS)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).view(-1, 3)
    colour = [nearest(grid, shades(rgb, style)) for rgb in characters.COLOURS.values()]
    other = [
        nearest(grid, shades(rgb, style))
        for name, rgb in characters.MATERIALS.items()
        if name not in ("paper",)
    ]
    rest = torch.stack(other + [torch.full((len(grid),), STRANGE)], 1)
    behind, out = backdrop(place, style), []
    for top in range(0, behind.shape[0], BAND):
        rows = behind[max(0, top - 2) : top + BAND + 2].reshape(-1, 3)
        palette = np.unique(rows // 6, axis=0) * 6.0 + 2.5
        d = torch.cat([torch.stack(colour, 1), rest, nearest(grid, palette)[:, None]], 1)
        out.append(torch.softmax(-d / SOFTNESS, 1)[:, : len(COLOURS)])
    return torch.stack(out)


def colour_maps(frames, place, style):
    """(T, 7, H, W) shares of uint8 frames (T, H, W, 3)."""
    table = shares(place, style)
    step = 256 // LEVELS
    r, g, b = (torch.from_numpy((frames[..., k] // step).astype(np.int64)) for k in range(3))
    index = (r * LEVELS + g) * LEVELS + b
    band = (torch.arange(frames.shape[1]) // BAND)[None, :, None].expand_as(index)
    return table[band, index].permute(0, 3, 1, 2).contiguous()


def poses(subject, motion):
    """(gait, angle, roll) steps that the silhouette of this character can have."""
    gaits = range(0, characters.GAIT, 2 if subject == "bird" else 1)
    if subject not in ("cat", "robot", "bird") or motion in ("jump", "spin", "still"):
        gaits = gaits if subject == "bird" else (2,)
    angles = range(0, characters.TURN, 2) if motion == "spin" else (0,)
    rolls = (0,)
    if motion in ("right", "left"):
        rolls = range(0, 16, 2) if subject == "ball" else range(7) if subject == "star" else (0,)
    if subject == "ball" and motion == "spin":
        angles = range(0, 16, 2)  # looks the same after half a turn
    return [(g, a, r) for g in gaits for a in angles for r in rolls]


@functools.lru_cache(maxsize=None)
def masks(motion):
    """Where the colour of each character shows, pose by pose: (n, BOX, BOX) floats, (n,) subjects."""
    out, whose = [], []
    for k, subject in enumerate(SUBJECTS):
        for pose in poses(subject, motion):
            a, b = (
                characters.sprite(subject, c, "animated", *pose, motion == "left", 1).astype(int)
                for c in ("white", "red")
            )
            out.append((np.abs(a - b)[..., 2] > 70).astype(np.float32))
            whose.append(k)
    return torch.from_numpy(np.stack(out)), torch.tensor(whose)


def overlaps(maps, motion, centre):
    """(T, 7, 6): best overlap of each colour's pixels with each character's silhouettes."""
    kernels, whose = masks(motion)
    n = characters.BOX
    left = int(round(centre - n / 2)) - SLACK
    top = int(round(world.FEET - characters.REACH - n / 2)) - 26
    window = F.pad(maps, (n, n, n, n))[
        :, :, n + top : n + top + n + 28, n + left : n + left + n + 2 * SLACK
    ]
    t, c, h, w = window.shape
    flat = window.reshape(t * c, 1, h, w)
    inside = F.conv2d(flat, kernels[:, None])
    whole = F.avg_pool2d(flat, n, 1) * n * n
    union = kernels.sum((1, 2)).view(1, -1, 1, 1) + whole - inside
    best = (inside / union).amax((2, 3)).view(t, c, -1)
    return torch.stack([best[:, :, whose == k].amax(2) for k in range(len(SUBJECTS))], 2)


def centres(scene, width=128):
    return (width / 2 - 25, width / 2 + 25) if len(scene.characters) > 1 else (width / 2,)


def overlaps_of(frames, scene, every=1):
    """Mean overlaps (7, 6) of every n-th frame, for each place where a character should stand."""
    maps = colour_maps(np.ascontiguousarray(frames[::every]), scene.background, scene.style)
    return [overlaps(maps, scene.motion, centre).mean(0) for centre in centres(scene)]


def named(overlap):
    """(colour, subject) of the best overlap, or (None, None)."""
    colour, subject = divmod(int(overlap.argmax()), len(SUBJECTS))
    return (COLOURS[colour], SUBJECTS[subject]) if overlap.max() >= LEAST else (None, None)


def seen(frames, scene, every=1):
    """[(colour, subject) or (None, None)] of a clip, a name for each place."""
    return [named(o) for o in overlaps_of(frames, scene, every)]


def agrees(found, characters_):
    """Whether (all colours, all subjects, all of both) are as asked."""
    colour = all(f[0] == c for f, (c, _) in zip(found, characters_))
    subject = all(f[1] == s for f, (_, s) in zip(found, characters_))
    return colour, subject, colour and subject


def recoloured(scene, rng):
    """The scene with another colour for each character."""
    cast = [
        (COLOURS[(COLOURS.index(c) + rng.integers(1, len(COLOURS))) % len(COLOURS)], s)
        for c, s in scene.characters
    ]
    return dataclasses.replace(scene, characters=tuple(cast))


def check(clips, every):
    """Shares of clips that are named right: as they are, after a swap of colours, and empty."""
    rng, rows = np.random.default_rng(77), {"as rendered": [], "swapped": [], "taken away": []}
    for k in range(clips):
        scene = world.random_scene(rng, 0.2, held=True)
        other = recoloured(scene, rng)
        nobody = dataclasses.replace(scene, characters=())
        films = [world.render(s, np.random.default_rng(k), frames=33) for s in (scene, other, nobody)]
        first, second = films[0][:17], films[1][17:]
        before, after = seen(first, scene, every), seen(second, scene, every)
        rows["as rendered"].append(agrees(before, scene.characters))
        rows["swapped"].append(agrees(after, other.characters))
        rows["taken away"].append([f == (None, None) for f in seen(films[2], scene, every)][:1] * 3)
        for found, asked in ((before, scene), (after, other)):
            if not agrees(found, asked.characters)[2]:
                print(f"  wrong: {asked.key()}: {found}", flush=True)
    return {name: np.mean(r, 0) for name, r in rows.items()}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--clips", type=int, default=120)
    p.add_argument("--every", type=int, default=4, help="look at every n-th frame")
    args = p.parse_args()
    torch.set_num_threads(1)
    rates = check(args.clips, args.every)
    print("\n| rendered clips, half-seconds | colour | subject | both |\n|---|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | " + " | ".join(f"{100 * r:.1f} %" for r in rate) + " |")


if __name__ == "__main__":
    main()
