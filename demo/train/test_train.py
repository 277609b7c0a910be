"""Tests of the recipe, in a minute: python demo/train/test_train.py"""

import pathlib
import sys
import tempfile
import unittest

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import captions
import latents
import models
import train_dit
import train_text
import train_vae
import transformer_whole
import vae_whole
import world

MODEL = pathlib.Path(__file__).resolve().parent.parent / "model"
SPIECE = str(MODEL / "tokenizer" / "spiece.model")


def write_inputs(folder, clips=24):
    """Latents of noise with real scenes, and a text encoder as it is before its preparation."""
    rng = np.random.default_rng(0)
    writer = latents.Writer(str(folder / "latents"), "0", clips)
    for _ in range(clips):
        writer.add(rng.standard_normal(latents.SHAPE), world.random_scene(rng))
    writer.close()
    torch.manual_seed(0)
    prepared = train_text.Prepared(427, 128)
    state = {"average": prepared.state_dict(), "pieces": 427, "width": 128}
    torch.save(state, folder / "text.pt")


def dit_arguments(folder, *more):
    fixed = ["--latents", folder / "latents", "--text", folder / "text.pt", "--tokenizer", SPIECE]
    fixed += ["--size", "nano", "--phases", "3:4:0.5,6:2:0.5", "--steps", 4, "--fp32"]
    return train_dit.arguments().parse_args([str(a) for a in (*fixed, *more)])


def different(a, b):
    """Names of the weights that are not the same bits."""
    other = b.state_dict()
    return [name for name, value in a.state_dict().items() if not torch.equal(value, other[name])]


class Steps(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        write_inputs(self.folder)

    def test_a_step_lowers_the_loss_on_its_batch(self):
        args = dit_arguments(self.folder, "--lr", 1e-3)
        torch.manual_seed(0)
        both = train_dit.build(torch.load(args.text), args.size)
        optimizers, _ = train_dit.optimizers_for(both, args.lr, args.text_lr)
        rng = np.random.default_rng(1)
        x, scenes = latents.Latents(args.latents).batch(rng, 4, 3)
        processor = train_dit.sentencepiece.SentencePieceProcessor(model_file=SPIECE)
        ids, lengths = train_text.tokens(processor, [captions.caption(s, rng) for s in scenes])
        losses = []
        for _ in range(2):
            torch.manual_seed(2)  # the same noise for both
            loss = train_dit.flow_loss(both, x, ids, lengths, args)
            losses.append(loss.item())
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
        self.assertLess(losses[1], losses[0])

    def test_a_step_lowers_the_loss_of_the_vae(self):
        args = train_vae.arguments().parse_args(["--base", "8", "--decoder-base", "8"])
        torch.manual_seed(0)
        vae, rng = train_vae.build(args), np.random.default_rng(1)
        clip = world.render(world.random_scene(rng), rng, frames=5)
        x = train_vae.crops(clip[None], rng, 2, 5, 32, 32, 0.5)
        losses = []
        for _ in range(2):
            torch.manual_seed(2)
            loss = train_vae.clip_loss(vae, x, args)
            losses.append(loss.item())
            loss.backward()
            for optimizer in train_vae.optimizers_for(vae, 1e-3):
                optimizer.step()
        self.assertLess(losses[1], losses[0])

    def test_stop_and_restart_end_in_the_same_bits(self):
        whole = train_dit.train(dit_arguments(self.folder, "--out", self.folder / "whole.pt"))
        out = self.folder / "parts.pt"
        train_dit.train(dit_arguments(self.folder, "--out", out, "--stop-after", 2))
        parts = train_dit.train(dit_arguments(self.folder, "--out", out))
        self.assertEqual((whole.step, parts.step), (4, 4))
        self.assertEqual(different(whole.model, parts.model), [])
        self.assertEqual(different(whole.average, parts.average), [])
        self.assertNotEqual(different(whole.model, whole.average), [])


class Whole(unittest.TestCase):
    """The forwards for training are those of the shipped model."""

    @torch.no_grad()
    def test_transformer(self):
        model = WanTransformer3DModel.from_pretrained(MODEL / "transformer").float().eval()
        torch.manual_seed(0)
        x, time = torch.randn(2, 16, 3, 10, 16), torch.tensor([800.0, 150.0])
        lengths, text = torch.tensor([5, 9]), torch.randn(2, 10, 128)
        text *= (torch.arange(10)[None] < lengths[:, None])[..., None]
        padded = torch.nn.functional.pad(text, (0, 0, 0, models.MAX_TOKENS - 10))
        expected = model(x, time, padded).sample
        got = transformer_whole.forward(
            model, x, time, text, transformer_whole.pad_bias(lengths, 10)
        )
        self.assertLess((got - expected).abs().max().item(), 2e-5 * expected.abs().max().item())

    @torch.no_grad()
    def test_vae(self):
        vae = AutoencoderKLWan.from_pretrained(MODEL / "vae").float().eval()
        rng = np.random.default_rng(0)
        x = train_vae.to_tensor(world.render(world.random_scene(rng), rng, frames=9)[None])
        mean, _ = vae_whole.encode(vae, x)
        self.assertLess((mean - vae.encode(x).latent_dist.mean).abs().max().item(), 1e-4)
        difference = vae_whole.decode(vae, mean).clamp(-1, 1) - vae.decode(mean).sample
        self.assertLess(difference.abs().max().item(), 1e-4)


if __name__ == "__main__":
    unittest.main()
