"""What fills the context window of a session: parts, largest things, growth, turns until compaction.

By rules, of the newest whole trace of the session's main lane and of the one before it. Where the engine
counted the parts of a prompt (`Trace.prompt_parts`), a part has those tokens; else a prompt is counted as a
whole, and a part has the share of its tokens that it has of its characters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

from proxy.anthropic.compaction import compacts_at, growth, longest_answer
from proxy.anthropic.preview import preview
from proxy.traces.analysis.context_facts import (
    ContextBudget,
    ContextKind,
    ContextPart,
    ContextThing,
    ContextTurn,
    PartName,
)
from proxy.traces.analysis.context_pieces import ContextPiece, counted_pieces
from proxy.traces.index import TraceIndex
from proxy.traces.reading import TraceError, TraceNotFound
from proxy.traces.schema import Trace

_MOST_THINGS = 20  # of a part
_LIKE = 200  # characters from which on the same text is the same thing, whatever it was called for
_NAMED = 5  # sessions in an error

Load = Callable[[str], Trace]


def context_of_session(
    session: str, index: TraceIndex, load: Load, *, at: str = "", window: int = 0
) -> ContextBudget:
    """The budget at the newest whole request of a session's main lane, or at its request `at`.

    Without a whole one, as after a first request that was cancelled, those count whose prompt was counted.

    Args:
        session: its id, or an unambiguous beginning of it.
        load: reads a trace by its id.
        window: tokens that prompt and answer share; 0: not known.

    Raises:
        TraceNotFound: no such session, or several; or it has no such request.
        proxy.traces.reading.TraceUnreadable: the trace cannot be read.
        sqlite3.Error: the index cannot be read.
    """
    name = _session(session, index)
    turns = _turns(name, index) or _turns(name, index, whole=False)
    if not turns:
        raise TraceNotFound(f"session {session} has no request of its main lane whose prompt was counted")
    if at and all(turn.trace != at for turn in turns):
        raise TraceNotFound(f"session {session} has no request {at} with a counted prompt in its main lane")
    return _budget(load(at or turns[-1].trace), turns, index, load, window)


def context_of_trace(trace: Trace, index: TraceIndex, load: Load, *, window: int = 0) -> ContextBudget:
    """The budget at one request; outside of a session's main lane it is looked at alone.

    Raises:
        sqlite3.Error: the index cannot be read.
    """
    turns = _turns(trace.session.lower(), index) if trace.session and trace.lane == "main" else []
    if all(turn.trace != trace.id for turn in turns):
        tokens = trace.usage.prompt_tokens
        turns = [ContextTurn(trace=trace.id, time=trace.time, prompt_tokens=tokens, number=1)]
    return _budget(trace, turns, index, load, window)


def _budget(
    trace: Trace, turns: list[ContextTurn], index: TraceIndex, load: Load, window: int
) -> ContextBudget:
    body = trace.request.body if isinstance(trace.request.body, dict) else {}
    turn = next((number for number, one in enumerate(turns, 1) if one.trace == trace.id), len(turns))
    found = counted_pieces(trace)
    prompt = trace.usage.prompt_tokens or round(sum(piece.tokens for piece in found))
    before = _loaded(turns[turn - 2].trace, load) if turn > 1 else None
    earlier = counted_pieces(before) if before is not None else None
    if before is not None and earlier and not (trace.prompt_parts and before.prompt_parts):
        scale = prompt / (sum(piece.characters for piece in found) or 1)  # two estimates would not compare
        earlier = [replace(piece, tokens=scale * piece.characters) for piece in earlier]
    calls = _calls(trace, index)
    places = _Places(found, turns, turn, _made(trace, index), counted=bool(trace.prompt_parts))
    parts = [
        _part(name, found, earlier, tokens, calls, places)
        for name, tokens in zip(get_args(PartName), _shares(found, prompt), strict=True)
    ]
    unused = [piece for piece in found if piece.part == "tools" and not calls.get(piece.what)]
    longest = longest_answer(body)
    limit = max(0, compacts_at(window, longest)) if window else None
    grows = growth([one.prompt_tokens for one in turns[:turn]])
    return ContextBudget(
        session=trace.session,
        trace=trace.id,
        time=trace.time,
        lane=trace.lane,
        about=next((piece.what for piece in found if piece.part == "said"), "")
        or preview(body.get("messages")),
        turn=turn,
        turns=turns,
        requests=_requests(trace, index) or len(turns),
        prompt_tokens=prompt,
        counted=bool(trace.usage.prompt_tokens) and not trace.usage_estimated,
        counted_parts=bool(trace.prompt_parts),
        window_tokens=window,
        max_tokens=longest,
        reserved_tokens=max(0, min(longest, window - prompt)) if window else longest,
        compacts_at=limit,
        parts=parts,
        unused_tools=len(unused),
        growth=grows,
        turns_left=max(0, limit - prompt) // grows if limit is not None and grows else None,
        unused_tokens=round(sum(piece.tokens for piece in unused)),
    )


def _part(
    name: PartName,
    found: Sequence[ContextPiece],
    earlier: Sequence[ContextPiece] | None,
    tokens: int,
    calls: dict[str, int],
    places: _Places,
) -> ContextPart:
    here = [piece for piece in found if piece.part == name]
    grown = None
    if earlier is not None:
        size = sum(piece.tokens for piece in here)
        grown = round(size - sum(piece.tokens for piece in earlier if piece.part == name))
    kinds: dict[str, list[ContextPiece]] = {}
    things: dict[tuple[str, ...], list[ContextPiece]] = {}
    for number, piece in enumerate(here):
        kinds.setdefault(piece.kind, []).append(piece)
        alone = piece.characters < _LIKE or name == "tools"
        things.setdefault((piece.kind, piece.same, str(number) if alone else ""), []).append(piece)
    return ContextPart(
        name=name,
        tokens=tokens,
        grown=grown,
        kinds=sorted(
            (
                ContextKind(
                    name=kind,
                    tokens=round(sum(piece.tokens for piece in those)),
                    number=len(those),
                    calls=sum(calls.get(piece.what, 0) for piece in those) if name == "tools" else None,
                )
                for kind, those in kinds.items()
            ),
            key=lambda kind: -kind.tokens,
        ),
        things=[
            _thing(those, calls, places)
            for those in sorted(things.values(), key=lambda those: -sum(one.tokens for one in those))
        ][:_MOST_THINGS],
    )


def _thing(those: list[ContextPiece], calls: dict[str, int], places: _Places) -> ContextThing:
    first = those[0]
    numbers = [number for piece in those if (number := places.turn_of(piece))]
    turn = places.turns[numbers[0] - 1] if numbers else None
    return ContextThing(
        kind=first.kind,
        what=first.what,
        tokens=round(first.tokens),
        counted=places.counted,
        times=len(those),
        turns=list(dict.fromkeys(places.turns[number - 1].number for number in numbers)),
        time=turn.time if turn else None,
        trace=turn.trace if turn else "",
        calls=calls.get(first.what, 0) if first.part == "tools" else None,
    )


class _Places:
    """Tells which turn brought a piece: the one behind the answer with its call, else counted by answers."""

    def __init__(
        self,
        found: Sequence[ContextPiece],
        turns: list[ContextTurn],
        turn: int,
        made: dict[str, str],
        *,
        counted: bool,
    ) -> None:
        self.turns = turns
        self.counted = counted  # the tokens of the pieces
        self._numbers = {one.trace: number for number, one in enumerate(turns[:turn], 1)}
        self._turn = turn
        self._made = made
        self._answers = max((piece.answers + (piece.part == "wrote") for piece in found), default=0)

    def turn_of(self, piece: ContextPiece) -> int | None:
        if piece.part in ("tools", "system"):
            return None
        if made := self._numbers.get(self._made.get(piece.call, "")):
            return min(made + 1, self._turn)
        back = self._answers - piece.answers - (piece.part == "wrote")
        return self._turn - back if back < self._turn else None


def _shares(found: Sequence[ContextPiece], prompt: int) -> list[int]:
    """The prompt's tokens by part: what rounding down leaves goes to the largest remainders."""
    sizes: dict[PartName, float] = dict.fromkeys(get_args(PartName), 0.0)
    for piece in found:
        sizes[piece.part] += piece.tokens
    whole = sum(sizes.values())
    if not whole:
        return [0] * len(sizes)
    exact = {name: prompt * size / whole for name, size in sizes.items()}
    tokens = {name: int(size) for name, size in exact.items()}
    left = prompt - sum(tokens.values())
    for name in sorted(sizes, key=lambda one: tokens[one] - exact[one])[:left]:
        tokens[name] += 1
    return list(tokens.values())


