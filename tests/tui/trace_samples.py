"""Traces of the made-up morning, and a host that answers with them."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.wire.feed import PhaseTimes
from proxy.changes.change_facts import Changed, LiveSetting, LocalModel, LocalModelList
from proxy.changes.live_settings import live_settings, read_values
from proxy.configuration.settled import HostConfig
from proxy.events.arguments import in_a_word
from proxy.events.cache_facts import CacheDone, CacheHoldings
from proxy.events.causes import cause_of
from proxy.events.tool_call import ToolCall
from proxy.events.types import Timings, Usage
from proxy.traces.analysis.comparing.diff_facts import DiffFacts, compare
from proxy.traces.analysis.context_facts import (
    ContextBudget,
    ContextKind,
    ContextPart,
    ContextThing,
    ContextTurn,
    PartName,
)
from proxy.traces.analysis.why import phases_of
from proxy.traces.analysis.why_facts import Usual, Why
from proxy.traces.listing.calls_page import CallPage, ListedCall, ToolFigures
from proxy.traces.listing.histogram import Histogram, edges_of
from proxy.traces.listing.turns import SessionTurns
from proxy.traces.listing.usage_sums import UsageSums
from proxy.traces.schema import (
    CallSummary,
    CountedPart,
    Trace,
    TracePage,
    TraceRequest,
    TraceResponse,
    TraceSummary,
    WrittenPart,
)
from tests.tui.held_samples import done, holdings
from tests.tui.traffic import MODEL, Morning
from tests.tui.traffic_texts import ANSWER, CALLS, THINKING
from tui.client.asking import WholeAnswer
from tui.client.filter import matcher
from tui.client.host_client import HostError

TOOLS = ("Bash", "Edit", "Glob", "Grep", "Read", "Task", "TodoWrite", "WebFetch", "Write")


def summaries(morning: Morning) -> list[TraceSummary]:
    """One row for each request that ended, newest first."""
    received = {event.request: event for event in morning.events if event.type == "request.received"}
    made: dict[str, list[CallSummary]] = {}
    failed = {
        event.data["tool_use_id"]: event.data["is_error"]
        for event in morning.events
        if event.type == "request.tool_result"
    }
    rows: list[TraceSummary] = []
    for event in morning.events:
        if event.type == "request.tool_call" and event.request:
            call = event.data
            about, outcome = in_a_word(call["input"] or {}, 80), failed.get(call["tool_use_id"])
            did = CallSummary(name=call["name"], about=about, is_error=outcome)
            made.setdefault(event.request, []).append(did)
        if event.type not in ("request.finished", "request.failed") or event.request not in received:
            continue
        first, data = received[event.request], event.data
        rows.append(
            TraceSummary(
                id=event.request,
                time=first.time,
                session=first.data["session"],
                lane=first.data["lane"],
                purpose=first.data.get("purpose", ""),
                agent_type=first.data.get("agent_type", ""),
                backend="mlx",
                model=first.data["model"],
                status=data["status"],
                stop_reason=data.get("stop_reason", ""),
                error=(error := data.get("error", {})).get("message", ""),
                cause=cause_of(error["type"], error["message"]) if error else "",
                retry_of=first.data["retry_of"],
                messages=first.data["messages"],
                tools=first.data["tools"],
                usage=Usage.model_validate(data["usage"]),
                ttft_s=data["timings"]["first_token"],
                duration_s=data["timings"]["done"],
                tool_calls=len(did := made.get(event.request, [])),
                tool_errors=sum(call.is_error is True for call in did),
                did=did,
                said="" if did or error else ANSWER.split("\n")[0],
                preview=first.data["preview"],
                path=data["trace"],
                bytes=first.data["body_bytes"] + 21_000,
            )
        )
    return rows[::-1]


def sample_trace(row: TraceSummary) -> Trace:
    """A whole trace that fits a row of the list."""
    body = _body(row)
    upstream = {
        "model": MODEL,
        "stream": True,
        "messages": [{"role": "system", "content": body["system"][1]["text"]}, *body["messages"]],
        "tools": [{"type": "function", "function": {"name": tool["name"]}} for tool in body["tools"]],
    }
    done, ttft = row.duration_s or 1.0, row.ttft_s or 0.5
    return Trace(
        id=row.id,
        time=row.time,
        session=row.session,
        prompt_id="prompt-0007",
        lane=row.lane,
        backend=row.backend,
        model=row.model,
        upstream_model=MODEL,
        request=TraceRequest(query="beta=true", headers=HEADERS, body=body),
        upstream=upstream,
        response=TraceResponse(
            status=200,
            message={
                "id": "msg_01",
                "type": "message",
                "role": "assistant",
                "model": row.model,
                "stop_reason": "tool_use",
                "content": [
                    {"type": "thinking", "thinking": THINKING},
                    {"type": "text", "text": ANSWER},
                    {"type": "tool_use", "id": "toolu_01", "name": "Edit", "input": CALLS[3][1]},
                ],
            },
        ),
        timings=Timings(
            received=row.time,
            queued=0.05,
            first_byte=0.06,
            prefill_start=0.08,
            first_token=ttft,
            last_token=done - 0.01,
            done=done,
            engine=None
            if ttft is None
            else PhaseTimes(
                template_s=0.012,
                tokenize_s=0.021,
                grammar_s=0.001,
                waiting_s=0.03,
                lookup_s=0.004,
                restore_s=0.036,
                prefill_s=max(0.0, ttft - 0.15),
                first_token_s=0.021,
            ),
        ),
        written=[
            WrittenPart(kind="thinking", start=ttft, end=ttft + (done - ttft) * 0.2, tokens=41),
            WrittenPart(
                kind="text", start=ttft + (done - ttft) * 0.2, end=ttft + (done - ttft) * 0.7, tokens=62
            ),
            WrittenPart(
                kind="tool", start=ttft + (done - ttft) * 0.7, end=done - 0.01, tokens=52, call="toolu_01"
            ),
        ],
        usage=row.usage,
        prompt_parts=_parts(upstream, row.usage.prompt_tokens),
        cache={
            "prompt_tokens": row.usage.prompt_tokens,
            "matched_tokens": row.usage.cache_read_input_tokens,
            "kept_tokens": row.usage.cache_creation_input_tokens,
            "tier": "memory",
            "miss": {
                "reason": "diverged",
                "position": row.usage.cache_read_input_tokens,
                "before": "…you are on branch main\nLast commit: 4f1c2aa Round half",
                "now": "…you are on branch json-export\nLast commit: 4f1c2aa Ro",
            },
        },
        tool_calls=[
            ToolCall(
                id="toolu_01",
                name="Edit",
                raw='<tool_call>\n{"name": "Edit", "arguments": {"file_path": …}}\n</tool_call>',
                tokens=list(range(57)),
                family="hermes",
                constrained=True,
                relaxed="old_string: the pattern looks back, which no grammar can",
                input=CALLS[3][1],
                repairs=['replace_all: "false" became false'],
                verdict="valid",
                result="The file has been updated.",
                is_error=False,
                duration_s=0.14,
            )
        ],
        notes=["the billing block was dropped", "2 system messages were folded into the turn before them"],
    )


def _parts(upstream: dict[str, Any], tokens: int) -> list[CountedPart]:
    """The parts of a prompt: two fifths are tools, a quarter is system text, the last message is the rest."""
    tools = [f"tool {tool['function']['name']}" for tool in upstream["tools"]]
    messages = [f"message {number} ({row['role']})" for number, row in enumerate(upstream["messages"][1:], 1)]
    sizes = {"system": tokens // 4} | dict.fromkeys(tools, tokens * 2 // 5 // len(tools))
    sizes |= dict.fromkeys(messages[:-1], tokens // 20)
    left = tokens - sum(sizes.values()) - 4
    parts = [*sizes.items(), (messages[-1], left), ("the answer's beginning", 4)]
    return [CountedPart(name=name, tokens=size) for name, size in parts]


def sample_context(session: str, rows: list[TraceSummary], at: str) -> ContextBudget:
    """The budget of a session that is 71 % full at its last turn."""
    turns = [
        ContextTurn(trace=row.id, time=row.time, prompt_tokens=round(186_320 * (number / len(rows)) ** 0.7))
        for number, row in enumerate(rows, 1)
    ]
    turn = next((number for number, one in enumerate(turns, 1) if one.trace == at), len(turns))

    def thing(kind: str, what: str, tokens: int, *brought: int, **more: Any) -> ContextThing:
        first = turns[min(brought[0], len(turns)) - 1] if brought else None
        found = {"time": first.time, "trace": first.trace} if first else {}
        return ContextThing(kind=kind, what=what, tokens=tokens, turns=list(brought), **found | more)

    def part(
        name: PartName, tokens: int, grown: int, kinds: dict[str, int], *things: ContextThing
    ) -> ContextPart:
        told = [ContextKind(name=kind, tokens=size, number=14) for kind, size in kinds.items()]
        return ContextPart(name=name, tokens=tokens, grown=grown, kinds=told, things=list(things))

    jira = thing("mcp__jira", "mcp__jira__create_issue", 1_210, calls=0)
    schema = thing("Read", "/home/ada/ledger/src/vendor/schema.json", 31_204, 4)
    writer = thing("Read", "/home/ada/ledger/src/export/writer.py", 9_902, 3, 7, 11, times=3)
    parts = [
        part("tools", 22_418, 0, {"tools": 12_618, "mcp__jira": 9_800}, jira),
        part("system", 6_980, 2, {"text": 6_980}),
        part(
            "reminders",
            3_411,
            0,
            {"file": 3_400, "reminder": 11},
            thing("file", "/home/ada/.claude/CLAUDE.md", 2_100, 1),
        ),
        part(
            "results",
            112_213,
            6_214,
            {"Read": 71_000, "Bash": 22_000, "Grep": 11_000},
            schema,
            writer,
            thing("Bash", "pytest -q [/] [bold]", 14_870, 9),
        ),
        part("said", 2_180, 41, {"text": 2_180}, thing("text", "Add --json to the export command", 410, 1)),
        part("wrote", 39_118, 1_166, {"text": 21_000, "thinking": 9_118, "calls": 9_000}),
    ]
    return ContextBudget(
        session=session,
        trace=turns[turn - 1].trace,
        time=turns[turn - 1].time,
        lane="main",
        about="Add --json to the export command",
        counted_parts=True,
        turn=turn,
        turns=turns,
        prompt_tokens=186_320,
        window_tokens=262_144,
        max_tokens=32_000,
        reserved_tokens=32_000,
        compacts_at=229_144,
        parts=parts,
        unused_tools=14,
        unused_tokens=9_800,
        growth=8_900,
        turns_left=4,
    )


HEADERS = {
    "anthropic-beta": "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
    "anthropic-version": "2023-06-01",
    "authorization": "[redacted]",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.330 (external, cli)",
}


def _in_project(trace: Trace, branch: str, files: int) -> Trace:
    """A trace whose system text tells of a project on this branch, with so many files."""
    status = f"Current branch: {branch}\nMain branch (you will usually use this for PRs): main\nStatus:\n"
    status += "".join(
        f" M src/export/{name}.py\n" for name in ("command", "writer", "rows", "json", "table")[-files:]
    )
    status += "Recent commits:\n4f1c2aa Round half up\n"
    steps = json.dumps("Work in small steps.\n")[1:-1]
    body = json.dumps(trace.upstream).replace(steps, json.dumps(status)[1:-1] + steps, 1)
    return trace.model_copy(update={"upstream": json.loads(body)})


def _body(row: TraceSummary) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "toolu_00", "name": "Read", "input": CALLS[0][1]}
    result = {"type": "tool_result", "tool_use_id": "toolu_00", "content": CALLS[0][2]}
    return {
        "model": row.model,
        "max_tokens": 32_000,
        "stream": True,
        "temperature": 1,
        "system": [
            {"type": "text", "text": "You are a careful engineer."},
            {"type": "text", "text": "Work in small steps.\nSay what you changed and why.\n" * 12},
        ],
        "tools": [
            {"name": name, "description": f"The tool {name}.", "input_schema": {"type": "object"}}
            for name in TOOLS
        ],
        "messages": [
            {"role": "user", "content": row.preview},
            {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, call]},
            {"role": "user", "content": [result, {"type": "text", "text": "Go on [/] [bold]please[/bold]."}]},
        ],
    }


def sample_models() -> list[LocalModel]:
    """One that is loaded, one with a smaller window, one that is too large, one without tool calls."""

    def model(name: str, gigabytes: float, window: int, **more: Any) -> LocalModel:
        found: dict[str, Any] = {
            "store": "Hugging Face",
            "condition": "ready",
            "family": "qwen3_coder",
            "fitting_tokens": window,
        }
        path = f"/home/ada/.cache/huggingface/{name}"
        size = round(gigabytes * 1e9)
        found |= {"name": name, "path": path, "size_bytes": size, "window_tokens": window, **more}
        return LocalModel(**found)

    return [
        model("mlx-community/Devstral-Small-2507-4bit", 13.3, 32_768, family="mistral", decode_speed=24.0),
        model(MODEL, 17.2, 262_144, loaded=True, prefill_speed=1_260.0, decode_speed=61.0),
        model(
            "mlx-community/GLM-4.6-4bit", 198.0, 202_752, condition="too large", reason="51.5 GB may be taken"
        ),
        model("someone/Poem-7B-4bit[bold]", 4.1, 32_768, family="", store="LM Studio"),
    ]


FIGURES: dict[str, Callable[[TraceSummary], float | None]] = {
    "time": lambda row: row.time,
    "took": lambda row: row.duration_s,
    "ttft": lambda row: row.ttft_s,
    "tokens": lambda row: row.usage.prompt_tokens,
    "cache": lambda row: row.usage.cache_read_input_tokens / (row.usage.prompt_tokens or 1),
    "out": lambda row: row.usage.output_tokens,
}


class SampleHost:
    """A host that knows the traces of one morning; counts what it is asked."""

    def __init__(self, rows: list[TraceSummary], until: float = 1000.0) -> None:
        self.rows = rows
        self.until = until  # what it takes for the present
        self.asked: list[tuple[str, int]] = []  # query and offset of each page
        self.restarts = 0
        self.bodies: list[dict[str, Any]] = []  # that were asked again
        self.wishes: list[str] = []  # to change something
        self.refuses = ""
        self.changed: dict[str, Any] = {}  # settings, by their fields
        self.engine_up = asyncio.Event()
        self.engine_up.set()
        self.engine_refused = ""  # why it did not come up with what was changed
        self.held: CacheHoldings | None = None  # what the cache holds, if it is not made up

    async def traces(
        self,
        limit: int = 100,
        offset: int = 0,
        query: str = "",
        *,
        sort: str = "time",
        reverse: bool = False,
        around: str = "",
        since: float = 0.0,
    ) -> TracePage:
        """A page of rows whose text `query` fits."""
        self.asked.append((query, offset))
        rows = self._chosen(query, since)
        if sort != "time" or reverse:
            rows.sort(key=lambda row: FIGURES[sort](row) or 0.0, reverse=not reverse)
        place = None
        if around:
            ids = [row.id for row in rows]
            place = ids.index(around) if around in ids else sum(row.time > float(around) for row in rows)
            offset = place // limit * limit
        return TracePage(traces=rows[offset : offset + limit], total=len(rows), offset=offset, place=place)

    def _chosen(self, query: str, since: float) -> list[TraceSummary]:
        # A row has the files of its calls, its session and its lane among its words.
        fits = matcher(re.sub("(file|session|lane):", "", query), 0.0)
        return [row for row in self.rows if row.time >= since and fits(row, row.model_dump_json().lower())]

    async def histogram(self, query: str = "", *, since: float = 0.0, parts: int = 60) -> Histogram:
        """When the rows came."""
        times = sorted(row.time for row in self.rows)
        begin = since or (times[0] if times else self.until)
        edges = edges_of(begin, max(self.until, begin), parts)
        found = [row.time for row in self._chosen(query, since)]
        counts = [
            [sum(low <= at < high for at in some) for low, high in pairwise(edges)] for some in (times, found)
        ]
        return Histogram(edges, *counts, len(self.rows), sum(row.bytes for row in self.rows))

    async def calls(
        self, limit: int = 100, query: str = "", *, failed: bool = False, since: float = 0.0
    ) -> CallPage:
        """The calls that the rows tell of."""
        listed = [
            ListedCall(
                trace=row.id,
                number=number,
                id=f"toolu_{row.id}_{number}",
                time=row.time,
                session=row.session,
                lane=row.lane,
                name=call.name,
                about=call.about,
                file=call.about if call.name in ("Edit", "Read", "Write") else "",
                verdict="valid",
                repairs=0,
                is_error=call.is_error,
                duration_s=0.4,
                result="error: it failed" if call.is_error else "done",
                result_bytes=16,
            )
            for row in self._chosen(query, since)
            for number, call in reversed(list(enumerate(row.did, 1)))
        ]
        shown = [call for call in listed if call.is_error or not failed]
        names = Counter(call.name for call in listed)
        tools = [
            ToolFigures(
                name,
                count,
                0,
                0,
                count,
                sum(call.is_error is True for call in listed if call.name == name),
                0.4,
                0.4,
            )
            for name, count in names.most_common()
        ]
        return CallPage(shown[:limit], len(shown), tools)

    async def usage(self, since: float = 0.0) -> UsageSums:
        """What the rows tell of their prompts."""
        used = [row.usage for row in self._chosen("", since) if row.usage is not None]
        restored, cached, not_kept, output = (
            sum(getattr(usage, name) for usage in used)
            for name in (
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
                "input_tokens",
                "output_tokens",
            )
        )
        return UsageSums(len(used), len(used), restored, cached, not_kept, output, 60.0 if restored else None)

    async def brief_trace(self, trace_id: str) -> Trace:
        """The trace of one row without its long parts."""
        return (await self.trace(trace_id)).brief()

    async def trace(self, trace_id: str) -> Trace:
        """The trace of one row."""
        for row in self.rows:
            if row.id == trace_id:
                return sample_trace(row)
        raise HostError(f"there is no trace {trace_id}")

    async def why(self, trace_id: str) -> Why:
        """What explains the trace of one row: its phases, and a session that is half as slow."""
        trace = await self.trace(trace_id)
        took = trace.timings.done or 0.0
        phases = phases_of(trace)
        longest = max(phases, key=lambda phase: phase.seconds)
        return Why(
            trace=trace_id,
            time=trace.time,
            session=trace.session,
            lane=trace.lane,
            agent_type=trace.agent_type,
            verdict="slow",
            took_s=took,
            phases=phases,
            longest=longest.name,
            prompt_tokens=trace.usage.prompt_tokens,
            restored_tokens=trace.usage.cache_read_input_tokens,
            output_tokens=trace.usage.output_tokens,
            speed=60.0,
            usual=Usual(of="session", requests=9, took_s=took / 2, ttft_s=1.0, speed=61.0),
        )

    async def turns(self, trace_id: str) -> SessionTurns:
        """The rows of the same session and lane, five on each side."""
        row = next(row for row in self.rows if row.id == trace_id)
        own = [one for one in self.rows[::-1] if (one.session, one.lane) == (row.session, row.lane)]
        place = own.index(row)
        near = own[max(0, place - 5) : place + 6]
        return SessionTurns(turns=near, place=near.index(row), number=place + 1, total=len(own))

    async def diff(self, b: str, a: str = "") -> DiffFacts:
        """The trace of one row beside that of the next older one, which was on another branch."""
        ids = [row.id for row in self.rows]
        before, after = await self.trace(a or ids[ids.index(b) + 1]), await self.trace(b)
        return compare(_in_project(before, "main", 3), _in_project(after, "json-export", 5))

    async def context(self, session: str, at: str = "") -> ContextBudget:
        """A made-up session of twelve turns whose requests are the newest main ones."""
        if not (rows := [row for row in self.rows if row.lane == "main"][:12][::-1]):
            raise HostError(f"no trace is of a session {session}")
        return sample_context(session, rows, at)

    async def answering_models(self) -> list[str]:
        """The one of the morning."""
        return [MODEL]

    async def ask_again(self, body: Mapping[str, Any], query: str) -> WholeAnswer:
        """An answer of a word more, of which there is no trace; keeps the body."""
        self._take("ask again")
        self.bodies.append(dict(body))
        content = [{"type": "text", "text": ANSWER + " Done."}]
        usage = {"input_tokens": 24, "cache_read_input_tokens": 20_176, "output_tokens": 160}
        answer = {"content": content, "stop_reason": "end_turn", "usage": usage}
        return WholeAnswer(200, answer, "", 3.0, "req_none")

    async def cache(self) -> CacheHoldings:
        """A made-up cache that the newest requests used."""
        newest = max((row.time + (row.duration_s or 0.0) for row in self.rows), default=0.0)
        return self.held or (
            holdings(newest, [row.id for row in self.rows[:3]][::-1]) if self.rows else CacheHoldings()
        )

    async def change_cache_entry(self, action: str, entry: str) -> CacheDone:
        """Keep the wish."""
        self._take(f"{action} {entry}")
        return done(id=entry)

    async def flush_cache(self, tier: str = "both") -> CacheDone:
        """Keep the wish."""
        self._take(f"flush {tier}")
        return done(id="", disk_files=3, disk_bytes=9_000_000)

    async def restart_engine(self, *, drain: bool = False) -> int:
        """Count the wish."""
        self._take("restart" if not drain else "drain")
        self.restarts += 1
        return 3 if drain else 0

    async def cancel(self, request_id: str) -> str:
        """Keep the wish."""
        self._take(f"cancel {request_id}")
        return request_id

    async def models(self) -> LocalModelList:
        """Three models, of which the second is loaded."""
        why = "the working set that the GPU recommends"
        return LocalModelList(models=sample_models(), limit_bytes=51_500_000_000, limit_reason=why)

    async def use_model(self, model: str, *, drain: bool = True) -> Changed:
        """Keep the wish."""
        self._take(f"model {model}")
        return Changed(changed=["backends.mlx.model"], restarting=True, running=3, model=model)

    async def settings(self) -> list[LiveSetting]:
        """Those of a host as it begins, but for what was changed."""
        begun = HostConfig(home=Path("/home/ada/.anyclaude"))
        up = self.engine_up.is_set()
        now = replace(begun, **self.changed)
        listed = live_settings(now, begun, engine=True, held=now if up else begun)
        for one in listed:
            one.awaited = not one.held
            one.refused = self.engine_refused if up and one.effect == "engine restart" else ""
        return listed

    async def settled_setting(self, key: str) -> LiveSetting | None:
        """The setting when the engine is up; where that refused, as it was before."""
        await self.engine_up.wait()
        if self.engine_refused:
            self.changed.clear()
        return next(one for one in await self.settings() if one.key == key)

    async def change(self, changes: Mapping[str, Any], *, drain: bool = True) -> Changed:
        """Keep the wish, and the change."""
        self._take(f"change {dict(changes)}")
        begun = HostConfig(home=Path("/home/ada/.anyclaude"))
        try:
            now = replace(begun, **self.changed)
            values = read_values(changes, now, engine=True)
        except ValueError as error:
            raise HostError(str(error)) from None
        read = {name: value for name, value in values.items() if value != getattr(now, name)}
        self.changed |= read
        return Changed(changed=list(changes) if read else [], restarting="loop_tokens" in read)

    async def stop(self, *, now: bool = False) -> None:
        """Keep the wish."""
        self._take("stop now" if now else "stop")

    def _take(self, wish: str) -> None:
        if self.refuses:
            raise HostError(self.refuses)
        self.wishes.append(wish)
