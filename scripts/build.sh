#!/usr/bin/env bash
# Builds haloreel: build.sh [FOLDER [TARGET [CMAKE OPTION...]]]
# FOLDER is build when not given, TARGET the program alone (haloreel); "all" has the tests too.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-build} target=${2:-haloreel}
shift $(($# < 2 ? $# : 2))

scripts/install-deps.sh
generator=()
[ -f "$folder/CMakeCache.txt" ] || generator=(-G Ninja)
mkdir -p "$folder"
log=$folder/build.log
if ! cmake -S . -B "$folder" "${generator[@]}" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "build: could not configure; if $folder is an old build, remove it and try again" >&2
    exit 1
fi
if ! cmake --build "$folder" --target "$target" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" >&2
    echo "build: failed, the whole log is in $log" >&2
    exit 1
fi
