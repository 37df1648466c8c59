"""A busy morning of one host, made up: events as they would come.

`Morning` tells a deterministic story: two sessions of Claude Code with subagents, a compaction, side
requests, misses, an engine restart, failures; at its end requests are queued, in prefill and in decode.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from proxy.events.health_types import HostDisk
from proxy.events.totals import Totals
from proxy.events.types import EngineState, Event, HostState, Probe
from proxy.timeline.log_book import LogBook
from tests.tui.traffic_texts import ANSWER, ASKED, CALLS, CLOSINGS, FOLDER, REPAIRS, THINKING, TITLE

START = 1_790_000_000.0 - 1_790_000_000.0 % 3600 + 1.0  # a full hour
MODEL = "mlx-community/Qwen3-Coder-30B-A3B-Instruct-4bit"
CACHE_BUDGET = 8_000_000_000
SESSIONS = ("9f3c1e7a-41d2-4c55-b7a0-6e2f3d9b8c11", "c07d52be-8a90-4f1e-9d36-1b7a4e5f6023")


class Morning:
    """Events in order, with the clock that they were made by (`now`, epoch seconds)."""

    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self.now = START
        self.events: list[Event] = []
        self.counters = Totals()
        self.cache_bytes = self.saved_bytes = self._number = self._calls = 0
        self._engine: dict[str, Any] = {}

    # -- pieces -------------------------------------------------------------------------------------------

    def emit(self, event_type: str, request: str | None = None, /, **data: Any) -> Event:
        """One event, counted as the host counts."""
        event = Event(
            seq=len(self.events) + 1, time=round(self.now, 3), type=event_type, request=request, data=data
        )
        self.events.append(event)
        payload = event.payload()
        if payload is not None:
            self.counters.observe(event_type, request, payload)
        return event

    def wait(self, seconds: float) -> None:
        """Let the clock go on."""
        self.now += seconds

    def engine(self, state: str, **more: Any) -> None:
        """The engine in another state, or probed."""
        if state != self._engine.get("state"):
            self._engine["since"] = self.now
        memory = 17_400_000_000 + self.cache_bytes if state in ("ready", "busy", "stalled") else 2_100_000_000
        is_up = state in ("ready", "busy", "stalled")
        held, ledger = (self.cache(), self.memory()) if is_up else (None, None)
        told = {"memory_bytes": memory, "probe": None, "cache": held, "memory": ledger}
        self._engine |= {"state": state, **told} | more
        self.emit("engine.state", **{key: value for key, value in self._engine.items() if value is not None})

    def cache(self) -> dict[str, int]:
        """What the engine says of its prefix cache."""
        return {
            "entries": self.cache_bytes // 700_000_000,
            "bytes": self.cache_bytes,
            "budget_bytes": CACHE_BUDGET,
            "disk_entries": 31 + self.saved_bytes // 160_000_000,
            "disk_bytes": 9_400_000_000 + self.saved_bytes,
            "disk_budget_bytes": 20_000_000_000,
            "disk_written_today_bytes": self.saved_bytes,
            "disk_daily_budget_bytes": 50_000_000_000,
            "disk_loaded_tokens": 18_432 if self.saved_bytes else 0,
            "disk_skipped": 2 if self.saved_bytes else 0,
            "pinned_bytes": 665_000_000 if self.cache_bytes else 0,
            "evictions": 26 if self._number > 20 else 0,
            "wanted": 1 if self._number > 20 else 0,
        }

    def memory(self) -> dict[str, Any]:
        """What the engine says of its memory."""
        return {
            "limit_bytes": 51_500_000_000,
            "limit_reason": "the working set that the GPU recommends",
            "weights_bytes": 17_200_000_000,
            "prefix_cache_bytes": self.cache_bytes,
            "requests_bytes": 4_100_000_000,
        }

    def probe(self, ok: bool = True, detail: str = "") -> None:
        """One health probe."""
        latency = self.random.uniform(0.001, 0.006) if ok else 2.0
        probe = {"ok": ok, "latency_s": round(latency, 4), "detail": detail}
        self.engine(self._engine.get("state", "ready"), probe=probe)

    def log(self, *lines: str) -> None:
        """Lines of the engine's log."""
        for line in lines:
            self.emit("engine.log", line=line)

    def start_engine(self) -> None:
        """The engine starts and loads its model."""
        pid = self.random.randint(20_000, 60_000)
        self._engine |= {
            "pid": pid,
            "started": self.now,
            "url": "http://127.0.0.1:8081",
            "model": MODEL,
            "accelerated": "metal",
            "context_tokens": 65_536,
            "running": 0,
            "queue": 0,
        }
        self.engine("starting", detail="starting the process")
        self.log(f"engine {pid} starts: {MODEL}", "mlx 0.32.4, Metal, 64 GB unified memory")
        for step in range(1, 5):
            self.wait(1.4)
            self.engine("loading", progress=step / 4, detail=f"reading weights, file {step} of 4")
            self.log(f"loaded model-0000{step}-of-00004.safetensors")
        self.wait(0.6)
        self.log(
            "prompt template: chatml with tools; 262144 tokens of context",
            "listening on http://127.0.0.1:8081",
        )
        self.engine("ready", progress=None, detail="")
        self.probe()

    def cache_event(self, kind: str, request: str, tokens: int, **more: Any) -> None:
        """One change of the prefix cache."""
        size = tokens * 49_152
        self.cache_bytes += size if kind == "cache.inserted" else -size if kind == "cache.evicted" else 0
        self.cache_bytes = max(0, self.cache_bytes)
        self.saved_bytes += size if kind == "cache.inserted" else 0
        entries = self.cache_bytes // 700_000_000
        totals = {"entries": entries, "total_bytes": self.cache_bytes, "budget_bytes": CACHE_BUDGET}
        self.emit(kind, request, tokens=tokens, bytes=size, **totals, **more)

    # -- whole requests -----------------------------------------------------------------------------------

    def request(
        self,
        *,
        session: int = 0,
        lane: str = "main",
        prompt: int = 18_000,
        reused: int = 0,
        output: int = 300,
        calls: int = 0,
        until: str = "finished",
        miss: dict[str, Any] | None = None,
        thinking: bool = False,
        error: tuple[int, str, str] | None = None,
        retry_of: str = "",
    ) -> str:
        """One request from its arrival to `until`: queued, prefill, decode or finished (or its `error`)."""
        self._number += 1
        key = f"req_{self._number:03d}{self.random.randrange(16**9):09x}"
        arrived = self.now
        agent = {"agent": f"agent-{self._number}", "agent_type": "Explore"} if lane == "subagent" else {}
        model = "claude-haiku-4-5" if lane in ("auxiliary", "subagent") else "claude-sonnet-4-5"
        self.emit(
            "request.received",
            key,
            session=SESSIONS[session],
            lane=lane,
            model=model,
            backend="mlx",
            path="/v1/messages",
            messages=3 + 2 * (self._number % 9),
            tools=0 if lane == "auxiliary" else 17,
            body_bytes=prompt * 4,
            preview=self._preview(lane),
            opening=ASKED[session] if lane == "main" else self._preview(lane),
            purpose="title" if lane == "auxiliary" else "",
            max_tokens=32_000,
            folder=FOLDER,
            retry_of=retry_of,
            **agent,
        )
        if until == "received":
            return key
        self.wait(0.05)
        self.emit("request.queued", key, position=1 if until == "queued" else 0, waiting_s=0.05)
        if until == "queued":
            return key
        if miss:
            self.cache_event("cache.missed", key, prompt - reused, miss=miss)
        done = reused
        goal = prompt * 0.62 if until == "prefill" else prompt
        while done < goal:
            done = min(prompt, done + 2048)
            self.wait(2048 / 1450)
            self.emit("request.prefill", key, done=done, total=prompt, cached=reused)
        if until == "prefill":
            return key
        return self._answer(key, arrived, prompt, reused, output, calls, until, miss, thinking, error)

    def _preview(self, lane: str) -> str:
        asked_by_itself = {
            "compaction": "Your task is to sum up this conversation so far",
            "auxiliary": "Write a short title for this conversation",
            "subagent": "Look for all callers of Ledger.total and report file and line",
        }
        return asked_by_itself.get(lane, ASKED[self._number // 4 % len(ASKED)])

    def _answer(
        self,
        key: str,
        arrived: float,
        prompt: int,
        reused: int,
        output: int,
        calls: int,
        until: str,
        miss: dict[str, Any] | None,
        thinking: bool,
        error: tuple[int, str, str] | None,
    ) -> str:
        rest = min(prompt - reused, 24)
        kept = prompt - reused - rest
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        usage = dict(zip(names, (rest, kept, reused), strict=True))
        tier = "memory" if reused else "none"
        verdict = {
            "prompt_tokens": prompt,
            "matched_tokens": reused,
            "kept_tokens": kept,
            "tier": tier,
            "miss": miss,
        }
        self.wait(0.12)
        first = self.now - arrived
        self.emit("request.first_token", key, ttft_s=round(first, 3), usage=usage, cache=verdict)
        text = "\n\n".join([*[ANSWER] * (1 + output // 260), CLOSINGS[self._number % len(CLOSINGS)]])
        is_title = prompt < 1000
        text = json.dumps({"title": TITLE}) if is_title else text
        speed = self.random.uniform(52, 71)
        share = 0.55 if until == "decode" or error else 1.0
        written = 0
        while written < output * share:
            step = min(16, output - written)
            part = text[len(text) * written // output : len(text) * (written + step) // output]
            if thinking and written == 0:
                self.emit("request.delta", key, kind="thinking", text=THINKING, tokens_per_s=round(speed, 1))
            written += step
            self.wait(step / speed)
            self.emit(
                "request.delta",
                key,
                kind="text",
                text=part,
                output_tokens=written,
                tokens_per_s=round(speed, 1),
            )
        if until == "decode":
            return key
        timings = {"received": arrived, "queued": 0.05, "first_byte": 0.06, "prefill_start": 0.08}
        took = round(self.now - arrived, 3)
        timings |= {"first_token": round(first, 3), "last_token": took, "done": took + 0.01}
        if error is not None:
            status, kind, message = error
            cancelled = kind == "client_left"
            self.emit(
                "request.failed",
                key,
                status=status,
                error={"type": kind, "message": message},
                usage=usage | {"output_tokens": written},
                timings=timings,
                trace=f"mlx/{key}.json",
                cancelled=cancelled,
            )
            return key
        made = [self.call(key) for _ in range(calls)]
        self.cache_event("cache.inserted", key, kept + output)
        self.emit(
            "request.finished",
            key,
            status=200,
            stop_reason="tool_use" if calls else "end_turn",
            usage=usage | {"output_tokens": output},
            timings=timings,
            cache=verdict,
            tokens_per_s=round(speed, 1),
            trace=f"mlx/{key}.json",
            title=TITLE if is_title else "",
        )
        for name, call in made:
            self.result(name, call, key)
        return key

    def call(self, key: str, verdict: str = "valid", detail: str = "") -> tuple[int, str]:
        """One tool call of request `key`; returns which of `CALLS` it is, and its id."""
        index = self._calls % len(CALLS)
        self._calls += 1
        name, arguments, _, _ = CALLS[index]
        call = f"toolu_{self._calls:02d}{self.random.randrange(16**10):010x}"
        raw = f'<tool_call>\n{{"name": "{name}", "arguments": …}}\n</tool_call>'
        made: dict[str, Any] = {"family": "hermes", "constrained": True, "raw_tokens": 30 + 7 * index}
        if verdict != "valid" or self._calls % 6 == 2:
            made["constrained"] = False
        if verdict == "valid" and self._calls % 6 == 2:
            made["repairs"] = REPAIRS[: 1 + index % 2]
        elif verdict == "valid" and self._calls % 6 == 5:
            made["relaxed"] = "old_string: the pattern looks back, which no grammar can"
        self.emit(
            "request.tool_call",
            key,
            tool_use_id=call,
            name=name,
            input=None if verdict in ("unparsed", "cut") else arguments,
            raw=raw,
            verdict=verdict,
            detail=detail,
            session=SESSIONS[0],
            **made,
        )
        return index, call

    def result(self, index: int, call: str, key: str) -> None:
        """The client's result for a call, carried by a later request."""
        name, _, text, failed = CALLS[index]
        took = self.random.uniform(0.02, 0.4) if name != "Bash" else self.random.uniform(0.8, 4.0)
        self.wait(took)
        self.emit(
            "request.tool_result",
            key,
            tool_use_id=call,
            name=name,
            call_request=key,
            is_error=failed,
            duration_s=round(took, 3),
            result_bytes=len(text.encode()) * 9,
            preview=text,
            session=SESSIONS[0],
        )

    # -- the story ----------------------------------------------------------------------------------------

    def play(self) -> Morning:
        """The whole story."""
        self.emit("host.notice", level="info", text="listening on http://127.0.0.1:8082, traces are written")
        self.start_engine()
        for _ in range(30):
            self.wait(30)
            self.probe()
        self._conversation(rounds=7)
        self._trouble()
        self._conversation(rounds=5)
        self.request(lane="compaction", prompt=31_200, reused=24_576, output=640)
        self._conversation(rounds=4)
        self._now()
        return self

    def _conversation(self, rounds: int) -> None:
        size = 17_900
        cold = {"reason": "cold"}
        stored = "…you are on branch main\\nLast commit: 4f1c2aa Round half"
        changed = "…you are on branch json-export\\nLast commit: 4f1c2aa Ro"
        diverged = {"reason": "diverged", "position": 16_384, "before": stored, "now": changed}
        self.request(lane="auxiliary", prompt=420, output=12, miss=cold)
        for turn in range(rounds):
            self.engine("busy", running=1)
            first = self._number < 3
            miss = cold if first else diverged if turn == 3 else None
            reused = 0 if first else 16_384 if turn == 3 else size - 700
            self.request(
                session=turn % 5 == 4,
                prompt=size,
                reused=reused,
                output=self.random.randint(90, 420),
                calls=(turn * 2 + 1) % 3,
                miss=miss,
                thinking=turn % 2 == 0,
            )
            if turn % 3 == 1:
                self.request(lane="subagent", prompt=9_300 + turn * 400, reused=8_192, output=160, calls=1)
            size += 1_150
            self.engine("ready", running=0)
            self.wait(self.random.uniform(4, 20))
            self.probe()

    def _trouble(self) -> None:
        self.engine("busy", running=1)
        lost = (
            529,
            "overloaded_error",
            "the engine ended in the middle of the answer (signal 9); retry in 4 s",
        )
        died = self.request(prompt=24_100, reused=23_552, output=300, error=lost)
        self.log("WARNING memory pressure: 58.1 of 64 GB in use")
        reason = "engine exited with signal 9 (out of memory?)"
        told = f"{reason}; 1 request was told to retry"
        self.engine("exited", pid=None, detail=told, last_exit=reason, running=0)
        self.probe(ok=False, detail="connection refused")
        self.emit("engine.restart", attempt=1, of=5, delay_s=4.0, reason=told)
        self.engine("restarting", restarts=1, detail="restart 1 of 5 in 4 s")
        self.wait(4)
        self.cache_bytes = 0
        self.start_engine()
        gone = (499, "client_left", "the client left")
        evicted = {"reason": "evicted", "position": 0, "lost_tokens": 12_800, "evicted_cause": "room"}
        evicted |= {"evicted_at": self.now - 25, "evicted_session": SESSIONS[1], "evicted_lane": "main"}
        self.request(prompt=24_300, reused=0, output=200, error=gone, miss=evicted)
        key = self.request(prompt=24_400, reused=23_900, output=120, retry_of=died)
        self.call(key, "invalid", "arguments.timeout: 'soon' is not of type 'number'")
        self.call(key, "cut", "the answer ended within the call")

    def _now(self) -> None:
        self.engine("busy", running=2, queue=1, detail="")
        self.request(session=1, prompt=22_528, reused=9_216, until="prefill", lane="subagent")
        self.now -= 6
        key = self.request(prompt=29_200, reused=28_400, output=420, until="decode", thinking=True)
        draft = json.dumps(CALLS[3][1])[:-14]  # within the last line of an edit
        self.emit(
            "request.delta", key, kind="tool", tool="Edit", text=draft, output_tokens=240, tokens_per_s=52.4
        )
        self.request(session=1, prompt=12_000, until="queued")
        self.wait(0.4)

    def state(self) -> HostState:
        """The host's own account at this moment."""
        engine = EngineState.model_validate({"state": "starting"} | self._engine)
        probes = [
            (event.time, Probe.model_validate(event.data["probe"]))
            for event in self.events
            if event.type == "engine.state" and event.data.get("probe")
        ]
        logged = [event for event in self.events if event.type == "engine.log"][-200:]
        moment = [START]
        book = LogBook(clock=lambda: moment[0])
        for event in self.events:
            moment[0] = event.time
            if (payload := event.payload()) is not None:
                book.observe(event.type, event.request, payload)
        return HostState(
            version="0.1.0",
            pid=4242,
            started=START - 2,
            url="http://127.0.0.1:8082",
            backend="mlx",
            model=MODEL,
            home="/home/ada/.anyclaude",
            seq=len(self.events),
            first_seq=1,
            counters=replace(self.counters),
            engine=engine,
            probes=probes[-120:],
            engine_log=[event.data["line"] for event in logged],
            engine_log_times=[event.time for event in logged],
            log=book.lines,
            disk=HostDisk(free_bytes=212_000_000_000, traces_bytes=3_100_000_000, traces=4812),
        )

    def arrivals(self) -> Iterator[HostState | Event]:
        """What a screen that attaches now is told."""
        yield self.state()
        yield from self.events
