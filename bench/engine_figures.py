"""One engine, measured from outside: prefill and decode at several lengths, and its memory."""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.child import Child, child, clean_environment, python, wait_ready
from bench.machine_facts import Run, said
from engine.process.blas import engine_environment
from engine.source_texts import standard_library_texts
from engine.wire.sse import sse_data

LENGTHS = (1_000, 4_000, 16_000, 32_000, 64_000)
ANSWER_TOKENS = 64
_ROOM = 256  # tokens of the window for the template and the question
_LOADED_WITHIN_S, _ANSWERED_WITHIN_S = 3600.0, 7200.0
_SAMPLE_CHARACTERS = 40_000
_QUESTION = "Tell in a few sentences what this source does."

Stats = Mapping[str, Any]


@dataclass(frozen=True)
class Speed:
    """One uncached prompt, and the same prompt again.

    `first_s` and `again_s` are seconds to the first token; `decode_per_s` is None if too few tokens came.
    """

    prompt_tokens: int
    cached_tokens: int
    first_s: float
    answer_tokens: int
    decode_per_s: float | None
    again_cached: int
    again_s: float

    @property
    def prefill_per_s(self) -> float:
        return (self.prompt_tokens - self.cached_tokens) / self.first_s


@dataclass(frozen=True)
class MemorySample:
    """The memory that the engine reports and the system reports at one moment; bytes."""

    when: str
    ledger: Stats | None
    said_by_health: int
    resident: int
    footprint: str
    available: int
    wired: int | None
    swap: int
    pressure: str


class Refused(Exception):
    """The engine refused a prompt; the message has its answer."""


class EngineUnderTest:
    """A running engine; made by `engine_under_test`."""

    def __init__(self, running: Child, run: Run = said) -> None:
        self._running = running
        self._run = run
        self._client = httpx.Client(base_url=running.url, timeout=_ANSWERED_WITHIN_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get("/health").json()
        return answer

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get("/stats").json()
        return answer

    def sample(self, when: str) -> MemorySample:
        """Read the engine's and the system's figures at once."""
        stats, health = self.stats(), self.health()
        system = psutil.virtual_memory()
        return MemorySample(
            when,
            stats.get("memory"),
            int(health["memory_bytes"]),
            psutil.Process(self._running.pid).memory_info().rss,
            _footprint(self._running.pid, self._run),
            system.available,
            getattr(system, "wired", None),
            psutil.swap_memory().used,
            pressure(self._run),
        )

    def speeds(self, lengths: Sequence[int]) -> Iterator[Speed | Refused]:
        """Measure each length; no two prompts begin alike."""
        source = "".join(standard_library_texts(8_000_000))
        counted = self._client.post(
            "/v1/tokenize", json={"text": source[:_SAMPLE_CHARACTERS], "count_only": True}
        ).json()
        per_token = _SAMPLE_CHARACTERS / int(counted["count"])
        self._answer(_said("warm up"), 8)  # warm-up: some code is compiled or mapped at first use
        for number, length in enumerate(lengths):
            text = source[number * 50_000 :][: int(length * per_token)]
            prompt = _said(f"Part {number + 1} of {len(lengths)}, please.", text, _QUESTION)
            try:
                first = self._answer(prompt, ANSWER_TOKENS)
                again = self._answer(prompt, 1)
            except Refused as refusal:  # a length that does not fit is a result too
                yield refusal
                continue
            yield Speed(
                first.prompt_tokens,
                first.cached_tokens,
                first.first_s,
                first.answer_tokens,
                first.decode_per_s,
                again.cached_tokens,
                again.first_s,
            )

    def _answer(self, prompt: Sequence[Mapping[str, str]], tokens: int) -> _Answer:
        body = {
            "model": "report",
            "messages": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        times, usage, start = [], None, time.perf_counter()
        with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                raise Refused(f"HTTP {response.status_code}: {response.read().decode()[:400]}")
            for data in sse_data(response.iter_bytes()):
                if data == b"[DONE]":
                    continue
                chunk = json.loads(data)
                if "error" in chunk:
                    raise RuntimeError(str(chunk["error"].get("message", chunk["error"])))
                usage = chunk.get("usage") or usage
                if any(_has_text(choice["delta"]) for choice in chunk["choices"]):
                    times.append(time.perf_counter() - start)
        if usage is None:
            raise RuntimeError("the answer ended without its usage")
        end = time.perf_counter() - start
        return _Answer(
            int(usage["prompt_tokens"]),
            int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
            int(usage["completion_tokens"]),
            times[0] if times else end,
            times[-1] if times else end,
        )


@dataclass(frozen=True)
class _Answer:
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int
    first_s: float
    last_s: float

    @property
    def decode_per_s(self) -> float | None:
        """The tokens after the first, divided by their time."""
        took = self.last_s - self.first_s
        return (self.answer_tokens - 1) / took if self.answer_tokens >= 8 and took > 0 else None


@contextmanager
def engine_under_test(folder: Path, model: str, narrate: Callable[[str], None]) -> Iterator[EngineUnderTest]:
    """An engine process that has loaded `model` (empty: the bundled one) and caches prompts only in memory.

    Raises:
        bench.child.ChildFailed: it ended before it could answer.
    """
    environment, _ = engine_environment(clean_environment())
    settings = {"model": model, "host": "127.0.0.1", "port": 0}
    log = folder / "engine.log"
    with child(
        "engine", python("-m", "engine"), settings=settings, log=log, environment=environment
    ) as running:
        narrate("the engine loads the model")
        wait_ready(running, "/health", timeout_s=_LOADED_WITHIN_S)
        engine = EngineUnderTest(running)
        try:
            yield engine
        finally:
            engine.close()


def lengths_for(window: int, wanted: Sequence[int] = LENGTHS) -> list[int]:
    """The lengths to measure: the requested ones, or, in a smaller window, the whole window and its halves.

    A tenth of the window is left free, since the number of tokens in a text is only estimated.
    """
    most = window * 9 // 10 - ANSWER_TOKENS - _ROOM
    if most >= max(wanted):
        return list(wanted)
    return [max(most >> number, 1) for number in reversed(range(len(wanted)))]


def pressure(run: Run = said, system: str | None = None, file: Path = Path("/proc/pressure/memory")) -> str:
    """The memory pressure that the system reports."""
    if (system or platform.system()) == "Darwin":
        level = run(["sysctl", "-n", "kern.memorystatus_vm_pressure_level"])
        return {"1": "normal", "2": "warning", "4": "critical"}.get(level, level or "not reported")
    try:
        text = file.read_text()
    except OSError:
        return "not reported"
    average = re.search(r"some avg10=([\d.]+)", text)
    return f"{average[1]} % of the last 10 s" if average else "not reported"


def _footprint(pid: int, run: Run) -> str:
    """The memory that macOS charges to a process, which resident memory does not show."""
    if platform.system() != "Darwin":
        return "not reported"
    found = re.search(r"Footprint: ([\d.]+ \w+)", run(["footprint", "-p", str(pid)]))
    return found[1] if found else "not reported"


def _said(*texts: str) -> list[dict[str, str]]:
    """A conversation of alternating turns: the bundled model reads only the start of a long user message."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def _has_text(delta: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and value for key, value in delta.items() if key != "role") or bool(
        delta.get("tool_calls")
    )
