"""The demo: two minutes of one host, made up. `make demo` writes it where `--play demo` finds it.

Two conversations share one engine: one adds a flag to a command, with agents of its own, a test that fails
and a fix; the other asks about a retry loop. A prompt diverges, the engine is killed and started again, and
what broke is repeated. At the end three requests run and one waits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from engine.wire.feed import PhaseTimes
from proxy.events.tool_call import ToolCall
from proxy.events.totals import Totals
from proxy.events.types import CacheVerdict, EngineState, ErrorInfo, Event, HostState, Timings, Usage
from proxy.traces.files import trace_path
from proxy.traces.schema import Trace, TraceRequest, TraceResponse, TraceSummary
from proxy.traces.summary import summarize
from tests.tui.demo.texts import BRANCH, HOME, MODEL, PROJECT, SYSTEM, TOOLS, Call

START = 1_790_000_000.0  # Monday 21 September 2026, 14:13:20 UTC
VERSION = "0.1.0"
WINDOW = 131_072
MAX_TOKENS = 32_000  # of an answer
SPEED = 32.0  # tokens a second of one answer
PREFILL = 1_100.0  # tokens a second
_CHARACTERS = 3.4  # a token
_DELTA_S = 0.25
TOKEN_BYTES = 49_152  # of a token's state
CACHE_BUDGET = 8_000_000_000
_WEIGHTS, _LIMIT = 17_200_000_000, 51_500_000_000
_RESTORES = 30_000.0  # tokens a second that come back from disk


@dataclass(slots=True)
class Agent:
    """Who asks: a conversation of a lane, as far as it has come."""

    session: str
    lane: str = "main"
    agent: str = ""
    base: int = 16_900  # tokens of tools and system, with what the client adds
    model: str = "claude-sonnet-4-5"
    branch: tuple[str, int] = ("main", 0)
    messages: list[dict[str, Any]] = field(default_factory=list)
    known: int = 0  # tokens whose state the cache has
    results: list[tuple[str, str, Call]] = field(default_factory=list)  # to be carried by the next request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model writes."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[Call] = ()

    @property
    def tokens(self) -> int:
        written = len(self.text) + len(self.thinking) + sum(len(str(call[1])) for call in self.calls)
        return max(8, round(written / _CHARACTERS))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made: its id, and when it was at its end (seconds from the start)."""

    id: str
    end: float


