"""Requests of the client, sent to their own proxy and engine, and the engine's counters."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.child import Child, poll
from bench.derived_traffic import Cancelled
from bench.recorded_traffic import Recorded, proxy_process, traces_in

TIMEOUT_S = 600.0
MAX_TOKENS = 8
_BEGUN = 200  # prefilled tokens after which a prefill counts as begun
_ENDLESS = 512  # tokens of an answer that is cancelled


@dataclass(frozen=True)
class Host:
    """A proxy with a running engine."""

    proxy: Child
    home: Path

    def state(self) -> dict[str, Any]:
        """The engine's state as the proxy shows it: `state`, `pid`, `url` and more."""
        answer = httpx.get(f"{self.proxy.url}/anyclaude/state", trust_env=False, timeout=TIMEOUT_S)
        engine: dict[str, Any] = answer.raise_for_status().json()["engine"]
        return engine

    def stats(self) -> dict[str, dict[str, int]]:
        """The engine's counters: `loop` and `prefix_cache`."""
        url = f"{self.state()['url']}/stats"
        counters: dict[str, dict[str, int]] = httpx.get(url, trust_env=False, timeout=TIMEOUT_S).json()
        return counters

    def prefilled(self) -> int:
        """The tokens that this engine has prefilled since its start, for all requests."""
        return self.stats()["loop"]["prefilled_tokens"]

    def send(self, request: Recorded) -> dict[str, int]:
        """Send a request and wait for its short answer; returns its usage."""
        body = request.body | {"max_tokens": MAX_TOKENS, "stream": False}
        url = f"{self.proxy.url}/v1/messages?beta=true"
        answer = httpx.post(url, json=body, headers=request.headers, trust_env=False, timeout=TIMEOUT_S)
        usage: dict[str, int] = answer.raise_for_status().json()["usage"]
        return usage

    def cancel(self, request: Recorded, when: Cancelled) -> None:
        """Send a request and cancel it during prefill, or during its answer."""
        body = request.body | {"max_tokens": _ENDLESS, "stream": True}
        before = self.prefilled()
        with _posted(f"{self.proxy.url}/v1/messages?beta=true", body, request.headers) as stream:
            if when == "decode":
                _read_until(stream, b"content_block_delta")
            else:
                poll(
                    lambda: self.prefilled() - before >= _BEGUN,
                    timeout_s=TIMEOUT_S,
                    what="the prefill to begin",
                )

    def upstream_bodies(self) -> list[dict[str, Any]]:
        """All requests so far as the proxy sent them upstream, oldest first."""
        return [trace.upstream for trace in traces_in(self.home)]

    def tokens(self, body: dict[str, Any]) -> list[int]:
        """The prompt of a request in the engine's form."""
        url = f"{self.state()['url']}/v1/tokenize"
        answer = httpx.post(url, json=body, trust_env=False, timeout=TIMEOUT_S)
        tokens: list[int] = answer.raise_for_status().json()["tokens"]
        return tokens


@contextmanager
def running_host(folder: Path, model: Path, **settings: Any) -> Iterator[Host]:
    """A proxy and engine with their own home in `folder`, ready."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    all_settings = {
        "backend": "mlx",
        "backend_name": "mlx",
        "model": str(model),
        "home": str(home),
        "port": 0,
        "engine_port": 0,
    }
    with proxy_process(folder, "proxy", all_settings | settings) as proxy:
        yield Host(proxy, home)


def wait_until_saved(host: Host, *, still_s: float = 1.0) -> None:
    """Wait until the engine's files on disk no longer grow."""
    seen: list[tuple[float, tuple[int, int]]] = []

    def still() -> bool:
        cache = host.stats()["prefix_cache"]
        now = (cache["disk_entries"], cache["disk_bytes"])
        if not seen or seen[-1][1] != now:
            seen.append((time.monotonic(), now))
        return time.monotonic() - seen[-1][0] >= still_s and now[0] > 0

    poll(still, timeout_s=TIMEOUT_S, what="the disk to have all spans", every_s=0.1)


@contextmanager
def _posted(url: str, body: dict[str, Any], headers: dict[str, str]) -> Iterator[socket.socket]:
    """A connection on which a request was sent; closed at the end, whether or not the answer is complete."""
    parts = urlsplit(url)
    content = json.dumps(body).encode()
    lines = [
        f"POST {parts.path}?{parts.query} HTTP/1.1",
        f"host: {parts.netloc}",
        "content-type: application/json",
        f"content-length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((parts.hostname, parts.port or 80), TIMEOUT_S) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        yield connection


def _read_until(stream: socket.socket, mark: bytes) -> None:
    received = b""
    while mark not in received:
        piece = stream.recv(1 << 16)
        if not piece:
            raise RuntimeError(f"the answer ended without {mark!r}: {received[-400:]!r}")
        received += piece
