"""The engine feed: what is reported of a running request beside the chunks of an OpenAI stream.

A client asks for it with the header `x-anyclaude-feed: 1`. Each payload is one `data:` line between the
OpenAI chunks: `{"object": "anyclaude.feed", "kind": ..., ...}` with the payload's fields under their own
names. The scheduler emits these payloads as steps, `engine.api` writes them, and the proxy reads them back as
steps of its upstream. This module imports no mlx.

A reader takes null for an absent field and needs only the fields without a default, since an engine of
another version may write fewer. It passes over kinds, events of the cache and fields that it does not know.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, ClassVar, Literal, cast, get_args

from engine.wire.misses import MissReason

FEED_HEADER = "x-anyclaude-feed"
FEED_OBJECT = "anyclaude.feed"

CacheEvent = Literal["inserted", "evicted", "restored", "saved", "loaded", "set_aside"]
""""saved" and "loaded" are of files on disk, "set_aside" of a file there that could not be used."""

_CACHE_EVENTS = frozenset(get_args(CacheEvent))


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits; on arrival, and once a second."""

    kind: ClassVar = "queued"
    position: int  # requests ahead of it
    waiting_s: float


@dataclass(frozen=True, slots=True)
class Miss:
    """Why less of a prompt was reused: `segment` is what lies at `position`, the texts are shortened."""

    reason: MissReason
    position: int  # in tokens
    segment: str = ""
    before: str = ""  # the text there as stored
    now: str = ""
    lost_tokens: int = 0  # that an evicted span would have restored; the others are of its eviction
    evicted_at: float = 0.0  # epoch seconds; 0: not known
    evicted_cause: str = ""  # of `engine.wire.misses.EvictionCause`
    evicted_session: str = ""  # whose request needed the room; empty: no single one did
    evicted_lane: str = ""
    evicted_request: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The prompt was looked up in the prefix cache; once, before the first token.

    `matched_tokens` are restored, `kept_tokens` are prefilled and kept for later prompts.
    """

    kind: ClassVar = "lookup"
    prompt_tokens: int
    matched_tokens: int
    kept_tokens: int
    tier: Literal["memory", "disk", "none"]
    miss: Miss | None = None
    restore_s: float = 0.0  # finding and restoring; from the request's arrival where the disk was read


@dataclass(frozen=True, slots=True)
class PartTokens:
    """The parts of the prompt in their order, and how many tokens each has; once, at the stream's beginning.

    A part is what stands together: "system", "tools" (what stands around the definitions), "tool NAME",
    "reminders of message 1 (user)", "message 3 (tool result)". A name may come again.
    """

    kind: ClassVar = "parts"
    names: tuple[str, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """How long the phases before the answer took, in seconds by the engine's clock; None: not known yet.

    They follow each other without a gap, in this order. They are reported as they end: up to the grammar at
    the start of the stream, up to restoring with the lookup, the others with the first token.
    """

    kind: ClassVar = "times"
    render_wait_s: float | None = None  # other prompts were rendered
    template_s: float | None = None
    tokenize_s: float | None = None
    grammar_s: float | None = None  # compiling what constrains the answer
    waiting_s: float | None = None  # in the prefill queue, without `restore_s`
    lookup_s: float | None = None
    restore_s: float | None = None  # reading from disk included
    prefill_s: float | None = None  # steps of other requests between its own included
    first_token_s: float | None = None

    def known(self) -> dict[str, float]:
        """The phases whose time is known, in their order."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def with_later(self, later: PhaseTimes) -> PhaseTimes:
        """These, and of a later report what is not known yet."""
        return PhaseTimes(**later.known() | self.known())


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """Prompt tokens processed so far, `cached` of them restored; after each chunk."""

    kind: ClassVar = "prefill"
    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class CacheChange:
    """One span of the prefix cache that came, went or was used, and the totals of memory after it."""

    kind: ClassVar = "cache"
    event: CacheEvent
    tokens: int = 0
    bytes: int = 0
    entries: int = 0
    total_bytes: int = 0
    budget_bytes: int = 0
    session: str = ""  # of an evicted span: whose request stored or used it last
    lane: str = ""
    used_by: str = ""  # that request
    used: float = 0.0  # when, in epoch seconds; 0: not since the engine started
    cause: str = ""  # of an eviction, of `engine.wire.misses.EvictionCause`


