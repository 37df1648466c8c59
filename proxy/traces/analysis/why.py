"""Why a request was slow, missed, failed or left: facts of its trace beside what is usual in its session.

Rules, no model: each phase of the request in seconds, what its prompt could have had restored, who was before
it, and the median of like requests. `tui.client.why_text` says it in words.
"""

from __future__ import annotations

from statistics import median

from engine.wire.feed import PhaseTimes
from proxy.anthropic.side_requests import purpose
from proxy.configuration.known_backends import backend_kind
from proxy.events.causes import TOO_LONG, cause_of
from proxy.events.types import Timings
from proxy.filters.terms import SLOW_S
from proxy.traces.analysis.decode_speed import decode_speed
from proxy.traces.analysis.why_facts import Ahead, Phase, PhaseName, Repeat, Usual, Verdict, Why
from proxy.traces.index import TraceIndex
from proxy.traces.schema import Trace

_LIKE = 40  # earlier requests that the usual is taken from
_LEAST = 3  # of them: fewer have no usual
_SIZES = 1.5  # how many times larger or smaller a prompt may be and still be like another
_SLOWER, _SLOWER_S = 1.5, 1.0  # than usual, and by how much at least, to be called slow
_MISSED_TOKENS = 256  # that could have been restored; fewer are the end of a turn
_AHEAD = 5
_SILENCE_S = 1.0  # behind the last token: a whole answer ends sooner
_REPEATED_S = 3600.0  # after which a request is no repeat of a failed one
_MOST_REPEATS = 20  # that are looked for
_OF_ENGINE: tuple[PhaseName, ...] = (
    "waiting",
    "template",
    "tokenizing",
    "grammar",
    "waiting",
    "lookup",
    "restore",
    "prefill",
    "first token",
)


