"""Checks the running host: is it ours, does it run this code, is its engine well?"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from engine.process.listening import is_listened_to
from engine.process.port_holder import port_holder
from engine.process.program_code import code_hash, library_versions
from proxy.configuration.destination import public_url
from proxy.configuration.known_backends import backend_kind
from tui.client.figures import seconds, size
from tui.client.host_client import HostError, host_state
from tui.commands.doctor.examination import Examination
from tui.commands.doctor.findings import Check, Finding, failed, not_checked, ok, warning
from tui.commands.doctor.other_hosts import host_command
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import local_url
from tui.commands.narration import destination_of
from tui.commands.port_check import check_ports, is_host
from tui.commands.program_name import NAME

_RESTART = "end that host and start it again: anyclaude-tui"
_WARNING_NOTES = ("the prefix cache is off",)


def check_port(examination: Examination) -> Finding:
    """Does a host of ours listen where it should, and not another program?"""
    invocation, config = examination.invocation, examination.config
    if not invocation.attach and config.port == 0:
        return warning(
            "the port is 0, any free one, so a running host's address is not known",
            "name it with --port or --attach",
            holds=False,
        )
    settled = examination.settled
    assert settled is not None
    try:
        url = examination.url = invocation.base_url(settled)
    except CommandFailed as error:
        return failed(error.message, "choose another port with --port, or name the host with --attach")
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    here = not invocation.attach
    if here and not is_listened_to(parts.hostname or "", port):
        return _no_host(examination, url)
    if here and not is_host(url):
        return _another(examination, port)
    try:
        state = examination.state = asyncio.run(host_state(url, config.token))
    except HostError as error:
        examination.listener = _pid_in(port_holder(port)) if here else None
        advice = (
            "set the token that it was started with (ANYCLAUDE_TOKEN)"
            if "token" in str(error)
            else "is the address right? start one there, or leave --attach out"
        )
        said = str(error)
        return failed(said if url in said else f"{url}: {said}", advice)
    age = seconds(examination.edge.clock() - state.started)
    return ok(
        f"a host of anyclaude-tui answers on {url} (pid {state.pid}, for {age})",
        f"requests go to {destination_of(state)}",
        f"its data is in {state.home}",
    )


def _no_host(examination: Examination, url: str) -> Finding:
    try:
        check_ports(examination.config)
    except CommandFailed as error:
        return failed(error.message, "free the port, or choose another; then start: anyclaude-tui")
    return warning(f"no host runs on {url}", "start one: anyclaude-tui", holds=False)


def _another(examination: Examination, port: int) -> Finding:
    holder = port_holder(port)
    pid = examination.listener = _pid_in(holder)
    if any(host_command(command) for own, command in examination.edge.processes() if own == pid):
        return failed(
            f"the host on port {port} (pid {pid}) does not answer any more",
            f"end it (kill {pid}; if it stays, kill -9 {pid}) and start it again: anyclaude-tui",
        )
    who = holder or "a program that the system does not name"
    return failed(
        f"port {port} is held by {who}, which does not answer as a host of anyclaude-tui",
        "end that program, or choose another port with --port",
    )


def _pid_in(holder: str) -> int | None:
    """The process id in what `port_holder` says."""
    found = re.search(r"\bpid (\d+)", holder)
    return int(found[1]) if found else None


def check_code(examination: Examination) -> Finding:
    """Does the host run the code of this command, on the same libraries?"""
    host = examination.host
    here, libraries = code_hash(), library_versions()
    version = library_versions((NAME,)).get(NAME, "unknown")
    own = f"{version} ({here})"
    if not host.code:
        return warning(
            f"the host is version {host.version} and does not say which code it runs; this is {own}",
            _RESTART,
        )
    theirs = f"{host.version} ({host.code})"
    if host.code != here or host.version != version:
        evidence = f"the host runs {theirs}, and this command is {own}"
        if examination.invocation.attach:
            return warning(evidence, "use the same version on both machines")
        return failed(evidence, _RESTART)
    if host.libraries != libraries and not examination.invocation.attach:
        return failed(f"the host runs on {_listed(host.libraries)}, here is {_listed(libraries)}", _RESTART)
    return ok(f"{own}, as this command, on {_listed(host.libraries)}")


def _listed(libraries: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(libraries.items())) or "no MLX"


def check_engine(examination: Examination) -> Finding:
    """Is the engine ready, and on which device?"""
    host, engine = examination.host, examination.host.engine
    if backend_kind(host.backend) != "mlx":
        return ok(f"{host.backend} runs elsewhere: {public_url(engine.url) or 'its usual address'}")
    facts = [engine.detail] if engine.detail else []
    facts += engine.notes
    match engine.state:
        case "ready" | "busy":
            memory = f", {size(engine.memory_bytes)} of memory" if engine.memory_bytes else ""
            window = f", a window of {engine.context_tokens:,} tokens" if engine.context_tokens else ""
            evidence = f"{engine.state} on {engine.accelerated or 'an unknown device'}{memory}{window}"
            slow = engine.accelerated.startswith(("reference BLAS", "cpu: no Metal"))
            off = [note for note in engine.notes if note.startswith(_WARNING_NOTES)]
            if slow or off:
                return warning(
                    "; ".join([evidence, *off]),
                    "see the row of this message in docs/troubleshooting.md",
                    details=tuple(facts),
                )
            return ok(evidence, *facts)
        case "starting" | "loading" | "restarting":
            done = f" ({engine.progress:.0%})" if engine.progress is not None else ""
            return warning(
                f"{engine.state}{done}", "wait until it is ready, then run this again", holds=False
            )
        case _:
            why = engine.last_exit or engine.detail or "no reason is known"
            return failed(
                f"{engine.state}: {why}",
                f"read {host.home}/logs/engine.log; then restart it: r in the control center's Health, or "
                "end the host and start it again",
                details=tuple(host.engine_log[-5:]),
            )


def check_engine_port(examination: Examination) -> Finding:
    """Is the engine's own port free, or held by the engine of the running host?"""
    config, host = examination.config, examination.state
    if config.backend != "mlx" or not config.manage_engine:
        return not_checked("no engine is started here")
    if not config.engine_port:
        return ok("the engine takes any free port")
    url = local_url("127.0.0.1", config.engine_port)
    if host is not None and host.engine.url.rstrip("/") == url:
        return ok(f"the engine of the running host is on {url}")
    if not is_listened_to("127.0.0.1", config.engine_port):
        return ok(f"port {config.engine_port} is free")
    who = port_holder(config.engine_port) or "another program"
    return failed(
        f"port {config.engine_port}, which is meant for the engine, is held by {who}",
        "end that program, or choose another port with --engine-port",
    )


CHECKS = (
    Check("host.port", "host", check_port, ("configuration",)),
    Check("host.code", "its code", check_code, ("host.port",)),
    Check("host.engine", "engine", check_engine, ("host.port",)),
    Check("engine.port", "engine's port", check_engine_port, ("configuration",)),
)
