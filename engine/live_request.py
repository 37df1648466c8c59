"""A request on the model's thread: its state, what it has produced, and what of it may be told."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from engine.generation import GenerationRequest
from engine.generation_stream import StepStream
from engine.prefix_cache import Match, TokenArray, as_token_array


class RequestState(enum.Enum):
    """Where a request is; the counters use the same names."""

    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StopHoldBack:
    """Keeps back tokens that may turn out to begin a stop sequence of several tokens."""

    def __init__(self, sequences: tuple[tuple[int, ...], ...]) -> None:
        self._sequences = [sequence for sequence in sequences if len(sequence) > 1]
        self._held: list[int] = []

    def add(self, token: int) -> list[int]:
        """Take the next token and give those that are sure to be text."""
        if not self._sequences:
            return [token]
        self._held.append(token)
        keep = next((n for n in range(len(self._held), 0, -1) if self._begins(self._held[-n:])), 0)
        cut = len(self._held) - keep
        free, self._held = self._held[:cut], self._held[cut:]
        return free

    def end(self) -> list[int]:
        """The answer ended without a stop sequence: what was held is text."""
        free, self._held = self._held, []
        return free

    def stop(self, token: int) -> list[int]:
        """A stop sequence ends with `token`: what was held before the sequence is text."""
        held, self._held = [*self._held, token], []
        ends = (n for n in range(len(held), 1, -1) if tuple(held[-n:]) in self._sequences)
        return held[: len(held) - next(ends, 1)]

    def _begins(self, tokens: list[int]) -> bool:
        return any(list(sequence[: len(tokens)]) == tokens for sequence in self._sequences)


@dataclass(slots=True, eq=False)
class LiveRequest:
    """One request from its arrival to its last step; times in seconds of the loop's clock."""

    request: GenerationRequest
    stream: StepStream
    arrived: float
    state: RequestState = RequestState.QUEUED
    match: Match | None = None
    announced: bool = False  # the lookup was told, so its match must be what is used
    queue_told: float = 0.0
    uid: int = -1
    max_tokens: int = 0  # of the whole answer, cut to the model's context
    generated: list[int] = field(default_factory=list)
    resumed_at: int = 0  # tokens generated when it last joined the batch
    prefilled: int = 0  # tokens of the sequence that are in its cache, while it is prefilled
    restored: int = 0  # tokens that it did not have to prefill when it last joined
    suspect: bool = False  # was in a batch that failed, and runs alone until it is cleared
    failures: int = 0
    tokens: TokenArray = field(init=False)  # the prompt, for comparisons
    hold_back: StopHoldBack = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = as_token_array(self.request.prompt)
        self.hold_back = StopHoldBack(self.request.stop_token_ids)

    @property
    def sequence(self) -> list[int]:
        """The prompt and what was generated: what has to be in the cache to go on."""
        return [*self.request.prompt, *self.generated]
