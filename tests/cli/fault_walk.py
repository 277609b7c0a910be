"""Walks the places where calls can fail (faults.py), one in each run.

    python3 tests/cli/fault_walk.py build/haloreel-faults [--ranks 1,2,4] [--scenarios render,...]
        [--cover] [--sample N] [--only TEXT] [--jobs N] [--log FILE] [--list]

--cover takes each place once for each number of ranks and rank, in one of the four ways: from one of them to the
next the ways go round, so that a place that all have is walked in all. Of the scenarios after `render` it takes
the places that `render` does not have on that rank.
"""
import argparse
import json
import os
import random
import re
import sys
import time
import zlib

from faults import Walk, read, summary


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--scenarios", default="")
    parser.add_argument("--cover", action="store_true", help="each place once for each number of ranks and rank")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, always the same ones; 0: all")
    parser.add_argument("--only", default="", help="a regular expression that the case has")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", help="a line of JSON for each case; those that are in it are not walked again")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    walk = Walk()
    try:
        return walk_with(walk, options)
    finally:
        walk.close()


def select(walk, options):
    """The cases that the options ask for, with few ranks first where each place is taken once."""
    cases, scenarios = [], options.scenarios.split(",") if options.scenarios else list(walk.SCENARIOS)
    for n in map(int, options.ranks.split(",")):
        if options.cover:
            found, lines = walk.cover(scenarios, n)
            print(*lines, sep="\n", flush=True)
        else:
            found = [case for scenario in scenarios for case in walk.cases(scenario, n)]
        cases += found
    cases = [case for case in cases if re.search(options.only, f"{case} {walk.name(case.place)}")]
    random.Random(1).shuffle(cases)
    return sorted(cases, key=lambda case: case.n) if options.cover else cases


def read_log(path, program):
    """{case: (code, was met, what is wrong)} of this program."""
    if not path or not os.path.exists(path):
        return {}
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    ours = [row for row in rows if row["program"] == program]
    if len(ours) < len(rows):
        print(f"{path}: {len(rows) - len(ours)} of another program are not counted")
    return {row["case"]: (row["code"], row["met"], row["wrong"]) for row in ours}


def walk_with(walk, options):
    cases, begin = select(walk, options), time.monotonic()
    program = f"{zlib.crc32(read(walk.program)):08x}"
    log = read_log(options.log, program)
    results = [(case, log[str(case)]) for case in cases if str(case) in log]
    n_before = len(results)
    cases = [case for case in cases if str(case) not in log][:options.sample or None]
    print(f"{len(cases)} to walk, {n_before} were walked before", flush=True)
    if options.list:
        for case in cases:
            print(case, walk.name(case.place))
        return 0

    def tell(case, result):
        results.append((case, result))
        code, is_met, wrong = result
        if options.log:
            with open(options.log, "a") as file:
                file.write(json.dumps({"program": program, "case": str(case), "at": walk.name(case.place),
                                       "code": code, "met": is_met, "wrong": wrong}) + "\n")
        if wrong:
            print(f"WRONG {case} ({walk.name(case.place)})", *wrong, sep="\n    ", flush=True)
        elif len(results) % 100 == 0:
            print(f"{len(results)} of {n_before + len(cases)}, {time.monotonic() - begin:.0f} s", flush=True)

    walk.walk_all(cases, options.jobs, tell)
    print(f"{summary(results)}; {time.monotonic() - begin:.0f} s")
    return 1 if any(wrong for _, (_, _, wrong) in results) else 0


if __name__ == "__main__":
    sys.exit(main())
