#!/usr/bin/env bash
# The whole fault walk, which takes hours: fault_walk.sh [PROGRAM [OPTION...]], PROGRAM a
# haloreel-faults (build-test/haloreel-faults), options those of tests/cli/faults.py.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-build-test/haloreel-faults}
shift $(($# < 1 ? $# : 1))
exec python3 tests/cli/faults.py "$program" "$@"
