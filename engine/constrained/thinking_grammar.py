"""Thinking within an answer, as rules of a grammar: in it, no mark can be written that opens a call."""

from __future__ import annotations

from engine.tool_calls.quoted.thinking_marks import is_tag
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.lark_text import literal
from engine.tool_calls.schemas.pattern_source import escaped, pattern


def without_openings(family: Family, *, anywhere: bool = False) -> str:
    """Lark's expression for any text in which no call of the family is opened.

    With `anywhere` it has none of the marks, not even where they would open nothing.
    """
    texts = ["/(?s:.*)/"]
    for mark in family.openings:
        bare = mark in family.bare_openings and not anywhere
        before = r"(?:(?s:.*)\n)?" if bare else "(?s:.*)"
        texts.append("~" + pattern(f"{before}{escaped(mark)}(?s:.*)"))
    return " & ".join(texts)


def thinking_rules(family: Family, marks: tuple[str, str] | None) -> list[str]:
    """Rules for `thinking`, and for `last`: the text behind which the answer ends, `TEXT` or a thought.

    They read an answer as `engine.answers.reader` does. A mark that looks like markup opens a thought at the
    beginning of a line and before a line break; elsewhere it is mentioned, and no call is opened up to the
    mark's end or the end of the paragraph. `engine.constrained.code_places` has the places where marks count.
    """
    if marks is None:
        return ["last: TEXT"]
    opened, closed = literal(marks[0]), literal(marks[1])
    thought = f"CALM: {without_openings(family)}"
    if not is_tag(marks[0]):
        return [
            thought,
            f"think[lazy]: OUTSIDE {opened}",
            f"think_end[lazy]: CALM {closed}",
            "thinking: think think_end",
            "last: TEXT | think CALM",
        ]
    return [
        thought,
        f"think[lazy]: LINE_START {opened}",
        f"mention[lazy]: MIDDLE {opened}",
        "MIDDLE: OUTSIDE & ~LINE_START",
        f"think_end[lazy]: CALM {closed}",
        f"mention_end[lazy]: MENTIONED ({closed} | /\\n[ \\t]*\\n/) | {closed}",
        "MENTIONED: CALM & /[^\\n](?s:.*)/",
        "line_break[lazy]: /\\n/",
        "thinking: think think_end | mention line_break think_end | mention mention_end",
        "last: TEXT | think CALM | mention line_break? CALM",
    ]
