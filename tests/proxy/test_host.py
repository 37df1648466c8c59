from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from jsonschema import Draft202012Validator

from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving
from proxy.api.host_routes import event_stream
from proxy.configuration.settled import HostConfig
from proxy.events.bus import EventBus
from proxy.events.types import EngineStatus, HostNotice, HostState
from proxy.host import serve
from proxy.traces.marks import set_mark
from proxy.traces.schema import Trace
from tests.proxy.live import Upstream, delta, says
from tests.proxy.live import serve as upstream_served
from tests.proxy.supervision.test_supervisor import FAKE_ENGINE
from tui.client.host_client import HostClient
from tui.commands.exit_codes import CommandFailed
from tui.commands.host_actions import run_cancel, run_restart
from tui.commands.invocation import Invocation

pytestmark = pytest.mark.slow

ENGINE = (sys.executable, str(FAKE_ENGINE))
ASK = {"model": "claude-x", "max_tokens": 64, "messages": [{"role": "user", "content": "Who are you?"}]}


class Served:
    """A host in this process, and a client of it."""

    def __init__(self, url: str, config: HostConfig, stop: asyncio.Event) -> None:
        self.url = url
        self.config = config
        self.stop = stop
        self.report: list[str] = []  # at its end
        self.client = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)

    async def state(self) -> HostState:
        return HostState.model_validate_json((await self.client.get("/anyclaude/state")).content)

    async def events(self, done: Callable[[dict[str, Any]], bool], **asked: Any) -> list[dict[str, Any]]:
        """The events up to one that is asked for."""
        told: list[dict[str, Any]] = []
        async with asyncio.timeout(15), self.client.stream("GET", "/anyclaude/events", **asked) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line[6:]))
                    if done(told[-1]):
                        break
        return told

    async def until_engine(self, state: EngineStatus) -> HostState:
        """The host's account once the engine is or was in this state."""
        await self.events(
            lambda event: event["type"] == "engine.state" and event["data"]["state"] == state,
            params={"since": "0"},
        )
        return await self.state()


@asynccontextmanager
async def served(home: Path, **fields: Any) -> AsyncIterator[Served]:
    config = HostConfig(**{"home": home / "home", "port": 0, "engine_port": 0} | fields)
    stop = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    report: list[str] = []
    serving = asyncio.create_task(
        serve(config, ready=listening.set_result, stop=stop, report=report.extend, engine_arguments=ENGINE)
    )
    async with asyncio.timeout(10):
        host = Served(await listening, config, stop)
    host.report = report
    try:
        yield host
    finally:
        stop.set()
        async with asyncio.timeout(15):
            assert await serving == 0
        await host.client.aclose()


@asynccontextmanager
async def served_with_upstream(home: Path, *turns: Turn, **fields: Any) -> AsyncIterator[Served]:
    with serving(ScriptedUpstream(in_order(turns)).app) as url:
        async with served(home, backend="openai", backend_name="scripted", backend_url=url, **fields) as host:
            yield host


@pytest.mark.parametrize("window", [{}, {"context_tokens": 50_000}])
async def test_a_session_learns_the_model_that_the_upstream_answers_with(
    tmp_path: Path, window: dict[str, int]
) -> None:
    upstream = Upstream(other={"/v1/models": {"data": [{"id": "org/first"}, {"id": "second"}]}})
    async with upstream_served(upstream) as url:
        elsewhere = {"backend": "openai", "backend_name": "openai", "backend_url": f"{url}/v1"}
        async with served(tmp_path, **elsewhere, **window) as host:
            client = HostClient(host.url)
            before, after = await client.state(), await client.state_with_window()
            offered = [entry["id"] for entry in (await host.client.get("/v1/models")).json()["data"]]
            await client.close()
    assert (before.model, after.model) == ("", "org/first")
    assert offered == ["claude-first", "org/first"]


