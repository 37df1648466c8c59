"""A request on the model's thread: its state, its tokens, and which of them may be reported."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass, field
from typing import Literal

from engine.prefix_cache.interface import CacheUser, Fetch, Kind, TokenArray, as_token_array
from engine.scheduling.batch import Batch, Slot
from engine.scheduling.prefill import Prefill
from engine.scheduling.requests.steps import GenerationRequest
from engine.scheduling.requests.stream import StepStream


class RequestState(enum.Enum):
    """Where a request is; the counters use the same names."""

    QUEUED = "queued"
    RESTORING = "restoring"  # waits while its prefix is read from disk
    PREFILL = "prefill"
    DECODE = "decode"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class ScheduledRequest:
    """One request from its arrival to its last step; times in seconds of the loop's clock."""

    spec: GenerationRequest
    stream: StepStream
    arrived: float
    state: RequestState = RequestState.QUEUED
    lookup_reported: bool = False  # the result of the cache lookup was reported
    queue_reported: float = 0.0
    work_at_arrival: int = 0  # tokens that had been prefilled for anyone when it came
    restorable: int = 0  # tokens of its sequence that the cache had when it came
    fetch: Fetch | None = None  # what is being read from disk for it
    read_later: bool = False  # what the disk has of it is read once there is memory for it
    read_s: float = 0.0  # what that took
    store_at: dict[int, Kind] = field(default_factory=dict)  # where its prefill is kept, and for what
    keep_to: int = sys.maxsize  # of its sequence, the tokens that may be kept in the prefix cache
    keep_once_to: int = 0  # behind them, those that may be kept in room that is free
    unused_since: int | None = None  # what was used since then is not evicted for it, by the cache's clock
    prefill: Prefill | None = None
    prefill_began: float | None = None  # when its first prefill began, and when that ended
    prefill_ended: float | None = None
    first_token_reported: bool = False  # what those two say was reported
    batch: Batch | None = None
    slot: Slot | None = None  # its place in the batch
    max_tokens: int = 0  # of the whole answer, cut to the model's context
    generated: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)  # of them, those that were sent as text
    confirmed: int = 0  # of them, those that the device is known to have computed
    is_repeatable: bool = False  # the same tokens come again where it is computed again
    resumed_at: int = 0  # tokens generated when it was last prefilled
    restored: int = 0  # tokens that it did not have to prefill then
    suspect: bool = False  # was in a batch that failed, and has a batch of its own until it is cleared
    failures: int = 0
    unconstrained_reported: bool = False  # that its grammar failed was reported
    cap_reported: bool = False  # that its thinking was ended was reported
    tokens: TokenArray = field(init=False)  # the prompt, for comparisons

    def __post_init__(self) -> None:
        self.tokens = as_token_array(self.spec.prompt)

    @property
    def user(self) -> CacheUser:
        """The request as the prefix cache knows it."""
        return CacheUser(self.spec.session, self.spec.lane, self.spec.request_id)

    @property
    def sequence(self) -> list[int]:
        """The prompt and what was generated: what has to be in the cache to go on."""
        return [*self.spec.prompt, *self.generated]

    @property
    def prefilled(self) -> int:
        """Tokens of its sequence that are prefilled."""
        return self.prefill.position if self.prefill else 0

    @property
    def remaining(self) -> int:
        """Tokens that are still to be prefilled, as far as is known."""
        if self.prefill:
            return self.prefill.remaining
        return len(self.tokens) + len(self.generated) - self.restorable

    def resume(self, tokens: list[int]) -> None:
        """Begin the answer with tokens that were generated for the same request before."""
        self.generated, self.passed = list(tokens), list(tokens)
        self.confirmed = len(tokens)

    def roll_back(self) -> None:
        """After a fault of the device: forget the tokens of which it is not sure that they were computed.

        A client may have them already. Those of a request that is repeatable are computed again and compared
        (`repeats`); others would come out differently, so that it goes on behind what was passed on.
        """
        keep = self.confirmed if self.is_repeatable else len(self.passed)
        del self.generated[keep:]

    def repeats(self) -> bool:
        """Whether the token that was just added to `generated` is the one that was passed on there before."""
        place = len(self.generated) - 1
        return place >= len(self.passed) or self.passed[place] == self.generated[place]

    def pass_on(self, token: int) -> bool:
        """Whether the token that was just added to `generated`, and is no end, is to be sent."""
        if len(self.passed) >= len(self.generated):
            return False  # it was sent before it was computed again
        self.passed.append(token)
        return True

    def ended_by(self, token: int, eos: frozenset[int]) -> Literal["stop", "length"] | None:
        """Why its answer ends with the token that was just added to `generated`, if it does."""
        if token in eos:
            return "stop"
        return "length" if len(self.generated) >= self.max_tokens else None
