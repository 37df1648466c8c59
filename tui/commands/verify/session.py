"""`anyclaude-tui verify session`: the real Claude Code, three times, and what its traces say."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from proxy.traces.files import TRACES_FOLDER, id_in, trace_files
from proxy.traces.index import TraceIndex
from proxy.traces.metrics.cache_metrics import METRICS_FOLDER, CacheMetrics
from proxy.traces.retention import PrunePlan, Removal, prune
from proxy.traces.schema import Trace
from tui.client.figures import plural
from tui.client.host_client import HostError
from tui.client.wire_text import line_text
from tui.commands.claude_program import INSTALL, find_claude, named_by_variable
from tui.commands.claude_session import FORWARDED_SIGNALS
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, check_own_account, say
from tui.commands.verify.claims import Claims
from tui.commands.verify.session_reading import LIMIT_S, SessionRecord, judge_session
from tui.commands.verify.session_runs import check_account, run_client
from tui.commands.verify.verified_host import HostChoice, VerifiedHost, choose_host, verified_host

CLIENT, SERVER = "Claude Code is here", "the server answers"
_ROWS = 500  # newest traces that are looked through: three runs make a few


def run_verify_session(
    invocation: Invocation, *, claude_path: str, keep: bool, beside_host: bool, as_json: bool
) -> int:
    """Run the client, read its traces, judge and print; returns the exit code.

    The traces of these runs are removed if all holds, unless `keep`; no others ever are.

    Raises:
        proxy.configuration.settled.ConfigError, tui.client.host_process.HostFailed, CommandFailed: there is
        no host to ask.
    """
    claims = Claims("verify session", say)
    named = claude_path or named_by_variable(invocation.environ)
    try:
        program = find_claude(named, invocation.environ)
    except CommandFailed as missing:
        claims.failed(CLIENT, missing.message, f"install it, for example by: {INSTALL}")
        claims.rest_not_checked((SERVER, "everything else"))
        return claims.write(as_json=as_json)
    claims.ok(CLIENT, program)
    choice = choose_host(invocation, beside_host=beside_host)
    try:
        asyncio.run(_verify(choice, claims, program, keep=keep))
    except HostError as error:
        raise CommandFailed(ExitCode.ENGINE_FAILED, f"{error}; the check is not complete") from None
    except asyncio.CancelledError:
        raise CommandFailed(
            ExitCode.INTERRUPTED, "ended by a signal; the check is not complete, its traces are kept"
        ) from None
    return claims.write(as_json=as_json)


async def _verify(choice: HostChoice, claims: Claims, program: str, *, keep: bool) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in FORWARDED_SIGNALS:  # else the client would outlive this process
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with verified_host(choice) as host:
        if host.backend == "claude":
            check_account(choice.invocation.environ)
            if host.process is None and not choice.invocation.attach:
                check_own_account(choice.settled, host.client.url)
        engine = host.state.engine
        about = (host.state.backend, host.state.model, engine.accelerated, host.client.url)
        claims.ok(SERVER, ", ".join(filter(None, about)))
        # What the client left running may still write there.
        with tempfile.TemporaryDirectory(prefix="anyclaude-verify-", ignore_cleanup_errors=True) as folder:
            runs = await run_client(host, choice.invocation, program, folder=Path(folder), limit_s=LIMIT_S)
        traces = await _traces(host, {run.session for run in runs})
        judge_session(claims, SessionRecord(runs, traces, host.backend, host.state.model))
        ids = {trace.id for trace in traces}
        if keep or not claims.passed:
            say(f"kept {plural(len(ids), 'trace')}: {', '.join(sorted(ids))}")
        elif not host.is_here:
            say(f"{plural(len(ids), 'trace')} stay on the host that ran them")
        else:
            _remove(Path(host.state.home) / TRACES_FOLDER, ids)


async def _traces(host: VerifiedHost, sessions: Collection[str]) -> list[Trace]:
    """The traces of these sessions, oldest first."""
    rows = (await host.client.traces(limit=_ROWS)).traces
    ours = [row for row in rows if row.session in sessions]
    return [await host.client.trace(row.id) for row in reversed(ours)]


def _remove(folder: Path, ids: Collection[str]) -> None:
    """Remove the traces of this check alone."""
    try:
        ours = [
            Removal(path, 0.0, (folder / path).stat().st_size, "verified")
            for path in trace_files(folder)
            if id_in(path) in ids
        ]
        if not ours:  # an address of this machine may lead to a host of another one, with its folders
            say(f"kept {plural(len(ids), 'trace')}: not in {line_text(str(folder))} of this machine")
            return
        with closing(TraceIndex(folder, notice=say)) as index:
            metrics = CacheMetrics(folder.parent / METRICS_FOLDER, notice=say)
            done = prune(folder, index, PrunePlan(ours, 0, 0, 0), metrics=metrics)
    except (sqlite3.Error, OSError) as error:
        say(f"not all traces of this check could be removed: {error}")
    else:
        say(f"removed the {plural(done.traces, 'trace')} of this check; --keep keeps them")
