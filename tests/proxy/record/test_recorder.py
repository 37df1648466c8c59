from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.wire.feed import CacheChange, PhaseTimes, PrefillProgress
from proxy.events.bus import EventBus
from proxy.events.tool_call import ToolCall
from proxy.events.types import (
    CacheChanged,
    CacheMiss,
    CacheVerdict,
    ErrorInfo,
    Event,
    EventData,
    RequestFailed,
    RequestFinished,
    RequestReceived,
    RequestToolResult,
    Usage,
)
from proxy.record.recorder import Recorder, RequestRecord
from proxy.traces.reading import load_trace
from proxy.traces.schema import Trace
from proxy.traces.writing import TraceStore
from tests.proxy.trace_making import body_of

USAGE = Usage(input_tokens=10, cache_read_input_tokens=90, output_tokens=21)
MESSAGE = {"role": "assistant", "content": [{"type": "text", "text": "I am."}], "stop_reason": "end_turn"}
FAULT = ErrorInfo(type="api_error", message="the engine broke off")


class Host:
    """A recorder on a real folder, with a clock that the test moves."""

    def __init__(self, home: Path, *, trace: bool = True, secrets: tuple[str, ...] = ()) -> None:
        self.folder = home / "traces"
        self.now = 100.0
        self.notices: list[str] = []
        self.bus = EventBus()
        self.unwritten: list[tuple[int, str]] = []
        store = (
            TraceStore(
                self.folder,
                secrets=secrets,
                notice=self.notices.append,
                unwritten=lambda number, why: self.unwritten.append((number, why)),
            )
            if trace
            else None
        )
        self.recorder = Recorder(self.bus, store, clock=lambda: 1790000000.0, monotonic=lambda: self.now)

    def begin(
        self, body: Any = None, *, headers: dict[str, str] | None = None, **received: Any
    ) -> RequestRecord:
        said = {
            "session": "session-a",
            "backend": "mlx",
            "path": "/v1/messages",
            "model": "claude-x",
        } | received
        return self.recorder.begin(
            received=RequestReceived(**said),
            query="beta=true",
            headers=headers or {},
            body=body_of("Who are you?") if body is None else body,
        )

    def trace(self, record: RequestRecord) -> Trace:
        return load_trace(self.folder, record.id)

    def events(self, prefix: str = "") -> list[Event]:
        held = self.bus.held_after(0, 1 << 30)
        events = [Event.model_validate_json(event.json) for event in held]
        return [event for event in events if event.type.startswith(prefix)]

    def told(self, type: str) -> list[EventData | None]:
        return [event.payload() for event in self.events(type)]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path)
    yield made
    await made.recorder.close()


async def finish(record: RequestRecord, message: dict[str, Any] | None = None) -> None:
    await record.finished(status=200, message=message or MESSAGE, stop_reason="end_turn", usage=USAGE)


def call(call_id: str, name: str = "Read", **fields: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, input={"path": "a"}, verdict="valid", **fields)


def results_of(calls: list[tuple[str, str]], results: list[dict[str, Any]], *after: Any) -> dict[str, Any]:
    """A body whose last turn carries these results of these (id, name) calls."""
    uses = [{"type": "tool_use", "id": call_id, "name": name, "input": {}} for call_id, name in calls]
    blocks = [{"type": "tool_result"} | result for result in results]
    messages = [
        {"role": "user", "content": "do it"},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": blocks},
        *after,
    ]
    return {"messages": messages}