def _session(wanted: str, index: TraceIndex) -> str:
    """The session with this id, in lower case, or the only one that begins so."""
    name = wanted.strip().lower()
    found = [
        session
        for (session,) in index.select(
            "SELECT DISTINCT session FROM traces WHERE session != '' AND substr(session, 1, ?) = ?",
            (len(name), name),
        )
    ]
    if name in found:
        return name
    if not name or not found:
        raise TraceNotFound(f"no trace is of a session {wanted}" if name else "no session was given")
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_NAMED])
        raise TraceNotFound(f"{len(found)} sessions begin with {wanted} ({names}); give more of the id")
    return str(found[0])


def _turns(session: str, index: TraceIndex, *, whole: bool = True) -> list[ContextTurn]:
    ended = " AND NOT failed AND NOT cancelled" if whole else " AND prompt > 0"
    every = (
        "SELECT id, time, prompt, failed, cancelled, row_number() OVER (ORDER BY time, id) AS number"
        " FROM traces WHERE session = ? AND lane = 'main'"
    )
    rows = index.select(
        f"SELECT id, time, prompt, number FROM ({every}) WHERE prompt IS NOT NULL{ended} ORDER BY number",
        (session,),
    )
    return [
        ContextTurn(trace=name, time=at, prompt_tokens=prompt, number=number)
        for name, at, prompt, number in rows
    ]


def _requests(trace: Trace, index: TraceIndex) -> int:
    """How many there are in its lane, as its trace counts them (`proxy.traces.listing.turns`)."""
    if not trace.session or trace.lane != "main":
        return 0
    asked = "SELECT count(*) FROM traces WHERE session = ? AND lane = 'main'"
    [(number,)] = index.select(asked, (trace.session.lower(),))
    return int(number)


def _calls(trace: Trace, index: TraceIndex) -> dict[str, int]:
    """How often the session, in all lanes, called each tool."""
    rows = index.select(
        "SELECT calls.name, count(*) FROM calls JOIN traces ON traces.id = calls.trace"
        " WHERE traces.session = ? AND traces.session != '' GROUP BY calls.name",
        (trace.session.lower(),),
    )
    return dict(rows)


def _made(trace: Trace, index: TraceIndex) -> dict[str, str]:
    """The trace that each call of the session's main lane was made in."""
    rows = index.select(
        "SELECT calls.id, calls.trace FROM calls JOIN traces ON traces.id = calls.trace"
        " WHERE traces.session = ? AND traces.lane = 'main'",
        (trace.session.lower(),),
    )
    return {call: name for call, name in rows if call}


def _loaded(name: str, load: Load) -> Trace | None:
    try:
        return load(name)
    except TraceError:
        return None  # pruned meanwhile: nothing to compare with
