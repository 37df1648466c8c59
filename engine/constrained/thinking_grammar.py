"""Thinking within an answer, as grammar rules: it cannot contain a mark that opens a call."""

from __future__ import annotations

from engine.tool_calls.quoted.thinking_marks import is_tag
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.lark_text import literal
from engine.tool_calls.schemas.pattern_source import escaped, pattern


def without_openings(family: Family, *, anywhere: bool = False) -> str:
    """Lark's expression for any text that opens no call of the family.

    With `anywhere` it contains none of the marks, not even where they would open no call.
    """
    texts = ["/(?s:.*)/"]
    for mark in family.openings:
        bare = mark in family.bare_openings and not anywhere
        before = r"(?:(?s:.*)\n)?" if bare else "(?s:.*)"
        texts.append("~" + pattern(f"{before}{escaped(mark)}(?s:.*)"))
    return " & ".join(texts)


def thinking_rules(family: Family, marks: tuple[str, str] | None) -> list[str]:
    """Rules for `thinking`, and for `last`: the end of the answer, `TEXT` or a thought.

    They match what `engine.answers.reader` reads. A mark that looks like markup opens a thought at the
    beginning of a line and before a line break. Elsewhere it is only mentioned, and no call is opened until
    the end mark or the end of the paragraph. `engine.constrained.code_places` says where marks count.
    """
    if marks is None:
        return ["last: TEXT"]
    opened, closed = literal(marks[0]), literal(marks[1])
    thought = f"NO_CALL: {without_openings(family)}"
    if not is_tag(marks[0]):
        return [
            thought,
            f"think[lazy]: OUTSIDE {opened}",
            f"think_end[lazy]: NO_CALL {closed}",
            "thinking: think think_end",
            "last: TEXT | think NO_CALL",
        ]
    return [
        thought,
        f"think[lazy]: LINE_START {opened}",
        f"mention[lazy]: MIDDLE {opened}",
        "MIDDLE: OUTSIDE & ~LINE_START",
        f"think_end[lazy]: NO_CALL {closed}",
        f"mention_end[lazy]: MENTIONED ({closed} | /\\n[ \\t]*\\n/) | {closed}",
        "MENTIONED: NO_CALL & /[^\\n](?s:.*)/",
        "line_break[lazy]: /\\n/",
        "thinking: think think_end | mention line_break think_end | mention mention_end",
        "last: TEXT | think NO_CALL | mention line_break? NO_CALL",
    ]
