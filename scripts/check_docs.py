#!/usr/bin/env python3
"""Fails on relative links without a target and on placeholders in the Markdown files."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
PLACEHOLDER = re.compile(r"@@\w+@@|\bTBD\b|^MEASURED$", re.M)

wrong = 0
files = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
for name in files:
    text = (ROOT / name).read_text(encoding="utf-8")
    dead = [m.group(1) for m in LINK.finditer(text)
            if "://" not in m.group(1) and not ((ROOT / name).parent / m.group(1)).exists()]
    for what in [f"dead link {link}" for link in dead] + [f"placeholder {m.group()}" for m in PLACEHOLDER.finditer(text)]:
        print(f"{name}: {what}")
        wrong += 1
print(f"docs: {len(files)} files, {wrong} wrong")
sys.exit(wrong > 0)