async def test_a_request_that_goes_well_is_on_disk_when_it_is_finished(host: Host) -> None:
    record = host.begin(headers={"user-agent": "claude-cli", "authorization": "Bearer some-word"})
    record.upstream({"messages": ["sent"]}, "qwen")
    record.note("folded a system entry")
    host.now += 0.25
    record.first_byte()
    record.queued(1, 0.0)
    host.now += 0.25
    record.engine_times(PhaseTimes(template_s=0.25, tokenize_s=0.125))
    record.prompt_parts(("system", "message 1 (user)"), (90, 10))
    record.prompt_parts(("system",), (7,))  # of another round
    record.lookup(CacheVerdict(prompt_tokens=100, matched_tokens=90, tier="memory"))
    record.prefill(PrefillProgress(100, 100, 90))
    record.engine_times(PhaseTimes(prefill_s=0.5, first_token_s=0.0))
    host.now += 0.5
    record.first_token(USAGE)
    host.now += 2.0
    record.delta("text", "I am.", 21)
    await finish(record)

    trace = host.trace(record)
    assert trace.request.body == body_of("Who are you?")
    assert trace.request.headers == {"user-agent": "claude-cli", "authorization": "[redacted]"}
    assert (trace.request.path, trace.request.query, trace.session) == (
        "/v1/messages",
        "beta=true",
        "session-a",
    )
    assert (trace.upstream, trace.upstream_model) == ({"messages": ["sent"]}, "qwen")
    assert (trace.response.status, trace.response.message, trace.response.error) == (200, MESSAGE, None)
    assert trace.notes == ["folded a system entry"]
    assert trace.usage == USAGE
    assert trace.cache is not None
    assert trace.cache.matched_tokens == 90
    timings = trace.timings
    assert (timings.received, timings.first_byte, timings.queued) == (1790000000.0, 0.25, 0.25)
    assert (timings.prefill_start, timings.first_token, timings.last_token, timings.done) == (
        0.5,
        1.0,
        3.0,
        3.0,
    )
    assert [(part.name, part.tokens) for part in trace.prompt_parts] == [
        ("system", 90),
        ("message 1 (user)", 10),
    ]
    engine = PhaseTimes(template_s=0.25, tokenize_s=0.125, prefill_s=0.5, first_token_s=0.0)
    assert timings.engine == engine
    assert [event.engine for event in host.told("request.first_token")] == [engine]  # type: ignore[union-attr]


async def test_the_steps_are_published_in_order(host: Host) -> None:
    record = host.begin()
    record.queued(0, 0.0)
    record.lookup(CacheVerdict(prompt_tokens=9, miss=CacheMiss(reason="cold")))
    record.prefill(PrefillProgress(9, 9, 0))
    record.first_token(USAGE)
    record.delta("text", "I ", 1)
    record.delta("text", "am.", 2)
    record.tool_call(call("toolu_1"))
    await finish(record)
    events = host.events()
    assert [event.type for event in events] == [
        "request.received", "request.queued", "cache.missed", "request.prefill", "request.first_token",
        "request.delta", "request.tool_call", "request.finished",
    ]  # fmt: skip
    assert {event.request for event in events} == {record.id}
    assert events[5].data["text"] == "I am."
    assert events[6].data["session"] == "session-a"


async def test_the_finished_event_names_a_trace_that_is_there(host: Host) -> None:
    record = host.begin()
    record.first_token(USAGE)
    host.now += 4.0
    record.delta("text", "x", 21)
    await finish(record)
    [finished] = host.told("request.finished")
    assert isinstance(finished, RequestFinished)
    assert (host.folder / finished.trace).is_file()
    assert finished.tokens_per_s == 5.0
    assert stat.S_IMODE((host.folder / finished.trace).stat().st_mode) == 0o600
    assert stat.S_IMODE((host.folder / finished.trace).parent.stat().st_mode) == 0o700


async def test_a_failed_request_keeps_how_far_it_came(host: Host) -> None:
    record = host.begin()
    record.delta("text", "half an ans", 4)
    await record.failed(status=500, error=FAULT, message={"content": "half an ans"}, usage=USAGE)
    trace = host.trace(record)
    assert trace.response.error == FAULT
    assert trace.response.message == {"content": "half an ans"}
    assert [event.type for event in host.events("request")][-2:] == ["request.delta", "request.failed"]


@pytest.mark.parametrize(
    ("progress", "begun", "reached", "kept"),
    [((60, 100, 20), False, 60, 40), (None, False, 20, 0), ((100, 100, 20), True, None, 70)],
)
async def test_a_request_that_ended_before_its_answer_tells_how_far_its_prompt_was_read(
    host: Host, progress: tuple[int, int, int] | None, begun: bool, reached: int | None, kept: int
) -> None:
    record = host.begin()
    record.lookup(CacheVerdict(prompt_tokens=100, matched_tokens=20, kept_tokens=70))
    if progress is not None:
        record.prefill(PrefillProgress(*progress))
    if begun:
        record.first_token(USAGE)
    await record.failed(status=499, error=FAULT, message=None, usage=USAGE, cancelled=True)
    cache = host.trace(record).cache
    assert cache is not None
    assert (cache.reached_tokens, cache.kept_tokens) == (reached, kept)
    told = host.events("request.failed")[-1].payload()
    assert isinstance(told, RequestFailed)
    assert told.reached_tokens == reached


