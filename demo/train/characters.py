"""The six characters: their parts, and a picture of one of them in one pose."""

import functools
import itertools

import numpy as np

from shapes import INK, box, circle, ellipse, limb, over, polygon

COLOURS = {
    "red": (215, 38, 38),
    "orange": (245, 130, 20),
    "yellow": (245, 215, 50),
    "green": (45, 170, 70),
    "blue": (45, 90, 225),
    "purple": (150, 60, 200),
    "white": (240, 240, 240),
}
MATERIALS = {
    "ink": (20, 20, 25),
    "paper": (250, 250, 250),
    "pink": (240, 130, 150),
    "steel": (150, 155, 165),
    "lamp": (255, 225, 90),
    "beak": (250, 165, 30),
    "glass": (170, 215, 240),
    "tyre": (45, 45, 50),
}
BOX = 44  # side of the square a character is drawn in, units
REACH = 14.0  # from a character's centre to its feet
GAIT, TURN = 8, 32  # periods of steps and of turns, in frames


class Parts:
    """The parts of a character that faces right, from back to front."""

    def __init__(self, u, v):
        self.u, self.v, self.list = u, v, []

    def add(self, d, material, x, y, r, outline=True):
        """A shape by its distances d; light falls on it as on a ball around (x, y) of radius r."""
        self.list.append((d, material, x, y, r, outline))

    def eye(self, x, y, r=1.3):
        self.add(circle(self.u, self.v, x, y, r + 0.9), "paper", x, y, 3, False)
        self.add(circle(self.u, self.v, x + 0.5, y, r), "ink", x, y, 3, False)


def cat(p, swing, flap, roll):
    u, v = p.u, p.v
    p.add(limb(u, v, -11, 2, -16 - 1.5 * flap, -8 + 2 * flap, 1.6), "main", -14, -4, 8)
    for x, k in ((-8, -1), (7, -1)):
        p.add(limb(u, v, x, 6, x + 4 * k * swing, 12.4, 1.9), "dark", x, 9, 6)
    p.add(ellipse(u, v, -1, 3, 12, 6.5), "main", -1, 3, 10)
    for x, k in ((-6, 1), (5, 1)):
        p.add(limb(u, v, x, 6, x + 4 * k * swing, 12.4, 1.9), "main", x, 9, 6)
    p.add(polygon(u, v, [(5, -7), (5.5, -14.5), (10.5, -10)]), "main", 7, -10, 5)
    p.add(polygon(u, v, [(17, -7), (16.5, -14.5), (11.5, -10)]), "main", 15, -10, 5)
    p.add(circle(u, v, 11, -4, 7), "main", 11, -4, 8)
    p.eye(9, -5), p.eye(14, -5)
    p.add(ellipse(u, v, 12.2, -1.2, 1.4, 1), "pink", 12, -1, 2, False)


def robot(p, swing, flap, roll):
    u, v = p.u, p.v
    for x, k in ((-4, 1), (4, -1)):
        p.add(limb(u, v, x, 6, x + 3.5 * k * swing, 12, 2), "steel", x, 9, 6)
    p.add(limb(u, v, 0, -15, 0, -19, 0.7), "steel", 0, -17, 3)
    p.add(circle(u, v, 0, -19, 1.7), "lamp", 0, -19, 2)
    p.add(box(u, v, 0, 2, 8, 6.5, 1.5), "main", 0, 2, 9)
    p.add(box(u, v, 0, -10, 6.5, 5.5, 1.5), "main", 0, -10, 8)
    p.add(box(u, v, 0, 2, 4, 3, 0.5), "steel", 0, 2, 5)
    for x, k in ((-10, -1), (10, 1)):
        p.add(limb(u, v, x, -2, x + 3 * k * swing * np.sign(x), 6, 1.8), "dark", x, 2, 6)
    p.eye(-2.5, -11), p.eye(3, -11)
    p.add(box(u, v, 0.3, -6.8, 3, 0.7), "ink", 0, -7, 2, False)


def bird(p, swing, flap, roll):
    u, v = p.u, p.v
    p.add(polygon(u, v, [(-8, 1), (-17, -3), (-16, 5)]), "dark", -13, 1, 7)
    p.add(ellipse(u, v, 0, 1, 11, 7.5), "main", 0, 1, 10)
    p.add(polygon(u, v, [(14, -6), (21, -3), (14, -1)]), "beak", 16, -3, 4)
    p.add(circle(u, v, 10, -4, 6), "main", 10, -4, 7)
    p.add(polygon(u, v, [(-6, 0), (4, 0), (-5, -3 - 12 * flap)]), "dark", -2, -6 * flap, 9)
    p.eye(11.5, -5.5)


