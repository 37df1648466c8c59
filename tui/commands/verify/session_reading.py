"""What the runs of Claude Code and their traces say together; pure but for the narration."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.configuration.known_backends import BackendKind
from proxy.traces.analysis.analysis import analyze
from proxy.traces.analysis.groups import Group
from proxy.traces.analysis.prices import PriceTable
from proxy.traces.analysis.sums import Choice
from proxy.traces.files import trace_path
from proxy.traces.index import IndexEntry, TraceIndex
from proxy.traces.schema import Trace
from tui.client.figures import percent, plural, seconds
from tui.client.wire_text import line_text, shorten
from tui.commands.verify.claims import Claims
from tui.commands.verify.session_runs import ClientRun

RUNS, RECORDED, ERRORS = "each run is answered", "each run is on record", "no request failed"
BODIES, TOOLS = "traces have full bodies", "each main request has its tools"
FIRST, LATER, RATE = "the first run fills the cache", "later runs read from it", "hit rate by request"
LATENCY, PIECES, TIME = "latencies", "answers are streamed in pieces", "in time"

LIMIT_S = 300.0
LEAST_RATE = 0.66  # two of three: the first may have to compute
LEAST_READ = 0.5  # of a later prompt; the few tokens that all prompts begin with prove nothing
LEAST_TOOLS = 12
LEAST_ANSWER_S = 0.1
LEAST_SPAN_S = 0.001  # from the first to the last token; what was sent in one piece has less


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """All that was seen: the runs, and their traces of all lanes, oldest first."""

    runs: Sequence[ClientRun]
    traces: Sequence[Trace]
    backend: BackendKind = "mlx"
    model: str = ""

    @property
    def main(self) -> list[Trace]:
        """The first main request of each run that has one."""
        found = []
        for run in self.runs:
            its = [trace for trace in self.traces if trace.session == run.session and trace.lane == "main"]
            found += its[:1]
        return found


def judge_session(claims: Claims, record: SessionRecord) -> None:
    """Turn the record into claims and an interpretation."""
    _judge_runs(claims, record)
    main = record.main
    if not claims.holds(
        RECORDED,
        len(main) == len(record.runs),
        f"{plural(len(main), 'main request')} of {plural(len(record.runs), 'run')} found, and"
        f" {plural(len(record.traces) - len(main), 'other request')}",
        "if traces are off, set debug.enableTraces to true; if a run was not answered, its line says why;"
        ' else the client went elsewhere: see "env" in its managed settings',
    ):
        rest = (ERRORS, BODIES, TOOLS, FIRST, LATER, RATE, LATENCY, PIECES)
        claims.rest_not_checked(rest)
        _judge_time(claims, record)
        return
    _judge_errors(claims, record)
    _judge_bodies(claims, record, main)
    total = group_of(main)
    _judge_cache(claims, record, main, total)
    _judge_speed(claims, main)
    _judge_time(claims, record)
    claims.interpretation = list(_interpretation(claims, record, main, total))


def group_of(traces: Sequence[Trace]) -> Group:
    """The sums of `traces analyze` for just these."""
    with tempfile.TemporaryDirectory() as name:
        index = TraceIndex(Path(name), notice=lambda _: None)
        try:
            index.put(
                IndexEntry.of(trace, trace_path(trace.backend or "x", trace.time, trace.id), 0)
                for trace in traces
            )
            return analyze(index, Choice(), PriceTable({})).total
        finally:
            index.close()


def _judge_runs(claims: Claims, record: SessionRecord) -> None:
    faults = [f'"{run.question}": {run.fault}' for run in record.runs if run.fault]
    answers = [f'"{run.question}" {shorten(line_text(run.answer), 40)!r}' for run in record.runs]
    claims.holds(
        RUNS,
        not faults,
        "; ".join(faults or answers),
        'see "anyclaude-tui traces list --errors" and the log in ~/.anyclaude/logs; then try: anyclaude-tui'
        " claude",
    )


def _judge_errors(claims: Claims, record: SessionRecord) -> None:
    failed = [
        f"{trace.id} ({trace.lane}): {trace.response.error.message}"
        for trace in record.traces
        if trace.response.error is not None and not trace.response.cancelled
    ]
    claims.holds(
        ERRORS,
        not failed,
        shorten(line_text("; ".join(failed)), 300) or f"{plural(len(record.traces), 'request')} without one",
        "anyclaude-tui traces show ID",
    )


def _judge_bodies(claims: Claims, record: SessionRecord, main: Sequence[Trace]) -> None:
    lacks = [
        f"{trace.id} lacks {', '.join(missing)}"
        for trace, run in zip(main, record.runs, strict=True)
        if (missing := list(missing_parts(trace, run.question, upstream=record.backend != "claude")))
    ]
    claims.holds(
        BODIES,
        not lacks,
        "; ".join(lacks)
        or "system, tools and messages as the client sent them, what went upstream, and the answer",
        "such a trace cannot be replayed or compared; is the disk full? See: anyclaude-tui traces show ID"
        " --raw",
    )
    counts = [len(_tools(trace)) for trace in main]
    claims.holds(
        TOOLS,
        min(counts) >= LEAST_TOOLS,
        f"{', '.join(map(str, counts))} tools",
        f"Claude Code offers {LEAST_TOOLS} and more; if settings deny tools, that is why. A model without"
        " tools can only talk",
    )


def missing_parts(trace: Trace, question: str, *, upstream: bool) -> Iterator[str]:
    """What a whole record has and this one has not."""
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    for name in ("system", "tools", "messages"):
        if not body.get(name):
            yield name
    if question not in str(body.get("messages")):
        yield "the question"
    if upstream and not trace.upstream:
        yield "what was sent upstream"
    if not (trace.response.message or {}).get("content"):
        yield "the answer"


def _tools(trace: Trace) -> list[object]:
    tools = trace.request.body.get("tools") if isinstance(trace.request.body, dict) else None
    return tools if isinstance(tools, list) else []


def _judge_cache(claims: Claims, record: SessionRecord, main: Sequence[Trace], total: Group) -> None:
    first, *later = main
    rate = f"{percent(total.request_hit_rate, 1)} of requests, {percent(total.token_hit_rate, 1)} of tokens"
    if not total.prompt:
        claims.failed(
            FIRST,
            "the server reports no tokens of the prompts",
            "Claude Code cannot tell when to compact, and nobody whether anything is cached: update that"
            " server, or let it report usage in streams",
        )
        claims.rest_not_checked((LATER, RATE))
        return
    if record.backend == "openai" and not total.read:
        advice = "anyclaude-tui verify cache tells by times; compare the latencies below"
        claims.not_checked(FIRST, "this kind of server does not report what it stores")
        claims.warning(LATER, "the server reports no cached tokens, so its counts cannot tell", advice)
        claims.not_checked(RATE, rate, advice)
        return
    usage = first.usage
    read, created = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    whose = "an earlier run left" if _is_warm(first) else "other prompts begin with too"
    left = f"; it reads {read:,} that {whose}" if read else ""
    if record.backend == "openai" and not created:
        claims.not_checked(FIRST, f"this kind of server does not report what it stores{left}")
    else:
        claims.holds(
            FIRST,
            created > 0 or read > 0,
            f"{created:,} of {usage.prompt_tokens:,} tokens are cached{left}",
            "is the cache on? anyclaude-tui verify cache",
        )
    missed = [trace for trace in later if not _is_warm(trace)]
    shown = [f"{trace.usage.cache_read_input_tokens:,} of {trace.usage.prompt_tokens:,}" for trace in later]
    why = f"{', '.join(shown)} tokens"
    if missed:
        why += f"; {missed[0].id} computes the most of it{_miss(missed[0])}"
    claims.holds(
        LATER,
        not missed,
        why,
        f"where the prompts part: anyclaude-tui traces diff {first.id} {(missed or later)[0].id}",
    )
    claims.holds(
        RATE,
        (total.request_hit_rate or 0.0) >= LEAST_RATE,
        f"{rate}; at least {percent(LEAST_RATE)} of requests is needed",
        "anyclaude-tui verify cache shows whether anything is cached; if it is, the prompts change from run"
        " to run: anyclaude-tui traces diff",
    )


def _is_warm(trace: Trace) -> bool:
    """Whether most of its prompt was computed before."""
    return trace.usage.cache_read_input_tokens >= LEAST_READ * max(1, trace.usage.prompt_tokens)


def _miss(trace: Trace) -> str:
    miss = trace.cache.miss if trace.cache else None
    if miss is None:
        return ""
    texts = f", before {shorten(line_text(miss.before), 40)!r}, now {shorten(line_text(miss.now), 40)!r}"
    return f" ({miss.reason} in {miss.segment or 'the prompt'} at token {miss.position:,}{texts})"


def _judge_speed(claims: Claims, main: Sequence[Trace]) -> None:
    times = [trace.timings for trace in main]
    ttft = ", ".join(seconds(one.first_token) for one in times)
    done = ", ".join(seconds(one.done) for one in times)
    claims.ok(LATENCY, f"TTFT {ttft}; whole answers {done}")
    long = [trace for trace in main if trace.usage.output_tokens > 1]
    spans = [
        (one.timings.last_token or 0.0) - (one.timings.first_token or 0.0)
        for one in long
        if one.timings.first_token is not None
    ]
    asked = all(trace.request.body.get("stream") is True for trace in main)
    if not asked or not spans:
        claims.not_checked(PIECES, "no answer was streamed, or none had more than one token")
        return
    if max(one.timings.done or 0.0 for one in long) < LEAST_ANSWER_S:
        claims.not_checked(PIECES, f"whole answers took at most {seconds(LEAST_ANSWER_S)}, too quick to tell")
        return
    claims.holds(
        PIECES,
        max(spans) >= LEAST_SPAN_S,
        f"from the first token to the last {', '.join(map(seconds, spans))}",
        "the server sends whole answers: switch its streaming on, or buffering off in what is between",
    )


def _judge_time(claims: Claims, record: SessionRecord) -> None:
    took = sum(run.took_s for run in record.runs)
    claims.holds(
        TIME,
        took < LIMIT_S and not any(run.fault.startswith("not run") for run in record.runs),
        f"{len(record.runs)} runs took {seconds(took)} of {seconds(LIMIT_S)}",
        "the model is too slow for Claude Code here: the first prompt has some 15,000 tokens. Take a smaller"
        " model, or look at the accelerator in: anyclaude-tui events",
    )


def _interpretation(
    claims: Claims, record: SessionRecord, main: Sequence[Trace], total: Group
) -> Iterator[str]:
    client = main[0].request.headers.get("user-agent", "").split(" ")[0]
    who = f"Claude Code ({client})" if client else "Claude Code"
    sent = plural(len(record.traces), "request")
    yield (
        f"{who} asked {record.model or 'the bundled demo model'} {len(record.runs)} questions in"
        f" {len(record.runs)} new sessions, with {sent}."
    )
    failed = [claim.name for claim in claims.found if claim.status == "failed"]
    if failed:
        yield f"Begin with what failed first, it usually explains the others: {failed[0]}."
    if not total.read:
        yield "Nothing was read from a cache, or the server does not say so: each session computes all again."
        return
    first, *later = main
    shares = " and ".join(
        percent(trace.usage.cache_read_input_tokens / max(1, trace.usage.prompt_tokens)) for trace in later
    )
    yield (
        f"Of the first prompt's {first.usage.prompt_tokens:,} tokens {first.usage.cache_read_input_tokens:,}"
        f" came from the cache; of the later ones {shares}."
    )
    warm = [trace.timings.first_token for trace in later if trace.timings.first_token is not None]
    cold = first.timings.first_token
    if _is_warm(first):
        yield "The first prompt had been computed before this test, so its time is not that of a cold start."
        return
    if warm and cold is not None:
        yield (
            f"So a new session waits {seconds(sum(warm) / len(warm))} for its first token, where the first"
            f" one waited {seconds(cold)}."
        )
    if first.usage.cache_read_input_tokens:
        yield "The first request reads only what all prompts begin with: trust the rate by token."
    else:
        yield (
            f"Two of three requests, {percent(2 / 3, 1)}, is the most that a first test can reach: its first"
            " prompt is new. Run it again, and all three read."
        )
