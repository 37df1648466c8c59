"""Auto mode's check over real sockets: what the client is told of each call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.api.call_checks import CallChecks, checks_of
from proxy.backends.openai import OpenAIBackend
from proxy.configuration.settled import HostConfig
from tests.proxy.live import (
    BREAK,
    DONE,
    FINISH,
    USAGE,
    Upstream,
    body,
    calls,
    delta,
    proxy_over,
    says,
    serve,
    sse,
)

CONTEXT = {"live_cwd": "/p", "trusted_directories": {"primary": {"path": "/p"}}}
WANTED = [{"type": "dangerous_tool_use", "classifier_context": CONTEXT}]
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}}
BASH = {"name": "Bash", "input_schema": SCHEMA}
ALLOW, BLOCK = '{"reason": "", "verdict": "allow"}', '{"reason": "it deletes", "verdict": "block"}'
LENGTH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
NEVER = asyncio.Event()


async def verdict(
    folder: Path, mode: Any, *, command: str = "make", check: list[Any] | None = None, **fields: Any
) -> tuple[Any, Upstream, list[str]]:
    """The status of the one call in an answer (None: no results), the checking server, the trace's notes."""
    upstream = Upstream([calls("Bash", f'{{"command": "{command}"}}'), FINISH, USAGE, DONE])
    checker = Upstream(check or [])
    async with serve(checker) as url:
        backend = OpenAIBackend(f"{url}/v1", "small")
        checks = CallChecks(mode, backend, limit_s=0.2 if check == [NEVER] else 30.0)
        async with proxy_over(upstream, folder, checks=checks) as running:
            request = body(**{"tools": [BASH], "stream": True, "safeguards": WANTED, **fields})
            response = await running.http.post("/v1/messages", json=request)
        await backend.close()
    end = sse(response.text)[-2]["delta"] if request["stream"] else response.json()
    assert end["stop_reason"] == "tool_use"
    (trace,) = running.traces()
    assert trace.response.message is not None
    assert trace.response.message.get("safeguard_results") == end.get("safeguard_results")
    if "safeguard_results" not in end:
        return None, checker, trace.notes
    (result,) = end["safeguard_results"]
    assert (result["type"], result["status"]["type"]) == ("dangerous_tool_use", "available")
    ((call_id, status),) = result["status"]["tool_uses"].items()
    assert call_id == trace.tool_calls[0].id
    return status, checker, trace.notes


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("check", "status"),
    [
        (says(ALLOW), {"type": "evaluated", "outcome": "not_flagged"}),
        (says(BLOCK), {"type": "evaluated", "outcome": "flagged", "explanation": "it deletes"}),
        (says("It looks fine to me."), {"type": "unavailable", "reason": "error"}),
        ([delta(content=ALLOW), LENGTH, USAGE, DONE], {"type": "unavailable", "reason": "error"}),
        ([delta(content=ALLOW), BREAK], {"type": "unavailable", "reason": "error"}),
    ],
)
async def test_the_model_decides_and_a_check_without_a_verdict_permits_nothing(
    tmp_path: Path, check: list[Any], status: dict[str, Any], stream: bool
) -> None:
    found, checker, notes = await verdict(tmp_path, "model", check=check, stream=stream)
    assert found == status
    (asked,) = checker.bodies
    assert asked["model"] == "small"
    assert any(note.startswith("auto mode: Bash is") for note in notes)


async def test_a_check_that_takes_too_long_is_unavailable(tmp_path: Path) -> None:
    found, _, _ = await verdict(tmp_path, "model", check=[NEVER])
    assert found == {"type": "unavailable", "reason": "timeout"}


@pytest.mark.parametrize(
    ("mode", "command", "outcome"),
    [("rules", "ls -la", "not_flagged"), ("model", "ls -la", "not_flagged"), ("rules", "make", "flagged")],
)
async def test_the_rules_need_no_model(tmp_path: Path, mode: str, command: str, outcome: str) -> None:
    found, checker, _ = await verdict(tmp_path, mode, command=command)
    assert found["outcome"] == outcome
    assert checker.bodies == []


async def test_rules_of_the_users_own_leave_it_to_the_model(tmp_path: Path) -> None:
    context = CONTEXT | {"auto_mode": {"hard_deny": ["listing files"]}}
    wanted = [{"type": "dangerous_tool_use", "classifier_context": context}]
    found, checker, _ = await verdict(tmp_path, "model", command="ls", check=says(BLOCK), safeguards=wanted)
    assert found["outcome"] == "flagged"
    assert "listing files" in checker.bodies[0]["messages"][1]["content"]


@pytest.mark.parametrize(("mode", "fields"), [("off", {}), ("model", {"safeguards": None})])
async def test_nothing_is_said_where_nobody_checks_or_asks(
    tmp_path: Path, mode: str, fields: dict[str, Any]
) -> None:
    assert (await verdict(tmp_path, mode, **fields))[0] is None


async def test_a_configuration_chooses_who_checks(tmp_path: Path) -> None:
    session = OpenAIBackend("http://127.0.0.1:9/v1", "large")
    openai = {"home": tmp_path, "backend": "openai", "backend_name": "openai"}
    assert checks_of(HostConfig(**openai), session).mode == "off"
    assert checks_of(HostConfig(**openai, auto_mode="rules"), session).backend is None
    assert checks_of(HostConfig(**openai, auto_mode="model"), session).backend is session
    own = checks_of(
        HostConfig(
            **openai, auto_mode="model", auto_mode_url="http://127.0.0.1:8/v1", auto_mode_model="small"
        ),
        session,
    )
    assert own.backend is not None
    assert await own.backend.model_name() == "small"
    await own.close()
    await session.close()
    assert checks_of(HostConfig(home=tmp_path, auto_mode="model"), session).mode == "off"  # the demo model
