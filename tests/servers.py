"""Real servers in context managers: an engine, a proxy with whatever upstream.

All listen on ephemeral ports of 127.0.0.1 and keep their state under a folder of the test. They are ready
when the `with` block begins and gone when it ends; `tests/conftest.py` shows their logs when a test fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import Child, child, clean_environment, python, wait_ready
from engine.process.blas import engine_environment
from proxy.traces.schema import Trace

STARTED: list[Child] = []  # what the failure report of a test may have to show


@contextmanager
def server(
    name: str, *arguments: str, settings: dict[str, Any], folder: Path, **more: Any
) -> Iterator[Child]:
    """One of our server modules as a process, with its home in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    log = folder / f"{name}.log"
    with child(
        name, python(*arguments), settings=settings, log=log, environment=environment, **more
    ) as running:
        STARTED.append(running)
        yield running


@contextmanager
def engine(model: Path | str, folder: Path, **settings: Any) -> Iterator[Child]:
    """An engine process that has loaded `model`."""
    said = {"model": str(model), "host": "127.0.0.1", "port": 0} | settings
    with server("engine", "-m", "engine", settings=said, folder=folder) as running:
        wait_ready(running, "/health")
        yield running


@contextmanager
def proxy(folder: Path, *, ready_s: float = 60.0, **config: Any) -> Iterator[Child]:
    """A proxy process, ready to answer; `config` are fields of `proxy.configuration.settled.HostConfig`."""
    name = config.get("backend", "mlx")
    said = {"home": str(folder / "anyclaude"), "port": 0, "engine_port": 0, "backend_name": name} | config
    with server("proxy", "-m", "proxy", settings=said, folder=folder) as running:
        wait_ready(running, timeout_s=ready_s, token=config.get("token", ""))
        yield running


def traces(folder: Path) -> list[Trace]:
    """The traces that a proxy started in `folder` has on disk, oldest first."""
    files = sorted((folder / "anyclaude" / "traces").glob("*/*.json"))
    return sorted((Trace.model_validate_json(file.read_bytes()) for file in files), key=lambda t: t.time)
