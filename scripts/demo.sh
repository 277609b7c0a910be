#!/usr/bin/env bash
# Renders a video with the demo model, from a fresh clone: demo.sh ["prompt"]
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-A purple car drives to the right in a city at night, animated style.}
[ -x build/haloreel ] || echo "Building into build/ (about half a minute) ..."
scripts/build.sh
build/haloreel render --model demo --prompt "$prompt" --seed 7 --force --set output.folder=runs/demo
