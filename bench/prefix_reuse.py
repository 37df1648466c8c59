"""How much of the real Claude Code's prompts is prefilled, beside the floor and beside `mlx_lm.server`.

The client's requests are recorded on the spot and sent again, in their order, to a proxy and engine of their
own and, as the proxy translates them, to `mlx_lm.server`, with random models of each kind of cache. The floor
is what any cache must compute: each distinct prefix once, and at least one token of each request.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.child import Child, clean_environment, poll
from bench.figure import Figure, Peer
from bench.recorded_traffic import ClientMissing, Recorded, proxy_process, record, traces_in
from engine.blas import engine_environment
from proxy.web_server import free_port

TARGETS = {"qwen3": 1.02, "gemma3_text": 1.05, "qwen3_5": 1.05}
_MAX_TOKENS = 8
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Replay:
    """Tokens of a whole replay."""

    prompt: int
    reused: int

    @property
    def prefilled(self) -> int:
        return self.prompt - self.reused


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Prefilled tokens for each kind of cache; nothing where the real client is not installed."""
    try:
        prompts = ("Who are you?", "Tell me a joke") if quick else ()
        recorded = record(folder, **({"prompts": prompts} if prompts else {}))
    except ClientMissing as missing:
        print(f"prefix_reuse: {missing}", file=sys.stderr)
        return []
    figures: list[Figure] = []
    for architecture in ("qwen3",) if quick else TARGETS:
        figures += _figures(folder / architecture, architecture, recorded)
    return figures


def floor(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that must be computed for `prompts`, sent one after the other."""
    seen: list[Any] = []
    computed = 0
    for prompt in prompts:
        tokens = np.asarray(prompt, np.int32)
        shared = max((_common(tokens, other) for other in seen), default=0)
        computed += len(tokens) - min(shared, len(tokens) - 1)
        seen.append(tokens)
    return computed


def _common(first: Any, second: Any) -> int:
    length = min(len(first), len(second))
    differing = np.flatnonzero(first[:length] != second[:length])
    return int(differing[0]) if len(differing) else length


def _figures(folder: Path, architecture: Any, recorded: list[Recorded]) -> list[Figure]:
    from engine.random_model import build_random_model

    folder.mkdir()
    model = build_random_model(folder / "model", architecture)
    settings = {
        "backend": "mlx",
        "backend_name": "mlx",
        "model": str(model),
        "home": str(folder / "home"),
        "port": 0,
        "engine_port": 0,
    }
    with proxy_process(folder, "proxy", settings) as proxy:
        ours = _replay_messages(proxy, recorded)
        bodies = [trace.upstream for trace in traces_in(folder / "home")]
        engine = httpx.get(f"{proxy.url}/anyclaude/state", trust_env=False).json()["engine"]["url"]
        lowest = floor([_tokens(engine, body) for body in bodies])
    with _library_server(folder, model) as url:
        theirs = _replay_chat(url, bodies)
    return [
        _figure(architecture, ours, Peer("floor", lowest), TARGETS[architecture]),
        _figure(architecture, ours, Peer("mlx_lm.server", theirs.prefilled), None),
    ]


def _figure(architecture: str, ours: Replay, peer: Peer, target: float | None) -> Figure:
    return Figure(
        bench="prefix_reuse",
        metric=f"tokens prefilled of {ours.prompt:,}, {architecture}",
        unit="tokens",
        value=ours.prefilled,
        peer=peer,
        ratio=ours.prefilled / peer.value,
        target=target,
        on="ratio",
        runs=1,
    )


def _replay_messages(proxy: Child, recorded: list[Recorded]) -> Replay:
    prompt = reused = 0
    with httpx.Client(base_url=proxy.url, trust_env=False, timeout=_TIMEOUT_S) as http:
        for request in recorded:
            body = request.body | {"max_tokens": _MAX_TOKENS, "stream": False}
            answer = http.post("/v1/messages?beta=true", json=body, headers=request.headers)
            usage = answer.raise_for_status().json()["usage"]
            read = usage["cache_read_input_tokens"]
            prompt += usage["input_tokens"] + usage["cache_creation_input_tokens"] + read
            reused += read
    return Replay(prompt, reused)


def _replay_chat(url: str, bodies: list[dict[str, Any]]) -> Replay:
    prompt = reused = 0
    with httpx.Client(base_url=url, trust_env=False, timeout=_TIMEOUT_S) as http:
        for body in bodies:
            asked = body | {"model": "default_model", "stream": False, "max_tokens": _MAX_TOKENS}
            usage = http.post("/v1/chat/completions", json=asked).raise_for_status().json()["usage"]
            prompt += usage["prompt_tokens"]
            reused += (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Replay(prompt, reused)


def _tokens(engine: str, body: dict[str, Any]) -> list[int]:
    answer = httpx.post(f"{engine}/v1/tokenize", json=body, trust_env=False, timeout=_TIMEOUT_S)
    tokens: list[int] = answer.raise_for_status().json()["tokens"]
    return tokens


@contextmanager
def _library_server(folder: Path, model: Path) -> Iterator[str]:
    """`mlx_lm.server` on a free port, with the same BLAS."""
    environment, _ = engine_environment(clean_environment(HOME=str(folder)))
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(model), "--port", str(port)]
    with (folder / "mlx_lm.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment | {"HF_HUB_OFFLINE": "1"})
    try:
        url = f"http://127.0.0.1:{port}"
        poll(lambda: _answers(url), timeout_s=60, what="mlx_lm.server to answer")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/models", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
