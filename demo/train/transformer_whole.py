"""The transformer for training: the function of the unmodified model, quicker on a CPU."""

import torch
import torch.nn.functional as F

from models import MAX_TOKENS


def pad_bias(lengths, rows, total=MAX_TOKENS):
    """Makes `rows` text rows count like `total`: zero rows share the weight of the pads."""
    place = torch.arange(rows, device=lengths.device)[None]
    n = lengths[:, None]
    extra = torch.log((total - n).clamp_min(1).float() / (rows - n).clamp_min(1))
    return torch.where(place < n, torch.zeros_like(extra), extra)[:, None, None]  # (B, 1, 1, rows)


def rotate(x, cos, sin):
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


def heads_of(x, heads):
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def rms(norm, x):
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + norm.eps) * norm.weight


def attention(q, k, v, bias=None):
    """Plain on a CPU: for small heads its gradient is several times quicker than the fused one."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(
            q.to(v.dtype), k.to(v.dtype), v, attn_mask=None if bias is None else bias.to(v.dtype)
        )
    scores = (q * q.shape[-1] ** -0.5).to(v.dtype) @ k.to(v.dtype).mT
    if bias is not None:
        scores = scores + bias.to(v.dtype)
    return scores.softmax(-1) @ v


def forward(model, latents, timestep, text, bias):
    """model(latents, timestep, text padded to MAX_TOKENS rows), with bias = pad_bias(...)."""
    heads, width = (
        model.config.num_attention_heads,
        model.config.num_attention_heads * model.config.attention_head_dim,
    )
    B, C, T, H, W = latents.shape
    cos, sin = model.rope(latents)
    cos, sin = cos[:, :, 0, 0::2][:, None], sin[:, :, 0, 1::2][:, None]  # (1, 1, L, head/2)
    p = (
        latents.reshape(B, C, T, H // 2, 2, W // 2, 2)
        .permute(0, 2, 3, 5, 1, 4, 6)
        .reshape(B, -1, C * 4)
    )
    x = F.linear(p, model.patch_embedding.weight.flatten(1), model.patch_embedding.bias).float()
    e = model.condition_embedder
    temb = e.time_embedder(e.timesteps_proj(timestep))
    mods = e.time_proj(F.silu(temb)).float().unflatten(1, (6, -1))
    text = e.text_embedder(text)
    for block in model.blocks:
        s1, k1, g1, s2, k2, g2 = (block.scale_shift_table + mods).chunk(6, 1)
        a = block.attn1
        h = torch.addcmul(s1, F.layer_norm(x, (width,), eps=1e-6), 1 + k1)
        q, k, v = F.linear(
            h,
            torch.cat([a.to_q.weight, a.to_k.weight, a.to_v.weight]),
            torch.cat([a.to_q.bias, a.to_k.bias, a.to_v.bias]),
        ).chunk(3, -1)
        q, k, v = (
            rotate(heads_of(rms(a.norm_q, q), heads), cos, sin),
            rotate(heads_of(rms(a.norm_k, k), heads), cos, sin),
            heads_of(v, heads),
        )
        o = attention(q, k, v).transpose(1, 2).flatten(2)
        x = torch.addcmul(x, a.to_out[0](o).float(), g1)
        c = block.attn2
        h = F.layer_norm(x, (width,), block.norm2.weight, block.norm2.bias, 1e-6)
        q, k, v = (
            heads_of(rms(c.norm_q, c.to_q(h)), heads),
            heads_of(rms(c.norm_k, c.to_k(text)), heads),
            heads_of(c.to_v(text), heads),
        )
        o = attention(q, k, v, bias).transpose(1, 2).flatten(2)
        x = x + c.to_out[0](o).float()
        h = torch.addcmul(s2, F.layer_norm(x, (width,), eps=1e-6), 1 + k2)
        f = block.ffn.net
        h = F.gelu(f[0].proj(h), approximate="tanh")
        x = torch.addcmul(x, f[2](h).float(), g2)
    shift, scale = (model.scale_shift_table + temb[:, None].float()).chunk(2, 1)
    x = torch.addcmul(shift, F.layer_norm(x, (width,), eps=1e-6), 1 + scale)
    y = model.proj_out(x).float()
    return (
        y.reshape(B, T, H // 2, W // 2, 2, 2, C).permute(0, 6, 1, 2, 4, 3, 5).reshape(B, C, T, H, W)
    )
