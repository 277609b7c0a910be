"""Clips as latents on disk: one worker's shard is NAME.npy with NAME.jsonl, a scene per line."""

import dataclasses
import glob
import json
import os

import numpy as np
import torch

import world

SHAPE = (16, 1 + (world.FRAMES - 1) // 4, 10, 16)  # of one clip: channels, frames, height, width


class Writer:
    def __init__(self, folder, name, clips):
        os.makedirs(folder, exist_ok=True)
        stem = os.path.join(folder, name)
        shape = (clips, *SHAPE)
        self.array = np.lib.format.open_memmap(stem + ".npy", "w+", np.float16, shape)
        self.scenes = open(stem + ".jsonl", "w")
        self.count = 0

    def add(self, latents, scene):
        self.array[self.count] = latents
        self.scenes.write(json.dumps(dataclasses.asdict(scene)) + "\n")
        self.count += 1

    def close(self):
        self.array.flush()
        self.scenes.close()


class Latents:
    """All shards of a folder."""

    def __init__(self, folder):
        self.clips = []
        for path in sorted(glob.glob(os.path.join(folder, "*.jsonl"))):
            array = np.load(path[: -len("jsonl")] + "npy", mmap_mode="r")
            with open(path) as rows:
                self.clips += [(x, self.scene(json.loads(row))) for x, row in zip(array, rows)]

    @staticmethod
    def scene(row):
        return world.Scene(**{**row, "characters": tuple(map(tuple, row["characters"]))})

    def batch(self, rng, size, frames=None):
        """Latents (size, 16, frames, 10, 16) and scenes of clips drawn at random."""
        drawn = [self.clips[k] for k in rng.integers(len(self.clips), size=size)]
        x = np.stack([x[:, :frames] for x, _ in drawn])
        return torch.from_numpy(x).float(), [scene for _, scene in drawn]

    def statistics(self, count=400):
        """Mean and spread of each channel."""
        x = np.stack([x for x, _ in self.clips[:count]]).astype(np.float64)
        return x.mean((0, 2, 3, 4)).tolist(), x.std((0, 2, 3, 4)).tolist()


def channelwise(values):
    return torch.tensor(values).view(1, -1, 1, 1, 1)
