"""One job file of haloreel through diffusers' WanPipeline: the other half of vs_diffusers.py.

    diffusers_job.py MODEL JOB.yaml float32|bfloat16 [RESULT.safetensors]

Prints the seconds of each stage as JSON. The result holds `latents` (1, C, F, h, w), as they leave
the sampler, and `frames` (F, height, width, 3) in 0..1.
"""

import json
import sys
import time

import torch
import yaml
from diffusers import WanPipeline


def timed(seconds, name, work):
    """The function, with its time added to seconds[name]."""

    def call(*args, **kwargs):
        start = time.perf_counter()
        result = work(*args, **kwargs)
        seconds[name] = seconds.get(name, 0) + time.perf_counter() - start
        return result

    return call


def main():
    model, job_file, dtype = sys.argv[1:4]
    with open(job_file) as f:
        job = yaml.safe_load(f)
    torch.set_num_threads(job["threads"])
    seconds, last = {}, {}
    load = timed(seconds, "load", WanPipeline.from_pretrained)
    pipe = load(model, dtype=getattr(torch, dtype), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.encode_prompt = timed(seconds, "text", pipe.encode_prompt)
    pipe.vae.decode = timed(seconds, "decode", pipe.vae.decode)

    def keep(_pipe, _step, _time, tensors):
        last.update(tensors)
        return {}

    video, sampler = job["video"], job["sampler"]
    pipe.scheduler.register_to_config(flow_shift=sampler["shift"])
    start = time.perf_counter()
    frames = pipe(
        job["prompt"],
        job["negative_prompt"],
        height=video["height"],
        width=video["width"],
        num_frames=video["frames"],
        num_inference_steps=sampler["steps"],
        guidance_scale=float(sampler["guidance"]),
        generator=torch.Generator().manual_seed(sampler["seed"]),
        max_sequence_length=job["text_length"],
        callback_on_step_end=keep,
        callback_on_step_end_tensor_inputs=["latents"],
        output_type="np",
    ).frames[0]
    whole = time.perf_counter() - start
    seconds["denoise"] = whole - seconds["text"] - seconds["decode"]
    if len(sys.argv) > 4:
        from safetensors.torch import save_file

        tensors = {"latents": last["latents"], "frames": torch.from_numpy(frames)}
        save_file({k: v.float().contiguous() for k, v in tensors.items()}, sys.argv[4])
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
