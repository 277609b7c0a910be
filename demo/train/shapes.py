"""What everything in the world is drawn from: distances to shapes, and paint over a canvas.

Distances are negative inside; u, v (or x, y) are arrays of coordinates in units, y points down.
"""

import numpy as np

INK = np.array((14, 12, 16), np.float32)  # outlines of the animated style


def circle(u, v, x, y, r):
    return np.hypot(u - x, v - y) - r


def ellipse(u, v, x, y, a, b):
    p, q = (u - x) / a, (v - y) / b
    k = np.hypot(p, q)
    return (k - 1) * k / np.maximum(np.hypot(p / a, q / b), 1e-4)


def box(u, v, x, y, a, b, r=0.0):
    p, q = np.abs(u - x) - a + r, np.abs(v - y) - b + r
    return np.hypot(np.maximum(p, 0), np.maximum(q, 0)) + np.minimum(np.maximum(p, q), 0) - r


def limb(u, v, x0, y0, x1, y1, r):
    dx, dy = x1 - x0, y1 - y0
    k = np.clip(((u - x0) * dx + (v - y0) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
    return np.hypot(u - x0 - k * dx, v - y0 - k * dy) - r


def polygon(u, v, points):
    d, inside = np.full(u.shape, 1e9), np.zeros(u.shape, bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        d = np.minimum(d, limb(u, v, x0, y0, x1, y1, 0))
        if y0 != y1:
            inside ^= ((y0 > v) != (y1 > v)) & (u < (x1 - x0) * (v - y0) / (y1 - y0) + x0)
    return np.where(inside, -d, d)


def over(canvas, coverage, colour):
    """Paint a colour (H, W, 3) or (3,) over a premultiplied RGBA canvas."""
    c = coverage[..., None].astype(np.float32)
    canvas[..., :3] = canvas[..., :3] * (1 - c) + c * colour
    canvas[..., 3:] = canvas[..., 3:] * (1 - c) + c * 255
