"""Traffic of the real Claude Code, recorded in this run and not stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.child import Child, child, clean_environment, poll, python, wait_ready
from bench.claude_code import claude_is_there, claude_path, run_claude
from bench.scratch_project import AGENTIC, DELEGATE, ScratchProject
from bench.scripted_upstream import ScriptedUpstream, serving
from engine.process.blas import engine_environment
from proxy.traces.schema import Trace

PROMPTS = (
    "Who are you?",
    "Tell me a joke",
    "What is 2+2?",
    f"Please {AGENTIC}.",
    f"Please {DELEGATE}.",
    f"Now please {AGENTIC} once more.",
)

_HINTS = ("x-claude", "anthropic-", "user-agent", "x-app")


class ClientMissing(RuntimeError):
    """The real client is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Recorded:
    """One request of the client: its Anthropic body, and the headers that identify the sender."""

    body: dict[str, Any]
    headers: dict[str, str]


def record(
    folder: Path,
    *,
    prompts: tuple[str, ...] = PROMPTS,
    prepare: Callable[[ScratchProject], None] = lambda project: None,
) -> list[Recorded]:
    """Run Claude Code on `prompts` with a scripted upstream; returns its requests in order.

    `prepare` changes the project before.

    Raises:
        ClientMissing: Claude Code is not installed.
    """
    if not claude_is_there():
        raise ClientMissing(f"Claude Code is not at {claude_path()}: run `make claude-code` (needs npm)")
    project = ScratchProject(folder / "project")
    project.create()
    prepare(project)
    scripted = ScriptedUpstream(project.script())
    settings = {
        "backend": "openai",
        "backend_name": "openai",
        "model": "scripted",
        "home": str(folder / "recording"),
        "port": 0,
    }
    with (
        serving(scripted.app) as upstream,
        proxy_process(folder, "recording", settings | {"backend_url": upstream}) as proxy,
    ):
        for prompt in prompts:
            ended = run_claude(proxy.url, prompt, home=folder / "client", project=project.folder)
            if ended.code:
                raise RuntimeError(f"Claude Code ended with {ended.code}: {ended.stderr or ended.stdout}")
        return recorded_in(folder / "recording", count=len(scripted.bodies))


def recorded_in(home: Path, *, count: int) -> list[Recorded]:
    """The requests of a host's traces, as soon as there are `count` of them."""
    traces = poll(
        lambda: kept if len(kept := traces_in(home)) >= count else None,
        timeout_s=20,
        what="the last trace",
        every_s=0.2,
    )
    return [_recorded(trace) for trace in traces]


@contextmanager
def proxy_process(folder: Path, name: str, settings: dict[str, Any]) -> Iterator[Child]:
    """A proxy process that is ready."""
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    log = folder / f"{name}.log"
    with child(name, python("-m", "proxy"), settings=settings, log=log, environment=environment) as running:
        wait_ready(running)
        yield running


def traces_in(home: Path) -> list[Trace]:
    """The traces of a host, oldest first."""
    files = (home / "traces").glob("*/*.json")
    return sorted((Trace.model_validate_json(file.read_bytes()) for file in files), key=lambda t: t.time)


def _recorded(trace: Trace) -> Recorded:
    headers = {name: value for name, value in trace.request.headers.items() if name.startswith(_HINTS)}
    return Recorded(trace.request.body, headers)
