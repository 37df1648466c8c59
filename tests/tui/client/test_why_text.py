"""One sentence says why, with what it cost; the advice fits the cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.events.types import CacheMiss, ErrorInfo
from proxy.traces.analysis.why_facts import Ahead, Phase, Repeat, Usual, Why
from tui.client.figures import clock
from tui.client.records import RequestSnapshot
from tui.client.why_text import (
    eviction_text,
    phase_bars,
    shown_phases,
    why_advice,
    why_sentence,
    why_usual,
    with_running_repeat,
)

USUAL = Usual(of="session", requests=9, took_s=4.6, ttft_s=1.5, speed=60.0)


def why(verdict: str = "slow", *phases: tuple[str, float], **more: Any) -> Why:
    """Facts of a request with these phases, one behind the other."""
    told, at = [], 0.0
    for name, seconds in phases:
        told.append(Phase.model_validate({"name": name, "start": at, "seconds": seconds}))
        at += seconds
    longest = max(told, key=lambda phase: phase.seconds).name if told else None
    made = {"verdict": verdict, "phases": told, "longest": longest, "took_s": at, "prompt_tokens": 21_377}
    return Why.model_validate({"trace": "req_1", **made, **more})


def miss(reason: str, now: str = "branch: json-export") -> dict[str, Any]:
    found = CacheMiss.model_validate({"reason": reason, "position": 16_384, "segment": "system", "now": now})
    return {"miss": found, "lost_tokens": 4_912, "lost_s": 3.9, "restored_tokens": 16_384}


@pytest.mark.parametrize(
    ("facts", "sentence", "advice"),
    [
        (
            why("slow", ("waiting", 0.3), ("prefill", 4.0), ("decode", 2.6), **miss("diverged")),
            "Slow: 4.0s of 6.9s was prefill; 4,912 of 21,377 prompt tokens, 23%, were prefilled again"
            " (~3.9s), the prompt changed at token 16,384 in system: now branch: json-export.",
            "Text that changes stands before the conversation",
        ),
        (
            why("missed", ("prefill", 1.0), **miss("diverged", "you are on branch " + "json-export " * 9)),
            "4,912 of 21,377 prompt tokens, 23%, were prefilled again (~3.9s), the prompt changed at token"
            " 16,384 in system: now you are on branch json-export json-export json-…",
            "Text that changes stands before the conversation",
        ),
        (
            why("missed", ("prefill", 1.0), **miss("evicted")),
            "4,912 of 21,377 prompt tokens, 23%, were prefilled again (~3.9s), what was stored had been"
            " evicted.",
            "More room keeps more",
        ),
        (
            why("slow", ("prefill", 20.0), ("decode", 1.0), restored_tokens=1_377),
            "Slow: 20s of 21s was prefill of 20,000 new tokens of 21,377, 1.0k a second.",
            "A new prompt is computed once",
        ),
        (
            why(
                "slow",
                ("waiting", 12.0),
                ("decode", 2.0),
                ahead=[
                    Ahead(id="a", session="9f3c1e77", lane="subagent", seconds=8.2),
                    Ahead(id="b", session="c", lane="main", seconds=3.0),
                ],
            ),
            "Slow: waited 12s of 14s for other requests (9f3c1e subagent, 8.2s, and 1 more).",
            "Requests that run at once share the model",
        ),
        (
            why("slow", ("prefill", 1.0), ("decode", 50.0), output_tokens=900, speed=18.0, usual=USUAL),
            "Slow: it wrote 900 tokens at 18.0 a second (usual 60.0), 50s of 51s.",
            "Other requests or programs",
        ),
        (
            why("slow", ("upstream", 14.0), ("decode", 1.0)),
            "Slow: the upstream took 14s of 15s to its first token.",
            "",
        ),
        (
            why("slow", ("template", 3.0), ("prefill", 1.0)),
            "Slow: 3.0s of 4.0s went into the chat template, which rendered a prompt of 21,377 tokens.",
            "The chat template renders",
        ),
        (
            why("slow", ("tokenizing", 3.0), ("decode", 1.0)),
            "Slow: 3.0s of 4.0s went into tokenizing a prompt of 21,377 tokens.",
            "Text is tokenized once",
        ),
        (
            why("slow", ("restore", 5.0), ("decode", 1.0), restored_tokens=21_000, tier="disk"),
            "Slow: 5.0s of 6.0s went into restoring 21,000 tokens from disk.",
            "Its tokens were on disk",
        ),
        (
            why("failed", ("upstream", 2.0), error=ErrorInfo(type="e", message="the engine\nended")),
            "Failed after 2.0s: the engine ended",
            "Claude Code repeats",
        ),
        (
            why(
                "failed",
                ("waiting", 1.0),
                ("prefill", 2.0),
                error=ErrorInfo(type="e", message="the connection was lost", cause="engine died"),
                repeat=Repeat(id="b", after_s=4.0, failed=False),
            ),
            "Failed after 3.0s, during prefill, engine died: the connection was lost."
            " It was repeated 4.0s later, and was answered.",
            "Memory was perhaps too short",
        ),
        (
            why(
                "failed",
                ("upstream", 1.0),
                error=ErrorInfo(type="rate_limit_error", message="http://x: slow down!"),
                repeat=Repeat(id="b", after_s=4.0, failed=True),
            ),
            "Failed after 1.0s, rate limited: http://x: slow down!"
            " It was repeated 4.0s later, and failed too.",
            "The server limits requests",
        ),
        (
            why(
                "failed",
                ("upstream", 1.0),
                error=ErrorInfo(type="rate_limit_error", message="slow down!"),
                repeat=Repeat(id="b", after_s=4.0, failed=False, times=3),
            ),
            "Failed after 1.0s, rate limited: slow down!"
            " It was repeated 3 times, the last time 4.0s later, and was answered.",
            "The server limits requests",
        ),
        (
            why(
                "failed",
                ("upstream", 1.0),
                error=ErrorInfo(type="api_error", message="not accepted", cause="rejected by upstream"),
            ),
            "Failed after 1.0s, rejected by upstream: not accepted",
            "The server does not take such a request",  # not that it passes by itself
        ),
        (
            why(
                "failed",
                ("decode", 3.0),
                ("silence", 30.0),
                error=ErrorInfo(type="e", message="it said no more"),
            ),
            "Failed after 33s, after its last token: it said no more",
            "Claude Code repeats",
        ),
        (
            why("cancelled", ("prefill", 3.0), ("finishing", 0.2)),
            "The client left after 3.2s, during prefill.",
            "",
        ),
        (why("cancelled", took_s=0.0), "The client left after 0ms, at once.", ""),
        (why("usual", ("prefill", 1.0)), "Nothing stands out.", ""),
        (why("usual", ("prefill", 4.0), usual=USUAL), "Within the usual.", ""),
        (
            why("usual", ("prefill", 1.0), miss=CacheMiss(reason="cold")),
            "The first prompt of its kind: 21,377 tokens were prefilled.",
            "",
        ),
    ],
)
def test_each_cause_has_its_sentence(facts: Why, sentence: str, advice: str) -> None:
    assert why_sentence(facts) == sentence
    assert why_advice(facts).startswith(advice)
    assert bool(why_advice(facts)) is bool(advice)


def test_usual_is_told_with_how_far_this_one_is_from_it() -> None:
    assert why_usual(why("slow", ("prefill", 6.9), usual=USUAL)) == (
        "4.6s for a request of this size in this session (9 requests); this one took 1.5 times that"
    )
    assert why_usual(why("usual", ("prefill", 4.7), usual=USUAL)).endswith("(9 requests)")
    assert why_usual(why("usual", ("prefill", 4.7))) == ""


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "evicted"),
        ({"evicted_at": 50.0, "evicted_cause": "room"}, "evicted at {}"),
        (
            {
                "evicted_at": 50.0,
                "evicted_cause": "room",
                "evicted_session": "c07d52be",
                "evicted_lane": "main",
            },
            "evicted at {} to make room for c07d52 main",
        ),
        ({"evicted_at": 50.0, "evicted_cause": "memory"}, "evicted at {}: a request needed the memory"),
        ({"evicted_at": 50.0, "evicted_cause": "dropped", "evicted_session": "x"}, "dropped by you at {}"),
        ({"evicted_cause": "flushed"}, "flushed by you"),
        ({"evicted_at": 50.0, "evicted_cause": "fault"}, "removed at {}, as the device failed"),
        ({"evicted_session": "a\x1b[31mb", "evicted_cause": "room"}, "evicted to make room for ab"),
    ],
)
def test_an_eviction_says_when_and_for_whom(facts: dict[str, Any], text: str) -> None:
    found = eviction_text(CacheMiss.model_validate({"reason": "evicted"} | facts))
    assert found == text.format(clock(50.0))


NAMES = ("waiting", "template", "lookup", "restore", "prefill", "decode", "finishing")


def taken(*lengths: float) -> Why:
    return why("slow", *zip(NAMES, lengths, strict=False))


def names(phases: list[Phase]) -> list[str]:
    return [phase.name for phase in phases]


def test_bars_follow_one_another_as_the_phases_do_and_each_can_be_seen() -> None:
    found = taken(1.0, 0.0001, 0.001, 3.0)
    bars = list(phase_bars(found, shown_phases(found), 40))
    assert [(bar.phase.name, bar.begin, bar.cells) for bar in bars] == [
        ("waiting", 0, 10),
        ("lookup", 10, 1),
        ("restore", 10, 30),
    ]


def test_where_there_is_no_room_for_all_the_longest_stay_in_their_order() -> None:
    found = taken(1.0, 0.5, 2.0, 0.5, 3.0)
    assert names(shown_phases(found, most=3)) == ["waiting", "lookup", "prefill"]
    assert names(shown_phases(found)) == list(NAMES[:5])
    assert shown_phases(taken()) == []


@given(st.lists(st.floats(0, 1e6), max_size=7), st.integers(1, 200))
def test_no_bar_is_empty_or_out_of_its_place(lengths: list[float], cells: int) -> None:
    found = taken(*lengths)
    for bar in phase_bars(found, shown_phases(found), cells):
        assert bar.begin >= 0
        assert bar.cells >= 1
        assert bar.begin + bar.cells <= cells


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (None, "It was repeated 5.0s later, and that one runs."),
        (
            Repeat(id="req_2", after_s=2.0, failed=True),
            "It was repeated 2 times, the last time 5.0s later, and that one runs.",
        ),
    ],
)
def test_a_repeat_that_runs_is_told_though_no_trace_has_it(before: Repeat | None, said: str) -> None:
    found = why("failed", ("decode", 1.0), error=ErrorInfo(type="api_error", message="died"), repeat=before)
    record = RequestSnapshot("req_1", 1.0, 3.0, phase="failed", ended=3.0, repeat=(8.0, "decode"))
    assert why_sentence(with_running_repeat(found, record)).endswith(f"died. {said}")
    for known in (None, replace(record, repeat=None), replace(record, repeat=(8.0, "done"))):
        assert with_running_repeat(found, known) is found
