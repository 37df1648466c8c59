"""What the engine writes to its feed is read back as it was, also by a reader of another version."""

from __future__ import annotations

from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.feed import (
    CacheChange,
    FeedPayload,
    Generated,
    Lookup,
    Miss,
    Note,
    PartTokens,
    PhaseTimes,
    PrefillProgress,
    Progress,
    Queued,
    Resumed,
    StreamError,
    ToolCallOpen,
    ToolCallRaw,
    feed_chunk,
    read_feed_chunk,
)

CHANGE = b'"tokens":5,"bytes":50,"entries":2,"total_bytes":70,"budget_bytes":100'
GONE = b'"session":"s1","lane":"main","used_by":"req_1","used":4.5,"cause":"room"'
MISS = (
    b'{"reason":"evicted","position":3,"segment":"tools","before":"a","now":"b","lost_tokens":5,'
    b'"evicted_at":2.5,"evicted_cause":"room","evicted_session":"s2","evicted_lane":"main",'
    b'"evicted_request":"req_2"}'
)
WRITTEN: list[tuple[bytes, FeedPayload]] = [
    (b'"kind":"queued","position":2,"waiting_s":1.5', Queued(2, 1.5)),
    (
        b'"kind":"lookup","prompt_tokens":9,"matched_tokens":3,"kept_tokens":5,"tier":"memory",'
        b'"miss":%s,"restore_s":0.25' % MISS,
        Lookup(
            *(9, 3, 5, "memory"),
            Miss("evicted", 3, "tools", "a", "b", 5, 2.5, "room", "s2", "main", "req_2"),
            0.25,
        ),
    ),
    (
        b'"kind":"lookup","prompt_tokens":9,"matched_tokens":0,"kept_tokens":9,"tier":"none",'
        b'"miss":null,"restore_s":0.0',
        Lookup(9, 0, 9, "none"),
    ),
    (b'"kind":"resumed","tokens":12', Resumed(12)),
    (b'"kind":"parts","names":["system"],"tokens":[7]', PartTokens(("system",), (7,))),
    (
        b'"kind":"times","render_wait_s":0.5,"template_s":0.25,"tokenize_s":null,"grammar_s":null,'
        b'"waiting_s":null,"lookup_s":null,"restore_s":null,"prefill_s":null,"first_token_s":null',
        PhaseTimes(0.5, 0.25),
    ),
    (b'"kind":"prefill","done":4,"total":9,"cached":3', PrefillProgress(4, 9, 3)),
    (
        b'"kind":"cache","event":"evicted",%s,%s' % (CHANGE, GONE),
        CacheChange("evicted", 5, 50, 2, 70, 100, "s1", "main", "req_1", 4.5, "room"),
    ),
    (b'"kind":"progress","output_tokens":7,"text":"<tool"', Progress(7, "<tool")),
    (b'"kind":"generated","tokens":[5,6]', Generated((5, 6))),
    (b'"kind":"tool_open","index":1,"family":"hermes","constrained":true', ToolCallOpen(1, "hermes")),
    (
        b'"kind":"tool_raw","index":2,"raw":"<c>","tokens":[7,9],"family":"hermes","constrained":false,'
        b'"relaxed":"a pattern","repairs":["a brace"]',
        ToolCallRaw(2, "<c>", (7, 9), "hermes", False, "a pattern", ("a brace",)),
    ),
    (b'"kind":"note","text":"folded"', Note("folded")),
    (b'"kind":"error","type":"overloaded","message":"full"', StreamError("overloaded", "full")),
]


@pytest.mark.parametrize(("line", "payload"), WRITTEN)
def test_the_wire_is_as_clients_know_it(line: bytes, payload: FeedPayload) -> None:
    wire = b'{"object":"anyclaude.feed",%s}' % line
    assert orjson.dumps(feed_chunk(payload)) == wire
    assert read_feed_chunk(orjson.loads(wire)) == payload


def test_the_table_of_lines_has_every_payload() -> None:
    assert {type(payload) for _, payload in WRITTEN} == set(get_args(FeedPayload))


SECONDS = st.floats(0, 1e6)
COUNTS = st.integers(0, 2**62)
TOKENS = st.lists(COUNTS).map(tuple)
MISSES = st.none() | st.from_type(Miss)
PAYLOADS: st.SearchStrategy[FeedPayload] = st.one_of(
    st.builds(Queued, COUNTS, SECONDS),
    st.builds(Lookup, COUNTS, COUNTS, COUNTS, miss=MISSES, restore_s=SECONDS),
    st.builds(PhaseTimes, st.none() | SECONDS, first_token_s=st.none() | SECONDS),
    st.builds(PrefillProgress, COUNTS, COUNTS, COUNTS),
    st.builds(CacheChange, tokens=COUNTS, total_bytes=COUNTS),
    st.builds(ToolCallOpen, COUNTS, st.text()),
    st.builds(ToolCallRaw, COUNTS, st.text(), TOKENS, constrained=st.none() | st.booleans()),
    *(st.from_type(payload) for payload in (Progress, Note, StreamError)),
)


@given(PAYLOADS)
def test_every_payload_is_read_back_as_it_was_written(payload: FeedPayload) -> None:
    try:
        wire = orjson.dumps(feed_chunk(payload))
    except orjson.JSONEncodeError:  # a text or a number that JSON cannot hold
        return
    assert read_feed_chunk(orjson.loads(wire)) == payload


@pytest.mark.parametrize(
    ("line", "payload"),
    [
        (b'"kind":"tool_raw","index":0,"raw":"<c>"', ToolCallRaw(0, "<c>")),
        (b'"kind":"tool_raw","index":0,"raw":"<c>","family":null,"tokens":null', ToolCallRaw(0, "<c>")),
        (b'"kind":"progress","output_tokens":7', Progress(7)),
        (b'"kind":"prefill","done":4,"total":9,"cached":3,"speed":8.5', PrefillProgress(4, 9, 3)),
        (b'"kind":"cache","event":"inserted","tokens":5', CacheChange("inserted", 5)),
        (b'"kind":"cache","event":"set_aside",%s' % CHANGE, CacheChange("set_aside", 5, 50, 2, 70, 100)),
        (b'"kind":"cache","event":"tomorrow",%s' % CHANGE, None),
        (b'"kind":"tomorrow","light":1', None),
    ],
)
def test_the_feed_of_another_version_is_read(line: bytes, payload: FeedPayload | None) -> None:
    assert read_feed_chunk(orjson.loads(b'{"object":"anyclaude.feed",%s}' % line)) == payload


def test_a_chunk_without_what_its_kind_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="PrefillProgress lacks 'cached'"):
        read_feed_chunk({"kind": "prefill", "done": 1, "total": 2})
