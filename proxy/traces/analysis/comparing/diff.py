"""Two requests, segment by segment, as the model saw them: where they part, and what it cost.

A prompt's state can be reused as far as it is the same from its beginning, so the first difference decides.
The segments are those of what was sent upstream, else of the client's request: system, tools, messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, Literal

from engine.wire.json_text import encode_json
from proxy.anthropic.prompt_prefix import joined_text, system_text, system_texts
from proxy.traces.analysis.facts import prefill_seconds
from proxy.traces.analysis.new_text import content_texts
from proxy.traces.analysis.parts.part_tokens import WeighedPiece, piece_tokens
from proxy.traces.schema import Trace

_NEAR = 0.15  # of a prompt: how far a share of characters may be from that of tokens
AROUND = 80  # characters shown on each side of a difference

Kind = Literal["same", "changed", "only in A", "only in B"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a prompt that renders by itself."""

    name: str  # "system", "tool Read", "message 3 (user)"
    text: str


@dataclass(frozen=True, slots=True)
class SegmentDiff:
    """One segment in both requests; `at` is the first character that differs, in a changed one."""

    name: str
    kind: Kind
    a: str
    b: str
    at: int = 0
    a_tokens: int | None = None  # as the engine counted them; None: not known
    b_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """All segments in order, and what the first difference cost the second request.

    `first` is its place in `segments`; None where both prompts are the same. `shared` characters of B's
    `characters` stand before it. `position` is the token of B at which they part: as the prefix cache told it
    where it was asked about it, or where the segments were counted, else by the share of characters, and then
    `estimated`. `recomputed`
    tokens of B stand behind it; they took about `cost_s` of prefill, where that was measured. `told` is what
    the prefix cache said of B.
    """

    segments: list[SegmentDiff]
    first: int | None
    shared: int
    characters: int
    position: int | None
    estimated: bool
    recomputed: int | None
    cost_s: float | None
    told: str

    def around(self) -> tuple[str, str, str]:
        """What stands before the first difference in both, and how A and B go on from it."""
        if self.first is None:
            return "", "", ""
        one = self.segments[self.first]
        begin = max(0, one.at - AROUND)
        return one.a[begin : one.at], one.a[one.at : one.at + AROUND], one.b[one.at : one.at + AROUND]


def diff(a: Trace, b: Trace) -> PromptDiff:
    """Compare the prompts of two traces; A came before, B is the one whose cost is told."""
    # A request that was refused was never translated: then the clients' requests are what is alike in form.
    sent = isinstance(a.upstream, dict) == isinstance(b.upstream, dict)
    blocks = _blocks(a, sent) if _blocks(a, sent) == _blocks(b, sent) else 1
    ours, theirs = segments(a, blocks, sent=sent), segments(b, blocks, sent=sent)
    counted = segment_tokens(a, ours), segment_tokens(b, theirs)
    parts = list(_compared(ours, theirs, *counted))
    first = next((place for place, part in enumerate(parts) if part.kind != "same"), None)
    characters = sum(len(part.b) for part in parts)
    # What stands at the same place counts, whatever it is called: tokens know nothing of names.
    met = zip(ours[first:], theirs[first:], strict=False) if first is not None else ()
    within = next((_shared(one.text, other.text) for one, other in met), 0)
    shared = sum(len(part.b) for part in parts[:first]) + within
    position, estimated = _position(a, b, shared, parts, first)
    recomputed = None if position is None else b.usage.prompt_tokens - position
    return PromptDiff(
        segments=parts,
        first=first,
        shared=shared,
        characters=characters,
        position=position,
        estimated=estimated,
        recomputed=recomputed,
        cost_s=_cost(b, recomputed),
        told=_told(b),
    )


def segments(trace: Trace, blocks: int = 1, *, sent: bool = True) -> list[Segment]:
    """The parts of a trace's prompt, in the order of most chat templates.

    `sent`: of what was sent upstream, if anything was; else of the request of the client. The system text is
    as many segments as the client sent `blocks` of it, where there are so many.
    """
    body = _body(trace, sent)
    found = list(_segments(body)) if isinstance(body, dict) else []
    texts = _system_blocks(trace, sent)
    if blocks > 1 and len(texts) == blocks and found and found[0].name == "system":
        head, _, _ = found[0].text.partition(joined_text(texts))
        named = enumerate(texts, 1)
        found[:1] = [
            Segment(f"system {at} of {blocks}", text if at > 1 else head + text) for at, text in named
        ]
    return found