def car(p, swing, flap, roll):
    u, v = p.u, p.v
    p.add(polygon(u, v, [(-12, 0), (-8, -10), (6, -10), (12, 0)]), "main", 0, -5, 11)
    p.add(polygon(u, v, [(-9.3, -1), (-6.6, -8.2), (-1.3, -8.2), (-1.3, -1)]), "glass", -5, -5, 6)
    p.add(polygon(u, v, [(1, -1), (1, -8.2), (5, -8.2), (9.2, -1)]), "glass", 4, -5, 6)
    p.add(box(u, v, 0, 4, 18, 5.5, 3), "main", 0, 4, 14)
    p.add(circle(u, v, 16, 3, 1.6), "lamp", 16, 3, 2)
    for x in (-10, 10):
        p.add(circle(u, v, x, 9, 5), "tyre", x, 9, 5)
        p.add(circle(u, v, x, 9, 2.5), "steel", x, 9, 3, False)
        c, s = np.cos(roll), np.sin(roll)
        p.add(limb(u, v, x - 4 * c, 9 - 4 * s, x + 4 * c, 9 + 4 * s, 0.8), "steel", x, 9, 5, False)


def ball(p, swing, flap, roll):
    u, v = p.u, p.v
    d = circle(u, v, 0, 0, REACH)
    c, s = np.cos(roll), np.sin(roll)
    a, b = u * c + v * s, -u * s + v * c
    p.add(d, "main", 0, 0, REACH)
    p.add(np.maximum(d + 0.3, np.abs(b) - 3.2), "paper", 0, 0, REACH, False)
    p.add(np.maximum(d + 0.3, np.hypot(a, b) - 5), "dark", 0, 0, REACH, False)


def star(p, swing, flap, roll):
    u, v = p.u, p.v
    points = [
        (r * np.sin(k * np.pi / 5 + roll), -r * np.cos(k * np.pi / 5 + roll))
        for k, r in zip(range(10), itertools.cycle((17.0, 8.0)))
    ]
    p.add(polygon(u, v, points) - 0.8, "main", 0, 0, 14)
    p.eye(-3, -2, 1.5), p.eye(4, -2, 1.5)
    p.add(np.maximum(circle(u, v, 0.5, 2, 4), 3 - v), "ink", 0, 4, 3, False)


SUBJECTS = {"cat": cat, "robot": robot, "bird": bird, "car": car, "ball": ball, "star": star}


def drawn_colour(rgb, style, u, v, x, y, r, light):
    """Flat for drawings; lit from the upper left for photographs."""
    rgb = np.asarray(rgb, np.float32)
    if style == "animated":
        return rgb
    k = ((u - x) * light[0] + (v - y) * light[1]) / r
    shade = np.clip(0.80 + 0.42 * k, 0.35, 1.15)[..., None]
    gloss = np.clip(k - 0.35, 0, 1)[..., None] * 110
    return np.clip(rgb * shade + gloss, 0, 255)


@functools.lru_cache(maxsize=None)
def sprite(subject, colour, style, step, angle_step, roll_step, facing_left, scale):
    """Premultiplied RGBA picture of one character in one pose; uint8."""
    n = BOX * scale
    axis = (np.arange(n) + 0.5) / scale - BOX / 2
    x, y = np.meshgrid(axis, axis)
    x, y = x.astype(np.float32), y.astype(np.float32)
    if facing_left:
        x = -x
    t = 2 * np.pi * angle_step / TURN
    c, s = np.cos(t), np.sin(t)
    u, v = x * c + y * s, -x * s + y * c
    sx = 1 if facing_left else -1
    lx, ly = 0.45 * sx, -0.75
    light = (lx * c + ly * s, -lx * s + ly * c)
    phase = 2 * np.pi * step / GAIT
    roll = 2 * np.pi * roll_step / TURN
    parts = Parts(u, v)
    SUBJECTS[subject](parts, np.sin(phase), np.sin(phase), roll)
    main = np.array(COLOURS[colour], np.float32)
    materials = {**MATERIALS, "main": main, "dark": main * 0.68}
    canvas = np.zeros((n, n, 4), np.float32)
    edge = 1.0 if style == "animated" else 0.0
    for d, material, px, py, r, outline in parts.list:
        if edge and outline:
            over(canvas, np.clip(0.5 - (d - edge) * scale, 0, 1), INK)
        rgb = drawn_colour(materials[material], style, u, v, px, py, r, light)
        over(canvas, np.clip(0.5 - d * scale, 0, 1), rgb)
    return canvas.clip(0, 255).astype(np.uint8)
