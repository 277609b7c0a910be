"""The six places: sky, a far layer and a near layer each; the layers scroll and repeat."""

import functools

import numpy as np

from shapes import INK, box, circle, ellipse, limb, over, polygon

PANORAMA = 128  # the scrolling layers repeat after this many units


def waves(x, *terms):
    """Sum of sines that repeat after PANORAMA units: (amplitude, cycles, phase)."""
    return sum(a * np.sin(2 * np.pi * n * x / PANORAMA + p) for a, n, p in terms)


def wrap(x, centre):
    """Distance from x to centre on the panorama ring."""
    return (x - centre + PANORAMA / 2) % PANORAMA - PANORAMA / 2


class Painter:
    """Draws one layer of a panorama in a style."""

    def __init__(self, style, scale, width, height=80):
        ax = (np.arange(int(width * scale)) + 0.5) / scale
        ay = (np.arange(int(height * scale)) + 0.5) / scale
        self.x, self.y = (a.astype(np.float32) for a in np.meshgrid(ax, ay))
        self.style, self.scale = style, scale
        self.real = style == "photorealistic"
        self.canvas = np.zeros(self.x.shape + (4,), np.float32)

    def fill(self, d, rgb, edge=0.7, shade=None):
        """Fill where d < 0.  shade: brightness factor used in the photorealistic style."""
        colour = np.asarray(rgb, np.float32)
        if self.real and shade is not None:
            colour = np.clip(colour * np.asarray(shade)[..., None], 0, 255)
        if not self.real and edge:
            over(self.canvas, np.clip(0.5 - (d - edge) * self.scale, 0, 1), INK)
        over(self.canvas, np.clip(0.5 - d * self.scale, 0, 1), colour)

    def gradient(self, stops):
        """Vertical colour ramp [(y, rgb), ...]; three flat bands in the animated style."""
        y = self.y
        if not self.real:
            lo, hi = stops[0][0], stops[-1][0]
            y = lo + (np.floor((y - lo) / (hi - lo) * 3).clip(0, 2) + 0.5) / 3 * (hi - lo)
        for k in range(3):
            self.canvas[..., k] = np.interp(y, [s[0] for s in stops], [s[1][k] for s in stops])
        self.canvas[..., 3] = 255

    def image(self):
        return self.canvas.clip(0, 255).astype(np.uint8)


def meadow_sky(p, x, y):
    p.gradient([(0, (105, 175, 240)), (50, (200, 228, 248))])
    for cx, cy in ((26, 12), (98, 20)):
        d = np.minimum(ellipse(x, y, cx, cy, 13, 4), ellipse(x, y, cx - 2, cy - 3, 7, 4.5))
        p.fill(d, (250, 250, 252), 0.6, 0.9 - (y - cy) * 0.03 + 0.1)


def meadow_far(p, x, y):
    top = 40 + waves(x, (4, 1, 0.3), (3, 2, 2.0))
    p.fill(top - y, (120, 185, 95), 0.7, 1.15 - 0.02 * (y - top))


def meadow_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(49 + waves(x, (1, 2, 0)) - y, (85, 160, 60), 0.7, 1.15 - 0.35 * depth)
    for cx in (20, 84):
        p.fill(limb(wrap(x, cx), y, 0, 52, 0, 40, 1.6), (115, 78, 45), 0.7, 1 - 0.15 * wrap(x, cx))
        for dx, dy in ((-4, 36), (4, 36), (0, 31)):
            u = wrap(x, cx + dx)
            p.fill(circle(u, y, 0, dy, 6.5), (45, 130, 55), 0.7, 1.0 - 0.05 * (u + y - dy))
    for k, cx in enumerate((4, 36, 52, 70, 104, 118)):
        cy = (58, 73, 60, 75, 62, 72)[k]
        p.fill(circle(wrap(x, cx), y, 0, cy, 1.7), ((250, 240, 245), (245, 130, 170))[k % 2], 0.5)


def beach_sky(p, x, y):
    p.gradient([(0, (70, 160, 235)), (34, (205, 235, 250))])
    p.fill(circle(x, y, 104, 14, 8), (255, 235, 120), 0.7, 1.1)


def beach_far(p, x, y):
    p.fill(34 - y, (35, 140, 190), 0.7, 0.75 + 0.025 * (y - 30))
    for cx, cy in ((20, 38), (62, 42), (100, 39)):
        p.fill(ellipse(wrap(x, cx), y, 0, cy, 10, 0.8), (215, 240, 250), 0)
    u = wrap(x, 84)
    p.fill(polygon(u, y, [(0, 33), (0, 22), (9, 33)]), (245, 245, 245), 0.7, 1.0 - 0.02 * u)
    p.fill(
        polygon(u, y, [(-6, 34), (11, 34), (8, 38), (-3, 38)]),
        (170, 60, 50),
        0.7,
        1.1 - 0.03 * (y - 34),
    )