def segment_tokens(trace: Trace, found: list[Segment]) -> list[int] | None:
    """The tokens of each of a trace's segments, together its prompt; None: the engine did not count them."""
    messages = sum(one.name.startswith("message") for one in found)
    pieces = []
    for one in found:
        kind, _, rest = one.name.partition(" ")
        number = int(rest.split(" ")[0]) if kind == "message" else 0
        pieces.append(WeighedPiece(kind, len(one.text), rest if kind == "tool" else "", number))
    tokens = piece_tokens(pieces, trace.prompt_parts, messages)
    if tokens is None:
        return None
    ends = [round(end) for end in accumulate(tokens, initial=0.0)]
    return [end - begin for begin, end in pairwise(ends)]


def _body(trace: Trace, sent: bool) -> Any:
    return trace.upstream if sent and isinstance(trace.upstream, dict) else trace.request.body


def _blocks(trace: Trace, sent: bool) -> int:
    return len(_system_blocks(trace, sent)) or 1


def _system_blocks(trace: Trace, sent: bool) -> list[str]:
    """The texts of the client's system blocks, if they are what was sent upstream."""
    asked = trace.request.body.get("system") if isinstance(trace.request.body, dict) else None
    texts = (
        system_texts([block for block in asked if isinstance(block, dict)]) if isinstance(asked, list) else []
    )
    body = _body(trace, sent)
    first = next(_segments(body), None) if isinstance(body, dict) else None
    is_whole = first is not None and first.name == "system" and first.text.endswith(joined_text(texts))
    return texts if is_whole else []


def _segments(body: dict[str, Any]) -> Iterator[Segment]:
    system = body.get("system")
    if isinstance(system, list):
        system = [block for block in system if isinstance(block, dict)]
    messages = [row for row in _list(body.get("messages")) if isinstance(row, dict)]
    if isinstance(system, str | list):
        yield Segment("system", system_text(system))
    elif messages and messages[0].get("role") == "system":
        yield Segment("system", _message_text(messages.pop(0)))
    for tool in _list(body.get("tools")):
        if isinstance(tool, dict) and tool.get("defer_loading") is True:
            continue  # it may be called; the messages show it
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        name = function.get("name") if isinstance(function, dict) else ""
        yield Segment(f"tool {name}", encode_json(tool).decode())
    for number, message in enumerate(messages, 1):
        yield Segment(f"message {number} ({message.get('role')})", _message_text(message))


def _message_text(message: dict[str, Any]) -> str:
    """Content in one form, whatever blocks it came in: what differs in form alone renders the same."""
    texts = [f"{message.get('role')}:", *_block_texts(message.get("content"))]
    for name in ("reasoning_content", "tool_calls", "tool_call_id"):
        if value := message.get(name):
            texts.append(value if isinstance(value, str) else encode_json(value).decode())
    return "\n".join(texts)


def _block_texts(content: Any) -> Iterator[str]:
    """As `content_texts`, and what says that a result is an error, and what else a model may see."""
    for block in content if isinstance(content, list) else ():
        match block if isinstance(block, dict) else {}:
            case {"type": "text" | "thinking" | "tool_use" | "server_tool_use"}:
                yield from content_texts([block])
            case {"type": "tool_result", "content": inner, **more}:
                if more.get("is_error") is True:
                    yield "[an error]"
                yield from _block_texts(inner)
            case {"type": kind, **more}:
                seen = encode_json({name: more[name] for name in sorted(more) if name != "cache_control"})
                yield f"[{kind}, {len(seen):,} bytes, {sha256(seen).hexdigest()[:12]}]"
    if isinstance(content, str):
        yield content


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _compared(
    a: list[Segment], b: list[Segment], a_tokens: list[int] | None, b_tokens: list[int] | None
) -> Iterator[SegmentDiff]:
    """Each segment beside the one of its name: a tool that is new leaves the others what they are."""
    for at_a, at_b in _pairs(a, b):
        one = a[at_a] if at_a is not None else None
        other = b[at_b] if at_b is not None else None
        tokens = [
            None if at is None or counted is None else counted[at]
            for at, counted in ((at_a, a_tokens), (at_b, b_tokens))
        ]
        if other is None:
            assert one is not None
            yield SegmentDiff(one.name, "only in A", one.text, "", 0, *tokens)
        elif one is None:
            yield SegmentDiff(other.name, "only in B", "", other.text, 0, *tokens)
        elif one == other:  # counted once: a share of a larger part, rounded, may differ by a token
            tokens = [next((size for size in reversed(tokens) if size is not None), None)] * 2
            yield SegmentDiff(one.name, "same", one.text, other.text, 0, *tokens)
        else:
            name = one.name if one.name == other.name else f"{one.name} / {other.name}"
            at = _shared(one.text, other.text)
            yield SegmentDiff(name, "changed", one.text, other.text, at, *tokens)


