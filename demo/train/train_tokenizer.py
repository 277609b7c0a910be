"""Trains the SentencePiece model on captions and writes the tokenizer folder (T5TokenizerFast)."""

import argparse
import os

import numpy as np
import sentencepiece
from transformers import T5TokenizerFast

import captions
import world

# Words of other prompts, so that not all of them fall apart into letters.
WORDS = """happy funny old new little big tall fast slow dog fox rabbit fish tree house boat train
rocket balloon plane dragon girl boy man woman child day night morning evening sunny rainy light
dark
sky river forest lake road bridge mountain sun moon dances dancing swims swimming sings plays
playing
looks looking watches goes comes stops starts while then next first last black pink brown grey gray
golden silver colour color with without under over through behind before after between beautiful
quiet loud calm wild warm cold camera scene film movie picture cinematic detailed high quality
""".split()
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-&"


def corpus(n_captions, rng):
    lines = [captions.caption(world.random_scene(rng, 0.3), rng) for _ in range(n_captions)]
    lines += [w if rng.random() < 0.6 else w.capitalize() for w in WORDS * 12]
    lines += [" ".join(rng.choice(WORDS, 4)) for _ in range(4000)]
    return lines


def train(lines, stem, pieces):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=stem,
        model_type="unigram",
        vocab_size=pieces,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
        unk_piece="<unk>",
        character_coverage=1.0,
        byte_fallback=False,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        num_threads=1,
        required_chars=LETTERS,
        minloglevel=2,
    )
    os.remove(stem + ".vocab")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", default="tokenizer")
    p.add_argument("--pieces", type=int, default=1024)
    p.add_argument("--captions", type=int, default=60000)
    args = p.parse_args()
    lines = corpus(args.captions, np.random.default_rng(3))
    os.makedirs(args.out, exist_ok=True)
    model = os.path.join(args.out, "spiece.model")
    train(lines, model[: -len(".model")], args.pieces)
    for old in ("tokenizer.json", "tokenizer_config.json"):  # they would win over spiece.model
        if os.path.exists(os.path.join(args.out, old)):
            os.remove(os.path.join(args.out, old))
    tokenizer = T5TokenizerFast.from_pretrained(args.out, extra_ids=0)
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(args.out)
    check = sentencepiece.SentencePieceProcessor(model_file=model)
    for line in lines[:2000]:
        if check.encode(line) + [1] != tokenizer(line).input_ids:
            raise SystemExit(
                f"tokenizer.json and spiece.model disagree: {line} (is protobuf there?)"
            )
    print(f"{args.out}: {check.get_piece_size()} pieces")


if __name__ == "__main__":
    main()
