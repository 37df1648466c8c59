"""What three runs say: each thing that can be broken fails by itself, in words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.child import clean_environment
from proxy.configuration.settling import Settled
from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Timings, Usage
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import trace_of
from tests.tui.commands.traces.homes import home_with, invocation_on
from tests.tui.scripted_host import scripted_host
from tests.tui.test_cli import COMMAND
from tui.client.host_client import HostClient
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.verify.claims import Claim, Claims
from tui.commands.verify.session import CLIENT, _remove, run_verify_session
from tui.commands.verify.session_reading import (
    BODIES,
    ERRORS,
    FIRST,
    LATENCY,
    LATER,
    PIECES,
    RATE,
    RECORDED,
    RUNS,
    TIME,
    TOOLS,
    SessionRecord,
    judge_session,
)
from tui.commands.verify.session_runs import QUESTIONS, ClientRun, check_account, read_result, run_client
from tui.commands.verify.verified_host import VerifiedHost

EVERYTHING = {RUNS, RECORDED, ERRORS, BODIES, TOOLS, FIRST, LATER, RATE, LATENCY, PIECES, TIME}
MESSAGE = {"content": [{"type": "text", "text": "I am a model."}], "stop_reason": "end_turn"}


def usage(read: int) -> Usage:
    return Usage(
        input_tokens=5,
        cache_creation_input_tokens=15_000 - read,
        cache_read_input_tokens=read,
        output_tokens=20,
    )


def trace(number: int, **fields: Any) -> Trace:
    body = {
        "stream": True,
        "system": "You are Claude Code.",
        "tools": [{"name": f"tool{place}"} for place in range(14)],
        "messages": [{"role": "user", "content": QUESTIONS[number]}],
    }
    made = {
        "session": f"session-{number}",
        "lane": "main",
        "backend": "mlx",
        "request": TraceRequest(headers={"user-agent": "claude-cli/2.1.332 (external)"}, body=body),
        "upstream": body,
        "response": TraceResponse(status=200, message=MESSAGE),
        "usage": usage(0 if number == 0 else 14_900),
        "timings": Timings(first_token=9.0 if number == 0 else 0.5, last_token=9.9, done=10.0),
    }
    return trace_of(number + 1, **(made | fields))


def record(**changed: Trace) -> SessionRecord:
    runs = [ClientRun(question, f"session-{n}", "Fine.", 11.0) for n, question in enumerate(QUESTIONS)]
    return SessionRecord(runs, [changed.get(f"t{n}", trace(n)) for n in range(3)], "mlx", "qwen")


def judged(seen: SessionRecord) -> tuple[dict[str, Claim], list[str]]:
    claims = Claims("verify session", lambda _: None)
    judge_session(claims, seen)
    assert {claim.name for claim in claims.found} == EVERYTHING
    assert all(claim.advice for claim in claims.found if claim.status in ("failed", "warning"))
    return {claim.name: claim for claim in claims.found}, claims.interpretation


def failed(found: dict[str, Claim]) -> set[str]:
    return {name for name, claim in found.items() if claim.status == "failed"}


def test_three_good_runs_are_interpreted() -> None:
    found, words = judged(record())
    assert {claim.status for claim in found.values()} == {"ok"}
    assert found[RATE].evidence.startswith("66.7% of requests, 66.2% of tokens")
    assert "14,900 of 15,005" in found[LATER].evidence
    text = " ".join(words)
    assert "Claude Code (claude-cli/2.1.332) asked qwen 3 questions" in text
    assert "waits 0.50s for its first token, where the first one waited 9.0s" in text
    assert "is the most that a first test can reach" in words[-1]


def test_what_an_earlier_run_left_is_said() -> None:
    found, words = judged(record(t0=trace(0, usage=usage(14_000))))
    assert failed(found) == set()
    assert "14,000 that an earlier run left" in found[FIRST].evidence
    assert "had been computed before this test" in words[-1]


def test_a_few_tokens_that_all_prompts_begin_with_are_no_hit() -> None:
    found, words = judged(record(t0=trace(0, usage=usage(7))))
    assert failed(found) == set()
    assert "7 that other prompts begin with too" in found[FIRST].evidence
    assert "trust the rate by token" in words[-1]
    later, _ = judged(record(t1=trace(1, usage=usage(7)), t2=trace(2, usage=usage(7))))
    assert failed(later) == {LATER}


def test_quick_answers_say_nothing_of_streaming() -> None:
    quick = Timings(first_token=0.009, last_token=0.009, done=0.01)
    found, _ = judged(record(**{f"t{n}": trace(n, timings=quick) for n in range(3)}))
    assert failed(found) == set()
    assert found[PIECES].status == "not checked"


def test_a_server_without_usage_fails() -> None:
    traces = {f"t{n}": trace(n, usage=Usage(), backend="lmstudio") for n in range(3)}
    found, _ = judged(replace(record(**traces), backend="openai"))
    assert failed(found) == {FIRST}
    assert "update that server" in found[FIRST].advice
    assert (found[LATER].status, found[RATE].status) == ("not checked", "not checked")


MISS = CacheVerdict(
    prompt_tokens=15_005,
    miss=CacheMiss(reason="diverged", position=812, segment="system", before="Tuesday", now="Wednesday"),
)


@pytest.mark.parametrize(
    ("changed", "broken", "evidence"),
    [
        ({"t2": trace(2, usage=usage(0), cache=MISS)}, {LATER, RATE}, "'Tuesday', now 'Wednesday'"),
        (
            {"t1": trace(1, request=trace(1).request.model_copy(update={"body": {"stream": True}}))},
            {BODIES, TOOLS},
            "lacks system, tools, messages",
        ),
        ({"t1": trace(1, upstream=None)}, {BODIES}, "what was sent upstream"),
        (
            {
                "t1": trace(
                    1,
                    response=TraceResponse(
                        status=529, message=MESSAGE, error=ErrorInfo(type="overloaded_error", message="busy")
                    ),
                )
            },
            {ERRORS},
            "busy",
        ),
        (
            {f"t{n}": trace(n, timings=Timings(first_token=2.0, last_token=2.0, done=2.0)) for n in range(3)},
            {PIECES},
            "0ms",
        ),
    ],
)
def test_what_is_broken_fails_and_nothing_else(
    changed: dict[str, Trace], broken: set[str], evidence: str
) -> None:
    found, words = judged(record(**changed))
    assert failed(found) == broken
    assert any(evidence in found[name].evidence for name in broken)
    assert any("Begin with what failed first" in sentence for sentence in words)


def test_runs_without_an_answer_or_a_trace_fail_and_the_rest_is_not_checked() -> None:
    seen = record()
    runs = [replace(run, fault="exit code 1: API Error") for run in seen.runs]
    found, _ = judged(replace(seen, runs=runs, traces=[]))
    assert failed(found) == {RUNS, RECORDED}
    assert {claim.status for name, claim in found.items() if name not in (RUNS, RECORDED, TIME)} == {
        "not checked"
    }
    slow, _ = judged(replace(seen, runs=[replace(run, took_s=120.0) for run in seen.runs]))
    assert failed(slow) == {TIME}


def test_a_server_that_reports_no_cached_tokens_is_not_called_broken() -> None:
    counted = Usage(input_tokens=15_000, output_tokens=9)
    traces = {f"t{n}": trace(n, usage=counted, backend="lmstudio") for n in range(3)}
    found, _ = judged(replace(record(**traces), backend="openai"))
    assert failed(found) == set()
    assert (found[LATER].status, found[RATE].status) == ("warning", "not checked")


@pytest.mark.parametrize(
    ("code", "out", "answer", "fault"),
    [
        (0, b'{"result": "Hi.", "is_error": false}', "Hi.", ""),
        (0, b'{"result": "", "is_error": false}', "", "the answer is empty"),
        (
            1,
            b'{"result": "API Error: 529", "is_error": true}',
            "API Error: 529",
            "exit code 1: API Error: 529",
        ),
        (2, b"[1]", "", "exit code 2: unknown option"),
    ],
)
def test_the_clients_result_is_read(code: int, out: bytes, answer: str, fault: str) -> None:
    assert read_result(code, out, b"warning\nunknown option\n") == (answer, fault)


def test_without_claude_code_the_check_fails_and_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Invocation({"home": str(tmp_path)}, "", {"PATH": str(tmp_path), "HOME": str(tmp_path)})
    code = run_verify_session(at, claude_path="/no/claude", keep=False, beside_host=False, as_json=True)
    first, *rest = json.loads(capsys.readouterr().out)["claims"]
    assert (code, first["name"], first["status"]) == (ExitCode.FAILED, CLIENT, "failed")
    assert "npm install" in first["advice"]
    assert {claim["status"] for claim in rest} == {"not checked"}


Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a program that plays Claude Code."""

    def write(body: str) -> str:
        (path := tmp_path / "claude").write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o700)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("body", "limit_s", "faults"),
    [
        (
            'case "$*" in *" --strict-mcp-config --setting-sources user "*)'
            ' echo "{\\"result\\": \\"$CLAUDE_CONFIG_DIR\\"}";; esac',
            60.0,
            ["", "", ""],
        ),
        ("exec sleep 60", 0.2, ["ended after", "not run", "not run"]),
    ],
)
async def test_the_client_has_a_folder_of_its_own_and_is_ended_in_time(
    tmp_path: Path, script: Script, body: str, limit_s: float, faults: list[str]
) -> None:
    at = invocation_on(tmp_path, PATH="/usr/bin:/bin", HOME=str(tmp_path), CLAUDECODE="1")
    (tmp_path / "config.json").write_text("{}")
    settled: Settled = at.settle()
    (folder := tmp_path / "runs").mkdir()
    with scripted_host() as scripted:
        client = HostClient(scripted.url)
        host = VerifiedHost(client, settled, await client.state(), None)
        runs = await run_client(host, at, script(body), folder=folder, limit_s=limit_s)
        await client.close()
    assert [run.question for run in runs] == list(QUESTIONS)
    for run, fault in zip(runs, faults, strict=True):
        assert run.fault.startswith(fault)
        assert bool(run.fault) is bool(fault)
        assert run.answer == ("" if fault else str(folder / "config"))
    assert not list((tmp_path / "run").glob("claude-settings-*"))


