"""What a comparison says, and what each segment means for the cache."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.traces.analysis.comparing.diff_facts import DiffFacts
from tui.client.differences.diff_text import diff_sentence, segment_note


def facts(kinds: str, *, first: int | None, **more: Any) -> DiffFacts:
    names = {"=": "same", "≠": "changed", "+": "only in B", "-": "only in A"}
    segments = [
        {"name": f"part {place}", "kind": names[kind], "a_tokens": 10, "b_tokens": 10}
        for place, kind in enumerate(kinds)
    ]
    side = {"id": "a", "time": 1.0, "session": "s", "lane": "main", "model": "m", "prompt_tokens": 21_377}
    told = {"position": 16_384, "estimated": False, "recomputed": 4_993, "cost_s": 3.9, "told": ""}
    return DiffFacts.model_validate(
        {"a": side, "b": side, "segments": segments, "first": first} | told | more
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (facts("==", first=None), "Both prompts are the same."),
        (
            facts("=≠=", first=1),
            "B could restore 16,384 of its 21,377 tokens: it parts from A there, in part 1. The 4,993"
            " behind it took ~3.9s of prefill.",
        ),
        (
            facts("=++", first=1, estimated=True),
            "B begins with all of A and goes on: ~4,993 of its 21,377 tokens are new, ~3.9s of prefill.",
        ),
        (
            facts("=-", first=1, cost_s=None),
            "A begins with all of B and goes on: all of B could be restored from it.",
        ),
        (facts("≠", first=0, position=None), "They part in part 0; the tokens of B were not counted."),
        (
            facts("=+=", first=1),
            "B could restore 16,384 of its 21,377 tokens: it parts from A there, at part 1, which A does not"
            " have there.",
        ),
        (
            facts("=-=", first=1, estimated=True),
            "B could restore ~16,384 of its 21,377 tokens: it parts from A there, where A has part 1.",
        ),
    ],
)
def test_the_sentence_says_where_they_part_and_the_cost(found: DiffFacts, said: str) -> None:
    assert diff_sentence(found).startswith(said)


def test_other_models_share_nothing() -> None:
    found = facts("=≠", first=1)
    found.a.model = "x"
    assert diff_sentence(found) == "Their models differ (x, m): nothing of A could serve B."


def test_one_that_was_refused_before_its_model_was_decided_is_of_no_other_model() -> None:
    found = facts("=≠", first=1, position=None)
    found.b.model = ""
    assert diff_sentence(found) == "They part in part 1; the tokens of B were not counted."


def test_each_segment_says_what_it_means() -> None:
    found = facts("=≠=+-", first=1)
    assert [segment_note(found, place) for place in range(5)] == [
        "",
        "first difference",
        "but behind it",
        "new",
        "gone",
    ]


def test_a_segment_that_stands_elsewhere_is_moved_not_new() -> None:
    found = facts("=+=-+", first=1)
    found.segments[3].name = found.segments[1].name
    assert [segment_note(found, place) for place in range(1, 5)] == ["moved", "but behind it", "moved", "new"]
