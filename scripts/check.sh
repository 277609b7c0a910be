#!/usr/bin/env bash
# All checks that need no build. Each says something only when it is wrong, then one line.
set -uo pipefail
cd "$(dirname "$0")/.."

status=0
python3 scripts/check_layers.py || status=1
python3 scripts/check_source.py || status=1
scripts/check_format.sh || status=1
scripts/check_tree.sh || status=1
python3 scripts/check_docs.py || status=1
exit $status
