"""A small procedural world, rendered as short video clips with numpy.

A clip is described by a Scene: one or two characters, one motion, one background, one style.
Everything is stationary in time: a clip has no beginning and no end, so that windows that overlap
can be chained for ever. The camera follows the characters; walking shows as a scrolling background.

Units: the picture is 80 units high, whatever its size in pixels; y points down.
"""

import dataclasses

import numpy as np

import characters
import places
from characters import BOX, COLOURS, GAIT, REACH, TURN, sprite

SUBJECTS = tuple(characters.SUBJECTS)
BACKGROUNDS = tuple(places.BACKGROUNDS)
MOTIONS = ("right", "left", "jump", "spin", "still")
STYLES = ("animated", "photorealistic")

FPS = 16
FRAMES = 21
NEAR_SPEED, FAR_SPEED = 2.0, 0.5  # units per frame while the characters walk
HOP = 16  # period of jumps, in frames
FEET = 66.0  # height of the ground line under the characters


@dataclasses.dataclass(frozen=True)
class Scene:
    characters: tuple  # ((colour, subject),) or two of them, from left to right
    motion: str
    background: str
    style: str

    def key(self):
        who = "+".join(f"{c}-{s}" for c, s in self.characters)
        return f"{who}/{self.motion}/{self.background}/{self.style}"


def shadow(style, width_units, strength, scale):
    """Factors (h, w, 1) of a shadow on the ground: soft on photographs, flat in drawings."""
    w, h = int(width_units * 2 * scale), int(7 * scale)
    x = (np.arange(w) + 0.5) / w * 2 - 1
    y = (np.arange(h) + 0.5) / h * 2 - 1
    r2 = x[None] ** 2 + y[:, None] ** 2
    a = np.exp(-r2 * 3.5) * 0.62 if style == "photorealistic" else (r2 < 0.45) * 0.34
    return 1 - strength * a[..., None].astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Actor:
    """A character of a clip: where it stands, and where it is in its movements at frame 0."""

    colour: str
    subject: str
    x: float
    gait: int
    hop: int
    turn: int

    def pose(self, motion, t):
        """(lift above the ground, gait step, angle step, roll step) at frame t."""
        bird = self.subject == "bird"
        step, hop, turn = (t + self.gait) % GAIT, (t + self.hop) % HOP, (t + self.turn) % TURN
        wave = 2 * np.pi * hop / HOP
        lift = 9.0 + 1.5 * np.sin(wave) if bird else 0.0
        gait, angle, roll = step if bird else 2, 0, 0
        if motion in ("right", "left"):
            gait, roll = step, turn
            if self.subject == "car":
                roll = (3 * t + self.turn) % TURN
            elif self.subject == "star":
                lift += 2.0 * abs(np.sin(wave))
        elif motion == "jump":
            lift += 15 * 4 * (hop / HOP) * (1 - hop / HOP)
        else:
            gait = step if bird else 0
            if motion == "spin":
                angle = turn
                lift += 3
            else:
                lift += 0.8 + 0.8 * np.sin(wave)
        return lift, gait, angle, roll


def cast_of(scene, rng, width):
    """The actors of a scene, side by side on a picture of so many units."""
    pair = len(scene.characters) > 1
    centres = (width / 2 - 25, width / 2 + 25) if pair else (width / 2,)
    return [
        Actor(
            colour,
            subject,
            cx + rng.integers(-4, 5) / 2,
            *(int(rng.integers(n)) for n in (GAIT, HOP, TURN)),
        )
        for (colour, subject), cx in zip(scene.characters, centres)
    ]


def draw_layer(picture, layer, offset):
    """Draws a panorama of places.layers from column `offset` on."""
    rgb, gap, top, bottom, solid = layer
    columns = slice(offset, offset + picture.shape[1])
    a, b = slice(top, solid), slice(solid, bottom)
    if solid > top:
        picture[a] = rgb[a, columns] + picture[a] * gap[a, columns] // 255
    if bottom > solid:
        picture[b] = rgb[b, columns]


def draw_actor(picture, actor, scene, t, scale):
    lift, gait, angle, roll = actor.pose(scene.motion, t)
    soft = shadow(scene.style, 17, 1 - min(lift, 20) / 30, scale)
    h, w = soft.shape[:2]
    x0, y0 = int(round(actor.x * scale)) - w // 2, int(FEET * scale) - h // 2 + scale
    paste(picture, soft, x0, y0, multiply=True)
    left = scene.motion == "left"
    image = sprite(actor.subject, actor.colour, scene.style, gait, angle, roll, left, scale)
    x0 = int(round((actor.x - BOX / 2) * scale))
    y0 = int(round((FEET - REACH - lift - BOX / 2) * scale))
    paste(picture, image, x0, y0)


def paste(picture, patch, x0, y0, multiply=False):
    """Lays a premultiplied RGBA patch over the picture, or multiplies it with a (h, w, 1) one."""
    H, W = picture.shape[:2]
    h, w = patch.shape[:2]
    a, b, c, d = max(0, -y0), min(h, H - y0), max(0, -x0), min(w, W - x0)
    if a >= b or c >= d:
        return
    view = picture[y0 + a : y0 + b, x0 + c : x0 + d]
    p = patch[a:b, c:d]
    if multiply:
        view[:] = (view * p).astype(np.uint16)
    else:
        view[:] = p[..., :3] + view * (255 - p[..., 3:].astype(np.uint16)) // 255


def shrink(picture, n):
    """Means of n x n pixels, rounded."""
    h, w = picture.shape[0] // n, picture.shape[1] // n
    q = picture.reshape(h, n, w, n, 3)
    return (q.sum((1, 3), dtype=np.uint16) + n**2 // 2) // n**2


def render(scene, rng, width=128, height=80, frames=FRAMES, supersample=2):
    """uint8 clip (frames, height, width, 3)."""
    scale = supersample * height // 80
    wide = width * 80 // height  # width in units
    sky, far, near = places.layers(scene.background, scene.style, scale, wide)
    way = {"right": 1, "left": -1}.get(scene.motion, 0)
    ring = places.PANORAMA * scale
    starts = rng.integers(0, ring, 2)
    cast = cast_of(scene, rng, wide)
    out = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        picture = sky.copy()
        for layer, start, speed in zip((far, near), starts, (FAR_SPEED, NEAR_SPEED)):
            draw_layer(picture, layer, int(start + way * speed * t * scale) % ring)
        for actor in cast:
            draw_actor(picture, actor, scene, t, scale)
        out[t] = shrink(picture, supersample)
    return out


def held_out(scene):
    """One in sixteen scenes is never trained on; the choice is a fixed hash of its name."""
    h = 2166136261
    for ch in scene.key().encode():
        h = ((h ^ ch) * 16777619) & 0xFFFFFFFF
    return (h >> 7) % 16 == 0


def random_scene(rng, pair_share=0.2, held=False):
    """A scene from the training combinations (held=False) or from the held-out ones (held=True)."""
    colours = tuple(COLOURS)
    while True:
        n = 2 if rng.random() < pair_share else 1
        cast = tuple(
            (colours[rng.integers(len(colours))], SUBJECTS[rng.integers(len(SUBJECTS))])
            for _ in range(n)
        )
        if n == 2 and cast[0] == cast[1]:
            continue
        scene = Scene(
            cast,
            MOTIONS[rng.integers(len(MOTIONS))],
            BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
            STYLES[rng.integers(len(STYLES))],
        )
        if held_out(scene) == held:
            return scene
