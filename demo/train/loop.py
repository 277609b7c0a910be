"""The loop that all trainings share: progress, learning rate, averaged weights, stop and restart.

All that is random in a step comes from (seed, step, process). With --steps, a training that was
stopped and started again therefore ends in the same bits as one that was not; with --minutes the
learning rate follows the clock, which no restart repeats.
"""

import copy
import json
import os
import time

import numpy as np
import torch

import parallel

SAVE_SECONDS, SHOW_SECONDS = 150, 30


def add_arguments(parser, out, minutes):
    parser.add_argument("--out", default=out)
    parser.add_argument("--minutes", type=float, default=minutes, help="over all restarts")
    parser.add_argument("--steps", type=int, help="end after so many steps instead")
    parser.add_argument("--stop-after", type=int, help="stop early, at this step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of a single process")
    parser.add_argument("--device", default="cpu")


def parse_phases(text):
    """ "9:64:2:0.5,..." -> [((9, 64, 2), 0.5), ...]: numbers, then the share of the training."""
    rows = [row.split(":") for row in text.split(",")]
    return [(tuple(map(int, row[:-1])), float(row[-1])) for row in rows]


def begin(args):
    """Joins the other processes and seeds the initial values. Returns (rank, processes)."""
    rank, world = parallel.join()
    if world == 1:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    return rank, world


class Loop:
    """Trains `model` with optimizers whose groups have a key "base", their full learning rate.

    warm: steps until the full rate; fall: the last share of the training, in which it drops to 2 %.
    clip: lists of parameters whose gradients are clipped to norm 1 together.
    facts: what a checkpoint shall tell about the training besides its state.
    """

    def __init__(self, args, model, optimizers, warm=50, fall=0.5, clip=(), facts=None):
        self.args, self.model, self.optimizers = args, model, optimizers
        self.warm, self.fall, self.clip, self.facts = warm, fall, clip, facts or {}
        self.rank, self.world = parallel.join()
        self.trained = [p for o in optimizers for g in o.param_groups for p in g["params"]]
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.step, self.spent, self.seen, self.losses = 0, 0.0, 0, []
        if os.path.exists(args.out):
            self.load()

    def load(self):
        state = torch.load(self.args.out, map_location=self.args.device)
        self.model.load_state_dict(state["raw"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.spent, self.seen = state["step"], state["spent"], state["seen"]

    def save(self):
        """The file is complete or the old one; only the first process writes."""
        if self.rank:
            return
        state = {
            "raw": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "spent": self.spent,
            "seen": self.seen,
        }
        torch.save({**self.facts, **state}, self.args.out + ".part")
        os.replace(self.args.out + ".part", self.args.out)

    def part(self):
        """How much of the training is done, 0 to 1."""
        if self.args.steps:
            return self.step / self.args.steps
        return self.spent / (60 * self.args.minutes)

    def steps(self):
        """Yields a random generator for each step that is to be done."""
        tick = saved = shown = time.time()
        while self.part() < 1 and self.step != self.args.stop_after:
            self.set_rates()
            torch.manual_seed((self.args.seed * 1000 + self.step) * 64 + self.rank)
            yield np.random.default_rng([self.args.seed, self.step, self.rank])
            now = time.time()
            # A process that was paused does not count the pause.
            self.spent, tick = parallel.same(self.spent + min(now - tick, 5)), now
            if now - shown > SHOW_SECONDS:
                shown = now
                self.show()
            if now - saved > SAVE_SECONDS:
                saved = now
                self.save()
        self.show()
        self.save()

    def set_rates(self):
        rise = min(1, (self.step + 1) / self.warm)
        rate = rise * max(0.02, min(1, (1 - self.part()) / self.fall))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate

    def phase(self, phases):
        """The numbers of the phase that this step belongs to."""
        edge = 0.0
        for numbers, share in phases:
            edge += share
            if self.part() < edge:
                break
        return numbers

    def update(self, loss, samples):
        """One step down the gradient of this process' loss over so many samples."""
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        parallel.average_gradients(self.trained)
        for parameters in self.clip:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step, self.seen = self.step + 1, self.seen + samples * self.world
        keep = min(0.998, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.model.parameters()), 1 - keep
        )
        self.losses.append(loss.item())

    def show(self):
        if self.losses and self.rank == 0:
            row = {"step": self.step, "s": round(self.spent), "seen": self.seen}
            print(json.dumps({**row, "loss": round(float(np.mean(self.losses)), 4)}), flush=True)
            self.losses = []
