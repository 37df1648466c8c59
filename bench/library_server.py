"""`mlx_lm.server` as a process on a free port: the peer for caching between requests."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.child import clean_environment, poll
from engine.process.blas import engine_environment


@contextmanager
def library_server(folder: Path, model: Path) -> Iterator[str]:
    """Yields its base URL once it answers; it uses the same BLAS as the engine."""
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    port = _free_port()
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(model), "--port", str(port)]
    with (folder / "mlx_lm.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment | {"HF_HUB_OFFLINE": "1"})
    try:
        url = f"http://127.0.0.1:{port}"
        poll(lambda: _answers(url), timeout_s=60, what="mlx_lm.server to answer")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it finishes its requests first, which may take long
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/models", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