def explain(trace: Trace, index: TraceIndex) -> Why:
    """Look at a trace beside those before it.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    phases = phases_of(trace)
    usage, times = trace.usage, trace.timings
    usual = _usual(trace, index)
    lost = _lost_tokens(trace, index)
    prefill_s = sum(phase.seconds for phase in phases if phase.name in ("prefill", "first token"))
    computed = usage.prompt_tokens - usage.cache_read_input_tokens
    longest = max(phases, key=lambda phase: phase.seconds, default=None)
    return Why(
        trace=trace.id,
        time=trace.time,
        session=trace.session,
        lane=trace.lane,
        agent_type=trace.agent_type,
        purpose=purpose(body, trace.lane) if isinstance(body := trace.request.body, dict) else "",
        verdict=_verdict(trace, usual, lost),
        took_s=times.done,
        ttft_s=times.first_token,
        phases=phases,
        longest=longest.name if longest else None,
        prompt_tokens=usage.prompt_tokens,
        restored_tokens=usage.cache_read_input_tokens,
        tier=trace.cache.tier if trace.cache else "unknown",
        lost_tokens=lost,
        lost_s=prefill_s * lost / computed if lost and prefill_s and computed > 0 else None,
        miss=trace.cache.miss if trace.cache else None,
        output_tokens=usage.output_tokens,
        speed=decode_speed(times, usage.output_tokens) or None,
        ahead=_ahead(trace, phases, index),
        usual=usual,
        error=trace.response.error,
        repeat=_repeat(trace, index) if trace.response.error is not None else None,
    )


def phases_of(trace: Trace) -> list[Phase]:
    """The stretches of a request that took any time, in order and without a gap.

    The engine's own times decide where they are known. An upstream that does not say when it began with a
    prompt has one phase from there to its first token.
    """
    times = trace.timings
    ends = _told(times) if times.engine is not None else _seen(trace)
    if _was_refused_for_its_length(trace):
        ends = [("sending", times.queued), ("tokenizing", times.done)]
    ends += [("decode", times.last_token), (_last(trace), times.done)]
    phases: list[Phase] = []
    at = 0.0
    for name, end in ends:
        if end is not None and end > at:
            phases.append(Phase(name=name, start=at, seconds=end - at))
            at = end
    return phases


def _last(trace: Trace) -> PhaseName:
    """What the time behind the last token was: a failed answer may have been waited for."""
    error, times = trace.response.error, trace.timings
    waited = (times.done or 0.0) - (times.last_token or times.done or 0.0)
    return "silence" if error is not None and waited >= _SILENCE_S else "finishing"


def _was_refused_for_its_length(trace: Trace) -> bool:
    """The built-in engine counted the prompt and took it no further; it reports no times then."""
    error, times = trace.response.error, trace.timings
    if error is None or times.engine is not None or times.first_token is not None:
        return False
    cause = error.cause or cause_of(error.type, error.message)
    return cause in TOO_LONG and backend_kind(trace.backend) == "mlx"


def _told(times: Timings) -> list[tuple[PhaseName, float | None]]:
    """Where the phases before the answer end by the engine's times.

    The proxy hears of them late, never early: so they began by what it heard soonest. The phase in which a
    request ended goes on to its end.
    """
    engine = times.engine or PhaseTimes()
    before = [engine.render_wait_s, engine.template_s, engine.tokenize_s, engine.grammar_s]
    behind = [
        engine.waiting_s,
        engine.lookup_s,
        engine.restore_s,
        engine.prefill_s,
        engine.first_token_s,
    ]
    heard = [] if times.queued is None else [times.queued - sum(took or 0.0 for took in before)]
    if times.first_token is not None:
        heard.append(times.first_token - sum(took or 0.0 for took in (*before, *behind)))
    at = max(0.0, min(heard, default=0.0))
    ends: list[tuple[PhaseName, float | None]] = [("sending", at)]
    for name, took in zip(_OF_ENGINE, (*before, *behind), strict=True):
        if took is None and times.first_token is None:
            return [*ends, (name, times.done)]
        at += took or 0.0
        ends.append((name, at if times.first_token is None else min(at, times.first_token)))
    return ends if engine.first_token_s is not None else [*ends, ("first token", times.first_token)]


def _seen(trace: Trace) -> list[tuple[PhaseName, float | None]]:
    """Where the phases before the answer end by what the proxy saw of them."""
    times = trace.timings
    if trace.response.cancelled and not trace.upstream_model:  # the repeat of one that a person had cancelled
        return [("sending", times.done)]
    if times.prefill_start is None:
        heard = times.first_token is not None or times.queued is not None
        return [("sending", times.queued), ("upstream", times.first_token if heard else times.done)]
    restore_s = trace.cache.restore_s if trace.cache else 0.0
    restored = times.prefill_start + restore_s
    if times.first_token is not None:
        restored = min(restored, times.first_token)
    return [
        ("sending", times.queued),
        ("waiting", times.prefill_start),
        ("restore", restored if restore_s else None),
        ("prefill", times.first_token),
    ]


def _verdict(trace: Trace, usual: Usual | None, lost: int) -> Verdict:
    answer, times = trace.response, trace.timings
    if answer.cancelled:
        return "cancelled"
    if answer.error is not None:
        return "failed"
    if (times.first_token or 0.0) >= SLOW_S:
        return "slow"
    if usual is not None and times.done is not None:
        longer = times.done - usual.took_s
        if longer >= _SLOWER_S and times.done >= _SLOWER * usual.took_s:
            return "slow"
    return "missed" if lost >= _MISSED_TOKENS else "usual"


def _usual(trace: Trace, index: TraceIndex) -> Usual | None:
    prompt = trace.usage.prompt_tokens
    for of, column, value in (
        ("session", "session", trace.session.lower()),
        ("model", "upstream", trace.upstream_model.lower()),
    ):
        if not value:
            continue
        rows = index.select(
            f"SELECT took, ttft, speed FROM traces WHERE {column} = ? AND lane = ? AND time < ?"
            " AND prompt BETWEEN ? AND ? AND NOT failed AND NOT cancelled AND ttft IS NOT NULL"
            " ORDER BY time DESC LIMIT ?",
            (value, trace.lane, trace.time, prompt / _SIZES, prompt * _SIZES, _LIKE),
        )
        if len(rows) >= _LEAST:
            speeds = [speed for _, _, speed in rows if speed]
            return Usual(
                of="session" if of == "session" else "model",
                requests=len(rows),
                took_s=median(took for took, _, _ in rows),
                ttft_s=median(ttft for _, ttft, _ in rows),
                speed=median(speeds) if speeds else None,
            )
    return None


def _lost_tokens(trace: Trace, index: TraceIndex) -> int:
    """Tokens that the session's request before had computed, and this prompt computed again.

    All of a prompt that is as long as that one could have been restored, unless what the user did changed
    it: then the cache's miss says where, and this is the most that a change there can cost.
    """
    cache = trace.cache
    if cache is not None and cache.miss is not None and cache.miss.lost_tokens:
        return cache.miss.lost_tokens
    if cache is None or cache.miss is None or cache.miss.reason == "cold" or not trace.session:
        return 0
    before = index.select(
        "SELECT prompt FROM traces WHERE session = ? AND lane = ? AND time < ? AND prompt IS NOT NULL"
        " AND NOT failed ORDER BY time DESC LIMIT 1",
        (trace.session.lower(), trace.lane, trace.time),
    )
    if not before:
        return 0
    return max(0, min(int(before[0][0]), cache.prompt_tokens) - cache.matched_tokens)


def _repeat(trace: Trace, index: TraceIndex) -> Repeat | None:
    """The last of the client's tries: each one names the one before it."""
    ended = trace.time + (trace.timings.done or 0.0)
    tried, found = trace.id, None
    for times in range(1, _MOST_REPEATS + 1):
        rows = index.select(
            "SELECT traces.id, time, failed FROM traces JOIN summaries ON summaries.id = traces.id"
            " WHERE session = ? AND time BETWEEN ? AND ? AND json_extract(summary, '$.retry_of') = ?"
            " ORDER BY time LIMIT 1",
            (trace.session.lower(), trace.time, trace.time + _REPEATED_S, tried),
        )
        if not rows:
            break
        tried, at, failed = rows[0]
        found = Repeat(id=tried, after_s=max(0.0, at - ended), failed=bool(failed), times=times)
        if not failed:
            break
    return found


def _ahead(trace: Trace, phases: list[Phase], index: TraceIndex) -> list[Ahead]:
    """Requests that ran while this one waited."""
    waited = max((one for one in phases if one.name == "waiting"), key=lambda one: one.seconds, default=None)
    if waited is None:
        return []
    begin, end = trace.time + waited.start, trace.time + waited.start + waited.seconds
    rows = index.select(
        "SELECT id, session, lane, min(time + took, ?) - max(time, ?) AS shared FROM traces"
        " WHERE id != ? AND time < ? AND time > ? AND took IS NOT NULL AND time + took > ?"
        " ORDER BY shared DESC LIMIT ?",
        (end, begin, trace.id, end, begin - 3600.0, begin, _AHEAD),
    )
    return [
        Ahead(id=name, session=session, lane=lane, seconds=shared) for name, session, lane, shared in rows
    ]
