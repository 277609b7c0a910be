#!/usr/bin/env bash
# Renders a video of 10 s with the demo model on two ranks, from a fresh clone: demo.sh ["prompt"]
# HALOREEL_RANKS sets another number of ranks. Where mpirun cannot start them, one rank renders.
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-A purple car drives to the right in a city at night, animated style.}
ranks=${HALOREEL_RANKS:-2}
[ -x build/haloreel ] || echo "Building into build/ (about a minute) ..."
scripts/build.sh

# Open MPI wants these before it starts ranks as root, as in a container.
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# With more cores than ranks, each may use several.
bind=none
[ "$(nproc)" -ne "$ranks" ] || bind=core
launch=(mpirun -q --oversubscribe --bind-to "$bind" -n "$ranks")
job=(build/haloreel render --model demo --prompt "$prompt" --seed 7 --force
    --set video.seconds=10 --set output.folder=runs/demo)
if ! said=$("${launch[@]}" build/haloreel render --usage 2>&1 >/dev/null); then
    echo "demo: mpirun does not start $ranks ranks here: one rank renders alone" >&2
    grep -v '^[- ]*$' <<<"$said" | head -n 3 >&2 || true
    exec "${job[@]}"
fi
# mpirun kills its ranks a second after Ctrl-C. USR1, which it passes on, lets them write a checkpoint.
setsid "${launch[@]}" "${job[@]}" </dev/null &
pid=$!
trap 'kill -USR1 "$pid" 2>/dev/null' INT TERM
until wait "$pid"; do
    code=$?
    kill -0 "$pid" 2>/dev/null || exit "$code"
done
