"""Renders clips and stores their latents. Start several workers at once."""

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import latents
import train_vae
import vae_whole
import world


def load_vae(path, device="cpu"):
    state = torch.load(path, map_location=device)
    config = {k: v for k, v in state["config"].items() if not k.startswith("_")}
    vae = AutoencoderKLWan.from_config(config).to(device).eval()
    vae.load_state_dict(state["average"])
    return vae


@torch.no_grad()
def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--vae", default="vae.pt")
    p.add_argument("--out", default="latents")
    p.add_argument("--clips", type=int, default=4000, help="clips of this worker")
    p.add_argument("--worker", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cpu")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    vae = load_vae(args.vae, args.device)
    rng = np.random.default_rng(1000 + args.worker)
    writer = latents.Writer(args.out, str(args.worker), args.clips)
    for _ in range(args.clips):
        scene = world.random_scene(rng, 0.2)
        x = train_vae.to_tensor(world.render(scene, rng)[None]).to(args.device)
        with torch.autocast(args.device, dtype=torch.bfloat16):
            mean, _ = vae_whole.encode(vae, x)
        writer.add(mean[0].float().cpu().numpy(), scene)
    writer.close()


if __name__ == "__main__":
    main()