async def test_a_session_learns_the_window_that_the_upstream_lists(tmp_path: Path) -> None:
    upstream = Upstream(other={"/v1/models": {"data": [{"id": "m", "max_model_len": 40_960}]}})
    async with upstream_served(upstream) as url:
        elsewhere = {"backend": "openai", "backend_name": "vllm", "backend_url": f"{url}/v1"}
        async with served(tmp_path, **elsewhere) as host:
            client = HostClient(host.url)
            before, after = await client.state(), await client.state_with_window()
            await client.close()
    assert (before.engine.context_tokens, after.engine.context_tokens) == (0, 40_960)


async def test_a_host_comes_up_with_its_engine_and_says_how_it_stands(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        assert (await host.client.get("/health/live")).status_code == 200
        state = await host.until_engine("ready")
        assert (state.pid, state.url, state.backend, state.model) == (os.getpid(), host.url, "mlx", "fake")
        assert state.loads == ["bundled demo model"]
        assert state.engine.state == "ready"
        assert state.engine_log == ["fake engine up"]
        assert state.probes
        assert state.first_seq == 1
        ready = await host.client.get("/health/ready")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        metrics = (await host.client.get("/metrics")).text
        assert 'anyclaude_engine_state{anyclaude_engine_state="ready"} 1.0' in metrics
        pid = state.engine.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_request_to_an_engine_that_loads_is_told_to_retry_and_is_recorded(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        answer = await host.client.post("/v1/messages", json=ASK)
        assert (answer.status_code, answer.json()["error"]["type"]) == (529, "overloaded_error")
        assert int(answer.headers["retry-after"]) >= 1
        ready = await host.client.get("/health/ready")
        if ready.status_code == 503:
            assert ready.json()["ready"] is False
        await host.until_engine("ready")
        rows = (await host.client.get("/anyclaude/traces", params={"q": "529"})).json()
        assert rows["total"] == 1


async def test_a_killed_engine_comes_back_and_the_feed_tells_it(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        pid = (await host.until_engine("ready")).engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        told = await host.events(lambda event: event["type"] == "engine.restart", params={"since": "0"})
        assert "signal 9 (out of memory?)" in told[-1]["data"]["reason"]
        assert (await host.state()).counters.engine_restarts == 1


async def test_the_engine_is_restarted_on_demand(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        before = await host.until_engine("ready")
        asked = await host.client.post("/anyclaude/engine/restart", params={"drain": "1"})
        assert (asked.status_code, asked.json()) == (202, {"restarting": True, "running": 0})
        told = await host.events(
            lambda event: event["type"] == "engine.state" and event["data"]["state"] == "ready",
            params={"since": str(before.seq)},
        )
        assert told[-1]["data"]["pid"] != before.engine.pid
        log = (await host.state()).log
        assert [line.text for line in log if line.source == "host"][-3:] == [
            "the engine is being restarted, as a person asked",
            "the engine starts",
            log[-1].text,
        ]
        assert log[-1].text.startswith("the engine is ready")
        assert {line.level for line in log} == {"info"}
        [past] = (await host.client.get("/anyclaude/history")).json()["events"]
        states = [(mark[1], mark[3]) for mark in past["data"]["marks"]]
        assert states[0] == ("host", False)
        assert ("restarting", True) in states  # by a person
        assert past["data"]["covers"] >= told[-1]["seq"]


async def test_the_engine_has_a_free_port_of_its_own_in_each_life_and_requests_follow_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as host, served(tmp_path) as other:
        before = await host.until_engine("ready")
        assert before.engine.url != (await other.until_engine("ready")).engine.url
        for _ in range(2):
            assert (await host.client.post("/v1/messages", json=ASK)).status_code == 200
            state = await host.state()
            old = state.engine.pid
            await host.client.post("/anyclaude/engine/restart")
            told = await host.events(
                lambda event, old=old: event["data"].get("state") == "ready" and event["data"]["pid"] != old,  # type: ignore[misc]
                params={"since": str(state.seq)},
            )
            states = [event["data"] for event in told if event["type"] == "engine.state"]
            assert next(state["url"] for state in states if state["state"] == "starting") == ""
            engine = psutil.Process(states[-1]["pid"])
            ports = [one.laddr.port for one in engine.net_connections("tcp") if one.status == "LISTEN"]
            assert states[-1]["url"] == f"http://127.0.0.1:{ports[0]}"


@pytest.mark.parametrize("named", [False, True])
async def test_no_program_that_got_the_port_of_an_engine_that_is_gone_is_asked_for_models(
    tmp_path: Path, named: bool
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1] if named else 0
    async with served(tmp_path, engine_port=port) as host:
        ready = (await host.until_engine("ready")).engine
        assert ready.pid is not None
        os.kill(ready.pid, signal.SIGKILL)
        gone = (await host.until_engine("restarting")).engine
        assert gone.url == (ready.url if named else "")
        listed = await host.client.get("/v1/models")
        assert listed.status_code == 529
        message = listed.json()["error"]["message"]
        assert "it is being restarted" in message or "the engine is starting" in message


async def test_a_port_that_is_named_for_the_engine_is_the_engines(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    async with served(tmp_path, engine_port=port) as host:
        first = (await host.state()).engine
        ready = (await host.until_engine("ready")).engine
        assert first.url == ready.url == f"http://127.0.0.1:{port}"
        assert (await host.client.post("/v1/messages", json=ASK)).status_code == 200


async def test_an_answer_is_on_disk_in_the_list_and_in_the_feed(tmp_path: Path) -> None:
    call = Call("Read", {"path": "a"})
    async with served_with_upstream(tmp_path, Turn(text="I am.", calls=(call,))) as host:
        ask = ASK | {"tools": [{"name": "Read", "input_schema": {"type": "object"}}]}
        answer = await host.client.post("/v1/messages?beta=true", json=ask, headers={"x-api-key": "any-word"})
        assert answer.status_code == 200
        request_id = answer.headers["request-id"]
        listed = (await host.client.get("/anyclaude/traces")).json()
        assert ([row["id"] for row in listed["traces"]], listed["total"]) == ([request_id], 1)
        assert not listed["traces"][0]["marked"]
        set_mark(host.config.home / "traces", request_id)
        assert (await host.client.get("/anyclaude/traces")).json()["traces"][0]["marked"]
        [found] = (await host.client.get("/anyclaude/traces?sort=took&reverse=1&from=5.5")).json()["traces"]
        assert (found["id"], [call["name"] for call in found["did"]]) == (request_id, ["Read"])
        around = (await host.client.get(f"/anyclaude/traces?around={request_id}")).json()
        assert (around["place"], around["offset"], around["traces"][0]["id"]) == (0, 0, request_id)
        for wrong in ("sort=size", "from=yesterday", "from=nan", "around=req_0000", "sort=took&before=5"):
            refused = await host.client.get(f"/anyclaude/traces?{wrong}")
            assert (refused.status_code, wrong.rpartition("=")[2] in refused.text) == (400, True)
        brief = (await host.client.get(f"/anyclaude/traces/{request_id}?brief=1")).json()
        assert (brief["id"], brief["request"]["body"], brief["upstream"]) == (request_id, None, None)
        trace = Trace.model_validate((await host.client.get(f"/anyclaude/traces/{request_id}")).json())
        assert trace.request.body == ask
        assert trace.request.headers["x-api-key"] == "[redacted]"
        assert trace.response.message == answer.json()
        assert [entry.name for entry in trace.tool_calls] == ["Read"]
        file = host.config.home / "traces" / listed["traces"][0]["path"]
        assert file.parent.name == "scripted"
        assert Trace.model_validate_json(file.read_bytes()) == trace
        told = await host.events(lambda event: event["type"] == "request.finished", params={"since": "0"})
        types = [event["type"] for event in told if event["request"] == request_id]
        assert types[0] == "request.received"
        assert {"request.first_token", "request.tool_call", "request.finished"} <= set(types)
        assert (await host.state()).counters.finished == 1


async def test_the_feed_resumes_where_a_reader_left_it(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        last = (await host.state()).seq
        everything = await host.events(lambda event: event["seq"] >= last, params={"since": "0"})
        assert [event["seq"] for event in everything] == list(range(1, last + 1))
        # A browser asks for the same address again; the header says where it was.
        rest = await host.events(
            lambda event: event["seq"] >= last,
            params={"since": "0"},
            headers={"last-event-id": str(last - 1)},
        )
        assert [event["seq"] for event in rest] == [last]


async def test_silence_in_the_feed_is_filled_with_comments() -> None:
    bus = EventBus()
    frames = event_stream(bus.follow(), keep_alive_s=0.001)
    first = [await anext(frames), await anext(frames)]
    assert all(frame.startswith(b":") and frame.endswith(b"\n\n") for frame in first)
    bus.publish("host.notice", HostNotice(text="two\nlines"))
    assert (await anext(frames)).startswith(b'id: 1\ndata: {"seq":1,')
    bus.close()
    assert [frame async for frame in frames] in ([], [b": still here\n\n"])


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/anyclaude/traces/req_0000", 404, "no trace req_0000"),
        ("/anyclaude/traces/..%2f..%2fpasswd", 404, ""),
        ("/anyclaude/traces/nonsense", 404, "no trace id"),
        ("/anyclaude/traces/req_0000/why", 404, "no trace req_0000"),
        ("/anyclaude/traces/req_0000/diff", 404, "no trace req_0000"),
        ("/anyclaude/traces/req_0000/turns", 404, "no trace req_0000"),
        ("/anyclaude/sessions/none/context", 404, "no trace is of a session none"),
        ("/anyclaude/sessions/none/context?at=x", 404, "x is no trace id"),
        ("/anyclaude/traces?limit=many", 400, "limit=many"),
        ("/anyclaude/traces?limit=-1", 400, "limit=-1"),
        ("/anyclaude/traces?before=nonsense", 400, "before=nonsense"),
        ("/anyclaude/traces?offset=-1", 400, "offset=-1"),
        ("/anyclaude/traces?q=tols:Bash", 400, "did you mean tool?"),
        ("/anyclaude/events?since=nonsense", 400, "since=nonsense"),
    ],
)
async def test_questions_that_make_no_sense_get_a_clear_answer(
    tmp_path: Path, path: str, status: int, says: str
) -> None:
    async with served(tmp_path, backend="openai", backend_url="http://127.0.0.1:9/v1") as host:
        answer = await host.client.get(path)
        assert answer.status_code == status
        assert says in answer.json()["error"]["message"]


async def test_a_request_without_a_trace_has_the_reason_with_it(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn(text="hello")) as host:
        (host.config.home / "traces").mkdir(exist_ok=True)
        (host.config.home / "traces" / "scripted").write_text("no folder")
        assert (await host.client.post("/v1/messages", json=ASK)).status_code == 200
        await host.events(
            lambda event: event["type"] == "host.disk" and event["data"]["unwritten"], params={"since": "0"}
        )
        answer = await host.client.get("/anyclaude/traces/req_0000/why")
        assert "the last 1 request could not be recorded: " in answer.json()["error"]["message"]


async def test_a_damaged_trace_is_told_as_such(tmp_path: Path) -> None:
    async with served(tmp_path, backend="openai", backend_url="http://127.0.0.1:9/v1") as host:
        folder = host.config.home / "traces" / "openai"
        folder.mkdir(parents=True)
        (folder / "20260101T000000.000Z-req_12.json").write_text("{")
        answer = await host.client.get("/anyclaude/traces/req_12")
        assert answer.status_code == 500
        assert "is no trace" in answer.json()["error"]["message"]


async def test_other_backends_have_no_engine_to_restart(tmp_path: Path) -> None:
    async with served(tmp_path, backend="openai", backend_url="http://127.0.0.1:9/v1") as host:
        assert (await host.client.get("/health/ready")).status_code == 200
        assert (await host.client.post("/anyclaude/engine/restart")).status_code == 400
        assert "is not watched" in (await host.state()).engine.detail
        await host.events(lambda event: event["type"] == "upstream.probe", params={"since": "0"})
        state = await host.state()
        assert [probe.ok for _, probe in state.probes] == [False]
        assert (state.log[-1].source, state.log[-1].level) == ("upstream", "error")
        assert state.log[-1].text.startswith("it does not accept connections: connection refused")


async def test_the_password_of_an_upstreams_address_is_not_shown(tmp_path: Path) -> None:
    async with served(tmp_path, backend="openai", backend_url="http://me:hunter2@127.0.0.1:9/v1") as host:
        assert (await host.state()).engine.url == "http://***@127.0.0.1:9/v1"
        assert "hunter2" not in (await host.client.get("/anyclaude/state")).text


async def test_an_engine_that_runs_already_is_watched_and_left_alone(tmp_path: Path) -> None:
    settings = {"health": str(tmp_path / "health.json")}
    process = await asyncio.create_subprocess_exec(
        *ENGINE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    address = json.loads(await process.stdout.readline())["listening"]
    async with served(tmp_path, manage_engine=False, engine_port=int(address.rpartition(":")[2])) as host:
        assert (await host.until_engine("ready")).engine.model == "fake"
        assert (await host.client.post("/anyclaude/engine/restart")).status_code == 400
        assert (await host.client.get("/health/ready")).status_code == 200
    assert process.returncode is None
    process.stdin.close()
    assert await process.wait() == 0


async def test_readiness_tells_the_truth_of_an_engine_that_somebody_else_runs(tmp_path: Path) -> None:
    async with served(tmp_path, manage_engine=False, engine_port=9) as host:
        assert "no engine answers" in (await host.until_engine("exited")).engine.detail
        ready = await host.client.get("/health/ready")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)


async def test_an_engine_that_runs_already_needs_an_address(tmp_path: Path) -> None:
    said: list[str] = []
    config = HostConfig(home=tmp_path, port=0, manage_engine=False)
    assert await serve(config, ready=said.append, stop=asyncio.Event(), failed=said.append) == 2
    assert said == ["an engine that runs already needs its address: engine_port or backend_url"]


async def test_a_token_guards_what_the_host_tells(tmp_path: Path) -> None:
    token = "the-token-of-this-host"
    key = "the-key-of-the-search-engine"
    async with served_with_upstream(tmp_path, Turn(text="hello"), token=token, search_key=key) as host:
        for path in (
            "/anyclaude/state",
            "/anyclaude/events",
            "/anyclaude/traces",
            "/anyclaude/openapi.json",
            "/metrics",
        ):
            assert (await host.client.get(path)).status_code == 401
        host.client.headers["authorization"] = f"Bearer {token}"
        assert (await host.client.get("/anyclaude/state")).status_code == 200
        ask = ASK | {"messages": [{"role": "user", "content": f"my token is {token}, my key {key}"}]}
        assert (await host.client.post("/v1/messages", json=ask)).status_code == 200
    written = [file.read_bytes() for file in host.config.home.rglob("*") if file.is_file()]
    assert len(written) >= 2
    assert not any(secret.encode() in content for content in written for secret in (token, key))


async def test_without_traces_there_are_counters_and_no_files(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn(text="hello"), trace=False) as host:
        assert (await host.client.post("/v1/messages", json=ASK)).status_code == 200
        assert (await host.state()).counters.finished == 1
        assert (await host.client.get("/anyclaude/traces")).json() == {"traces": [], "total": 0}
        answer = await host.client.get("/anyclaude/traces/req_0000")
        assert answer.json()["error"]["message"].endswith("; this host keeps no traces")
    assert not list(host.config.home.rglob("*.json"))


async def test_an_open_feed_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with served(tmp_path) as host, host.client.stream("GET", "/anyclaude/events") as feed:
        host.stop.set()
        async with asyncio.timeout(2.5):  # shorter than the grace of open answers
            await feed.aread()


async def test_two_hosts_share_a_home(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn(text="a")) as one, served_with_upstream(
        tmp_path, Turn(text="b")
    ) as two:  # fmt: skip
        for host in (one, two):
            assert (await host.client.post("/v1/messages", json=ASK)).status_code == 200
        for host in (one, two):
            assert (await host.client.get("/anyclaude/traces")).json()["total"] == 2


async def test_a_port_that_is_taken_is_one_line_and_exit_code_3(tmp_path: Path) -> None:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        port = foreign.getsockname()[1]
        said: list[str] = []
        config = HostConfig(home=tmp_path, port=port)
        assert await serve(config, ready=said.append, stop=asyncio.Event(), failed=said.append) == 3
    assert len(said) == 1
    assert said[0].startswith(f"port {port} is in use by ")
    assert str(os.getpid()) in said[0]


async def test_an_address_that_is_not_ours_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    said: list[str] = []
    config = HostConfig(home=tmp_path, port=0, host="192.0.2.1")
    assert await serve(config, ready=said.append, stop=asyncio.Event(), failed=said.append) == 2
    assert "cannot listen on 192.0.2.1" in said[0]


async def test_a_backend_without_an_address_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    said: list[str] = []
    config = HostConfig(home=tmp_path, port=0, backend="openai", backend_name="mine")
    assert await serve(config, ready=said.append, stop=asyncio.Event(), failed=said.append) == 2
    assert "base URL" in said[0]


async def test_streams_are_logged_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "anyclaude.stream")
    async with served_with_upstream(tmp_path, Turn(text="say cheese"), stream_logging=True) as host:
        await host.client.post("/v1/messages", json=ASK)
    assert any("cheese" in record.getMessage() for record in caplog.records)


GIVEN = (
    "/anyclaude/traces",
    "/anyclaude/traces/histogram",
    "/anyclaude/calls",
    "/anyclaude/usage",
    "/health/ready",
)


async def test_the_hosts_own_api_describes_itself(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn(text="hello")) as host:
        mine = {"x-claude-code-session-id": "Session/1"}
        assert (await host.client.post("/v1/messages", json=ASK, headers=mine)).status_code == 200
        document = (await host.client.get("/anyclaude/openapi.json")).json()
        answers = {path: await host.client.get(path) for path in GIVEN}
        past = (await host.client.get("/anyclaude/history")).json()["events"]
        assert [event["type"] for event in past] == ["host.history"]  # all requests are in the feed
        answers |= {path: await host.client.get(path) for path in ("/anyclaude/state", "/health/live")}
        answers |= {
            path: await host.client.get(path) for path in ("/anyclaude/models", "/anyclaude/settings")
        }
        [row] = answers["/anyclaude/traces"].json()["traces"]
        why = await host.client.get(f"/anyclaude/traces/{row['id']}/why")
        answers["/anyclaude/traces/{trace_id}/why"] = why
        assert (why.json()["trace"], why.json()["verdict"]) == (row["id"], "usual")
        turns = await host.client.get(f"/anyclaude/traces/{row['id']}/turns")
        answers["/anyclaude/traces/{trace_id}/turns"] = turns
        assert [turn["id"] for turn in turns.json()["turns"]] == [row["id"]]
        context = await host.client.get("/anyclaude/sessions/session%2F/context")
        answers["/anyclaude/sessions/{session}/context"] = context
        assert (context.json()["trace"], context.json()["session"]) == (row["id"], "Session/1")
    assert set(document["paths"]) == {
        "/anyclaude/events",
        "/anyclaude/state",
        "/anyclaude/engine/restart",
        "/anyclaude/stop",
        "/anyclaude/cache",
        "/anyclaude/cache/flush",
        *(f"/anyclaude/cache/{{entry}}/{action}" for action in ("pin", "unpin", "drop")),
        "/anyclaude/models",
        "/anyclaude/model",
        "/anyclaude/settings",
        "/anyclaude/cache/{entry}/pin",
        "/anyclaude/cache/{entry}/unpin",
        "/anyclaude/cache/{entry}/drop",
        "/anyclaude/requests/{request_id}/cancel",
        "/anyclaude/traces",
        "/anyclaude/history",
        "/anyclaude/traces/{trace_id}",
        "/anyclaude/traces/histogram",
        "/anyclaude/traces/{trace_id}/diff",
        "/anyclaude/traces/{trace_id}/why",
        "/anyclaude/calls",
        "/anyclaude/usage",
        "/anyclaude/traces/{trace_id}/turns",
        "/anyclaude/sessions/{session}/context",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    for path, answer in answers.items():
        described = document["paths"][path]["get"]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(answer.json())
    asked = {parameter["name"] for parameter in document["paths"]["/anyclaude/traces"]["get"]["parameters"]}
    assert asked == {"limit", "before", "offset", "around", "sort", "reverse", "from", "q"}


async def test_a_host_that_is_asked_to_stop_ends_after_the_requests_that_run(tmp_path: Path) -> None:
    release = asyncio.Event()
    upstream = Upstream([delta(content="Hi."), release, *says(" More.")])
    async with upstream_served(upstream) as url:
        fields = {"backend": "openai", "backend_name": "scripted", "backend_url": f"{url}/v1", "model": "m"}
        async with served(tmp_path, **fields) as host:
            running = asyncio.create_task(host.client.post("/v1/messages", json=ASK))
            await upstream.arrivals.acquire()
            asked = await host.client.post("/anyclaude/stop")
            assert (asked.status_code, asked.json()) == (202, {"stopping": True, "running": 1})
            await host.events(lambda event: event["data"].get("stopping") is True, params={"since": "0"})
            refused = await host.client.post("/v1/messages", json=ASK)
            assert (refused.status_code, "being stopped" in refused.text) == (529, True)
            change = await host.client.post("/anyclaude/settings", json={"changes": {"keepAwake": False}})
            assert (change.status_code, "being stopped" in change.text) == (400, True)
            assert (await host.state()).stopping is True
            release.set()
            assert (await running).json()["content"][0]["text"] == "Hi. More."
            async with asyncio.timeout(10):
                await host.stop.wait()


async def test_nothing_is_restarted_or_changed_while_the_host_ends(tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    ask = ASK | {"messages": [{"role": "user", "content": f"Count while {tmp_path}/hold is there."}]}
    async with served(tmp_path) as host:
        before = await host.until_engine("ready")
        running = asyncio.create_task(host.client.post("/v1/messages", json=ask))
        await host.events(lambda event: event["type"] == "request.first_token", params={"since": "0"})
        assert (await host.client.post("/anyclaude/stop")).json() == {"stopping": True, "running": 1}
        for path, body in (
            ("engine/restart", None),
            ("engine/restart?drain=1", None),
            ("model", {"model": "bundled demo model"}),
            ("settings", {"changes": {"keepAwake": False}}),
            ("settings", {"changes": {"loopTokens": 400}}),
        ):
            answer = await host.client.post(f"/anyclaude/{path}", json=body)
            assert answer.status_code == 400, path
            assert "the host is being stopped" in answer.json()["error"]["message"]
        # To be asked again is no change, and the way to end it sooner.
        assert (await host.client.post("/anyclaude/stop")).json() == {"stopping": True, "running": 1}
        assert (await host.state()).engine.pid == before.engine.pid
        (tmp_path / "hold").unlink()
        assert (await running).status_code == 200


async def test_a_host_that_a_signal_ends_changes_nothing_either(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        host.stop.set()
        with suppress(httpx.HTTPError):  # its socket may be closed by then
            answer = await host.client.post("/anyclaude/engine/restart")
            assert (answer.status_code, "being stopped" in answer.text) == (400, True)


async def test_an_idle_host_ends_at_once_and_one_that_shall_end_now_does_not_wait(tmp_path: Path) -> None:
    upstream = Upstream([delta(content="Hi."), asyncio.Event()])
    async with upstream_served(upstream) as url:
        fields = {"backend": "openai", "backend_name": "scripted", "backend_url": f"{url}/v1", "model": "m"}
        async with served(tmp_path, **fields) as host:
            running = asyncio.create_task(host.client.post("/v1/messages", json=ASK | {"stream": True}))
            await upstream.arrivals.acquire()
            assert (await host.client.post("/anyclaude/stop", params={"now": "1"})).json()["running"] == 1
            assert '"error"' in (await running).text
        async with served(tmp_path, **fields) as host:
            assert (await host.client.post("/anyclaude/stop")).json()["running"] == 0
            async with asyncio.timeout(10):
                await host.stop.wait()


async def test_a_running_request_is_cancelled_by_its_id_and_counted_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = Upstream([delta(content="Hi."), asyncio.Event()])
    async with upstream_served(upstream) as url:
        fields = {"backend": "openai", "backend_name": "scripted", "backend_url": f"{url}/v1", "model": "m"}
        async with served(tmp_path, **fields) as host:
            running = asyncio.create_task(host.client.post("/v1/messages", json=ASK))
            told = await host.events(lambda event: event["type"] == "request.first_token")
            path = f"/anyclaude/requests/{told[-1]['request']}/cancel"
            unknown = await host.client.post("/anyclaude/requests/req_zz/cancel")
            assert unknown.status_code == 404
            assert f"running: {told[-1]['request']}" in unknown.json()["error"]["message"]
            beginning = told[-1]["request"][4:12]
            asked = Invocation({"port": None}, host.url, {"HOME": str(tmp_path)})
            assert await asyncio.to_thread(run_cancel, asked, beginning, json_wanted=True) == 0
            assert json.loads(capsys.readouterr().out) == {"cancelled": told[-1]["request"]}
            assert (await running).status_code == 499
            counters = (await host.state()).counters
            assert (counters.cancelled, counters.cancelled_by_you, counters.failed) == (1, 1, 0)
            listed = (await host.client.get("/anyclaude/traces", params={"q": "is:cancelled"})).json()
            assert listed["traces"][0]["cause"] == "cancelled by you"
            refused = await host.client.post(path)
            assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")
            with pytest.raises(CommandFailed, match=r"^req_ does not run.*running: none"):
                await asyncio.to_thread(run_cancel, asked, "req_")
            assert await asyncio.to_thread(run_restart, asked, json_wanted=True) == 1
            assert "runs no engine" in json.loads(capsys.readouterr().out)["reason"]


async def test_a_stopping_host_forwards_no_new_request_either(tmp_path: Path) -> None:
    release = asyncio.Event()
    upstream = Upstream([b"event: ping\ndata: {}\n\n", release])
    async with (
        upstream_served(upstream) as url,
        served(tmp_path, backend="claude", backend_name="claude", backend_url=url) as host,
    ):
        running = asyncio.create_task(host.client.post("/v1/messages", json=ASK | {"stream": True}))
        await upstream.arrivals.acquire()
        await host.client.post("/anyclaude/stop")
        refused = await host.client.post("/v1/messages", json=ASK)
        assert (refused.status_code, len(upstream.bodies)) == (529, 1)
        release.set()
        await running