async def test_the_trace_has_when_each_part_of_the_answer_was_written(host: Host) -> None:
    record = host.begin()
    for moment, kind, text, tokens in (
        (101.0, "thinking", "Let me", 2),
        (101.5, "thinking", " see.", 4),
        (102.0, "text", "I read two.", 9),
        (103.0, "tool", '{"path"', 12),
    ):
        host.now = moment
        if text == "Let me":
            record.first_token(USAGE)
        record.delta(kind, text, tokens)  # type: ignore[arg-type]
    record.tool_call(call("toolu_1"))
    host.now = 104.0
    record.delta("tool", '{"path": "b"}', 20)
    record.tool_call(call("toolu_2"))
    await finish(record)
    assert [tuple(part.model_dump().values()) for part in host.trace(record).written] == [
        ("thinking", 1.0, 1.5, 4, ""),
        ("text", 1.5, 2.0, 5, ""),
        ("tool", 2.0, 3.0, 3, "toolu_1"),
        ("tool", 3.0, 4.0, 8, "toolu_2"),
    ]


async def test_only_the_first_end_counts(host: Host) -> None:
    record = host.begin()
    await record.failed(status=499, error=FAULT, message=None, usage=USAGE, cancelled=True)
    await finish(record)
    record.delta("text", "late", 1)
    record.prefill(PrefillProgress(1, 1, 0))
    assert host.trace(record).response.cancelled
    assert [event.type for event in host.events()] == ["request.received", "request.failed"]


async def test_a_client_that_leaves_at_the_end_cancels_no_writing(host: Host) -> None:
    record = host.begin()
    writing = asyncio.create_task(finish(record))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await host.recorder.close()
    assert host.trace(record).response.status == 200
    assert len(host.told("request.finished")) == 1


async def test_deltas_are_gathered(host: Host) -> None:
    record = host.begin()
    for number in range(1, 501):
        record.delta("thinking" if number <= 250 else "text", "x", number)
    await finish(record)
    deltas = [event.data for event in host.events("request.delta")]
    assert [(delta["kind"], len(delta["text"])) for delta in deltas] == [("thinking", 250), ("text", 250)]
    assert deltas[-1]["output_tokens"] == 500


async def test_arguments_are_gathered_by_their_tool(host: Host) -> None:
    record = host.begin()
    for text, tool in (('{"a', "Read"), ('": 1}', "Read"), ("{", "Edit")):
        record.delta("tool", text, 1, tool)
    await finish(record)
    deltas = [event.data for event in host.events("request.delta")]
    assert [(delta["tool"], delta["text"]) for delta in deltas] == [("Read", '{"a": 1}'), ("Edit", "{")]


async def test_batched_deltas_are_published_without_waiting_for_the_next(host: Host) -> None:
    reader = host.bus.follow()
    record = host.begin()
    record.delta("text", "slow", 1)
    told = [event.type for event in await reader.next() + await reader.next(timeout=5)]
    assert told == ["request.received", "request.delta"]
    await finish(record)


async def test_a_restored_prefix_is_published_once(host: Host) -> None:
    record = host.begin()
    record.cache_changed(CacheChange("inserted", tokens=5, entries=2, total_bytes=10))
    record.lookup(CacheVerdict(prompt_tokens=9, matched_tokens=7, tier="memory"))
    record.cache_changed(CacheChange("restored", tokens=7, bytes=4, entries=2, total_bytes=10))
    await finish(record)
    [restored] = host.told("cache.restored")
    assert restored == CacheChanged(tokens=7, entries=2, total_bytes=10)


async def test_a_file_of_the_prompt_cache_that_was_set_aside_is_a_notice(host: Host) -> None:
    record = host.begin()
    record.cache_changed(CacheChange("saved", tokens=5, entries=2, total_bytes=10))
    record.cache_changed(CacheChange("set_aside", tokens=5, entries=2, total_bytes=10))
    await finish(record)
    [notice] = host.told("host.notice")
    assert "quarantined" in notice.text
    assert notice.level == "warning"
    assert len(host.told("cache.saved")) == len(host.told("cache.set_aside")) == 1


