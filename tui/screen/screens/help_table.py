"""The groups of a help text, from the way it is written down.

`# Columns` begins a group. `name | style | meaning`, or `name | meaning`, is an entry, and the line below it
that begins with blanks goes on with it. All else is a paragraph.
"""

from __future__ import annotations

Entry = tuple[str, str, str]  # name, style, meaning; of a paragraph the meaning alone
Group = tuple[str, tuple[Entry, ...]]


def groups(text: str) -> tuple[Group, ...]:
    """The groups of a text in their order; the first may have no title."""
    found: list[tuple[str, list[Entry]]] = []
    for line in filter(None, text.split("\n")):
        if line.startswith("# "):
            found.append((line.removeprefix("# "), []))
            continue
        if not found:
            found.append(("", []))
        entries, entry = found[-1][1], _entry(line)
        if entries and (line[0] == " " or not (entry[0] or entries[-1][0])):
            name, style, begun = entries.pop()
            entry = (name, style, f"{begun} {line.strip()}")
        entries.append(entry)
    return tuple((title, tuple(entries)) for title, entries in found)


def _entry(line: str) -> Entry:
    if " | " not in line:
        return "", "", line.strip()
    name, *style, meaning = line.split(" | ")
    return name, "".join(style), meaning
