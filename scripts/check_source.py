#!/usr/bin/env python3
"""Fails on banned functions outside their home, files, functions and parameter lists that are too
long, TODO without an issue and drawn lines; prints the scorecard of the sources in one line.

Relies on the layout of .clang-format: a function's body opens and closes in the first column.
"""

import pathlib
import re
import statistics
import subprocess
import sys

MAX_FILE, MAX_FUNCTION, MAX_PARAMETERS = 1000, 100, 6

# What may be called only in the files whose path starts with one of these.
HOMES = {
    r"malloc|calloc|realloc|free|strdup|strndup|asprintf|aligned_alloc|posix_memalign": (
        "base/memory.c",
        "cli/render_options.c",
    ),  # argp frees what its help filter gives
    r"printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|fputc|perror": (
        "base/log.c",
        "base/assert.c",
        "cli/",
        "tests/",
    ),
    r"exit|_exit|quick_exit": ("cli/", "tests/"),
    r"abort|assert": ("base/assert.c",),
    r"sprintf|vsprintf|strcpy|strcat|strtok|gets|atoi|atol|atoll|atof|rand|srand|alloca": (),
    r"getenv|secure_getenv|setenv|putenv": ("base/", "io/job", "comm/process", "cli/", "tests/"),
    r"MPI_\w+": ("comm/",),
    r"nccl[A-Z]\w+": ("comm/",),
    r"cuda[A-Z]\w+|cu[A-Z]\w+": ("compute/cuda/",),
}
BANNED = [
    (re.compile(r"(?<![\w.>])(" + names + r")\s*\("), homes) for names, homes in HOMES.items()
]

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(#\d+\))")
DRAWN = re.compile(r"([-=*#_~])\1{4,}")


def without_noise(text):
    """The code alone; comments and strings become blanks, lines stay where they are."""
    return NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def comments_of(text):
    return [m for m in NOISE.finditer(text) if m.group()[:2] in ("//", "/*")]


def parameters(signature):
    """Number of parameters of the outermost list that closes last."""
    depth, count, inside = 0, 0, ""
    for ch in signature:
        depth += ch == "("
        if depth == 1 and ch == "(":
            count, inside = 1, ""
        elif depth:
            inside += ch
            count += depth == 1 and ch == ","
        depth -= ch == ")"
    return 0 if inside.strip(" )\n") in ("", "void") else count


def functions(code):
    """(first line, number of lines, number of parameters) of each function."""
    lines = code.split("\n")
    start = None
    for k, line in enumerate(lines):
        if line == "{":
            start = k
            while start > 0 and lines[start - 1].strip() and lines[start - 1][0] not in "}#":
                start -= 1
            signature = "\n".join(lines[start:k])
        elif line == "}" and start is not None:
            yield start + 1, k - start + 1, parameters(signature)
            start = None


def check(path, text):
    """Complaints about one file, and (lines of its functions, lines of comment)."""
    code, bad, lengths = without_noise(text), [], []
    n_lines = text.count("\n")
    if n_lines > MAX_FILE:
        bad.append(f"{path}: {n_lines} lines, at most {MAX_FILE}")
    for line, length, n_parameters in functions(code):
        lengths.append(length)
        if length > MAX_FUNCTION:
            bad.append(f"{path}:{line}: function of {length} lines, at most {MAX_FUNCTION}")
        if n_parameters > MAX_PARAMETERS:
            bad.append(f"{path}:{line}: {n_parameters} parameters, at most {MAX_PARAMETERS}")
    for pattern, homes in BANNED:
        if path.startswith(homes):
            continue
        for m in pattern.finditer(code):
            line = code.count("\n", 0, m.start()) + 1
            bad.append(f"{path}:{line}: {m.group(1)} outside {' '.join(homes) or 'nowhere'}")
    comments = comments_of(text)
    for m in comments:
        line = text.count("\n", 0, m.start()) + 1
        if TODO.search(m.group()):
            bad.append(f"{path}:{line}: TODO without an issue: write TODO (#n)")
        if DRAWN.search(m.group()):
            bad.append(f"{path}:{line}: a drawn line")
    return bad, lengths, sum(m.group().count("\n") + 1 for m in comments)


def check_script(path, text):
    """Scripts: length and TODO only."""
    bad = []
    if text.count("\n") > MAX_FILE:
        bad.append(f"{path}: {text.count(chr(10))} lines, at most {MAX_FILE}")
    for k, line in enumerate(text.split("\n"), 1):
        if "#" in line and TODO.search(line.split("#", 1)[1]):
            bad.append(f"{path}:{k}: TODO without an issue")
    return bad


def percent(part, whole):
    return f"{100 * part / max(1, whole):.0f} %"


def scorecard(sizes, lengths, n_comment):
    lengths = sorted(lengths) or [0]
    sources = [n for path, n in sizes.items() if path.endswith((".c", ".cc"))]
    n_lines = sum(sizes.values())
    return (
        f"{len(sizes)} files, {n_lines} lines, .c <= 400 lines {percent(sum(n <= 400 for n in sources), len(sources))}"
        f" (max {max(sources, default=0)}), function median {statistics.median(lengths):.0f}"
        f" p90 {lengths[len(lengths) * 9 // 10]} max {lengths[-1]}, comments {percent(n_comment, n_lines)}"
    )


def main():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    bad, lengths, sizes, n_comment = [], [], {}, 0
    for path in sorted(p for p in listed if (ROOT / p).is_file()):
        if path.endswith((".c", ".h", ".cc", ".cu", ".cuh")):
            text = (ROOT / path).read_text()
            complaints, found, comment = check(path, text)
            bad += complaints
            if not path.startswith("tests/"):
                lengths += found
                n_comment += comment
                sizes[path] = text.count("\n")
        elif path.endswith((".py", ".sh")) and path != "scripts/check_source.py":
            bad += check_script(path, (ROOT / path).read_text())
    for line in bad:
        print(line)
    print(f"source: {len(bad)} wrong; {scorecard(sizes, lengths, n_comment)}")
    return len(bad) > 0


if __name__ == "__main__":
    sys.exit(main())