async def test_without_tracing_there_are_events_and_no_files(tmp_path: Path) -> None:
    host = Host(tmp_path, trace=False)
    first = host.begin()
    first.tool_call(call("toolu_1"))
    await finish(first)
    await finish(host.begin(results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": "x"}])))
    assert [event.type for event in host.events("request.")].count("request.finished") == 2
    assert len(host.told("request.tool_result")) == 1
    assert os.listdir(tmp_path) == []
    await host.recorder.close()


async def test_secrets_are_not_on_disk(tmp_path: Path) -> None:
    host = Host(tmp_path, secrets=("host-token-1", "backend-key-2"))
    planted = "host-token-1 backend-key-2 client-credential-33 ghp_" + "a1" * 18 + "\npassword: of-a-file-5\n"
    record = host.begin(
        body_of(planted, metadata={"api_key": "plain-words"}),
        headers={"authorization": "Bearer client-credential-33", "cookie": "sid=cookie-value"},
    )
    record.upstream({"messages": [planted]}, "qwen")
    record.note(planted)
    record.lookup(CacheVerdict(miss=CacheMiss(reason="diverged", before=planted, now=planted)))
    record.tool_call(
        call("toolu_1", raw=planted, detail=planted, repairs=[planted], relaxed=planted, tokens=[271828])
    )
    await record.failed(
        status=500,
        error=ErrorInfo(type="api_error", message=planted),
        message={"content": [{"type": "text", "text": planted}]},
        usage=USAGE,
    )
    carried = results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": planted}])
    await finish(host.begin(carried))
    await host.recorder.close()
    written = b"".join(file.read_bytes() for file in host.folder.rglob("*") if file.is_file()).decode(
        "utf-8", "ignore"
    )
    for secret in (
        "host-token-1",
        "backend-key-2",
        "client-credential-33",
        "a1a1a1",
        "plain-words",
        "cookie-value",
        "of-a-file-5",
        "271828",
    ):
        assert secret not in written
    [linked] = host.trace(record).tool_calls
    assert linked.result == "[redacted] [redacted] [redacted] [redacted]\npassword: [redacted]\n"


async def test_a_result_is_led_back_to_its_call(host: Host) -> None:
    first = host.begin()
    first.tool_call(call("toolu_1"))
    first.tool_call(call("toolu_2"))
    first.tool_call(call("toolu_3", "Bash"))
    await finish(first)
    carried = results_of(
        [("toolu_1", "Read"), ("toolu_2", "Read"), ("toolu_3", "Bash")],
        [
            {"tool_use_id": "toolu_2", "content": [{"type": "text", "text": "second"}, {"type": "image"}]},
            {"tool_use_id": "toolu_1", "content": "first"},
            {"tool_use_id": "toolu_3", "content": "no such file", "is_error": True},
        ],
        {"role": "system", "content": "a remark at the end"},
    )
    second = host.begin(carried, headers={"X-Claude-Code-Prev-Tool-Durations": "Read=10;Bash=7;Read=24"})
    await finish(second)
    calls = host.trace(first).tool_calls
    assert [(c.result, c.is_error, c.duration_s) for c in calls] == [
        ("first", False, 0.024),
        ("second\n[image: 17 bytes]", False, 0.010),
        ("no such file", True, 0.007),
    ]
    told = host.told("request.tool_result")
    assert [event.request for event in host.events("request.tool_result")] == [second.id] * 3
    assert isinstance(told[2], RequestToolResult)
    assert (told[2].name, told[2].call_request, told[2].is_error, told[2].result_bytes) == (
        "Bash",
        first.id,
        True,
        12,
    )
    assert host.recorder.traces is not None
    rows = {row.id: row.tool_errors for row in host.recorder.traces.index.page().traces}
    assert rows == {first.id: 1, second.id: 0}


async def test_a_result_that_is_sent_again_counts_once(host: Host) -> None:
    first = host.begin()
    first.tool_call(call("toolu_1"))
    await finish(first)
    carried = results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": "x"}])
    await finish(host.begin(carried))
    await finish(host.begin(carried))
    later = {"role": "assistant", "content": "done"}, {"role": "user", "content": "thanks"}
    await finish(host.begin({"messages": [*carried["messages"], *later]}))
    assert len(host.told("request.tool_result")) == 1


async def test_a_result_that_comes_before_the_end_of_the_answer_is_in_the_trace(host: Host) -> None:
    first = host.begin()
    first.tool_call(call("toolu_1"))
    host.begin(results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": "early"}]))
    await finish(first)
    assert host.trace(first).tool_calls[0].result == "early"


async def test_a_result_of_a_call_from_before_a_restart_finds_its_trace(tmp_path: Path) -> None:
    before = Host(tmp_path)
    first = before.begin()
    first.tool_call(call("toolu_1"))
    await finish(first)
    await before.recorder.close()

    host = Host(tmp_path)
    carried = results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": "x"}])
    await finish(host.begin(carried))
    await host.recorder.close()
    assert host.trace(first).tool_calls[0].result == "x"
    [told] = host.told("request.tool_result")
    assert isinstance(told, RequestToolResult)
    assert (told.name, told.call_request) == ("Read", "")


async def test_long_results_are_truncated_and_name_the_whole_text(host: Host) -> None:
    first = host.begin()
    first.tool_call(call("toolu_1"))
    await finish(first)
    second = host.begin(
        results_of([("toolu_1", "Read")], [{"tool_use_id": "toolu_1", "content": "x" * 20_000}])
    )
    await finish(second)
    result = host.trace(first).tool_calls[0].result
    assert result is not None
    assert result.endswith(f"[… 3616 more characters; whole in the trace of {second.id}]")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"messages": "x"},
        {"messages": [None, {"role": "user", "content": [None, {"type": "tool_result"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": 7}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "unheard-of"}]}]},
    ],
)
async def test_broken_bodies_are_recorded_like_all_others(host: Host, body: Any) -> None:
    record = host.recorder.begin(received=RequestReceived(backend="mlx"), query="", headers={}, body=body)
    await record.failed(status=400, error=FAULT, message=None, usage=Usage())
    assert host.trace(record).request.body == body


async def test_text_that_is_no_valid_unicode_is_recorded(host: Host) -> None:
    record = host.begin(
        json.loads('{"messages": [{"role": "user", "content": "a\\ud800b"}], "n": 1%s}' % ("0" * 30))
    )
    await finish(record)
    body = host.trace(record).request.body
    assert (body["messages"][0]["content"], body["n"]) == ("a�b", 10**30)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_costs_the_trace_and_not_the_request(host: Host) -> None:
    host.folder.chmod(0o500)
    await finish(host.begin())
    host.folder.chmod(0o700)
    assert "Permission denied" in host.notices[0]


async def test_a_folder_that_cannot_be_written_costs_the_trace_and_not_the_request(host: Host) -> None:
    blocked = host.folder / "mlx"
    blocked.write_text("a file where the folder should be")
    await finish(host.begin())
    await finish(host.begin())
    await asyncio.sleep(0)
    assert len(host.notices) == 1
    assert "traces cannot be written" in host.notices[0]
    assert "requests go on without" in host.notices[0]
    assert [event.data["trace"] for event in host.events("request.finished")] == ["", ""]

    blocked.unlink()
    record = host.begin()
    await finish(record)
    await asyncio.sleep(0)
    assert host.notices[1] == "traces are written again; 2 could not be"
    assert [number for number, _ in host.unwritten] == [1, 2, 0]
    assert host.trace(record)


async def test_a_full_disk_is_reported_and_leaves_no_partial_file(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    await finish(host.begin())
    await asyncio.sleep(0)
    assert "No space left on device" in host.notices[0]
    assert host.unwritten == [(1, "No space left on device")]
    assert [file.name for file in (host.folder / "mlx").iterdir()] == []


async def test_a_disk_that_hangs_delays_no_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr("proxy.traces.writing.write_private", lambda path, content: goes_on.wait(10))
    monkeypatch.setattr("proxy.record.request_record.LONGEST_WRITE_S", 0.05)
    await finish(host.begin())
    assert "the disk is slow" in host.events("host.notice")[0].data["text"]
    assert host.events("request.finished") == []
    goes_on.set()
    await host.recorder.close()
    assert len(host.events("request.finished")) == 1


async def test_ids_are_unlike_each_other_and_fit_file_names(host: Host) -> None:
    ids = {host.begin().id for _ in range(100)}
    assert len(ids) == 100
    assert all(request_id.startswith("req_") and request_id[4:].isalnum() for request_id in ids)


async def fail(record: RequestRecord, *, cancelled: bool = False) -> str:
    await record.failed(status=529, error=FAULT, message=None, usage=USAGE, cancelled=cancelled)
    return record.id


async def test_a_request_that_comes_again_names_the_failure_that_it_repeats(host: Host) -> None:
    question, other = body_of("Who are you?"), body_of("And now?")
    first = await fail(host.begin(question))
    subagent = host.begin(question, agent="a1")
    unrelated = host.begin(other)
    again = host.begin({**question, "max_tokens": 7})  # clients may ask for less the second time
    once_more = host.begin(question)  # the failure is repeated already
    gone = await fail(host.begin(other), cancelled=True)
    after_gone = host.begin(other)
    for record in (subagent, unrelated, again, once_more, after_gone):
        await finish(record)
    told = [event.retry_of for event in host.told("request.received") if isinstance(event, RequestReceived)]
    assert told == ["", "", "", first, "", "", ""]
    assert gone not in told
    assert host.trace(again).retry_of == first


async def test_agents_that_ask_the_same_repeat_their_own_failures(host: Host) -> None:
    question = body_of("Who are you?")
    theirs = await fail(host.begin(question, agent="a1"))
    main, same = host.begin(question), host.begin(question, agent="a1")
    for record in (main, same):
        await finish(record)
    assert [host.trace(record).retry_of for record in (main, same)] == ["", theirs]