def beach_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(48 + waves(x, (0.8, 2, 1)) - y, (238, 214, 150), 0.7, 1.05 - 0.22 * depth)
    u = wrap(x, 28)
    p.fill(limb(u, y, 0, 54, 4, 26, 1.5), (140, 95, 55), 0.7, 1 - 0.1 * u)
    for ex, ey in ((-9, 24), (-5, 33), (16, 22), (14, 32), (4, 16)):
        p.fill(limb(u, y, 4, 26, ex, ey, 1.8), (50, 145, 65), 0.7, 1.1 - 0.03 * (y - 22))
    for k, cx in enumerate((8, 58, 76, 94, 116)):
        cy = (72, 60, 74, 57, 66)[k]
        p.fill(
            ellipse(wrap(x, cx), y, 0, cy, 2.4, 1.5), ((250, 245, 235), (235, 150, 120))[k % 2], 0.5
        )


def desert_sky(p, x, y):
    p.gradient([(0, (240, 190, 110)), (50, (252, 228, 180))])
    p.fill(circle(x, y, 28, 16, 9), (255, 250, 215), 0.7)


def desert_far(p, x, y):
    top = 41 + waves(x, (5, 1, 1.0), (2, 3, 0.5))
    p.fill(top - y, (222, 160, 90), 0.7, 1.15 - 0.035 * (y - top))


def desert_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(49 + waves(x, (1.2, 1, 0)) - y, (226, 176, 104), 0.7, 1.08 - 0.3 * depth)
    for cx, h in ((18, 26), (82, 20)):
        u = wrap(x, cx)
        arms = np.minimum(
            limb(u, y, -6, 50 - h * 0.6, -6, 50 - h * 0.35, 1.6),
            limb(u, y, -6, 50 - h * 0.35, 0, 50 - h * 0.35, 1.6),
        )
        arms = np.minimum(
            arms,
            np.minimum(
                limb(u, y, 6, 50 - h * 0.75, 6, 50 - h * 0.5, 1.6),
                limb(u, y, 6, 50 - h * 0.5, 0, 50 - h * 0.5, 1.6),
            ),
        )
        p.fill(
            np.minimum(arms, limb(u, y, 0, 53, 0, 52 - h, 2.4)), (70, 135, 70), 0.7, 1.0 - 0.07 * u
        )
    for k, cx in enumerate((2, 50, 66, 106, 120)):
        cy = (62, 72, 58, 74, 60)[k]
        p.fill(ellipse(wrap(x, cx), y, 0, cy, 3, 1.6), (165, 115, 70), 0.6, 1.1 - 0.12 * (y - cy))


def mountains_sky(p, x, y):
    p.gradient([(0, (150, 180, 210)), (50, (226, 234, 242))])


def mountains_far(p, x, y):
    for cx, peak, half in ((14, 16, 34), (56, 8, 38), (100, 14, 36)):
        u = wrap(x, cx)
        slope = (50 - peak) / half
        d = (np.abs(u) * slope + peak - y) / np.hypot(1, slope)
        side = np.where(u < 0, 1.1, 0.75)
        p.fill(d, (125, 135, 160), 0.7, side)
        snow = np.maximum(d, y - peak - 11 - 2.5 * np.cos(u * 0.9))
        p.fill(snow, (248, 250, 255), 0, np.where(u < 0, 1.0, 0.84))


def mountains_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(49 + waves(x, (1.2, 2, 0.5)) - y, (236, 242, 250), 0.7, 1.0 - 0.16 * depth)
    for cx in (16, 40, 88):
        u = wrap(x, cx)
        p.fill(box(u, y, 0, 51, 1.2, 3), (95, 65, 45), 0.6)
        for top, half in ((38, 7.5), (33, 6), (28, 4.5)):
            d = polygon(u, y, [(0, top - 4), (half, top + 9), (-half, top + 9)])
            p.fill(d, (40, 100, 75), 0.6, 1.0 - 0.06 * u)
    for k, cx in enumerate((4, 60, 74, 108, 122)):
        cy = (70, 60, 74, 58, 68)[k]
        p.fill(ellipse(wrap(x, cx), y, 0, cy, 4, 1.2), (190, 205, 225), 0)


def city_sky(p, x, y):
    p.gradient([(0, (10, 12, 40)), (50, (50, 45, 95))])
    p.fill(circle(x, y, 102, 13, 7), (245, 240, 205), 0, 1.05 - 0.02 * (y - 13))


