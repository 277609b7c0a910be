"""Writes the trained parts as one folder that WanPipeline.from_pretrained loads unchanged."""

import argparse
import json
import os
import shutil

import torch
from diffusers import UniPCMultistepScheduler, WanTransformer3DModel
from safetensors.torch import save_file

import encode_dataset
import models

STORED = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
INDEX = {
    "_class_name": "WanPipeline",
    "_diffusers_version": "0.40.0",
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLWan"],
}


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def is_matrix(name, value):
    small = value.ndim < 2 or min(value.shape[:2]) == 1
    return not small and "scale_shift_table" not in name and "gamma" not in name


def weights(model, dtype):
    """Matrices and kernels in the small type; biases, norms and tables stay float32."""
    return {
        name: value.detach()
        .to(dtype if is_matrix(name, value) else torch.float32)
        .contiguous()
        .clone()
        for name, value in model.state_dict().items()
    }


def save_part(model, folder, dtype, changes=None):
    """The folder of a diffusers model: config.json and the weights."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    save_file(weights(model, dtype), path, metadata={"format": "pt"})
    config = {k: v for k, v in dict(model.config).items() if not k.startswith("_")}
    config = {"_class_name": type(model).__name__, **config, **(changes or {})}
    write_json(os.path.join(folder, "config.json"), config)


def save_text_encoder(state, folder):
    pieces, width = state["shared.weight"].shape
    layers = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("encoder.block."))
    encoder = models.build_text_encoder(pieces, width, layers)
    encoder.load_state_dict(state)
    encoder.save_pretrained(folder)  # config.json; its weights hold the embedding twice
    once = {k: v for k, v in weights(encoder, torch.float32).items() if "embed_tokens" not in k}
    save_file(once, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def save_scheduler(folder):
    UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=3.0,
        solver_order=2,
        solver_type="bh2",
        predict_x0=True,
        num_train_timesteps=1000,
        lower_order_final=True,
    ).save_pretrained(folder)


def part_of(state, prefix):
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--vae", default="vae.pt")
    p.add_argument("--dit", default="dit.pt")
    p.add_argument("--tokenizer", default="tokenizer")
    p.add_argument("--out", default="model")
    p.add_argument("--dtype", default="bf16", choices=STORED)
    p.add_argument("--weights", default="average", choices=("average", "raw"))
    args = p.parse_args()
    dtype, state = STORED[args.dtype], torch.load(args.dit, map_location="cpu")
    both = state[args.weights]

    mean, std = ([round(v, 6) for v in row] for row in state["stats"])
    vae = encode_dataset.load_vae(args.vae)
    changes = {"latents_mean": mean, "latents_std": std}
    save_part(vae, os.path.join(args.out, "vae"), dtype, changes)
    transformer = WanTransformer3DModel.from_config(state["transformer_config"])
    transformer.load_state_dict(part_of(both, "dit."))
    save_part(transformer, os.path.join(args.out, "transformer"), dtype)
    save_text_encoder(part_of(both, "text."), os.path.join(args.out, "text_encoder"))
    save_scheduler(os.path.join(args.out, "scheduler"))
    shutil.copytree(args.tokenizer, os.path.join(args.out, "tokenizer"), dirs_exist_ok=True)
    write_json(os.path.join(args.out, "model_index.json"), INDEX)
    print(f"{args.out}: transformer after {state['step']} steps, {state['seen']} samples")


if __name__ == "__main__":
    main()
