#!/usr/bin/env python3
"""Fails on an include that goes up: a folder sees only the folders that this table names."""

import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": "base",
    "compute": "compute base",
    "comm": "comm base compute",
    "io": "io base comm",
    "model": "model base compute comm io",
    "coordinator": "coordinator base comm io",
    "worker": "worker base compute comm io model coordinator",
    "cli": "cli base compute comm io model coordinator worker",
}
# Backends of compute/: no one includes them but themselves and the table that chooses them.
BACKENDS = ("compute/cpu", "compute/strict", "compute/dry", "compute/cuda")
BACKEND_TABLE = "compute/device.c"
# Headers of third parts, by pattern, and the one place that may include them.
THIRD_PARTS = {
    r"(oneapi/)?dnnl": "compute/cpu/",
    r"\w*mmintrin\.h": "compute/cpu/",
    r"omp\.h": "compute/cpu/",
    r"cuda|cublas|cudnn": "compute/cuda/",
    r"mpi\.h|nccl\.h": "comm/",
    r"xxhash\.h": "base/hash",
    r"yaml\.h": "io/",
    r"(cjson/)?cJSON\.h": "io/json",
    r"libav\w+/|libswscale/": "io/",
    r"hdf5": "io/",
    r"sentencepiece": "model/",
    r"utf8proc\.h": "model/",
}

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.M)


def wrong(path, quote, header):
    """Why `path` may not include `header`, or None."""
    layer, target = path.split("/")[0], header.split("/")[0]
    if layer not in MAY_INCLUDE:
        return None
    for pattern, home in THIRD_PARTS.items():
        if re.match(pattern, header) and not path.startswith(home):
            return f"only {home} may include it"
    if quote == "<":
        return None
    if target not in MAY_INCLUDE:
        return "not a path from the root of the project"
    if target not in MAY_INCLUDE[layer].split():
        return f"{layer} may include only: {MAY_INCLUDE[layer]}"
    for backend in BACKENDS:
        inside = path.startswith(backend + "/") or path == BACKEND_TABLE
        if header.startswith(backend + "/") and not inside:
            return f"the inside of {backend}"
    return None


def main():
    seen, bad = 0, 0
    for layer in MAY_INCLUDE:
        for file in sorted((ROOT / layer).rglob("*.[ch]*")):
            path = file.relative_to(ROOT).as_posix()
            for quote, header in INCLUDE.findall(file.read_text()):
                seen += 1
                reason = wrong(path, quote, header)
                if reason:
                    bad += 1
                    print(f"{path}: includes {header}: {reason}")
    print(f"layers: {seen} includes, {bad} wrong")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
