"""What the engine feed reports becomes the events that screens and scripts know."""

from __future__ import annotations

import orjson

from engine.wire.feed import read_feed_chunk
from proxy.api.observation import Observation
from proxy.events.bus import EventBus
from proxy.events.totals import Totals
from proxy.events.types import Event, HostState, RequestReceived
from proxy.record.recorder import Recorder
from proxy.translate.answer_spec import AnswerSpec
from proxy.translate.response import Answer
from proxy.translate.thinking import ThinkingMode
from proxy.translate.tools import tool_set

CHANGE = b'"tokens":5,"bytes":50,"entries":2,"total_bytes":70,"budget_bytes":100'
NOT_EVICTED = (
    b',"lost_tokens":0,"evicted_at":0.0,"evicted_cause":"","evicted_session":"","evicted_lane":"",'
    b'"evicted_request":""}'
)
MISS = b'{"reason":"diverged","position":3,"segment":"tools","before":"a","now":"b"}'
FEED = (
    b'{"kind":"queued","position":2,"waiting_s":1.5}',
    b'{"kind":"cache","event":"inserted",%s}' % CHANGE,
    b'{"kind":"lookup","prompt_tokens":9,"matched_tokens":3,"kept_tokens":5,"tier":"memory","miss":%s}'
    % MISS,
    b'{"kind":"prefill","done":4,"total":9,"cached":3}',
    b'{"kind":"cache","event":"restored",%s}' % CHANGE,
    b'{"kind":"cache","event":"saved",%s}' % CHANGE,
)
TOTALS = b'"entries":2,"total_bytes":70,"budget_bytes":100'
EVENTS = (
    (b"request.queued", b'{"position":2,"waiting_s":1.5}'),
    (b"cache.inserted", b"{%s}" % CHANGE),
    (b"cache.restored", b'{"tokens":3,"bytes":0,%s}' % TOTALS),
    (b"cache.missed", b'{"tokens":6,"bytes":0,%s,"miss":%s}' % (TOTALS, MISS[:-1] + NOT_EVICTED)),
    (b"request.prefill", b'{"done":4,"total":9,"cached":3}'),
    (b"cache.saved", b"{%s}" % CHANGE),
)
COUNTERS = {
    **dict.fromkeys(("requests", "finished", "failed", "cancelled"), 3),
    **dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), 5),
    **dict.fromkeys(("output_tokens", "tool_calls", "tool_calls_invalid", "tool_calls_repaired"), 7),
    **dict.fromkeys(("tool_results", "tool_errors", "cache_insertions", "cache_evictions"), 11),
    **dict.fromkeys(("cache_misses", "cache_entries", "cache_bytes", "cache_budget_bytes"), 13),
    "engine_restarts": 17,
}
STATE = {
    "version": "1",
    "pid": 1,
    "started": 1.0,
    "url": "u",
    "backend": "mlx",
    "model": "m",
    "home": "h",
    "seq": 9,
    "first_seq": 1,
    "engine": {"state": "ready"},
}


async def test_the_feed_becomes_events_whose_form_stays() -> None:
    bus = EventBus(clock=lambda: 1790000000.5)
    recorder = Recorder(bus, new_id=lambda: "req_1", clock=lambda: 1790000000.5, monotonic=lambda: 5.0)
    record = recorder.begin(received=RequestReceived(), query="", headers={}, body={})
    reader = bus.follow()
    head = AnswerSpec(message_id="msg_1", model="m", thinking=ThinkingMode(), tools=tool_set([]))
    steps = [step for line in FEED if (step := read_feed_chunk(orjson.loads(line))) is not None]
    Observation(record, Answer(head)).take(steps)  # type: ignore[arg-type]  # no `StreamError` among them
    published = [event.json for event in await reader.next()]
    assert published == [
        b'{"seq":%d,"time":1790000000.500,"type":"%s","request":"req_1","data":%s}' % (number, type_, data)
        for number, (type_, data) in enumerate(EVENTS, start=2)
    ]
    assert all(Event.model_validate_json(json).payload() is not None for json in published)


def test_the_counters_of_a_state_keep_their_form_and_may_be_fewer() -> None:
    state = HostState.model_validate({**STATE, "counters": COUNTERS})
    assert state.counters == Totals(**COUNTERS)
    assert orjson.loads(state.model_dump_json())["counters"] == COUNTERS | {
        "repeated": 0,
        "cancelled_by_you": 0,
    }
    assert HostState.model_validate({**STATE, "counters": {"requests": 3, "new": 4}}).counters == Totals(3)
