"""The text encoder, the diffusion transformer and the VAE: sizes, construction, initial values."""

import math

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

MAX_TOKENS = 512  # what WanPipeline pads prompts to when it is not told otherwise

SIZES = {  # name: (heads, head_dim, layers, ffn)
    "nano": (4, 32, 6, 512),
    "micro": (4, 40, 6, 640),
    "small": (4, 48, 8, 768),
    "base": (4, 56, 8, 896),
    "large": (12, 64, 16, 3072),  # for a GPU
}


def build_text_encoder(vocabulary, width=128, layers=2):
    config = UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=32,
        num_heads=width // 32,
        d_ff=2 * width,
        num_layers=layers,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        dropout_rate=0.0,
        layer_norm_epsilon=1e-6,
        feed_forward_proj="gated-gelu",
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        is_encoder_decoder=True,
        tie_word_embeddings=False,
    )
    return UMT5EncoderModel(config)


def build_transformer(size, text_width=128):
    heads, head, layers, ffn = SIZES[size]
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=heads,
        attention_head_dim=head,
        in_channels=16,
        out_channels=16,
        text_dim=text_width,
        freq_dim=256,
        ffn_dim=ffn,
        num_layers=layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        eps=1e-6,
        rope_max_seq_len=1024,
    )
    start_well(model)
    return model


@torch.no_grad()
def start_well(model):
    """Initial values that save training time; all of them can be unlearned.

    Wan has no absolute positions: tokens learn where they are from their neighbours. In every
    self-attention, all heads but two start as detectors of one neighbour (up, down, left, right,
    before, after) through their biases. In every cross-attention the many zero rows behind a prompt
    start with a low score.
    """
    heads, head = model.config.num_attention_heads, model.config.attention_head_dim
    side = 2 * (head // 6)  # RoPE channels of height and of width; time has the rest
    axes = ((0, head - 2 * side), (head - 2 * side, side), (head - side, side))
    neighbours = [(0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1), (-1, 0, 0), (1, 0, 0)]
    for n, block in enumerate(model.blocks):
        a = block.attn1
        for k in range(max(0, heads - 2)):
            offset = neighbours[(k + n * (heads - 2)) % 6]
            for (first, width), steps in zip(axes, offset):
                for pair in (0, 1):
                    angle = steps * 10000.0 ** (-2 * pair / width)
                    i = k * head + first + 2 * pair
                    a.to_k.bias[i], a.to_k.bias[i + 1] = 1.2, 0.0
                    a.to_q.bias[i], a.to_q.bias[i + 1] = 1.2 * math.cos(angle), -1.2 * math.sin(
                        angle
                    )
        c = block.attn2
        direction = torch.randn_like(c.to_k.bias)
        c.to_k.bias.copy_(0.05 * direction)
        c.to_q.bias.copy_(-0.6 * direction)
        for gate in (2, 5):
            block.scale_shift_table[:, gate] += 0.5
    text = model.condition_embedder.text_embedder
    torch.nn.init.zeros_(text.linear_1.bias), torch.nn.init.zeros_(text.linear_2.bias)
    torch.nn.init.zeros_(model.proj_out.weight), torch.nn.init.zeros_(model.proj_out.bias)


def build_vae(base=16, decoder_base=16, res_blocks=1):
    return AutoencoderKLWan(
        base_dim=base,
        decoder_base_dim=decoder_base,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=res_blocks,
        temperal_downsample=[False, True, True],
    )
