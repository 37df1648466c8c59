"""`anyclaude-tui claude`: Claude Code on a running host, or on a new host for this session."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from proxy.configuration.destination import public_url, without_password
from proxy.configuration.known_backends import backend_kind
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settled import HostConfig
from proxy.configuration.settling import Settled
from proxy.events.types import HostState
from proxy.supervision.task_end import end_tasks
from tui.client.host_client import HostClient, HostError, host_state
from tui.client.host_process import HostFailed, HostProcess
from tui.commands import auto_mode
from tui.commands.claude_environment import ClaudeEnvironment, claude_environment
from tui.commands.claude_program import find_claude, named_by_variable
from tui.commands.claude_settings import overlay
from tui.commands.claude_window import own_values
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, check_own_account, say
from tui.commands.managed_settings import managed_settings_files, precedence_notices, read_managed
from tui.commands.model_size import on_diet
from tui.commands.narration import Narrator, destination_of, listen
from tui.commands.port_check import check_ports
from tui.commands.program_name import claude_command, program_name, program_path
from tui.commands.resume_hint import resume_hint
from tui.commands.trust_question import question
from tui.commands.user_settings import UserSettings, read_user_settings

# The client handles these; this process must outlive it.
TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT)
FORWARDED_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def run_claude(
    invocation: Invocation, arguments: Sequence[str], *, claude_path: str = "", status_line: bool = False
) -> int:
    """Run one session and return Claude Code's own exit code.

    Raises:
        proxy.configuration.settled.ConfigError, tui.client.host_process.HostFailed, CommandFailed: no host is
        available.
    """
    program = find_claude(claude_path or named_by_variable(invocation.environ), invocation.environ)
    printing = _prints(arguments)
    asks = not (invocation.attach or printing)
    settled = invocation.settle(question(invocation.environ) if asks else None)
    theirs = read_user_settings(arguments, environ=invocation.environ, cwd=Path.cwd(), user_home=Path.home())
    shows = (status_line or settled.config.status_line) and not printing
    return asyncio.run(_session(invocation, settled, program, theirs, shows))


def _prints(arguments: Sequence[str]) -> bool:
    return any(argument in ("-p", "--print") for argument in arguments)


def _claude_command(invocation: Invocation, config: HostConfig) -> str:
    """The command that starts a session as this one was started, but for its settings."""
    if invocation.attach:
        attached = f" --attach {shlex.quote(without_password(invocation.attach))}"
        return f"{program_name(invocation.environ)}{attached} claude"
    named = str(invocation.options.get("config") or "")
    return claude_command(config.port, invocation.environ, home=config.home, config=named)


async def _session(
    invocation: Invocation, settled: Settled, program: str, theirs: UserSettings, status_line: bool
) -> int:
    config = settled.config
    async with joined_or_started(invocation, settled) as (url, process):
        client = HostClient(url, config.token)
        try:
            state = await until_ready(client, process)
        finally:
            await client.close()
        environment = claude_environment(
            url,
            token=config.token,
            backend=backend_kind(state.backend),
            backend_name=state.backend,
            model=state.model or config.model,
            context_tokens=state.engine.context_tokens or config.context_tokens,
            environ=invocation.environ,
            own=own_values(theirs, invocation.environ),
            no_proxy=theirs.variable("NO_PROXY") or theirs.variable("no_proxy"),
            diet=on_diet(config.prompt_diet, state.model or config.model),
        )
        if environment.own_account and process is None and not invocation.attach:
            check_own_account(settled, url)
        environment = replace(environment, checks_calls=bool(state.auto_mode))
        answered = environment.own_account or environment.checks_calls
        for remark in (
            environment.remark,
            "" if answered else auto_mode.notice(theirs.arguments, theirs.layers),
            *precedence_notices(environment, read_managed(managed_settings_files())),
        ):
            if remark:
                say(remark)
        folder, began = config.home / "run", time.time()
        line = f"{shlex.quote(program_path())} statusline --attach {shlex.quote(url)}" if status_line else ""
        with overlay(
            environment, theirs.given, theirs.arguments, folder=folder, status_line=line
        ) as full_arguments:
            code = await _run_in_foreground([program, *full_arguments], environment, invocation.environ)
        if process is not None and process.exit_code is not None:
            say(f"the host ended during the session (exit code {process.exit_code}); see {process.log_path}")
        if not (answered or _prints(theirs.arguments)):
            hint = resume_hint(
                _claude_command(invocation, config),
                environ=invocation.environ,
                cwd=Path.cwd(),
                user_home=Path.home(),
                since=began,
            )
            if hint:
                say(hint)
        return code


@asynccontextmanager
async def joined_or_started(
    invocation: Invocation, settled: Settled
) -> AsyncIterator[tuple[str, HostProcess | None]]:
    """The address of a running host, else of a new one that is stopped afterwards."""
    joined = None
    if invocation.attach or settled.config.port:
        joined = await _running_host(invocation, settled)
    if joined is not None:
        yield joined, None
        return
    process = HostProcess(settled.config, log_path=settled.config.home / "logs" / "host.log")
    try:
        yield await _started_host(invocation, settled, process)
    finally:
        await process.stop()


async def _started_host(
    invocation: Invocation, settled: Settled, process: HostProcess
) -> tuple[str, HostProcess | None]:
    """The address of a new host, or of one that another session has started meanwhile."""
    try:
        check_ports(settled.config)
        for line in settled.account:
            say(line)
        say(f"starting a host for this session; its log is {process.log_path}")
        return await process.start(), process
    except (CommandFailed, HostFailed) as failed:
        if failed.exit_code == ExitCode.PORT_BUSY and settled.config.port:
            joined = await _running_host(invocation, settled)
            if joined is not None:
                return joined, None
        raise


async def _running_host(invocation: Invocation, settled: Settled) -> str | None:
    """The address of the host on the configured port, with a message about it; None if none runs.

    Raises:
        CommandFailed: there is none but `--attach` needs one, or its use is refused.
    """
    url = invocation.base_url(settled)
    state = await _running(url, settled.config.token, must=bool(invocation.attach))
    if state is None:
        return None
    model = f", {state.model}" if state.model else ""  # else the upstream has one of its own
    say(f"joined the host on {public_url(url)} ({state.backend}{model})")
    say(f"requests go to {destination_of(state)}, according to that host")
    for name in ("backend_name", "backend_url", "model", "home"):
        asked = invocation.options.get(name)
        if asked and not _is_as_asked(name, str(asked), state):
            say(f"{SETTINGS[name].option} is ignored: the running host has its own")
    return url


def _is_as_asked(name: str, asked: str, state: HostState) -> bool:
    """Whether the running host has this value, as far as it tells its own."""
    if name == "home":
        return Path(asked).expanduser().resolve() == Path(state.home).expanduser().resolve()
    return asked == {"backend_name": state.backend, "model": state.model}.get(name)


async def _running(url: str, token: str, *, must: bool = False) -> HostState | None:
    """The state of the host on `url`; None if no host answers.

    Raises:
        CommandFailed: none answers, but `must`.
    """
    try:
        return await host_state(url, token)
    except HostError as error:
        if must:
            address = without_password(url.rstrip("/"))
            raise CommandFailed(ExitCode.USAGE, f"no host to join on {address}: {error}") from None
        return None


async def until_ready(client: HostClient, process: HostProcess | None) -> HostState:
    """Wait until the model can answer, and print its progress.

    Raises:
        CommandFailed: the engine failed, or the host ended.
    """
    narrator = Narrator(say)
    changed = asyncio.Event()
    listening = asyncio.create_task(listen(client, narrator, changed.set))
    ended = asyncio.create_task(_set_at_end(process, changed)) if process else None
    try:
        while not narrator.serving:
            await changed.wait()
            changed.clear()
            if narrator.failed:
                raise CommandFailed(ExitCode.ENGINE_FAILED, f"the engine failed on {client.url}; see above")
            if narrator.waits_for_user:
                raise CommandFailed(ExitCode.ENGINE_FAILED, f"{client.url} has no engine to ask; see above")
            if process is not None and process.exit_code is not None:
                last = process.last_words or ["no output"]
                raise CommandFailed(ExitCode.ENGINE_FAILED, f"the host ended: {last[-1]}")
        return await client.state_with_window()
    except HostError as error:
        raise CommandFailed(ExitCode.ENGINE_FAILED, f"the host does not answer any more: {error}") from None
    finally:
        await end_tasks(*(task for task in (listening, ended) if task is not None))


async def _set_at_end(process: HostProcess, changed: asyncio.Event) -> None:
    await process.wait()
    changed.set()


async def _run_in_foreground(
    command: Sequence[str], environment: ClaudeEnvironment, environ: Mapping[str, str]
) -> int:
    """Run the client in the terminal; returns its exit code, or 128 plus its signal."""
    loop = asyncio.get_running_loop()
    children: list[asyncio.subprocess.Process] = []
    for number in TERMINAL_SIGNALS:
        loop.add_signal_handler(number, lambda: None)  # the client gets the same signal from the terminal
    for number in FORWARDED_SIGNALS:
        loop.add_signal_handler(number, _forward_signal, children, number)
    try:
        child = await asyncio.create_subprocess_exec(*command, env=environment.applied_to(environ))
        children.append(child)
        code = await child.wait()
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{command[0]} cannot be run: {error.strerror}") from None
    finally:
        for number in (*TERMINAL_SIGNALS, *FORWARDED_SIGNALS):
            loop.remove_signal_handler(number)
    return code if code >= 0 else 128 - code


def _forward_signal(children: Sequence[asyncio.subprocess.Process], number: int) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)
