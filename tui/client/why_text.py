"""Why a request was slow, missed, failed or left, in one sentence, what to do about it, and its phases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from proxy.events.causes import cause_of, end_of_cancelled
from tui.client.figures import clock, percent, plural, rate, ratio, seconds
from tui.client.who import who_asks
from tui.client.wire_text import line_text, shorten

if TYPE_CHECKING:
    from proxy.events.types import CacheMiss
    from proxy.traces.analysis.why_facts import Phase, PhaseName, Why
    from tui.client.records import RequestSnapshot

LEAST_S = 0.0005  # of a phase that is shown
_SHORT = 48  # characters of a text that differs
_DURING: dict[PhaseName, str] = {
    "sending": "before it was sent upstream",
    "waiting": "while it waited for other requests",
    "template": "while its prompt was rendered",
    "tokenizing": "while its prompt was tokenized",
    "grammar": "while the grammar of its tools was compiled",
    "lookup": "while the prefix cache was searched",
    "restore": "while its prompt was restored",
    "prefill": "during prefill",
    "first token": "before its first token",
    "upstream": "before the upstream's first token",
    "decode": "while it wrote",
    "silence": "after its last token",
    "finishing": "behind the last token",
}
_PASSING = "Claude Code repeats requests that failed for a passing reason; its trace has all of it."
_NOT_TAKEN = "The server does not take such a request: the part Upstream of its trace has what it was sent."
_ADVICE = {
    "prompt too long": "/compact shortens the conversation; a model with a larger window takes more.",
    "max_tokens too large": "Prompt and answer share the window: a shorter prompt, or fewer max_tokens.",
    "key refused": "Check apiKey of this backend: config show says where it comes from.",
    "no upstream": "No server listens there: start it, or check baseUrl; doctor tries it.",
    "no model there": "Another program listens there, or baseUrl lacks its end, mostly /v1; doctor tries it.",
    "engine died": "Memory was perhaps too short: Health has the engine's last words, and its limit.",
    "engine hung": "The host ended it and started it again: Health has its last words.",
    "engine failed": "The engine gave up: Health says why, and starts it again.",
    "queue full": "Too many requests at once: fewer subagents at a time, or a larger queue.",
    "rate limited": "The server limits requests: it passes by itself, later.",
    "upstream silent": "The server says nothing: look at its own log.",
    "invalid request": _NOT_TAKEN,
    "rejected by upstream": _NOT_TAKEN,
    "no such model": "Name a model that the server has: models list says which are here.",
}


def why_sentence(why: Why) -> str:
    """What happened and what it cost, on one line."""
    match why.verdict:
        case "failed":
            return _failed(why)
        case "cancelled":
            during = _DURING[why.phases[-1].name] if why.phases else "at once"
            if why.phases and why.phases[-1].name == "finishing" and len(why.phases) > 1:
                during = _DURING[why.phases[-2].name]
            who = end_of_cancelled(why.error.cause if why.error else "")
            return f"{who[:1].upper()}{who[1:]} after {seconds(why.took_s)}, {during}."
        case "slow":
            return _ended(f"Slow: {_slow(why)}")
        case "missed":
            return _ended(_lost(why))
    if why.miss is not None and why.miss.reason == "cold":
        return f"The first prompt of its kind: {plural(why.prompt_tokens, 'token')} were prefilled."
    return "Within the usual." if why.usual is not None else "Nothing stands out."


def _ended(sentence: str) -> str:
    """With its full stop, unless a text that was shortened ends it."""
    return sentence if sentence.endswith("…") else f"{sentence}."


def with_running_repeat(why: Why, record: RequestSnapshot | None) -> Why:
    """What explains a request, and the repeat of it that still runs, as its `record` knows that."""
    from proxy.traces.analysis.why_facts import Repeat
    from tui.client.records import ACTIVE

    if record is None or record.repeat is None or record.repeat[1] not in ACTIVE:
        return why
    after_s = max(0.0, record.repeat[0] - (record.ended or record.updated))
    times = 1 + (why.repeat.times if why.repeat is not None else 0)
    return why.model_copy(
        update={"repeat": Repeat(id="", after_s=after_s, failed=False, times=times, runs=True)}
    )


def why_usual(why: Why) -> str:
    """What like requests took; empty where there are too few."""
    if why.usual is None or why.took_s is None:
        return ""
    where = "in this session" if why.usual.of == "session" else "with this model"
    times = ratio(why.took_s, why.usual.took_s)
    factor = f"{times:,.0f}" if times and times >= 10 else f"{times or 0.0:.1f}"
    compared = f"; this one took {factor} times that" if times and times >= 1.15 else ""
    return (
        f"{seconds(why.usual.took_s)} for a request of this size {where}"
        f" ({plural(why.usual.requests, 'request')}){compared}"
    )


def why_advice(why: Why) -> str:
    """What to do; empty where there is nothing."""
    if why.verdict == "failed":
        return _ADVICE.get(_cause(why), _PASSING)
    if why.verdict in ("cancelled", "usual"):
        return ""
    if why.lost_tokens and why.miss is not None and (why.verdict == "missed" or why.longest == "prefill"):
        match why.miss.reason:
            case "diverged":
                return (
                    "Text that changes stands before the conversation: the diff shows all of it, and"
                    " docs/prefix-cache.md what can be kept from changing."
                )
            case "evicted":
                return (
                    "More room keeps more: prefixCacheBytes is the cache's memory, diskCacheBytes its disk."
                )
            case "disabled":
                return "The prefix cache is switched off: prefixCacheBytes is 0."
    match why.longest:
        case "waiting":
            return "Requests that run at once share the model; fewer subagents at a time wait less."
        case "prefill":
            return "A new prompt is computed once; what the conversation keeps is restored next time."
        case "template":
            return "The chat template renders the whole conversation each time: a shorter one takes less."
        case "tokenizing":
            return "Text is tokenized once and remembered: the next turn tokenizes only what is new."
        case "grammar":
            return "A grammar is compiled once for each set of tools: fewer tools take less."
        case "restore":
            return _restore_advice(why)
        case "decode" if why.usual and why.usual.speed and why.speed and why.speed < 0.7 * why.usual.speed:
            return "Other requests or programs used the processor at that time: see Health."
    return ""


def _cause(why: Why) -> str:
    error = why.error
    return (error.cause or cause_of(error.type, error.message)) if error is not None else ""


def _failed(why: Why) -> str:
    """When it failed and of what cause, in the upstream's own words, and what became of it."""
    said = line_text(why.error.message) if why.error else "without a word"
    cause = line_text(_cause(why))
    named = f", {cause}" if cause and cause.lower() not in said.lower() else ""
    during = why.phases[-1].name if why.phases else "sending"
    where = f", {_DURING[during]}" if during not in ("sending", "finishing", "upstream") else ""
    again = ""
    if why.repeat is not None:
        what = "failed too" if why.repeat.failed else "that one runs" if why.repeat.runs else "was answered"
        later = f"{seconds(why.repeat.after_s)} later"
        again = f" It was repeated {later}, and {what}."
        if why.repeat.times > 1:
            what = "failed each time" if why.repeat.failed else what
            again = f" It was repeated {why.repeat.times} times, the last time {later}, and {what}."
    end = "" if said.endswith((".", "!", "?")) or not again else "."
    return f"Failed after {seconds(why.took_s)}{where}{named}: {said}{end}{again}"


