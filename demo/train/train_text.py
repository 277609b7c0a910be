"""Prepares the text encoder: it learns to tell the scene from a caption."""

import argparse

import sentencepiece
import torch
import torch.nn.functional as F

import captions
import loop
import models
import world


def tokens(processor, texts, device="cpu"):
    """ids, lengths: every text ends with eos (1); pad is 0; at least one pad column."""
    ids = [processor.encode(t)[: models.MAX_TOKENS - 1] + [1] for t in texts]
    lengths = torch.tensor([len(i) for i in ids])
    out = torch.zeros(len(ids), int(lengths.max()) + 1, dtype=torch.long)
    for row, i in zip(out, ids):
        row[: len(i)] = torch.tensor(i)
    return out.to(device), lengths.to(device)


def encode(encoder, ids, lengths):
    """Text rows with zeros behind every prompt, as WanPipeline makes them."""
    mask = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
    rows = encoder(ids, attention_mask=mask.long()).last_hidden_state.float()
    return rows * mask[..., None]


# What a caption tells: motion, background, style, then colour and subject of two characters, where
# one class more means "there is no second one".
CLASSES = (len(world.MOTIONS), len(world.BACKGROUNDS), len(world.STYLES))
CLASSES += (len(world.COLOURS) + 1, len(world.SUBJECTS) + 1) * 2


def targets(scene):
    colours = list(world.COLOURS)
    out = [
        world.MOTIONS.index(scene.motion),
        world.BACKGROUNDS.index(scene.background),
        world.STYLES.index(scene.style),
    ]
    for colour, subject in scene.characters:
        out += [colours.index(colour), world.SUBJECTS.index(subject)]
    return out if len(out) == len(CLASSES) else out + [len(colours), len(world.SUBJECTS)]


class Prepared(torch.nn.Module):
    """The encoder with one linear judge per question on the last row and one on the mean row."""

    def __init__(self, pieces, width):
        super().__init__()
        self.text = models.build_text_encoder(pieces, width)
        self.last = torch.nn.ModuleList(torch.nn.Linear(width, n) for n in CLASSES)
        self.mean = torch.nn.ModuleList(torch.nn.Linear(width, n) for n in CLASSES)

    def forward(self, ids, lengths):
        rows = encode(self.text, ids, lengths)
        last = rows[torch.arange(len(rows), device=rows.device), lengths - 1]
        mean = rows.sum(1) / lengths[:, None]
        return [h(last) for h in self.last] + [h(mean) for h in self.mean]


def batch_loss(model, processor, scenes, texts, device):
    ids, lengths = tokens(processor, texts, device)
    goal = torch.tensor([targets(s) for s in scenes], device=device)
    answers = model(ids, lengths)
    return sum(F.cross_entropy(a, goal[:, k % len(CLASSES)]) for k, a in enumerate(answers))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--tokenizer", default="tokenizer/spiece.model")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--width", type=int, default=128)
    p.add_argument("--lr", type=float, default=2e-3)
    loop.add_arguments(p, "text.pt", minutes=4)
    args = p.parse_args()
    loop.begin(args)
    processor = sentencepiece.SentencePieceProcessor(model_file=args.tokenizer)
    pieces = processor.get_piece_size()
    model = Prepared(pieces, args.width).to(args.device)
    weights = list(model.parameters())
    adam = torch.optim.AdamW(weights, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    adam.param_groups[0]["base"] = args.lr
    run = loop.Loop(
        args, model, [adam], fall=1.0, clip=[weights], facts={"width": args.width, "pieces": pieces}
    )
    for rng in run.steps():
        scenes = [world.random_scene(rng, 0.5) for _ in range(args.batch)]
        texts = [captions.caption(s, rng) for s in scenes]
        run.update(batch_loss(model, processor, scenes, texts, args.device), len(scenes))


if __name__ == "__main__":
    main()
