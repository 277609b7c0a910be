"""Flow-matching training of transformer and text encoder together, on stored latents."""

import argparse

import sentencepiece
import torch

import captions
import latents
import loop
import models
import muon
import train_text
import transformer_whole


def build(text_state, size):
    """ModuleDict of the prepared text encoder and a fresh transformer."""
    encoder = models.build_text_encoder(text_state["pieces"], text_state["width"])
    prepared = text_state["average"]
    encoder.load_state_dict({k[5:]: v for k, v in prepared.items() if k.startswith("text.")})
    dit = models.build_transformer(size, text_state["width"])
    return torch.nn.ModuleDict({"text": encoder, "dit": dit})


def optimizers_for(both, lr, text_lr):
    """[Muon for the blocks' matrices, AdamW for the rest], and the lists to clip."""
    named = list(both["dit"].blocks.named_parameters())
    matrices = [q for n, q in named if q.ndim == 2 and "norm" not in n]
    known = {id(q) for q in matrices}
    others = [q for q in both["dit"].parameters() if id(q) not in known]
    words = list(both["text"].parameters())
    groups = [{"params": others, "base": lr * 0.5}, {"params": words, "base": text_lr}]
    adam = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.97), weight_decay=0.0)
    big = muon.Muon(matrices, lr=lr)
    big.param_groups[0]["base"] = lr
    return [big, adam], [others, words]


def draw_sigma(n, shift, device):
    """Noise levels: logit-normal, one in seven uniform so that both ends are covered."""
    u = torch.sigmoid(torch.randn(n, device=device))
    uniform = torch.rand(n, device=device)
    u = torch.where(torch.rand(n, device=device) < 0.15, uniform, u)
    return shift * u / (1 + (shift - 1) * u)


def flow_loss(both, x, ids, lengths, args):
    """Mean squared error of the velocity at a random noise level. x: normalised latents."""
    noise = torch.randn_like(x)
    sigma = draw_sigma(len(x), args.shift, args.device)
    s = sigma.view(-1, 1, 1, 1, 1)
    rows = train_text.encode(both["text"], ids, lengths)
    bias = transformer_whole.pad_bias(lengths, ids.shape[1])
    with torch.autocast(args.device, dtype=torch.bfloat16, enabled=not args.fp32):
        y = transformer_whole.forward(
            both["dit"], (1 - s) * x + s * noise, 1000 * sigma, rows, bias
        )
    return (y - (noise - x)).square().mean()


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--latents", default="latents")
    p.add_argument("--tokenizer", default="tokenizer/spiece.model")
    p.add_argument("--text", default="text.pt")
    p.add_argument("--size", default="micro", choices=models.SIZES)
    p.add_argument("--phases", default="3:32:0.4,6:16:0.6", help="latent frames : batch : share")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--text-lr", type=float, default=1e-4)
    p.add_argument("--dropout", type=float, default=0.12, help="share of empty prompts")
    p.add_argument("--shift", type=float, default=3.0)
    p.add_argument("--fp32", action="store_true")
    loop.add_arguments(p, "dit.pt", minutes=60)
    return p


def train(args):
    rank, world_size = loop.begin(args)
    data = latents.Latents(args.latents)
    stats = data.statistics()
    mean, std = (latents.channelwise(v) for v in stats)
    processor = sentencepiece.SentencePieceProcessor(model_file=args.tokenizer)
    both = build(torch.load(args.text, map_location="cpu"), args.size).to(args.device)
    optimizers, clip = optimizers_for(both, args.lr, args.text_lr)
    config = {k: v for k, v in both["dit"].config.items() if not k.startswith("_")}
    facts = {"size": args.size, "stats": stats, "transformer_config": config}
    run = loop.Loop(args, both, optimizers, warm=100, fall=0.45, clip=clip, facts=facts)
    phases = loop.parse_phases(args.phases)
    for rng in run.steps():
        frames, batch = run.phase(phases)
        x, scenes = data.batch(rng, batch // world_size, frames)
        texts = ["" if rng.random() < args.dropout else captions.caption(s, rng) for s in scenes]
        ids, lengths = train_text.tokens(processor, texts, args.device)
        x = ((x - mean) / std).to(args.device)
        run.update(flow_loss(both, x, ids, lengths, args), len(x))
    return run


if __name__ == "__main__":
    train(arguments().parse_args())