def _pairs(a: list[Segment], b: list[Segment]) -> Iterator[tuple[int | None, int | None]]:
    """Places in A and B that belong together, in the order of both; None: one of them has no such segment."""
    equal = next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), None)
    equal = min(len(a), len(b)) if equal is None else equal
    yield from ((at, at) for at in range(equal))
    ours, theirs = _keys(a[equal:]), _keys(b[equal:])
    for _, a1, a2, b1, b2 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        left, right = range(equal + a1, equal + a2), range(equal + b1, equal + b2)
        if a2 - a1 == b2 - b1 and ours[a1:a2] == theirs[b1:b2]:
            yield from zip(left, right, strict=True)
        else:
            yield from ((at, None) for at in left)
            yield from ((None, at) for at in right)


def _keys(found: list[Segment]) -> list[tuple[str, int]]:
    """What each is known by: a tool by its name, a message by its number; equal ones by their order."""
    seen: Counter[str] = Counter()
    keys = []
    for one in found:
        name = one.name if one.name.startswith("tool ") else one.name.partition(" (")[0]
        keys.append((name, seen[name]))
        seen[name] += 1
    return keys


def _shared(a: str, b: str) -> int:
    pairs = zip(a, b, strict=False)
    return next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _position(
    a: Trace, b: Trace, shared: int, parts: list[SegmentDiff], first: int | None
) -> tuple[int | None, bool]:
    tokens, characters = b.usage.prompt_tokens, sum(len(part.b) for part in parts)
    if first is None:
        return (tokens, False) if tokens else (None, True)
    if not tokens or not characters:
        return None, True
    miss = b.cache.miss if b.cache else None
    told = miss.position if miss is not None and miss.reason == "diverged" else None
    # What B has at the first difference: behind what only A has there.
    place = next((part for part in parts[first:] if part.kind != "only in A"), None)
    if place is None and parts[0].b_tokens is not None:
        return sum(part.b_tokens or 0 for part in parts), False
    if place is not None and place.b_tokens is not None:
        begin = sum(part.b_tokens or 0 for part in parts[:first])
        # The cache compared B with what it held, which need not have been A: in another part it was not.
        if told is not None and begin <= told <= begin + place.b_tokens:
            return told, False
        at, size = shared - sum(len(part.b) for part in parts[:first]), len(place.b)
        return begin + round(place.b_tokens * at / size if size else 0), bool(at)
    # The prompt with less behind the difference leaves less to estimate: where B goes on from A, nothing.
    theirs, whole = a.usage.prompt_tokens, sum(len(part.a) for part in parts)
    if theirs and whole - shared < characters - shared:
        guess = min(tokens, theirs - round(theirs * (whole - shared) / whole) if whole else 0)
    else:
        guess = tokens - round(tokens * (characters - shared) / characters)
    if told is not None and abs(told - guess) <= _NEAR * tokens:
        return told, False
    return guess, True


def _cost(b: Trace, recomputed: int | None) -> float | None:
    computed = b.usage.input_tokens + b.usage.cache_creation_input_tokens
    took = prefill_seconds(b)
    if recomputed is None or took is None or not computed:
        return None
    return took * min(1.0, recomputed / computed)


def _told(b: Trace) -> str:
    if (cache := b.cache) is None:
        return ""
    found = f"{cache.matched_tokens:,} of {cache.prompt_tokens:,} tokens were in the cache"
    if (miss := cache.miss) is None:
        return found
    where = f" in {miss.segment}" if miss.segment else ""
    return f"{found}; it missed: {miss.reason} at token {miss.position:,}{where}"