@dataclass(frozen=True, slots=True)
class Progress:
    """Tokens were generated that cannot be shown yet (a tool call is being composed)."""

    kind: ClassVar = "progress"
    output_tokens: int  # so far
    text: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The answer begins with so many tokens of one that was broken off; they come at once, from memory."""

    kind: ClassVar = "resumed"
    tokens: int


@dataclass(frozen=True, slots=True)
class Generated:
    """Ids of the tokens generated since the last one; only with the header that resumes answers."""

    kind: ClassVar = "generated"
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ToolCallOpen:
    """The call of this `index` begins, and a grammar constrains it to its tool: pieces may be sent unread."""

    kind: ClassVar = "tool_open"
    index: int
    family: str = ""
    constrained: bool = True


@dataclass(frozen=True, slots=True)
class ToolCallRaw:
    """How a call came about: before the call's only piece, or after its last.

    After a `ToolCallOpen` it reports that the call is whole, or truncated and all that there is of it.
    """

    kind: ClassVar = "tool_raw"
    index: int
    raw: str  # as the model wrote it, with marks
    tokens: tuple[int, ...] = ()  # ids of the raw text; empty where they are not known
    family: str = ""
    constrained: bool | None = None  # a grammar constrained the call to its tool; None: not reported
    relaxed: str = ""  # why that grammar does not say all that the tool's schema does
    repairs: tuple[str, ...] = ()  # for people


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth keeping in the trace: a fold, a call that could not be parsed."""

    kind: ClassVar = "note"
    text: str


@dataclass(frozen=True, slots=True)
class StreamError:
    """The request failed in the middle; the stream ends."""

    kind: ClassVar = "error"
    type: str
    message: str


FeedPayload = (
    Queued
    | Lookup
    | PartTokens
    | PhaseTimes
    | PrefillProgress
    | CacheChange
    | Progress
    | Resumed
    | Generated
    | ToolCallOpen
    | ToolCallRaw
    | Note
    | StreamError
)

_PAYLOADS: dict[str, type[FeedPayload]] = {payload.kind: payload for payload in get_args(FeedPayload)}


def feed_chunk(payload: FeedPayload) -> dict[str, Any]:
    """One feed chunk, for `orjson`, which writes dataclasses and tuples."""
    named = {name: getattr(payload, name) for name in payload.__slots__}
    return {"object": FEED_OBJECT, "kind": payload.kind, **named}


def read_feed_chunk(chunk: dict[str, Any]) -> FeedPayload | None:
    """The payload of a feed chunk; None for a kind or an event of the cache that is not known.

    Raises:
        ValueError: the chunk lacks what its kind needs.
    """
    payload = _PAYLOADS.get(chunk.get("kind", ""))
    if payload is None or (payload is CacheChange and chunk.get("event") not in _CACHE_EVENTS):
        return None
    return cast("FeedPayload", _read(payload, chunk))


def _read(model: type, values: dict[str, Any]) -> Any:
    given = {}
    for field in fields(model):
        value = values.get(field.name)
        if value is not None:
            given[field.name] = _value(value)
        elif field.default is MISSING:
            raise ValueError(f"{model.__name__} lacks {field.name!r}")
    return model(**given)


def _value(value: Any) -> Any:
    """A field's value: lists are tuples here, and the one object within a payload is a `Miss`."""
    if isinstance(value, dict):
        return _read(Miss, value)
    return tuple(value) if isinstance(value, list) else value
