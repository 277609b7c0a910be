#!/usr/bin/env bash
# The whole recipe on a CPU, from nothing to ../model, in about two hours of two cores:
#   make_model.sh [minutes for the VAE] [for the transformer] [for the decoder]
# Needs what requirements.txt lists (scripts/reference_env.sh makes such a Python: PYTHON=...).
# Start it again after a stop: it goes on where it was. Everything but the model stays in $WORK.
set -euo pipefail
cd "$(dirname "$0")"

code=$PWD
python=${PYTHON:-python3}
processes=${PROCESSES:-2}
mkdir -p "${WORK:=work}" && cd "$WORK"
# Large blocks stay with the process: fewer page faults.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 MALLOC_TOP_PAD_=268435456

run() { "$python" "$code/$1" "${@:2}"; }
together() { run parallel.py "$processes" "$code/$1" "${@:2}"; }

[ -f tokenizer/spiece.model ] || run train_tokenizer.py --out tokenizer
run train_text.py --tokenizer tokenizer/spiece.model --steps 2000
together train_vae.py --lr 3e-3 --minutes "${1:-40}"
if [ ! -f latents/done ]; then
    for ((k = 0; k < processes; k++)); do
        run encode_dataset.py --worker "$k" --clips $((4400 / processes)) &
    done
    wait
    touch latents/done
fi
together train_dit.py --size micro --lr 4e-3 --text-lr 3e-4 --minutes "${2:-55}"
together train_vae.py --decoder-only vae.pt --out vae_decoder.pt --lr 2e-3 --focus 0.7 \
    --extra-noise 0.15 --phases 21:48:2:1 --minutes "${3:-15}"
run export.py --vae vae_decoder.pt --out "$code/../model"
run check.py --model "$code/../model"
