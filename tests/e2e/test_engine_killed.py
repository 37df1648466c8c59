"""The engine is killed in the middle of an answer."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.child import poll
from engine.wire.sse import sse_data
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.conftest import host_state
from tests.e2e.feed_reader import FeedReader
from tests.models import ModelShelf

pytestmark = pytest.mark.slow

MORE = 5  # tokens that the repeat may add
HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}


def _body(max_tokens: int, **more: Any) -> dict[str, Any]:
    return {
        "model": "claude",
        "max_tokens": max_tokens,
        "temperature": 1.0,  # so that no other answer begins in the same way
        "messages": [{"role": "user", "content": "Go on."}],
    } | more


@dataclass
class Aftermath:
    """What client, feed and disk saw of the kill."""

    killed_pid: int
    events: list[dict[str, Any]]  # of the answer that broke off
    meanwhile: httpx.Response  # asked at once after it
    afterwards: httpx.Response  # asked when the engine said that it is ready again
    feed: FeedReader
    traces: list[Trace] = field(default_factory=list)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory, shelf: ModelShelf) -> Iterator[Aftermath]:
    folder: Path = tmp_path_factory.mktemp("killed")
    with (
        servers.proxy(folder, backend="mlx", model=str(shelf.tiny())) as proxy,
        httpx.Client(base_url=proxy.url, headers=HEADERS, timeout=60, trust_env=False) as client,
    ):
        engine = host_state(proxy.url).engine
        assert engine.pid is not None
        feed = FeedReader(proxy.url)
        events = _stream_and_kill(client, engine.pid, engine.url)
        meanwhile = client.post("/v1/messages", json=_body(5))
        feed.until(
            lambda f: f.of("engine.restart") and f.of("engine.state")[-1].data["state"] == "ready",
            timeout_s=60,
            what="the engine's return",
        )
        kept = servers.traces(folder)[0].usage.output_tokens
        afterwards = client.post("/v1/messages", json=_body(kept + MORE))
        feed.until_type("request.finished")
        yield Aftermath(engine.pid, events, meanwhile, afterwards, feed, servers.traces(folder))


def _stream_and_kill(client: httpx.Client, pid: int, engine_url: str) -> list[dict[str, Any]]:
    """Read an answer that would go on for long, and kill the engine at its third delta.

    By then its prompt is on disk: that is waited for, since the engine writes while it generates.
    """
    events: list[dict[str, Any]] = []
    deltas = 0
    with client.stream("POST", "/v1/messages", json=_body(20_000, stream=True)) as answer:
        assert answer.status_code == 200
        for data in sse_data(answer.iter_bytes()):
            events.append(json.loads(data))
            deltas += events[-1]["type"] == "content_block_delta"
            if deltas == 3 and events[-1]["type"] == "content_block_delta":
                poll(lambda: _saved(engine_url), timeout_s=30, what="the prompt on disk")
                os.kill(pid, signal.SIGKILL)
    return events


def _saved(engine_url: str) -> bool:
    cache = httpx.get(f"{engine_url}/stats", timeout=60, trust_env=False).json()["prefix_cache"]
    return bool(0 < cache["entries"] <= cache["disk_entries"])


def test_the_new_engine_computes_nothing_that_the_killed_one_had(aftermath: Aftermath) -> None:
    usage = aftermath.afterwards.json()["usage"]
    computed = usage["input_tokens"] + usage["cache_creation_input_tokens"]
    assert (computed, usage["cache_read_input_tokens"] > 0) == (1, True)
    lookup = aftermath.traces[-1].cache
    assert lookup is not None
    assert lookup.tier == "disk"


def test_the_client_gets_an_error_event_and_no_invented_end(aftermath: Aftermath) -> None:
    assert aftermath.events[-1]["type"] == "error"
    assert aftermath.events[-1]["error"]["type"] in {"api_error", "overloaded_error"}
    assert "engine" in aftermath.events[-1]["error"]["message"]
    assert not {"message_stop", "message_delta"} & {event["type"] for event in aftermath.events}


def test_a_request_in_the_meantime_is_told_to_come_again(aftermath: Aftermath) -> None:
    assert aftermath.meanwhile.status_code in {502, 503, 529}
    assert aftermath.meanwhile.json()["type"] == "error"
    assert 0 < int(aftermath.meanwhile.headers["retry-after"]) <= 60


def test_the_next_request_is_answered_by_a_new_engine(aftermath: Aftermath) -> None:
    assert aftermath.afterwards.status_code == 200
    assert aftermath.feed.of("engine.state")[-1].data["pid"] not in {None, aftermath.killed_pid}


def test_a_repeat_goes_on_from_what_the_killed_engine_had_generated(aftermath: Aftermath) -> None:
    broken, repeat = aftermath.traces[0], aftermath.afterwards.json()
    assert broken.response.message is not None
    said, kept = broken.response.message["content"][0]["text"], broken.usage.output_tokens
    assert kept > 3
    assert repeat["content"][0]["text"].startswith(said)
    assert repeat["usage"]["output_tokens"] == kept + MORE
    assert any("broken off" in note for note in aftermath.traces[-1].notes)
    # They came at once, as fast as no model writes.
    assert aftermath.traces[-1].timings.resumed_tokens == kept
    assert aftermath.feed.of("request.finished")[-1].data["tokens_per_s"] == 0.0


def test_the_feed_tells_the_exit_the_restart_and_the_failed_request(aftermath: Aftermath) -> None:
    (restart,) = aftermath.feed.of("engine.restart")
    assert (restart.data["attempt"], restart.data["of"]) == (1, 5)
    states = [event.data["state"] for event in aftermath.feed.of("engine.state")]
    assert "exited" in states or "restarting" in states
    exits = [event.data["last_exit"] for event in aftermath.feed.of("engine.state")]
    assert exits[-1] == "engine exited with signal 9 (out of memory?)"
    failed = aftermath.feed.of("request.failed")[0]
    assert failed.data["error"]["message"] == aftermath.events[-1]["error"]["message"]
    assert not failed.data["cancelled"]


def test_the_trace_tells_the_error_and_how_far_the_answer_had_come(aftermath: Aftermath) -> None:
    broken = aftermath.traces[0]
    said = "".join(
        event["delta"]["text"] for event in aftermath.events if event["type"] == "content_block_delta"
    )
    assert broken.response.error is not None
    assert broken.response.error.message == aftermath.events[-1]["error"]["message"]
    assert broken.response.message is not None
    assert broken.response.message["content"][0]["text"] == said
