"""Renders prompts of held-out scenes with WanPipeline; writes their scores and a contact sheet."""

import argparse
import json
import time

import numpy as np
import torch
from diffusers import WanPipeline
from PIL import Image, ImageDraw

import captions
import judge
import train_text
import train_vae
import world


class Scores:
    """What the judges found right, clip by clip."""

    def __init__(self, probe, vae):
        self.probe, self.vae, self.right, self.ground = probe, vae, [], []

    def add(self, video, scene):
        """Returns the names of what is wrong."""
        found = judge.judge(self.probe, self.vae, video)
        right = np.array(found) == train_text.targets(scene)
        self.right.append(right)
        self.ground.append(judge.ground_agrees(video, scene))
        return [name for name, ok in zip(judge.NAMES, right) if not ok]

    def means(self):
        out = dict(zip(judge.NAMES, np.mean(self.right, 0).round(3).tolist()))
        out["ground"] = round(float(np.mean(self.ground)), 3)
        out["all_right"] = round(float(np.mean(np.all(self.right, 1))), 3)
        return out


@torch.no_grad()
def check_rendered(pipe, probe, args):
    """What the judges make of rendered clips, and what the VAE does to them: the ceiling."""
    rng, scores, quality = np.random.default_rng(123), Scores(probe, pipe.vae), []
    for _ in range(args.ceiling):
        scene = world.random_scene(rng, args.pairs, held=True)
        video = world.render(scene, rng)
        x = train_vae.to_tensor(video[None])
        again = pipe.vae.decode(pipe.vae.encode(x).latent_dist.mean).sample
        quality.append(round(train_vae.psnr(again, x), 2))
        scores.add(video, scene)
    mean = round(float(np.mean(quality)), 2)
    return scores.means(), {"mean": mean, "min": min(quality), "max": max(quality)}


def generate(pipe, text, seed, args):
    video = pipe(
        text,
        height=80,
        width=128,
        num_frames=world.FRAMES,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).frames[0]
    return (video * 255).round().clip(0, 255).astype(np.uint8)


def sheet(videos, texts, path, columns=6):
    """One strip of frames per video, its prompt above it."""
    rows = []
    for video, text in zip(videos, texts):
        picks = np.linspace(0, len(video) - 1, columns).round().astype(int)
        strip = Image.fromarray(np.concatenate([video[k] for k in picks], 1))
        strip = strip.resize((strip.width * 2, strip.height * 2), Image.BICUBIC)
        page = Image.new("RGB", (strip.width, strip.height + 14), "white")
        page.paste(strip, (0, 14))
        ImageDraw.Draw(page).text((2, 1), text, fill="black")
        rows.append(np.asarray(page))
    Image.fromarray(np.concatenate(rows, 0)).save(path)


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", default="model")
    p.add_argument("--latents", default="latents")
    p.add_argument("--probe", default="probe.pt")
    p.add_argument("--prompts", type=int, default=24)
    p.add_argument("--pairs", type=float, default=0.2)
    p.add_argument("--steps", type=int, default=25)
    p.add_argument("--guidance", type=float, default=3.0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--ceiling", type=int, default=40, help="rendered clips for the judges' own score"
    )
    p.add_argument("--sheet", default="sheet.png")
    p.add_argument("--report", default="check.json")
    return p


def main():
    args = arguments().parse_args()
    pipe = WanPipeline.from_pretrained(args.model)
    pipe.set_progress_bar_config(disable=True)
    stats = (pipe.vae.config.latents_mean, pipe.vae.config.latents_std)
    probe = judge.train_probe(args.latents, stats, args.probe)
    rendered, psnr = check_rendered(pipe, probe, args)
    scores, rng = Scores(probe, pipe.vae), np.random.default_rng(args.seed)
    videos, texts, seconds, rows = [], [], [], []
    for k in range(args.prompts):
        scene = world.random_scene(rng, args.pairs, held=True)
        text = captions.caption(scene, rng) if k % 2 else captions.plain_caption(scene)
        start = time.time()
        video = generate(pipe, text, args.seed * 1000 + k, args)
        seconds.append(time.time() - start)
        row = {"prompt": text, "wrong": scores.add(video, scene)}
        rows.append({**row, "ground": judge.ground_speed(video)})
        videos.append(video), texts.append(text)
        print(json.dumps(rows[-1]), flush=True)
    report = {
        "rendered clips": rendered,
        "vae psnr": psnr,
        "generated": scores.means(),
        "seconds per video": round(float(np.median(seconds)), 2),
        "settings": {k: getattr(args, k) for k in ("prompts", "steps", "guidance", "seed")},
    }
    print(json.dumps(report))
    with open(args.report, "w") as f:
        json.dump({**report, "prompts": rows}, f, indent=1)
    sheet(videos, texts, args.sheet)


if __name__ == "__main__":
    main()
