#!/usr/bin/env bash
# The fault walk, all of it or what is asked for: fault_walk.sh [PROGRAM [OPTION...]], PROGRAM a
# haloreel-faults (build-test/haloreel-faults), options those of tests/cli/fault_walk.py. All takes
# hours; with --cover about one.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-build-test/haloreel-faults}
shift $(($# < 1 ? $# : 1))
exec python3 tests/cli/fault_walk.py "$program" "$@"
