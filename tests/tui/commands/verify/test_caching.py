"""Each thing that can be broken in a cache makes its own line fail, with advice."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.scripted_upstream import ScriptedUpstream, Turn, in_order
from proxy.configuration.known_backends import BackendKind
from proxy.events.types import Usage
from tests.proxy.test_host import served, serving
from tui.client.asking import StreamedAnswer, made_up_prompt
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.verify.caching import (
    CONTROL,
    DISK,
    FILLS,
    READS,
    TIMES,
    USAGE,
    CacheAnswers,
    judge,
    run_verify_cache,
)
from tui.commands.verify.claims import Claims


def answer(created: int = 0, read: int = 0, *, ttft_s: float = 2.0, prompt: int = 2000) -> StreamedAnswer:
    usage = Usage(
        input_tokens=prompt - created - read,
        cache_creation_input_tokens=created,
        cache_read_input_tokens=read,
    )
    return StreamedAnswer(usage=usage, ttft_s=ttft_s, took_s=ttft_s, stop_reason="end_turn")


GOOD = CacheAnswers(
    first=answer(1990, ttft_s=2.6),
    second=answer(1, 1999, ttft_s=0.1),
    control=answer(1990, 2),
    again=answer(1, 1999, ttft_s=0.2),
)


def judged(answers: CacheAnswers, backend: BackendKind = "mlx") -> dict[str, str]:
    claims = Claims("verify cache", lambda _: None)
    judge(claims, answers, backend, tokens=2000)
    assert all(claim.advice for claim in claims.found if claim.status in ("failed", "warning"))
    return {claim.name: claim.status for claim in claims.found}


EVERYTHING = (USAGE, FILLS, READS, CONTROL, TIMES, DISK)


def test_a_cache_that_works_is_ok() -> None:
    assert judged(GOOD) == dict.fromkeys(EVERYTHING, "ok")


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        ({"second": answer(2000, 0, ttft_s=0.1)}, {READS}),
        ({"second": answer(1990, 7)}, {READS}),
        ({"first": answer(0, 0)}, {FILLS}),
        ({"control": answer(1, 1999)}, {CONTROL}),
        ({"second": answer(1, 1999, ttft_s=1.9)}, {TIMES}),
        ({"again": answer(2000)}, {DISK}),
        ({"second": StreamedAnswer(error="overloaded")}, {USAGE}),
        ({"again": StreamedAnswer(error="overloaded")}, {DISK}),
        ({"again": None, "failure": "the engine did not start again"}, {DISK}),
    ],
)
def test_what_is_broken_fails_and_nothing_else(broken: dict[str, Any], failed: set[str]) -> None:
    found = judged(replace(GOOD, **broken))
    assert {name for name, status in found.items() if status == "failed"} == failed
    assert list(found) == list(EVERYTHING)
    assert set(found.values()) <= {"ok", "failed", "not checked"}


def test_a_server_that_reports_no_cached_tokens_is_told_by_its_times() -> None:
    counted = replace(
        GOOD, first=answer(), second=answer(ttft_s=0.1), control=answer(), again=None, why_not="elsewhere"
    )
    found = judged(counted, "openai")
    assert (found[READS], found[CONTROL], found[TIMES]) == ("warning", "not checked", "ok")
    slow = judged(replace(counted, second=answer(ttft_s=2.0)), "openai")
    assert slow[TIMES] == "warning"
    assert "failed" not in {*found.values(), *slow.values()}


def test_too_little_to_tell_times_does_not_fail() -> None:
    short = replace(GOOD, second=answer(1, 1999, ttft_s=0.2), control=answer(1990, ttft_s=0.2))
    assert judged(short)[TIMES] == "not checked"
    template = replace(GOOD, first=answer(140, prompt=141), second=answer(1, 140, prompt=141, ttft_s=2.0))
    assert judged(template)[TIMES] == "not checked"


def test_made_up_prompts_are_as_long_as_each_other_and_begin_otherwise() -> None:
    one, two = (made_up_prompt(500, nonce) for nonce in ("3f", "77"))
    assert len(one) == len(two) == 2000
    assert one[:2] != two[:2]
    assert made_up_prompt(500, "3f") == one


class Uncounted(ScriptedUpstream):
    """An upstream that leaves `usage` out of its streams."""

    def counted(self, usage: dict[str, Any]) -> dict[str, Any] | None:
        return None

    async def _completions(self, request: Request) -> Response:
        whole = await super()._completions(request)
        assert isinstance(whole, StreamingResponse)
        lines = []
        async for line in whole.body_iterator:
            text = str(line)
            if '"usage"' in text:
                chunk = json.loads(text.removeprefix("data: "))
                chunk["usage"] = self.counted(chunk["usage"])
                text = f"data: {json.dumps(chunk)}\n\n"
            lines.append(text)
        return StreamingResponse(iter(lines), media_type="text/event-stream")


class Flattering(Uncounted):
    """One that calls each prompt cached."""

    def counted(self, usage: dict[str, Any]) -> dict[str, Any] | None:
        return usage | {"prompt_tokens_details": {"cached_tokens": usage["prompt_tokens"] - 1}}


@pytest.mark.parametrize(
    ("kind", "failed", "advice", "not_checked"),
    [
        (Uncounted, USAGE, "update that server", READS),
        (Flattering, CONTROL, "do not trust", TIMES),
    ],
)
async def test_a_server_that_counts_wrongly_fails_the_check(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: type[ScriptedUpstream],
    failed: str,
    advice: str,
    not_checked: str,
) -> None:
    with serving(kind(in_order([Turn(text="Hello.")])).app) as url:
        fields = {"backend": "openai", "backend_name": "openai", "backend_url": url, "model": "m"}
        async with served(tmp_path, **fields) as host:
            at = Invocation({"home": str(tmp_path), "config": _empty(tmp_path)}, host.url, {})
            code = await asyncio.to_thread(_cache, at)
    shown = json.loads(capsys.readouterr().out)
    found = {claim["name"]: claim for claim in shown["claims"]}
    assert (code, shown["passed"]) == (ExitCode.FAILED, False)
    assert [name for name, claim in found.items() if claim["status"] == "failed"] == [failed]
    assert advice in found[failed]["advice"]
    assert found[not_checked]["status"] == "not checked"


async def test_the_claude_backend_is_asked_only_with_a_key_and_a_model(tmp_path: Path) -> None:
    fields = {"backend": "claude", "backend_name": "claude", "backend_url": "http://127.0.0.1:9"}
    async with served(tmp_path, **fields) as host:
        at = Invocation({"home": str(tmp_path), "config": _empty(tmp_path)}, host.url, {})
        with pytest.raises(CommandFailed, match="ANTHROPIC_API_KEY"):
            await asyncio.to_thread(_cache, at)
        with pytest.raises(CommandFailed, match="--model NAME"):
            await asyncio.to_thread(_cache, replace(at, environ={"ANTHROPIC_API_KEY": "made-up"}))


class SomebodysEngine(ScriptedUpstream):
    """An engine that the host did not start; without `health` it is none."""

    def __init__(self, health: dict[str, Any]) -> None:
        super().__init__(in_order([Turn(text="Hello.")]))
        if health:
            self.app.routes.append(Route("/health", lambda _: JSONResponse(health)))


async def test_an_engine_that_the_host_cannot_restart_costs_no_verdict_but_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(SomebodysEngine({"state": "ready", "model": "m"}).app) as url:
        async with served(tmp_path, manage_engine=False, backend_url=url) as host:
            at = Invocation({"home": str(tmp_path), "config": _empty(tmp_path)}, host.url, {})
            await asyncio.to_thread(_cache, at, restart=True)
    shown = json.loads(capsys.readouterr().out)
    found = {claim["name"]: claim for claim in shown["claims"]}
    assert found[READS]["status"] == "ok"
    assert (found[DISK]["status"], "--beside-host" in found[DISK]["advice"]) == ("not checked", True)


async def test_a_host_whose_engine_its_user_has_to_start_is_not_waited_for(tmp_path: Path) -> None:
    with serving(SomebodysEngine({}).app) as url:
        async with served(tmp_path, manage_engine=False, backend_url=url) as host:
            at = Invocation({"home": str(tmp_path), "config": _empty(tmp_path)}, host.url, {})
            with pytest.raises(CommandFailed, match="no engine to ask"):
                await asyncio.to_thread(_cache, at)


def _cache(at: Invocation, *, restart: bool = False) -> int:
    return run_verify_cache(at, head_tokens=200, restart=restart, beside_host=False, as_json=True)


def _empty(folder: Path) -> str:
    (folder / "config.json").write_text("{}")
    return str(folder / "config.json")
