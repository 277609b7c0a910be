"""Trains the AutoencoderKLWan on rendered clips: L1, edges, a little KL; small crops first."""

import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F

import loop
import models
import muon
import parallel
import vae_whole
import world


def clips(path, count, seed, frames=world.FRAMES):
    """A memory-mapped pool of rendered clips, made once, by the first process."""
    if not os.path.exists(path) and parallel.join()[0] == 0:
        rng = np.random.default_rng(seed)
        shape = (count, frames, 80, 128, 3)
        pool = np.lib.format.open_memmap(path + ".part", "w+", np.uint8, shape)
        for k in range(count):
            pool[k] = world.render(world.random_scene(rng, 0.3), rng, frames=frames)
        pool.flush()
        os.rename(path + ".part", path)
    parallel.same(0)
    return np.load(path, mmap_mode="r")


def to_tensor(video):
    """uint8 (B, T, H, W, 3) -> float (B, 3, T, H, W) in [-1, 1]"""
    return torch.from_numpy(np.ascontiguousarray(video)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def crops(pool, rng, batch, frames, height, width, focus):
    """Random pieces of clips; a share of them (focus) from the middle, where the characters are."""
    out = []
    for _ in range(batch):
        clip = pool[rng.integers(len(pool))]
        room_y, room_x = clip.shape[1] - height, clip.shape[2] - width
        t = rng.integers(clip.shape[0] - frames + 1)
        y, x = rng.integers(room_y + 1), rng.integers(room_x + 1)
        if rng.random() < focus:
            y = int(np.clip(50 - height // 2 + rng.integers(-8, 9), 0, room_y))
            x = int(np.clip(64 - width // 2 + rng.integers(-24, 25), 0, room_x))
        out.append(clip[t : t + frames, y : y + height, x : x + width])
    return to_tensor(np.stack(out))


def edges(x):
    """Differences between neighbours: left-right, up-down and (in clips) before-after."""
    out = [x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]]
    return out + [x[:, :, 1:] - x[:, :, :-1]] if x.shape[2] > 1 else out


def psnr(a, b):
    """dB for values in [-1, 1]"""
    return float(10 * torch.log10(4 / F.mse_loss(a.float().clamp(-1, 1), b.float())))


def clip_loss(vae, x, args):
    """The loss of one batch of clips in [-1, 1]."""
    with torch.autocast(args.device, dtype=torch.bfloat16, enabled=not args.fp32):
        with torch.set_grad_enabled(not args.decoder_only):
            mean, logvar = vae_whole.encode(vae, x)
        mean, logvar = mean.float(), logvar.float().clamp(-20, 10)
        z = mean + torch.randn_like(mean) * torch.exp(logvar / 2)
        if args.extra_noise:
            spread = mean.detach().std((0, 2, 3, 4), keepdim=True)
            level = args.extra_noise * torch.rand(len(z), 1, 1, 1, 1, device=z.device)
            z = z + torch.randn_like(z) * spread * level
        y = vae_whole.decode(vae, z).float()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    edge = sum(F.l1_loss(a, b) for a, b in zip(edges(y), edges(x)))
    return F.l1_loss(y, x) + 0.5 * edge + F.mse_loss(y, x) + args.kl * kl


def build(args):
    vae = models.build_vae(args.base, args.decoder_base, args.res_blocks)
    vae.quant_conv.bias.data[16:] = -5  # little noise in the latents at first
    if args.decoder_only:
        vae.load_state_dict(torch.load(args.decoder_only, map_location="cpu")["average"])
        vae.encoder.requires_grad_(False), vae.quant_conv.requires_grad_(False)
    return vae.to(args.device)


def optimizers_for(vae, lr):
    """Muon for the kernels, AdamW for the rest."""
    named = [(n, q) for n, q in vae.named_parameters() if q.requires_grad]
    kernels = [q for n, q in named if q.ndim >= 4 and q.shape[0] >= 8 and "gamma" not in n]
    known = {id(q) for q in kernels}
    others = [q for _, q in named if id(q) not in known]
    adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
    out = [muon.Muon(kernels, lr=lr), adam]
    for optimizer in out:
        optimizer.param_groups[0]["base"] = lr
    return out


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--pool", default="vae_pool.npy")
    p.add_argument("--pool-size", type=int, default=600)
    p.add_argument("--pool-frames", type=int, default=world.FRAMES)
    p.add_argument("--base", type=int, default=16)
    p.add_argument("--decoder-base", type=int, default=16)
    p.add_argument("--res-blocks", type=int, default=1)
    p.add_argument("--phases", default="1:64:12:0.15,5:64:4:0.3,9:64:2:0.55",
                   help="frames : crop : batch : share of the training, ...")  # fmt: skip
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--kl", type=float, default=1e-4)
    p.add_argument("--decoder-only", metavar="FILE", help="improve the decoder of FILE alone")
    p.add_argument("--extra-noise", type=float, default=0.0,
                   help="on the decoder's input, in parts of the latents' spread")  # fmt: skip
    p.add_argument("--focus", type=float, default=0.5)
    p.add_argument("--fp32", action="store_true")
    loop.add_arguments(p, "vae.pt", minutes=20)
    return p


def main():
    args = arguments().parse_args()
    _, world_size = loop.begin(args)
    pool = clips(args.pool, args.pool_size, 10, args.pool_frames)
    vae = build(args)
    trained = [q for q in vae.parameters() if q.requires_grad]
    run = loop.Loop(args, vae, optimizers_for(vae, args.lr), clip=[trained],
                    facts={"config": dict(vae.config)})  # fmt: skip
    phases = loop.parse_phases(args.phases)
    for rng in run.steps():
        frames, crop, batch = run.phase(phases)
        x = crops(pool, rng, batch // world_size, frames, min(80, crop), crop, args.focus)
        run.update(clip_loss(vae, x.to(args.device), args), len(x))


if __name__ == "__main__":
    main()
