#!/usr/bin/env bash
# Renders a video with the demo model, from a fresh clone: demo.sh ["prompt"]
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-A red cat walks to the right in a meadow, animated style.}
scripts/build.sh
mkdir -p runs/demo
build/haloreel render --model demo --prompt "$prompt" --seed 7 --force -o runs/demo/video.mp4
echo "The video is in runs/demo/video.mp4"
