#!/usr/bin/env bash
# Builds with warnings as errors and runs all tests, from a fresh clone.
#
# Once with the best instruction set of this machine, then the numerical layers once more with each
# lower one forced. Tests that could not run here are counted as skipped and named.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build-test
scripts/build.sh "$folder" all -DHR_WERROR=ON

skipped=$(mktemp)
trap 'rm -f "$skipped"' EXIT

run() { # title, ctest options
    local title=$1 log=$folder/Testing/Temporary/LastTest.log
    shift
    echo "== $title"
    ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$(nproc)" "$@" |
        grep -vE '^(Internal ctest|Test project|  +Start )'
    # CMocka's lines, and those of Python's unittest
    { grep -oE '^\[  SKIPPED \] [a-z_0-9]+$|^[a-z].* \.\.\. skipped .*' "$log" || true; } >>"$skipped"
}

run "all tests"
for isa in avx2 plain; do
    HR_TEST_ISA=$isa HALOREEL_ISA=$isa run "instruction set $isa" -R '^(compute|model|worker)/'
done

echo "skipped: $(wc -l <"$skipped")"
sort "$skipped" | uniq -c
