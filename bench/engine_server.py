"""An engine as a server, for benches that use its API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import child, clean_environment, python, wait_ready
from engine.process.blas import engine_environment


@contextmanager
def engine_server(folder: Path, model: Path, **settings: Any) -> Iterator[str]:
    """An engine process that has loaded `model`; yields its address."""
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    said = {"model": str(model), "host": "127.0.0.1", "port": 0} | settings
    log = folder / "engine.log"
    with child("engine", python("-m", "engine"), settings=said, log=log, environment=environment) as running:
        wait_ready(running, "/health")
        yield running.url
