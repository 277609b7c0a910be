#!/usr/bin/env python3
"""Fails when a golden file is not the one whose SHA-256 manifest.json has, or is not listed."""

import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
NOT_GOLDEN = {"manifest.json", "README.md", "make_golden.py", "check_manifest.py"}


def main():
    listed = json.loads((HERE / "manifest.json").read_text())["files"]
    bad = []
    for name, entry in listed.items():
        if name in NOT_GOLDEN:
            continue
        path = HERE / name
        if not path.is_file():
            bad.append(f"{name}: missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            bad.append(f"{name}: changed since it was made")
    present = {p.relative_to(HERE).as_posix() for p in HERE.rglob("*") if p.is_file()}
    hidden = {p for p in present if "__pycache__" in p}
    bad += [
        f"{name}: not in manifest.json"
        for name in sorted(present - hidden - set(listed) - NOT_GOLDEN)
    ]
    for line in bad:
        print(f"tests/golden/{line}")
    print(f"golden: {len(listed)} files listed, {len(bad)} wrong")
    return len(bad) > 0


if __name__ == "__main__":
    sys.exit(main())
