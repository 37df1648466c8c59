"""`anyclaude-tui status`: how the running host stands, on one screen or as JSON."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from proxy.configuration.known_backends import backend_kind, reports_reuse
from proxy.events.health_types import LogEntry
from proxy.events.types import HostState
from tui.client.figures import clock, count, percent, plural, rate, ratio, seconds, size
from tui.client.host_client import HostClient, HostError
from tui.client.wire_text import line_text
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.narration import destination_of
from tui.commands.output import write_data
from tui.commands.running_host import RunningHost, find_host


def run_status(invocation: Invocation, *, json_wanted: bool = False) -> int:
    """Print the state of the running host; returns the exit code, 1 if none runs.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: no host runs, or it does not answer.
    """
    try:
        host = find_host(invocation)
        state, traces = asyncio.run(_asked(host))
    except CommandFailed as failed:
        if json_wanted and failed.exit_code == ExitCode.FAILED:
            write_data(json.dumps({"running": False, "reason": failed.message}) + "\n")
            return ExitCode.FAILED
        raise
    facts = status_facts(state, traces, now=time.time())
    if json_wanted:
        write_data(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    else:
        write_data("".join(f"{title:<10}{text}\n" for title, text in status_lines(state, facts) if text))
    return ExitCode.FINE


async def _asked(host: RunningHost) -> tuple[HostState, int | None]:
    client = HostClient(host.url, host.config.token)
    try:
        state = await client.state()
        try:
            traces = (await client.traces(limit=1)).total
        except HostError:
            traces = None  # the index cannot be read now
        return state, traces
    except HostError as error:
        advice = ""
        if host.record is not None and "token" not in str(error):
            advice = f"; pid {host.record.pid} runs, but does not answer: anyclaude-tui stop --now"
        raise CommandFailed(ExitCode.FAILED, f"{error}{advice}") from None
    finally:
        await client.close()


def status_facts(state: HostState, traces: int | None, *, now: float) -> dict[str, Any]:
    """What `--json` prints; null: not known."""
    engine, counters = state.engine, state.counters
    memory = engine.memory
    restored = counters.cache_read_input_tokens
    told = reports_reuse(state.backend, restored)
    told = (
        backend_kind(state.backend) == "mlx" or restored > 0
    )  # other servers need not say what they restore
    return {
        "running": True,
        "url": state.url,
        "pid": state.pid,
        "version": state.version,
        "uptime_s": round(max(0.0, now - state.started), 1),
        "stopping": state.stopping,
        "home": state.home,
        "backend": state.backend,
        "destination": destination_of(state),
        "engine": engine.state if backend_kind(state.backend) == "mlx" else None,
        "engine_detail": engine.detail,
        "model": state.model,
        "window_tokens": engine.context_tokens or None,
        "memory_bytes": engine.memory_bytes or None,
        "memory_limit_bytes": (memory.limit_bytes or None) if memory is not None else None,
        "requests_running": counters.running,
        "requests_queued": engine.queue,
        "requests_finished": counters.finished,
        "requests_failed": counters.failed,
        "requests_repeated": counters.repeated,
        "requests_cancelled": counters.cancelled,
        "hit_rate": ratio(restored, counters.prompt_tokens) if told else None,
        "prompt_tokens": counters.prompt_tokens,
        "output_tokens": counters.output_tokens,
        "tokens_per_s": state.tokens_per_s or None,
        "traces": traces,
        "sleep": state.sleep,
        "traces_bytes": (state.disk.traces_bytes or None) if state.disk is not None else None,
        "disk_free_bytes": (state.disk.free_bytes or None) if state.disk is not None else None,
        "engine_restarts": counters.engine_restarts,
        "last_error": errors[-1].model_dump() if (errors := _errors(state)) else None,
    }


def _errors(state: HostState) -> list[LogEntry]:
    return [entry for entry in state.log if entry.level == "error"]


def status_lines(state: HostState, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and text of each line; an empty text is left out."""
    engine, counters = state.engine, state.counters
    up = seconds(facts["uptime_s"])
    ends = ", stopping after the requests that run" if state.stopping else ""
    progress = (
        f" {percent(engine.progress)}" if engine.progress is not None and engine.state == "loading" else ""
    )
    kind = f"{engine.state}{progress}" if facts["engine"] else f"{state.backend}, which runs elsewhere"
    on = f" on {engine.accelerated}" if facts["engine"] and engine.accelerated else ""
    why = f": {engine.detail}" if engine.detail and facts["engine"] is not None else ""
    limit = f" of {size(facts['memory_limit_bytes'])}" if facts["memory_limit_bytes"] else ""
    ended = [
        f"{count(facts[f'requests_{name}'])} {name}"
        for name in ("finished", "failed", "cancelled")
        if facts[f"requests_{name}"] or name == "finished"
    ]
    if counters.failed and counters.repeated:
        ended[1] += f" ({count(min(counters.failed, counters.repeated))} repeated)"
    prompt = facts["prompt_tokens"]
    hit_rate = f"{percent(facts['hit_rate'])} of {count(prompt)} prompt tokens"
    if facts["hit_rate"] is None:
        hit_rate = f"not reported by the server, which read {count(prompt)} prompt tokens"
    traces, error = facts["traces"], facts["last_error"]
    held = f", {size(facts['traces_bytes'])}" if facts["traces_bytes"] else ""
    return [
        ("host", f"{state.url}, pid {state.pid}, up {up}, version {state.version}{ends}"),
        ("engine", f"{kind}{on}{why}"),
        ("model", state.model),
        ("window", f"{facts['window_tokens']:,} tokens" if facts["window_tokens"] else ""),
        ("memory", f"{size(facts['memory_bytes'])}{limit}" if facts["memory_bytes"] else ""),
        (
            "requests",
            f"{count(facts['requests_running'])} running, {count(facts['requests_queued'])} queued; "
            + ", ".join(ended),
        ),
        ("hit rate", hit_rate if prompt else ""),
        ("speed", f"{rate(state.tokens_per_s)} tokens/s, newest answer" if state.tokens_per_s else ""),
        ("traces", f"{plural(traces, 'trace')}{held} in {state.home}/traces" if traces is not None else ""),
        ("disk", f"{size(facts['disk_free_bytes'])} free" if facts["disk_free_bytes"] else ""),
        ("error", f"{clock(error['time'])} {line_text(error['text'])} (logs --level error)" if error else ""),
        ("sleep", state.sleep),
        ("requests go", f" to {facts['destination']}"),
    ]
