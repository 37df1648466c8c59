from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bench.scripted_upstream import ScriptedUpstream, Turn, in_order
from proxy.traces.request_replay import new_answer, stored_answer
from proxy.traces.schema import TraceRequest, TraceResponse
from tests.proxy.test_host import served_with_upstream, serving
from tests.proxy.trace_making import body_of, trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tui.client.wire_text import width
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.traces.replaying import run_traces_replay, side_by_side

MESSAGE = {"content": [{"type": "text", "text": "I was it."}], "stop_reason": "end_turn"}
ASKED = trace_of(
    1,
    request=TraceRequest(body=body_of("Who? [redacted]", max_tokens=50, tools=[])),
    response=TraceResponse(status=200, message=MESSAGE),
)


def replayed(at: Invocation, wanted: str = "req_0001", *, backend: str = "", as_json: bool = False) -> int:
    return run_traces_replay(at, wanted, backend=backend, model="", beside_host=False, as_json=as_json)


async def test_the_host_that_runs_is_asked_and_both_answers_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served_with_upstream(tmp_path, Turn(text="I am\nanother.")) as host:
        home_with(host.config.home, ASKED)
        at = Invocation(invocation_on(host.config.home).options, host.url, {})
        assert await asyncio.to_thread(replayed, at) == 0
        shown = capsys.readouterr()
        assert [line.split("│")[1].strip() for line in shown.out.splitlines()[-4:-2]] == ["I am", "another."]
        assert "I was it." in shown.out
        assert shown.out.endswith("The answers differ from line 1 on.\n")
        assert "1 secret of the request is [redacted] in it" in shown.err
        listed = (await host.client.get("/anyclaude/traces")).json()["traces"]
        assert listed[0]["session"] == ""


def test_another_backend_is_asked_by_a_host_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(ScriptedUpstream(in_order([Turn(text="I was it.")])).app) as url:
        home_with(tmp_path, ASKED)
        config = {"backends": {"lmstudio": {"baseUrl": url, "model": "m", "contextTokens": 65536}}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        code = replayed(invocation_on(tmp_path), backend="lmstudio", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (code, shown["now"]["error"]) == (0, "")
    assert shown["then"]["parts"] == shown["now"]["parts"] == ["I was it."]
    assert (shown["now"]["status"], shown["now"]["model"]) == (200, "m")


def test_what_cannot_be_asked_again_is_a_mistake(tmp_path: Path) -> None:
    home_with(tmp_path, trace_of(1, request=TraceRequest(path="/v1/messages/count_tokens")))
    with pytest.raises(CommandFailed, match="asked for no answer"):
        replayed(invocation_on(tmp_path))


def test_two_columns_have_room_for_wide_and_long_texts() -> None:
    then = stored_answer(trace_of(1, response=TraceResponse(status=200, message=MESSAGE)))
    wide = {"content": [{"type": "text", "text": "日本語 \x1b[31m" * 30}]}
    lines = list(side_by_side(then, new_answer(200, wide, model="m", duration_s=1.0), 60))
    assert all(width(line) <= 60 for line in lines)
    assert len({line.index("│") for line in lines[:4]}) == 1
    assert "\x1b" not in "".join(lines)