def _slow(why: Why) -> str:
    those = (phase for phase in why.phases if phase.name == why.longest)
    phase = max(those, key=lambda one: one.seconds, default=None)
    if phase is None:
        return f"it took {seconds(why.took_s)}"
    of = f"{seconds(phase.seconds)} of {seconds(why.took_s)}"
    prompt = f"a prompt of {plural(why.prompt_tokens, 'token')}"
    match phase.name:
        case "waiting":
            return f"waited {of} for other requests{_ahead(why)}"
        case "prefill" if why.lost_tokens and why.lost_s is not None and why.lost_s >= phase.seconds / 4:
            lost = _lost(why)
            return f"{of} was prefill; {lost[0].lower()}{lost[1:]}"
        case "prefill":
            computed = why.prompt_tokens - why.restored_tokens
            speed = rate(ratio(computed, phase.seconds))
            new = f"{plural(computed, 'new token')} of {why.prompt_tokens:,}, {speed} a second"
            return f"{of} was prefill of {new}"
        case "upstream":
            return f"the upstream took {of} to its first token"
        case "decode":
            usual = why.usual.speed if why.usual else None
            slower = f" (usual {rate(usual)})" if usual and why.speed and why.speed < 0.7 * usual else ""
            return (
                f"it wrote {plural(why.output_tokens, 'token')} at {rate(why.speed)} a second{slower}, {of}"
            )
        case "template":
            return f"{of} went into the chat template, which rendered {prompt}"
        case "tokenizing":
            return f"{of} went into tokenizing {prompt}"
        case "grammar":
            return f"{of} went into compiling the grammar that constrains its answer"
        case "lookup":
            return f"{of} went into searching the prefix cache for {prompt}"
        case "restore":
            disk = " from disk" if why.tier == "disk" else ""
            return f"{of} went into restoring {plural(why.restored_tokens, 'token')}{disk}"
        case "first token":
            return f"{of} passed between its prefill and its first token"
        case "sending":
            return f"{of} passed before the upstream took it"
        case _:
            return f"{of} passed behind its last token"


