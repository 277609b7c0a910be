"""Two judges of a video: a probe that reads its latents, and how the ground moves in its pixels."""

import os

import numpy as np
import torch
import torch.nn.functional as F

import latents
import train_text
import train_vae

NAMES = ("motion", "background", "style", "colour", "subject", "colour 2", "subject 2")


class Probe(torch.nn.Module):
    """A small network that tells the scene from normalised latents."""

    def __init__(self, channels=16, width=48):
        super().__init__()
        self.spatial = torch.nn.Conv3d(channels, width, (1, 3, 3), padding=(0, 1, 1))
        self.temporal = torch.nn.Conv3d(width, width, 3, padding=1, stride=(1, 2, 2))
        self.more = torch.nn.Conv3d(width, width, 3, padding=1)
        self.hidden = torch.nn.Linear(width * 5 * 8 * 2, 192)
        self.heads = torch.nn.ModuleList(torch.nn.Linear(192, n) for n in train_text.CLASSES)

    def forward(self, x):
        for layer in (self.spatial, self.temporal, self.more):
            x = F.gelu(layer(x))
        x = torch.cat([x.mean(2), x.std(2)], 1).flatten(1)
        x = F.dropout(F.gelu(self.hidden(x)), 0.2, self.training)
        return [head(x) for head in self.heads]


def train_probe(folder, stats, path, steps=1000, batch=48):
    """Trained once on the latents of rendered clips, then kept in `path`."""
    probe = Probe()
    if os.path.exists(path):
        probe.load_state_dict(torch.load(path))
        return probe.eval()
    mean, std = (latents.channelwise(v) for v in stats)
    data, rng = latents.Latents(folder), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.02)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * max(0.02, 1 - step / steps)
        x, scenes = data.batch(rng, batch)
        x = (x - mean) / std
        x = x + 0.2 * torch.rand(len(x), 1, 1, 1, 1) * torch.randn_like(x)
        goal = torch.tensor([train_text.targets(s) for s in scenes])
        loss = sum(F.cross_entropy(y, goal[:, k]) for k, y in enumerate(probe(x)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(probe.state_dict(), path)
    return probe.eval()


@torch.no_grad()
def judge(probe, vae, video):
    """Class numbers that the probe reads from a uint8 video (T, H, W, 3)."""
    mean, std = (latents.channelwise(v) for v in (vae.config.latents_mean, vae.config.latents_std))
    z = vae.encode(train_vae.to_tensor(video[None])).latent_dist.mean
    return [int(y.argmax(1)) for y in probe((z - mean) / std)]


def ground_speed(video, rows=(70, 80), reach=4):
    """Median shift of the ground between frames, in pixels; positive when it moves to the left."""
    v = video[:, rows[0] : rows[1]].astype(np.float32).mean(-1)
    v = v - v.mean((0, 2), keepdims=True)
    shifts = []
    for a, b in zip(v, v[1:]):
        inner = a[:, reach:-reach]
        moved = [b[:, reach - s : b.shape[1] - reach - s] for s in range(-reach, reach + 1)]
        shifts.append(int(np.argmin([np.abs(inner - m).mean() for m in moved])) - reach)
    return float(np.median(shifts))


def ground_agrees(video, scene):
    speed = ground_speed(video)
    seen = "right" if speed > 0.9 else "left" if speed < -0.9 else "in place"
    return seen == (scene.motion if scene.motion in ("right", "left") else "in place")