class Story:
    """Collects what happens, at any time; `events` brings it into order and ends at `end` (seconds)."""

    def __init__(self, end: float, seed: int = 17) -> None:
        self.end = end
        self.random = random.Random(seed)
        self._traces: list[Trace] = []
        self._told: list[tuple[float, str, str | None, dict[str, Any]]] = []
        self._engine: dict[str, Any] = {}
        self._engine_told: list[tuple[float, dict[str, Any]]] = []
        self._spans: list[tuple[float, float, float]] = []  # of requests: arrival, start, end

    def tell(self, at: float, type: str, request: str | None = None, /, **data: Any) -> None:
        """One event, `at` seconds from the start."""
        self._told.append((START + at, type, request, data))

    # -- the engine ---------------------------------------------------------------------------------------

    def engine(self, at: float, state: str, **more: Any) -> None:
        """The engine's state from `at` on; while it is ready, requests and probes change it further."""
        since = START + at if state != self._engine.get("state") else self._engine["since"]
        self._engine = {**self._engine, "state": state, "since": since, "probe": None, **more}
        self._engine_told.append((at, self._engine))

    def log(self, at: float, *lines: str) -> None:
        """Lines of the engine's log."""
        for line in lines:
            self.tell(at, "engine.log", None, line=line)

    def start_engine(self, at: float, pid: int) -> None:
        """The engine starts and loads its model in five seconds."""
        self._engine = self._engine | {
            "pid": pid,
            "started": START + at,
            "url": "http://127.0.0.1:53211",
            "model": MODEL,
            "accelerated": "metal (Apple M4 Max)",
            "context_tokens": WINDOW,
            "running": 0,
            "queue": 0,
        }
        self.engine(at, "starting", detail="starting the process", progress=None)
        self.log(at + 0.2, f"engine {pid} starts: {MODEL}", "mlx 0.32.4, Metal, 64 GB unified memory")
        for step in range(1, 5):
            self.engine(at + step, "loading", progress=step / 4, detail=f"reading weights, file {step} of 4")
            self.log(at + step, f"loaded model-0000{step}-of-00004.safetensors")
        self.log(at + 4.8, "prompt template: chatml with tools", "listening on http://127.0.0.1:53211")
        self.engine(at + 5, "ready", progress=None, detail="")

    # -- requests -----------------------------------------------------------------------------------------

    def ask(
        self,
        at: float,
        who: Agent,
        answer: Answer,
        says: str = "",
        *,
        restored: int | None = None,
        tier: str = "memory",
        waits: float = 0.0,
        speed: float = SPEED,
        miss: dict[str, Any] | None = None,
        dies: float | None = None,
        retry_of: str = "",
    ) -> Asked:
        """One request, from its arrival to its end.

        Args:
            says: what the user says with it.
            restored: tokens from the cache; None: all that this conversation had.
            dies: the moment at which the engine ends, and with it this request.
            retry_of: the request that it repeats, whose messages and results it has.
        """
        key = f"req_{self.random.randrange(16**12):012x}"
        if not retry_of:
            self._bring(at, key, who, says)
        prompt = who.base + round(len(str(who.messages)) / _CHARACTERS)
        found = min(prompt - 20, who.known if restored is None else restored)
        usage = Usage.of_prompt(prompt, found, prompt - found - 20)
        restore_s = found / _RESTORES if tier == "disk" else 0.004
        starts = at + 0.05 + waits
        first = starts + restore_s + (prompt - found) / PREFILL + 0.12
        self._receive(at, key, who, says or _last_text(who), prompt, waits, retry_of)
        verdict = CacheVerdict(
            prompt_tokens=prompt,
            matched_tokens=found,
            kept_tokens=prompt - found - 20,
            tier=tier if found else "none",  # type: ignore[arg-type]
            restore_s=round(restore_s, 3),
            miss=miss,  # type: ignore[arg-type]
        )
        if miss:
            self.tell(starts, "cache.missed", key, miss=miss)
        if found:
            self.tell(starts + restore_s, "cache.restored", key, tokens=found)
        if tier == "disk":
            self.tell(starts + restore_s, "cache.loaded", key, tokens=found)
        self._prefill(key, starts + restore_s, first, prompt, found)
        times = PhaseTimes(
            template_s=0.004,
            tokenize_s=round(prompt / 900_000, 4),
            grammar_s=0.002,
            waiting_s=round(waits, 3),
            lookup_s=0.001,
            restore_s=round(restore_s, 4),
            prefill_s=round((prompt - found) / PREFILL, 3),
            first_token_s=0.11,
        )
        self.tell(
            first,
            "request.first_token",
            key,
            ttft_s=round(first - at, 3),
            usage=usage.model_dump(),
            cache=verdict.model_dump(),
            engine=asdict(times),
        )
        last, written = self._write(key, answer, first, speed, dies)
        self._spans.append((at, starts, last if dies is None else dies))
        timings = Timings(
            engine=times,
            received=START + at,
            queued=0.03,
            first_byte=0.04,
            prefill_start=round(starts - at, 3),
            first_token=round(first - at, 3),
            last_token=round(last - at, 3),
            done=round(last - at + 0.01, 3),
        )
        usage = usage.model_copy(update={"output_tokens": written})
        if dies is not None:
            self._fail(
                key,
                who,
                dies,
                timings.model_copy(update={"done": round(dies - at, 3)}),
                usage,
                verdict,
                retry_of,
            )
            return Asked(key, dies)
        self._finish(key, who, answer, last + 0.01, timings, usage, verdict, retry_of)
        who.known = prompt + written - 12
        return Asked(key, last + 0.01)

    def _bring(self, at: float, key: str, who: Agent, says: str) -> None:
        """The messages that are new with a request: results of the calls before, and what the user says."""
        content: list[dict[str, Any]] = []
        for call_id, made_by, (name, _, result, failed, took) in who.results:
            content.append({"type": "tool_result", "tool_use_id": call_id, "content": result})
            if failed:
                content[-1]["is_error"] = True
            self.tell(
                at,
                "request.tool_result",
                key,
                tool_use_id=call_id,
                name=name,
                call_request=made_by,
                is_error=failed,
                duration_s=took,
                result_bytes=len(result.encode()),
                preview=result[:400],
                session=who.session,
            )
            for trace in self._traces:
                for call in trace.tool_calls:
                    if call.id == call_id:
                        call.result, call.is_error, call.duration_s = result, failed, took
        who.results = []
        if says:
            if not who.messages:
                reminder = f"<system-reminder>\n{PROJECT}\n</system-reminder>"
                content.append({"type": "text", "text": reminder})
            content.append({"type": "text", "text": says})
        if content:
            who.messages.append({"role": "user", "content": content})

    def _receive(
        self, at: float, key: str, who: Agent, preview: str, prompt: int, waits: float, retry_of: str
    ) -> None:
        self.tell(
            at,
            "request.received",
            key,
            session=who.session,
            agent=who.agent,
            agent_type="Explore" if who.agent else "",
            lane=who.lane,
            model=who.model,
            backend="mlx",
            path="/v1/messages",
            messages=len(who.messages),
            tools=0 if who.lane == "auxiliary" else len(TOOLS),
            body_bytes=prompt * 4,
            preview=preview[:200],
            opening=_first_text(who)[:200],
            purpose="title" if who.lane == "auxiliary" else "",
            max_tokens=512 if who.lane == "auxiliary" else MAX_TOKENS,
            folder=HOME,
            retry_of=retry_of,
        )
        self.tell(at + 0.03, "request.queued", key, position=1 if waits else 0, waiting_s=0.0)
        for second in range(1, int(waits) + 1):
            self.tell(at + second, "request.queued", key, position=1, waiting_s=float(second))

    def _prefill(self, key: str, begin: float, end: float, prompt: int, found: int) -> None:
        steps = max(1, round((end - begin) / 0.5))
        for step in range(steps + 1):
            at = begin + (end - begin - 0.12) * step / steps
            done = found + (prompt - found) * step // steps
            self.tell(at, "request.prefill", key, done=done, total=prompt, cached=found)

    def _write(
        self, key: str, answer: Answer, first: float, speed: float, dies: float | None
    ) -> tuple[float, int]:
        """The deltas of an answer; returns when the last one came, and how many tokens there were."""
        at, written, whole = first, 0.0, answer.tokens
        for kind, text in (("thinking", answer.thinking), ("text", answer.text)):
            place = 0
            while place < len(text):
                if dies is not None and at >= dies - 0.3:
                    return dies - 0.2, round(written)
                pace = speed * self.random.uniform(0.93, 1.07)
                size = max(1, round(pace * _DELTA_S * _CHARACTERS))
                part = text[place : place + size]
                place += size
                at += _DELTA_S * len(part) / size
                written += len(part) / _CHARACTERS
                self.tell(
                    at,
                    "request.delta",
                    key,
                    kind=kind,
                    text=part,
                    output_tokens=min(whole, round(written)),
                    tokens_per_s=round(pace, 1),
                )
        last = at + max(0.0, whole - written) / speed
        if dies is not None and last > dies:
            return dies - 0.1, min(whole, round((dies - first) * speed))
        return last, whole

    def _finish(
        self,
        key: str,
        who: Agent,
        answer: Answer,
        at: float,
        timings: Timings,
        usage: Usage,
        verdict: CacheVerdict,
        retry_of: str,
    ) -> None:
        content: list[dict[str, Any]] = []
        if answer.thinking:
            content.append({"type": "thinking", "thinking": answer.thinking, "signature": "demo"})
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        calls: list[ToolCall] = []
        for number, call in enumerate(answer.calls):
            name, given = call[0], call[1]
            call_id = f"toolu_{self.random.randrange(16**12):012x}"
            content.append({"type": "tool_use", "id": call_id, "name": name, "input": given})
            raw = f'<tool_call>\n{{"name": "{name}", "arguments": …}}\n</tool_call>'
            repaired = name == "Bash" and call[3]
            made = ToolCall(
                id=call_id,
                name=name,
                input=given,
                raw=raw,
                family="hermes",
                constrained=not repaired,
                repairs=["a comma before the closing brace was taken out"] if repaired else [],
                verdict="valid",
            )
            calls.append(made)
            told = made.model_dump(
                include={"name", "input", "raw", "family", "constrained", "repairs", "verdict"}
            )
            self.tell(
                at - 0.008 + number * 0.002,
                "request.tool_call",
                key,
                tool_use_id=call_id,
                session=who.session,
                raw_tokens=round(len(str(given)) / _CHARACTERS),
                **told,
            )
            who.results.append((call_id, key, call))
        self.tell(at - 0.002, "cache.inserted", key, tokens=verdict.kept_tokens + usage.output_tokens)
        stop = "tool_use" if calls else "end_turn"
        message = {
            "id": f"msg_{key[4:]}",
            "type": "message",
            "role": "assistant",
            "model": who.model,
            "stop_reason": stop,
            "content": content,
        }
        trace = self._trace(key, who, timings, usage, verdict, retry_of)
        trace.response = TraceResponse(status=200, message=message)
        trace.tool_calls = calls
        self._traces.append(trace)
        self.tell(
            at,
            "request.finished",
            key,
            status=200,
            stop_reason=stop,
            usage=usage.model_dump(),
            timings=timings.model_dump(),
            cache=verdict.model_dump(),
            tokens_per_s=round(
                usage.output_tokens / max(0.1, (timings.last_token or 0) - (timings.first_token or 0)), 1
            ),
            trace=trace_path("mlx", trace.time, key),
            title=answer.text if who.lane == "auxiliary" else "",
        )
        kept = [block for block in content if block["type"] != "thinking"]
        who.messages.append({"role": "assistant", "content": kept})

    def _fail(
        self,
        key: str,
        who: Agent,
        at: float,
        timings: Timings,
        usage: Usage,
        verdict: CacheVerdict,
        retry_of: str,
    ) -> None:
        error = ErrorInfo(
            type="overloaded_error",
            message="the engine ended in the middle of the answer (signal 9, out of memory?); retry in 4 s",
            cause="engine died (signal 9)",
        )
        trace = self._trace(key, who, timings, usage, verdict, retry_of)
        trace.response = TraceResponse(status=529, error=error)
        self._traces.append(trace)
        self.tell(
            at,
            "request.failed",
            key,
            status=529,
            error=error.model_dump(),
            usage=usage.model_dump(),
            timings=timings.model_dump(),
            trace=trace_path("mlx", trace.time, key),
        )

    def _trace(
        self, key: str, who: Agent, timings: Timings, usage: Usage, verdict: CacheVerdict, retry_of: str
    ) -> Trace:
        system = [SYSTEM, BRANCH.format(branch=who.branch[0], changed=who.branch[1])]
        tools = [] if who.lane == "auxiliary" else [_tool(*tool) for tool in TOOLS]
        body = {
            "model": who.model,
            "max_tokens": 512 if who.lane == "auxiliary" else MAX_TOKENS,
            "stream": True,
            "system": [{"type": "text", "text": text} for text in system],
            "tools": tools,
            "messages": list(who.messages),
        }
        upstream = {
            "model": MODEL,
            "stream": True,
            "messages": [
                {"role": "system", "content": "\n\n".join(system)},
                *({"role": message["role"], "content": _plain(message)} for message in who.messages),
            ],
        }
        return Trace(
            id=key,
            time=timings.received,
            session=who.session,
            agent=who.agent,
            agent_type="Explore" if who.agent else "",
            lane=who.lane,  # type: ignore[arg-type]
            retry_of=retry_of,
            backend="mlx",
            model=who.model,
            upstream_model=MODEL,
            request=TraceRequest(
                query="beta=true",
                headers={
                    "anthropic-version": "2023-06-01",
                    "authorization": "[redacted]",
                    "user-agent": "demo/1",
                },
                body=body,
            ),
            upstream=upstream,
            timings=timings,
            usage=usage,
            cache=verdict,
        )

    # -- in order -----------------------------------------------------------------------------------------

    @cache  # noqa: B019 - there is one story
    def events(self) -> list[Event]:
        """All events, numbered, with what is known only in order: what cache and memory hold."""
        held = on_disk = 0
        events = []
        self.random.seed(29)  # the same whenever they are asked for
        states = [(START + at, "engine.state", None, data) for at, data in self._engine_states()]
        until = [one for one in (*self._told, *states) if one[0] <= START + self.end]
        told = sorted(until, key=lambda one: one[0])
        for seq, (at, type, request, data) in enumerate(told, 1):
            tokens = data.get("tokens", 0)
            if type == "cache.inserted":
                held += tokens * TOKEN_BYTES
                on_disk += tokens * TOKEN_BYTES
            if type == "cache.loaded":
                held += tokens * TOKEN_BYTES
            if type == "engine.state" and data["state"] in ("exited", "starting"):
                held = 0
            held = min(held, CACHE_BUDGET)
            if type.startswith("cache.") and type != "cache.missed":
                totals = {"bytes": tokens * TOKEN_BYTES, "entries": held // 700_000_000, "total_bytes": held}
                data = {**data, **totals, "budget_bytes": CACHE_BUDGET}
            if type == "engine.state":
                data = _with_memory(data, held, on_disk)
            events.append(Event(seq=seq, time=round(at, 3), type=type, request=request, data=data))
        return events

    def _engine_states(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """All that the supervisor says of the engine: each state, each change of what runs, each probe."""
        yield from self._engine_told
        changes = sorted({at for span in self._spans for at in span})
        probes = [at + 5.0 for at, told in self._engine_told if told["state"] == "ready"]
        probes += [float(at) for at in range(30, int(self.end), 30)]
        since, busy = START, False
        for at, is_probe in sorted([(at, False) for at in changes] + [(at, True) for at in probes]):
            before = [told for moment, told in self._engine_told if moment <= at]
            if not before or before[-1]["state"] != "ready":
                continue
            running = sum(start <= at < end for _, start, end in self._spans)
            queue = sum(arrival <= at < start for arrival, start, _ in self._spans)
            if bool(running) != busy:
                since, busy = START + at, bool(running)
            told = {**before[-1], "state": "busy" if running else "ready", "since": round(since, 3)}
            if is_probe:
                latency = round(self.random.uniform(0.001, 0.006), 4)
                told["probe"] = {"ok": True, "latency_s": latency, "detail": ""}
            yield at, {**told, "running": running, "queue": queue}

    def state(self) -> HostState:
        """The host's own account before the first event."""
        return HostState(
            version=VERSION,
            pid=4242,
            started=START - 1,
            url="http://127.0.0.1:8082",
            backend="mlx",
            model=MODEL,
            home="/Users/ada/.anyclaude",
            seq=0,
            first_seq=1,
            counters=Totals(),
            engine=EngineState(state="stopped"),
        )

    def traces(self) -> list[Trace]:
        """The traces of all requests that ended."""
        return [trace for trace in self._traces if trace.time + (trace.timings.done or 0) <= START + self.end]

    def rows(self) -> list[TraceSummary]:
        """A row of the list for each trace."""
        rows = []
        for trace in self.traces():
            size = 21_000 + 4 * trace.usage.prompt_tokens
            row = summarize(trace, trace_path(trace.backend, trace.time, trace.id), size)
            rows.append(row.model_copy(update={"marked": trace.response.status == 529}))
        return rows


def _with_memory(data: dict[str, Any], held: int, on_disk: int) -> dict[str, Any]:
    known = {name: value for name, value in data.items() if value is not None}
    if data["state"] not in ("ready", "busy", "stalled"):
        return known | {"memory_bytes": 2_100_000_000}
    cache = {
        "entries": held // 700_000_000,
        "bytes": held,
        "budget_bytes": CACHE_BUDGET,
        "disk_entries": 31 + on_disk // 160_000_000,
        "disk_bytes": 9_400_000_000 + on_disk,
        "disk_budget_bytes": 20_000_000_000,
        "disk_written_today_bytes": on_disk,
        "disk_daily_budget_bytes": 50_000_000_000,
    }
    memory = {
        "limit_bytes": _LIMIT,
        "limit_reason": "the working set that the GPU recommends",
        "weights_bytes": _WEIGHTS,
        "prefix_cache_bytes": held,
        "requests_bytes": 4_100_000_000,
    }
    return known | {"memory_bytes": _WEIGHTS + 300_000_000 + held, "cache": cache, "memory": memory}


def _tool(name: str, description: str, fields: Sequence[str]) -> dict[str, Any]:
    properties = {field: {"type": "string"} for field in fields}
    schema = {"type": "object", "properties": properties, "required": [fields[0]]}
    return {"name": name, "description": description, "input_schema": schema}


def _last_text(who: Agent) -> str:
    return next(reversed(_said(who)), "")


def _first_text(who: Agent) -> str:
    return next(iter(_said(who)), "")


def _said(who: Agent) -> list[str]:
    """What the user said, without what the client adds."""
    blocks = [block for one in who.messages if one["role"] == "user" for block in one["content"]]
    texts = [str(block["text"]) for block in blocks if block["type"] == "text"]
    return [text for text in texts if not text.startswith("<")]


def _plain(message: dict[str, Any]) -> str:
    return "\n".join(str(block.get("text") or block.get("content") or "") for block in message["content"])
