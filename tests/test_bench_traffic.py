"""What the benches make out of recorded requests, and the floors that they are measured against."""

from __future__ import annotations

import pytest

from bench.day_reuse import Request, causes
from bench.derived_traffic import (
    Sent,
    in_rotation,
    mixed,
    session_with,
    sessions_of,
    subagent_turns,
    title_request,
)
from bench.interleaved_sessions import Budget
from bench.late_tools import shown_in_place
from bench.prefill_floor import Turn, common, floor_of_foresight, floor_of_lately_used
from bench.recorded_traffic import Recorded
from proxy.anthropic.lanes import identify

HEAD = [1, 2, 3]


def request(said: str, session: str = "one", lane: str = "main") -> Recorded:
    body = {
        "system": [{"type": "text", "text": "You are an agent."}],
        "tools": [{"name": f"tool{n}", "input_schema": {"type": "object"}} for n in range(12)],
        "messages": [{"role": "user", "content": [{"type": "text", "text": said}]}],
        "metadata": {"user_id": f'{{"session_id":"{session}"}}'},
    }
    headers = {"x-claude-code-session-id": session, "x-claude-code-request-class": lane}
    return Recorded(body, headers)


def turns(order: list[int]) -> list[Turn]:
    """Each session says the same again, four tokens of its own behind the head."""
    return [(session, [*HEAD, *range(10 * session + 10, 10 * session + 14)]) for session in order]


@pytest.mark.parametrize(
    ("order", "kept", "tokens"),
    [
        ([0], 1, 7),
        ([0, 0], 1, 7 + 1),  # the last token is always computed
        ([0, 1, 0], 2, 7 + 4 + 1),
        ([0, 1, 0], 1, 7 + 4 + 4),  # of what is not kept the head is
        ([0, 1, 2, 0, 1, 2], 2, 7 + 5 * 4),
    ],
)
def test_the_sessions_used_last_are_kept(order: list[int], kept: int, tokens: int) -> None:
    assert floor_of_lately_used(turns(order), kept) == tokens


@pytest.mark.parametrize(
    ("order", "kept", "tokens"),
    [
        ([0, 1, 0], 1, 7 + 4 + 1),  # the newcomer is not needed again, so that it is the one that goes
        ([0, 1, 2, 0, 1, 2], 2, 7 + 4 + 4 + 1 + 4 + 1),
    ],
)
def test_foresight_keeps_what_is_needed_soonest(order: list[int], kept: int, tokens: int) -> None:
    assert floor_of_foresight(turns(order), kept) == tokens


def test_two_prompts_share_what_they_begin_with() -> None:
    assert common([1, 2, 3], [1, 2, 4]) == 2
    assert common([1, 2], [1, 2, 4]) == 2


def test_a_budget_counts_the_head_once() -> None:
    assert Budget(first=100, further=30).of(6) == 250


def test_sessions_differ_in_ids_and_words_alone() -> None:
    first, second = (one[0] for one in sessions_of([request("Please mend it.")], "mend it", 2))

    assert first.body["system"] == second.body["system"]
    assert "mend it of shop 1" in second.body["messages"][0]["content"][0]["text"]
    assert identify(first.headers, first.body).session != identify(second.headers, second.body).session
    assert second.headers["x-claude-code-session-id"] in second.body["metadata"]["user_id"]


def test_sessions_take_turns() -> None:
    sessions = sessions_of([request("mend it"), request("mend it")], "mend it", 2)

    assert [number for number, _ in in_rotation(sessions)] == [0, 1, 0, 1]


def test_a_session_is_its_main_requests() -> None:
    recorded = [
        request("other", "two"),
        request("mend it"),
        request("count", lane="subagent"),
        request("go on"),
    ]

    assert session_with(recorded, "mend it") == [recorded[1], recorded[3]]


def test_the_proxy_sees_the_lanes_of_what_is_derived() -> None:
    title, (first, later) = title_request(request("mend it")), subagent_turns(request("mend it"), 1)

    assert identify(title.headers, title.body).lane == "auxiliary"
    assert identify(first.headers, first.body).lane == "subagent"
    assert identify({}, title.body).lane == "auxiliary"
    assert later.body["messages"][:1] == first.body["messages"]


def test_every_cancelled_request_is_sent_again() -> None:
    sent = mixed([request(f"turn {number}") for number in range(8)])

    cancelled = [number for number, one in enumerate(sent) if one.cancelled]
    assert {sent[number].cancelled for number in cancelled} == {"prefill", "decode"}
    for number in cancelled:
        assert sent[number + 1] == Sent(sent[number].request)


def test_a_tool_that_is_loaded_late_stands_where_it_is_referred_to() -> None:
    found = [{"type": "tool_reference", "tool_name": name} for name in ("Late", "Gone")]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": found}
    early = {"name": "Early", "input_schema": {}}
    body = {
        "tools": [
            early,
            *({"name": name, "input_schema": {}, "defer_loading": True} for name in ("Late", "Else")),
        ],
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": [result]}],
    }

    shown = shown_in_place(body)

    assert shown["tools"] == [early]
    assert shown["messages"][0] == body["messages"][0]
    late, gone = shown["messages"][1]["content"][0]["content"]
    assert '"name": "Late"' in late["text"]
    assert gone == found[1]
    assert "Else" not in str(shown)
    assert shown_in_place(shown) == shown


def test_the_causes_add_up_to_what_is_above_the_floor() -> None:
    requests = [
        Request("main", prompt=100, prefilled=100, by_plain_kv=100, as_rendered=100, lowest=90),
        Request("main", prompt=120, prefilled=70, by_plain_kv=30, as_rendered=20, lowest=20),
        Request("auxiliary", prompt=80, prefilled=80, by_plain_kv=80, as_rendered=10, lowest=10),
    ]

    assert causes(requests) == {"rendering": 10, "lost, main": 10, "lost, auxiliary": 70, "no state": 40}
    assert sum(causes(requests).values()) == sum(one.prefilled - one.lowest for one in requests)