async def test_with_the_claude_backend_the_account_comes_from_the_environment_alone(
    tmp_path: Path, script: Script
) -> None:
    own = tmp_path / ".claude"
    (own / "projects").mkdir(parents=True)
    (own / "settings.json").write_text('{"env": {"ANTHROPIC_API_KEY": "of-my-settings"}}')
    (tmp_path / "config.json").write_text("{}")
    program = script('echo x > "$CLAUDE_CONFIG_DIR.written"; echo "{\\"result\\": \\"$ANTHROPIC_API_KEY\\"}"')
    at = invocation_on(tmp_path, PATH="/usr/bin:/bin", HOME=str(tmp_path), CLAUDE_CONFIG_DIR=str(own))
    with pytest.raises(CommandFailed, match="setup-token"):
        check_account(at.environ)
    at = replace(at, environ={**at.environ, "ANTHROPIC_API_KEY": "made-up"})
    check_account(at.environ)
    (folder := tmp_path / "runs").mkdir()
    with scripted_host() as scripted:
        client = HostClient(scripted.url)
        state = (await client.state()).model_copy(update={"backend": "claude"})
        host = VerifiedHost(client, at.settle(), state, None)
        runs = await run_client(host, at, program, folder=folder, limit_s=60.0)
        await client.close()
    assert [run.answer for run in runs] == ["made-up"] * 3
    assert (folder / "config.written").exists()
    assert sorted(path.name for path in own.iterdir()) == ["projects", "settings.json"]