def city_far(p, x, y):
    for k, (cx, top, half) in enumerate(
        ((8, 22, 9), (29, 12, 8), (50, 26, 10), (72, 16, 9), (93, 24, 9), (113, 10, 8))
    ):
        u = wrap(x, cx)
        d = np.maximum(np.abs(u) - half, top - y)
        p.fill(d, ((52, 54, 90), (70, 58, 100))[k % 2], 0.7, 1.05 - 0.04 * u)
        window = np.maximum(np.abs((u + 3) % 6 - 3) - 1.6, np.abs((y - top) % 8 - 4.5) - 2.2)
        p.fill(
            np.maximum(np.maximum(window, np.abs(u) - half + 1), top + 1 - y), (250, 215, 110), 0
        )


def city_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(50 - y, (72, 72, 84), 0.7, 1.2 - 0.4 * depth)
    p.fill(np.abs(y - 51.5) - 1.2, (125, 125, 135), 0)
    for cx in (16, 48, 80, 112):
        p.fill(box(wrap(x, cx), y, 0, 73, 8, 1.2), (235, 225, 170), 0)
    for cx in (30, 94):
        u = wrap(x, cx)
        p.fill(limb(u, y, 0, 52, 0, 28, 0.9), (30, 30, 40), 0)
        p.fill(limb(u, y, 0, 28, 5, 27, 0.9), (30, 30, 40), 0)
        p.fill(circle(u, y, 6, 28, 2.6), (255, 235, 150), 0.6)


def space_sky(p, x, y):
    p.gradient([(0, (4, 4, 12)), (50, (18, 14, 40))])
    p.fill(
        circle(x, y, 100, 18, 11), (215, 130, 80), 0.7, 0.8 - 0.045 * ((x - 100) * 0.6 + (y - 18))
    )
    ring = np.abs(ellipse(x, y, 100, 18, 18, 4.5)) - 1.0
    p.fill(np.maximum(ring, 16.5 - y), (235, 205, 150), 0)


def space_far(p, x, y):
    rng = np.random.default_rng(5)
    for cx, cy, r in zip(
        rng.uniform(0, PANORAMA, 18), rng.uniform(2, 46, 18), rng.uniform(0.8, 1.4, 18)
    ):
        p.fill(circle(wrap(x, cx), y, 0, cy, r), (255, 255, 235), 0)


def space_near(p, x, y):
    depth = (y - 48) / 32
    p.fill(50 + waves(x, (1.5, 1, 0), (0.8, 3, 1)) - y, (135, 135, 145), 0.7, 1.15 - 0.45 * depth)
    for k, cx in enumerate((8, 34, 56, 82, 106)):
        cy, r = (58, 72, 57, 74, 60)[k], (6, 7, 4, 8, 5)[k]
        p.fill(
            ellipse(wrap(x, cx), y, 0, cy, r, r * 0.36), (92, 92, 102), 0.6, 0.9 + 0.12 * (y - cy)
        )


BACKGROUNDS = {
    "meadow": (meadow_sky, meadow_far, meadow_near),
    "beach": (beach_sky, beach_far, beach_near),
    "desert": (desert_sky, desert_far, desert_near),
    "mountains": (mountains_sky, mountains_far, mountains_near),
    "city": (city_sky, city_far, city_near),
    "space": (space_sky, space_far, space_near),
}


def paint(layer, background, style, scale, width=PANORAMA):
    """uint8 RGBA picture of one layer: 0 the sky, 1 far, 2 near."""
    p = Painter(style, scale, width)
    x = p.x if layer else p.x / width * PANORAMA  # things in the sky keep their relative place
    BACKGROUNDS[background][layer](p, x, p.y)
    return p.image()


@functools.lru_cache(maxsize=None)
def layers(background, style, scale, width):
    """Sky picture, far panorama, near panorama; the panoramas are doubled: a crop never wraps.

    A panorama is (rgb, 255 - alpha, first row, end of rows, first row from which it hides all).
    """
    out = [paint(0, background, style, scale, width)[..., :3].astype(np.uint16)]
    for layer in (1, 2):
        image = paint(layer, background, style, scale)
        image = np.concatenate([image] * (2 + int(np.ceil(width / PANORAMA))), 1)
        rows = np.flatnonzero(image[..., 3].any(1))
        solid = np.flatnonzero(image[..., 3].min(1) == 255)
        first = int(solid[0]) if len(solid) else image.shape[0]
        rgb, gap = image[..., :3].astype(np.uint16), 255 - image[..., 3:].astype(np.uint16)
        out.append((rgb, gap, int(rows[0]), int(rows[-1]) + 1, first))
    return out
