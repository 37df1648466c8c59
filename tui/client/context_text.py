"""What fills the context window of a session, in words: its parts, their largest things, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import NONE, clock, count, percent, plural, ratio
from tui.client.wire_text import line_text, shorten

if TYPE_CHECKING:
    from proxy.traces.analysis.context_facts import ContextBudget, ContextPart, ContextThing, PartName

PART_NAMES: dict[PartName, str] = {
    "tools": "tools offered",
    "system": "system",
    "reminders": "CLAUDE.md, reminders",
    "results": "tool results",
    "said": "what you said",
    "wrote": "what the model wrote",
}
_NAMED = 3  # kinds of a part, and turns of a thing
_LONGEST = 60  # cells of what a thing is, in a report
_LARGEST = 10  # things in a report


def context_headline(budget: ContextBudget) -> str:
    """How full the window is, and with what most of all."""
    about = "" if budget.counted else "~"
    said = f"{about}{budget.prompt_tokens:,}"
    if budget.window_tokens:
        share = percent(ratio(budget.prompt_tokens, budget.window_tokens))
        said += f" of {budget.window_tokens:,} tokens, {share}"
    else:
        said += " tokens of a window that is not known"
    largest = max(budget.parts, key=lambda part: part.tokens, default=None)
    if largest is None or not largest.tokens:
        return f"{said}."
    share = percent(ratio(largest.tokens, budget.prompt_tokens))
    return f"{said}; {about_parts(budget)}{share} of that: {PART_NAMES[largest.name]}."


def about_parts(budget: ContextBudget) -> str:
    """The sign before the tokens of a part: a tilde where they are an estimate."""
    return "" if budget.counted_parts else "~"


def turn_words(budget: ContextBudget) -> str:
    """Which turn it is of how many, as its trace counts them: with those that failed or were cancelled."""
    number = budget.turns[budget.turn - 1].number if budget.turns else 0
    return f"turn {number or budget.turn} of {budget.requests or len(budget.turns)}"


def context_growth(budget: ContextBudget) -> str:
    """Growth a turn, and how many turns are left until the client compacts."""
    if budget.compacts_at is not None and budget.prompt_tokens >= budget.compacts_at:
        return f"Claude Code compacts at {budget.compacts_at:,} tokens: with its next turn."
    if budget.growth is None:
        at = f" Claude Code compacts at {budget.compacts_at:,}." if budget.compacts_at is not None else ""
        return f"No growth to be seen yet.{at}"
    grows = f"+{count(budget.growth)} a turn (median of the last five that grew)"
    if budget.turns_left is None or budget.compacts_at is None:
        return f"{grows}."
    left = plural(budget.turns_left, "turn")
    return f"{grows}: ~{left} left until Claude Code compacts at {budget.compacts_at:,} tokens."


def unused_tools(budget: ContextBudget) -> str:
    """What tools cost that the session never called; empty where there are none."""
    if not budget.unused_tools:
        return ""
    many = plural(budget.unused_tools, "tool")
    cost = f"{about_parts(budget)}{count(budget.unused_tokens)} tokens of each prompt"
    return f"{many} never called in this session: {cost}."


def part_content(part: ContextPart) -> str:
    """What is in a part, in a few words."""
    kinds = part.kinds
    if part.name == "tools":
        said = [plural(sum(kind.number for kind in kinds), "tool")]
        for kind in kinds:
            if kind.name != "tools":
                never = ", never called" if not kind.calls else ""
                said.append(f"{line_text(kind.name)}: {kind.number}, {count(kind.tokens)}{never}")
        return "; ".join(said[: 1 + _NAMED]) if kinds else ""
    if part.name == "reminders":
        files = [thing for thing in part.things if thing.kind == "file"]
        named = [f"{line_text(thing.what)} {count(thing.tokens)}" for thing in files[:_NAMED]]
        named += [f"reminders {count(kind.tokens)}" for kind in kinds if kind.name != "file"]
        return ", ".join(named)
    if part.name in ("system", "said") and {kind.name for kind in kinds} <= {"text"}:
        return plural(sum(kind.number for kind in kinds), "text")
    more = f", {len(kinds) - _NAMED} more" if len(kinds) > _NAMED else ""
    return ", ".join(f"{line_text(kind.name)} {count(kind.tokens)}" for kind in kinds[:_NAMED]) + more


def reserved_content(budget: ContextBudget) -> str:
    """What the answer's reserve is of."""
    if not budget.max_tokens:
        return "the request has no max_tokens"
    whole = budget.reserved_tokens == budget.max_tokens
    return "max_tokens" if whole else f"of max_tokens {budget.max_tokens:,}, as much as fits"


def thing_name(thing: ContextThing) -> str:
    """What a thing is: its tool and argument, or its first words."""
    return line_text(f"{thing.kind} {thing.what}" if thing.calls is None else thing.what)


def thing_notes(thing: ContextThing) -> str:
    """Where a thing came from, how often it is there, or how often its tool was called."""
    if thing.calls is not None:
        return f"called {plural(thing.calls, 'time')}" if thing.calls else "never called"
    said = []
    if thing.turns:
        named = ", ".join(map(str, thing.turns[:_NAMED])) + (", …" if len(thing.turns) > _NAMED else "")
        said.append(f"turn {named}" if len(thing.turns) == 1 else f"turns {named}")
    if thing.time is not None:
        said.append(clock(thing.time))
    if thing.times > 1:
        said.append(f"{thing.times} times the same text: {thing_tokens(thing, thing.times)}")
    return "  ".join(said)


def thing_tokens(thing: ContextThing, times: int = 0) -> str:
    """Its tokens, or in short those of so many of it; with a tilde where they are an estimate."""
    about = "" if thing.counted else "~"
    return f"{about}{count(thing.tokens * times)}" if times else f"{about}{thing.tokens:,}"


def grown(tokens: int | None) -> str:
    """Tokens since the turn before, with a sign."""
    return NONE if not tokens else f"{tokens:+,}"


def context_report(budget: ContextBudget) -> list[str]:
    """All of it as lines of text: a table of the parts, then the largest things."""
    who = line_text(budget.session)[:8] or "of no session"
    lane = "" if budget.lane == "main" else f"  {budget.lane}"
    lines = [
        f"session {who}{lane}  {turn_words(budget)}  {budget.trace}",
        context_headline(budget),
        context_growth(budget),
        *filter(None, [unused_tools(budget)]),
        "",
        f"{'PART':<21}{'TOKENS':>9}  SHARE  {'LAST TURN':>9}  WHAT IS IN IT",
    ]
    for part in budget.parts:
        share = percent(ratio(part.tokens, budget.prompt_tokens))
        tokens = f"{about_parts(budget)}{part.tokens:,}"
        lines.append(
            f"{PART_NAMES[part.name]:<21}{tokens:>9}  {share:>5}  {grown(part.grown):>9}"
            f"  {part_content(part)}"
        )
    lines.append(
        f"{'reserved':<21}{f'{budget.reserved_tokens:,}':>9}  {'':>5}  {'':>9}  {reserved_content(budget)}"
    )
    things = [thing for part in budget.parts for thing in part.things]
    things.sort(key=lambda thing: -thing.tokens * thing.times)
    if things:
        lines += ["", "The largest things in it"]
    for thing in things[:_LARGEST]:
        name = shorten(thing_name(thing), _LONGEST)
        lines.append(f"{thing_tokens(thing):>9}  {name}  {thing_notes(thing)}".rstrip())
    return lines
