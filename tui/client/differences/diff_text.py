"""Where two prompts part, in words and styled lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import count, seconds
from tui.client.wire_text import line_text

if TYPE_CHECKING:
    from proxy.traces.analysis.comparing.diff_facts import DiffFacts, SegmentFacts

MARKS = {"same": "=", "changed": "≠", "only in A": "-", "only in B": "+"}


def diff_sentence(found: DiffFacts) -> str:
    """What B could have taken of A, where they part, and the cost of that."""
    if found.first is None:
        return "Both prompts are the same."
    part = found.segments[found.first]
    if found.a.model and found.b.model and found.a.model != found.b.model:
        models = f"{line_text(found.a.model)}, {line_text(found.b.model)}"
        return f"Their models differ ({models}): nothing of A could serve B."
    where = _where(part)
    if found.position is None or not found.b.prompt_tokens:
        return f"They part {where}; the tokens of B were not counted."
    about = "~" if found.estimated else ""
    took = f"~{seconds(found.cost_s)} of prefill" if (found.cost_s or 0.0) >= 0.001 else ""
    if all(one.kind == "only in A" for one in found.segments[found.first :]):
        return "A begins with all of B and goes on: all of B could be restored from it."
    appended = part.kind == "only in B" and found.first >= len(found.segments) - _news(found)
    if appended:
        cost = f", {took}" if took else ""
        return (
            f"B begins with all of A and goes on: {about}{found.recomputed or 0:,} of its"
            f" {found.b.prompt_tokens:,} tokens are new{cost}."
        )
    # All behind it, also what is new in B: `w` tells how much of it A had, and what that cost.
    behind = f" The {about}{found.recomputed:,} behind it took {took}." if took and found.recomputed else ""
    return (
        f"B could restore {about}{found.position:,} of its {found.b.prompt_tokens:,} tokens: it parts from A"
        f" there, {where}.{behind}"
    )


def _where(part: SegmentFacts) -> str:
    name = line_text(part.name)
    match part.kind:
        case "only in B":
            return f"at {name}, which A does not have there"
        case "only in A":
            return f"where A has {name}"
    return f"in {name}"


def _news(found: DiffFacts) -> int:
    """How many of the last segments only B has."""
    number = 0
    for part in reversed(found.segments):
        if part.kind != "only in B":
            break
        number += 1
    return number


def segment_note(found: DiffFacts, place: int) -> str:
    """What a segment means for the cache: whether it could be restored."""
    part = found.segments[place]
    if found.first is None or place < found.first:
        return ""
    if place == found.first and part.kind == "changed":
        return "first difference"
    apart = {"only in A": "only in B", "only in B": "only in A"}.get(part.kind)
    if apart and any(one.kind == apart and one.name == part.name for one in found.segments):
        return "moved"
    return {"same": "but behind it", "only in B": "new", "only in A": "gone"}.get(part.kind, "")


def segment_tokens(part: SegmentFacts) -> str:
    """Its tokens in A and B."""
    return f"{count(part.a_tokens)} / {count(part.b_tokens)}"
