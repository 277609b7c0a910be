#!/usr/bin/env bash
# Prints the path of a Python that has the reference: torch, diffusers and what demo/train needs.
#
# It is kept in a virtual environment, $HR_REFERENCE or .venv-reference, made at the first call
# (about 6 GB on disk, minutes). haloreel itself never needs it: only the training of the demo model,
# tests/golden/make_golden.py and bench/vs_diffusers.py do.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${HR_REFERENCE:-.venv-reference}
wanted=demo/train/requirements.txt
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
if ! cmp -s "$wanted" "$folder/installed.txt"; then
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        scripts/install-deps.sh python3-venv >&2
    fi
    echo "reference_env: installing torch and diffusers into $folder" >&2
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" >&2
    cp "$wanted" "$folder/installed.txt"
fi
echo "$folder/bin/python"
