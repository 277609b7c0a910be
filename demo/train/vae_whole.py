"""The VAE on all frames at once: the result of the chunked loop, quicker on a CPU."""

import torch
import torch.nn.functional as F


def norm_silu(norm, x):
    return F.silu(F.normalize(x, dim=1) * (norm.scale * norm.gamma))


def resnet(block, x):
    h = block.conv_shortcut(x)
    x = block.conv1(norm_silu(block.norm1, x))
    x = block.conv2(norm_silu(block.norm2, x))
    return x + h


def middle(mid, x):
    x = resnet(mid.resnets[0], x)
    for attention, block in zip(mid.attentions, mid.resnets[1:]):
        x = resnet(block, attention(x))
    return x


def resample(layer, x):
    if (
        layer.mode == "upsample3d" and x.shape[2] > 1
    ):  # the first latent frame is one frame, the others two
        first, rest = x[:, :, :1], x[:, :, 1:]
        b, c, t, h, w = rest.shape
        rest = layer.time_conv(rest).reshape(b, 2, c, t, h, w)
        rest = torch.stack((rest[:, 0], rest[:, 1]), 3).reshape(b, c, t * 2, h, w)
        x = torch.cat([first, rest], 2)
    b, c, t, h, w = x.shape
    x = layer.resample(x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w))
    x = x.view(b, t, *x.shape[1:]).permute(0, 2, 1, 3, 4)
    if layer.mode == "downsample3d" and x.shape[2] > 1:
        x = torch.cat([x[:, :, :1], layer.time_conv(x)], 2)
    return x


def encode(vae, video):
    """video (B, 3, 1 + 4k, H, W) in [-1, 1] -> mean, logvar (B, z, 1 + k, H/8, W/8)"""
    e = vae.encoder
    x = e.conv_in(video)
    for layer in e.down_blocks:
        x = resample(layer, x) if hasattr(layer, "resample") else resnet(layer, x)
    x = e.conv_out(norm_silu(e.norm_out, middle(e.mid_block, x)))
    return vae.quant_conv(x).chunk(2, 1)


def decode(vae, z):
    d = vae.decoder
    x = middle(d.mid_block, d.conv_in(vae.post_quant_conv(z)))
    for block in d.up_blocks:
        for layer in block.resnets:
            x = resnet(layer, x)
        if block.upsamplers is not None:
            x = resample(block.upsamplers[0], x)
    return d.conv_out(norm_silu(d.norm_out, x))
