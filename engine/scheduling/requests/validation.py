"""What is said about a request before it runs: what is wrong with it, and why it cannot reuse more."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from typing import Any

from engine.models.loading import LoadedModel
from engine.prefix_cache.interface import Eviction, MissAt
from engine.prefix_cache.misses import AROUND
from engine.scheduling.requests.steps import GenerationRequest
from engine.scheduling.sampling import check_sampling
from engine.wire.feed import Miss

_MISS_CHARS = 40
_MISS_LEAD = 16  # of them, what both sides begin with
_TURN = "⏎"
_BEGUN = f" {_TURN} "
_TURNS = re.compile(rf"(?:\s*{_TURN}(?:(?:user|assistant|system|tool|developer|model)\n)?\s*)+")
_HALF = "\ufffd"  # what decoding makes of a part of a character


def request_fault(request: GenerationRequest, loaded: LoadedModel) -> str | None:
    """Why this model cannot run the request, as a message for people, or None."""
    prompt = request.prompt
    if not prompt:
        return "the prompt is empty"
    if len(prompt) >= loaded.context_length:
        return (
            f"the prompt is {len(prompt)} tokens long, but this model's context is {loaded.context_length};"
            " shorten or compact the conversation"
        )
    if request.max_tokens < 1:
        return f"max_tokens must be 1 or more, not {request.max_tokens}"
    # The embedding reads memory that is not its own for tokens that it does not have.
    if min(prompt) < 0 or max(prompt) >= loaded.vocab_size:
        return f"the prompt has tokens outside 0 to {loaded.vocab_size - 1}"
    return check_sampling(request.sampling, loaded.vocab_size)


def miss_in_words(
    miss: MissAt, segment: str, decode: Callable[[list[int]], Any], marks: Collection[int] = ()
) -> Miss:
    """A miss with the texts on both sides, about 40 characters each, in place of token ids.

    Where the two differ, that is within these characters. In place of `marks`, the tokens that a template
    writes between turns, stands one sign.
    """

    lead = min(miss.position, AROUND[0])

    def text(tokens: tuple[int, ...]) -> str:
        try:
            decoded = _without_marks(tokens, decode, marks)
        except Exception:  # an explanation is not worth a request
            return ""
        # Tokens are taken out of the middle of a text, and may be taken out of the middle of a character.
        decoded = decoded.lstrip(_HALF) if miss.position > lead else decoded
        return decoded.rstrip(_HALF) if len(tokens) >= lead + AROUND[1] else decoded

    before, now = text(miss.before), text(miss.now)
    if all(not side or side.startswith(_BEGUN) for side in (before, now)):
        before, now = before.removeprefix(_BEGUN), now.removeprefix(_BEGUN)
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False))
    shared = sum(1 for _ in pairs) if before != now else 0
    start = max(0, shared - _MISS_LEAD)

    def shown(side: str) -> str:
        side = f"…{side[start + 1 :]}" if start and max(len(before), len(now)) > _MISS_CHARS else side
        return side if len(side) <= _MISS_CHARS else side[: _MISS_CHARS - 1] + "…"

    return Miss(
        reason=miss.reason,
        position=miss.position,
        segment=segment,
        before=shown(before),
        now=shown(now),
        lost_tokens=miss.lost,
        **_evicted(miss.eviction),
    )


def _evicted(gone: Eviction | None) -> dict[str, Any]:
    """The fields of a miss that an eviction explains."""
    if gone is None:
        return {}
    return {
        "evicted_at": gone.at,
        "evicted_cause": gone.cause,
        "evicted_session": gone.by.session,
        "evicted_lane": gone.by.lane,
        "evicted_request": gone.by.request,
    }


def _without_marks(tokens: Sequence[int], decode: Callable[[list[int]], Any], marks: Collection[int]) -> str:
    runs = itertools.groupby(tokens, marks.__contains__)
    text = "".join(_TURN if is_mark else str(decode(list(run))) for is_mark, run in runs)
    return _TURNS.sub(_BEGUN, text) if marks else text


def segment_at(position: int, request: GenerationRequest) -> str:
    """What a position of the prompt lies in: its name, else the number of the segment."""
    if name := request.name_at(position):
        return name
    number = bisect_right(request.boundaries, position)
    return f"part {number + 1} of {len(request.boundaries) + 1}" if request.boundaries else ""