def test_only_the_traces_of_the_check_are_removed(tmp_path: Path) -> None:
    folder = home_with(tmp_path / "home", trace_of(1), trace_of(2))
    _remove(folder, {trace_of(2).id})
    assert [path.stem.rpartition("-")[2] for path in folder.glob("*/*.json")] == [trace_of(1).id]


def test_the_folder_of_a_host_behind_a_tunnel_is_not_made_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _remove(tmp_path / "Users" / "me" / "traces", {"req_1"})
    _remove(Path("/proc/version/traces"), {"req_1"})  # which cannot be made
    said = capsys.readouterr().err
    assert "kept 1 trace: not in " in said
    assert "not all traces of this check could be removed: " in said
    assert not (tmp_path / "Users").exists()


def test_a_signal_ends_the_client_too(tmp_path: Path, script: Script) -> None:
    os.mkfifo(pids := tmp_path / "pids")
    program = script(f"echo $$ > {pids}; exec sleep 60")
    with scripted_host() as host:
        command = [str(COMMAND), "--home", str(tmp_path / "home"), "--attach", host.url, "verify", "session"]
        environment = clean_environment(HOME=str(tmp_path), TMPDIR=str(tmp_path))
        with subprocess.Popen(
            [*command, "--claude-path", program],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as checking:
            pid = int(pids.read_text())
            checking.terminate()
            out, err = checking.communicate(timeout=30)
    assert (checking.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err.endswith("ended by a signal; the check is not complete, its traces are kept\n")
    assert not psutil.pid_exists(pid)
    assert not list(tmp_path.glob("anyclaude-verify-*"))
