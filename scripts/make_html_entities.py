#!/usr/bin/env python3
"""Writes model/html_entities.inc from Python's table of HTML5 character references.

    python3 scripts/make_html_entities.py > model/html_entities.inc

Each reference is {name without ";", bare, code points}; "bare" marks those that HTML5 also knows
without ";". The second table holds the all-capital spellings that ftfy accepts: the capital name
of a lower-case reference, where HTML5 itself decodes no part of it, stands for the capital of its
text.
"""

import html
from html.entities import html5

WIDTH = 160


def entity(name, bare, text):
    codes = [f"0x{ord(c):X}" for c in text]
    assert 1 <= len(codes) <= 3 and name.isalnum() and name.isascii(), name
    return f'{{"{name}",{"true" if bare else "false"},{{{",".join(codes)}}}}}'


def table(label, entries):
    lines = [f"static const hr_html_entity {label}[] = {{"]
    line = ""
    for e in entries:
        if len(line) + len(e) + 1 > WIDTH:
            lines.append(line)
            line = ""
        line += e + ","
    return "\n".join(lines + [line, "};"])


def main():
    names = sorted(n[:-1] for n in html5 if n.endswith(";"))
    bare = {n for n in html5 if not n.endswith(";")}
    assert bare <= set(names) and all(html5[n] == html5[n + ";"] for n in bare)
    capitals = {}
    for name in names:
        capital = name.upper()
        if name == name.lower() and html.unescape(f"&{capital};") == f"&{capital};":
            capitals[capital] = html5[name + ";"].upper()
    print("/* Made by scripts/make_html_entities.py from Python's html.entities.html5. */")
    print(table("entities", [entity(n, n in bare, html5[n + ";"]) for n in names]))
    print(table("capitals", [entity(n, False, capitals[n]) for n in sorted(capitals)]))


main()