def _restore_advice(why: Why) -> str:
    if why.tier == "disk":
        return "Its tokens were on disk: prefixCacheBytes is the memory that keeps them nearer."
    return "Restored tokens are copied: a shorter conversation takes less."


def _ahead(why: Why) -> str:
    if not why.ahead:
        return ""
    first = why.ahead[0]
    who = f"{line_text(first.session)[:6] or 'one'} {who_asks(first.lane)}, {seconds(first.seconds)}"
    more = f", and {len(why.ahead) - 1} more" if len(why.ahead) > 1 else ""
    return f" ({who}{more})"


def eviction_words(miss: CacheMiss) -> str:
    """What is known of the eviction that a miss is due to; empty where that is nothing."""
    return eviction_text(miss) if miss.evicted_at or miss.evicted_cause else ""


def eviction_text(miss: CacheMiss) -> str:
    """When a span was evicted and who needed the room, behind "it was", as far as is known."""
    at = f" at {clock(miss.evicted_at)}" if miss.evicted_at else ""
    who = f"{line_text(miss.evicted_session)[:6]} {who_asks(line_text(miss.evicted_lane))}".strip()
    match miss.evicted_cause:
        case "dropped":
            return f"dropped by you{at}"
        case "flushed":
            return f"flushed by you{at}"
        case "fault":
            return f"removed{at}, as the device failed"
        case "memory":
            return f"evicted{at}: {who or 'a request'} needed the memory"
        case _:
            return f"evicted{at}" + (f" to make room for {who}" if who else "")


def _lost(why: Why) -> str:
    cost = f" (~{seconds(why.lost_s)})" if why.lost_s else ""
    share = percent(ratio(why.lost_tokens, why.prompt_tokens))
    again = f"{why.lost_tokens:,} of {why.prompt_tokens:,} prompt tokens, {share}, were prefilled again{cost}"
    miss = why.miss
    if miss is None:
        return again
    match miss.reason:
        case "diverged":
            where = f" in {line_text(miss.segment)}" if miss.segment else ""
            now = f": now {shorten(line_text(miss.now), _SHORT)}" if miss.now else ""
            return f"{again}, the prompt changed at token {miss.position:,}{where}{now}"
        case "evicted":
            return f"{again}, what was stored had been {eviction_text(miss)}"
        case "disabled":
            return f"{again}, the prefix cache is off"
        case _:
            return again


class PhaseBar(NamedTuple):
    phase: Phase
    begin: int
    cells: int


def shown_phases(why: Why, most: int | None = None) -> list[Phase]:
    """The phases that took any time, in their order; of more than `most` the longest."""
    phases = [phase for phase in why.phases if phase.seconds >= LEAST_S]
    longest = sorted(phases, key=lambda phase: -phase.seconds)[:most]
    return [phase for phase in phases if phase in longest]


def phase_bars(why: Why, phases: list[Phase], cells: int) -> Iterator[PhaseBar]:
    """A bar of one cell at least for each of these phases; `cells` are those of the whole request."""
    whole = sum(phase.seconds for phase in why.phases)
    for phase in phases:
        begin = min(cells - 1, round(cells * phase.start / whole))
        end = max(begin + 1, round(cells * (phase.start + phase.seconds) / whole))
        yield PhaseBar(phase, begin, end - begin)
