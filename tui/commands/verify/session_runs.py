"""Runs the real Claude Code on a host: one process a question, each with a session of its own.

Nothing of the user's is touched. The client gets an empty folder to work in, settings by `--settings`, and a
configuration folder of its own that is removed afterwards, which is all that it writes to. The user's login
is not in that folder and is not copied into it: a client that renews a copy makes the user's own void. So
with the `claude` backend the account comes from the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tui.client.figures import seconds
from tui.commands.claude_environment import claude_environment
from tui.commands.claude_settings import overlay
from tui.commands.claude_window import own_values
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.user_settings import UserSettings
from tui.commands.verify.verified_host import VerifiedHost

QUESTIONS = ("Who are you?", "Tell me a joke", "What is 2+2?")
_CONFIG_FOLDER = "CLAUDE_CONFIG_DIR"
# The client looks for instructions and servers in all folders above its own too: that of temporary files may
# be everybody's, and it starts a server named there without a question.
_ALONE = ("--strict-mcp-config", "--setting-sources", "user")
_ACCOUNT = ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_INSIDE = "CLAUDECODE"  # of a Claude Code around this command, which would refuse a second one


@dataclass(frozen=True, slots=True)
class ClientRun:
    """How one run of the client ended; `fault` says what is wrong with it, empty if nothing."""

    question: str
    session: str
    answer: str = ""
    took_s: float = 0.0
    fault: str = ""


def check_account(environ: Mapping[str, str]) -> None:
    """Check that the environment has an account for the `claude` backend.

    Raises:
        CommandFailed: it has none.
    """
    if not any(environ.get(name) for name in _ACCOUNT):
        raise CommandFailed(
            ExitCode.USAGE,
            "the claude backend passes the client's own account on, and here the client has none: it gets a"
            " folder of its own, so that yours keeps no session of this check, and your login is not in it."
            " Set CLAUDE_CODE_OAUTH_TOKEN (claude setup-token prints one) or ANTHROPIC_API_KEY (billed by"
            " use)",
        )


async def run_client(
    host: VerifiedHost, invocation: Invocation, program: str, *, folder: Path, limit_s: float
) -> list[ClientRun]:
    """Ask all questions, one after the other, within `limit_s` in all; `folder` is empty and ours.

    Raises:
        CommandFailed: the settings overlay cannot be written.
    """
    (project := folder / "project").mkdir()
    nobody = UserSettings({}, (), ())  # of whom the client reads settings
    config, state = host.settled.config, host.state
    environment = claude_environment(
        host.client.url,
        token=config.token,
        backend=host.backend,
        backend_name=state.backend,
        model=state.model or config.model,
        context_tokens=state.engine.context_tokens or config.context_tokens,
        environ=invocation.environ,
        own=own_values(nobody, invocation.environ),
    )
    environ = environment.applied_to(invocation.environ) | {"DISABLE_AUTOUPDATER": "1"}
    environ.pop(_INSIDE, None)
    environ[_CONFIG_FOLDER] = str(folder / "config")
    ends = time.monotonic() + limit_s
    runs: list[ClientRun] = []
    with overlay(environment, {}, (), folder=config.home / "run") as arguments:
        for number, question in enumerate(QUESTIONS, 1):
            session = str(uuid.uuid4())
            left = ends - time.monotonic()
            if left <= 0:
                runs.append(ClientRun(question, session, fault="not run: the time was over"))
                continue
            say(f'run {number} of {len(QUESTIONS)}: claude -p "{question}"')
            asked = ["-p", question, "--output-format", "json", "--session-id", session]
            command = [program, *arguments, *_ALONE, *asked]
            runs.append(await _run(command, question, session, environ, project, limit_s=left))
            say(f"  {runs[-1].fault or 'answered'} after {seconds(runs[-1].took_s)}")
    return runs


async def _run(
    command: Sequence[str],
    question: str,
    session: str,
    environ: Mapping[str, str],
    project: Path,
    *,
    limit_s: float,
) -> ClientRun:
    pipe = asyncio.subprocess.PIPE
    began = time.monotonic()
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=project,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # a group, so that what it started ends with it
        )
    except OSError as error:
        return ClientRun(question, session, fault=f"{command[0]} cannot be run: {error.strerror}")
    try:
        async with asyncio.timeout(limit_s):
            out, err = await child.communicate()
    except TimeoutError:
        took = time.monotonic() - began
        return ClientRun(question, session, took_s=took, fault=f"ended after {seconds(took)}: no answer yet")
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
    took = time.monotonic() - began
    answer, fault = read_result(child.returncode or 0, out, err)
    return ClientRun(question, session, answer, took, fault)


def read_result(code: int, out: bytes, err: bytes) -> tuple[str, str]:
    """The answer out of `--output-format json`, and what is wrong with it."""
    try:
        result = json.loads(out)
        answer = str(result.get("result") or "")
        is_error = bool(result.get("is_error"))
    except (ValueError, AttributeError):
        answer, is_error = "", True
    if code or is_error:
        last = (err.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        said = answer or last or out.decode("utf-8", "replace").strip() or "no output"
        return answer, f"exit code {code}: {said[:300]}"
    return answer, "" if answer.strip() else "the answer is empty"
