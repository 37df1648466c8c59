"""Batched decoding: each step computes one token for every slot of a batch.

A batch pads the caches of its slots to the longest. A short slot beside a long one would cost as much memory
and time as the long one, so slots of different length run in separate batches (`DecodeBatch.accepts`). A
single slot is not padded, copied or masked: its cache is the one that prefill filled.

Steps are pipelined: while the tokens of one step are read, the next is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import mlx.core as mx
from mlx_lm.models.cache import CacheList, TokenBuffer

from engine.constrained.grammar import token_masks
from engine.constrained.thinking_cap import Guide
from engine.scheduling.sampling import LogitsProcessor, Sampler

_WASTE = 0.25  # most padding in a batch, as a share of its tokens
_SLACK = 256  # tokens of difference that are always accepted: caches grow by so many


@dataclass(slots=True, eq=False)
class Slot:
    """A place in a decode batch: one sequence, with the tokens that its cache holds."""

    tokens: list[int]
    sampler: Sampler
    processors: Sequence[LogitsProcessor] = ()
    guide: Guide | None = None
    context: TokenBuffer | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.processors:
            self.context = TokenBuffer(self.tokens)


class Batch(Protocol):
    """Slots that are decoded together."""

    slots: list[Slot]

    def accepts(self, length: int, cache: Sequence[Any]) -> bool:
        """Whether a sequence of `length` tokens can join."""
        ...

    def join(self, slot: Slot, cache: list[Any], last_token: int) -> None:
        """Add a slot whose cache holds all of its prompt but `last_token`; the batch then owns the cache."""
        ...

    def step(self) -> list[int]:
        """The next token of each slot, in the order of `slots`."""
        ...

    def leave(self, slot: Slot) -> list[Any]:
        """Remove a slot; returns its cache, which holds exactly its tokens."""
        ...


class DecodeBatch:
    """A batch of slots over one merged cache. Used on one thread, within a stream of that thread."""

    def __init__(self, model: Any, *, alone: bool = False) -> None:
        """`alone`: accept one slot only, for models whose results change in a batch."""
        self._model = model
        self._alone = alone
        self._cache: list[Any] = []  # of a single slot as prefill left it, of several merged
        self._next: Any = None  # tokens of shape (slots,), sampled but not yet in the cache
        self._mergeable = True
        self.slots: list[Slot] = []

    def __len__(self) -> int:
        return len(self.slots)

    def accepts(self, length: int, cache: Sequence[Any]) -> bool:
        """Whether a sequence of `length` tokens can join without too much padding."""
        if not self.slots:
            return True
        if self._alone or not (self._mergeable and mergeable(cache)):
            return False
        lengths = [length, *(len(slot.tokens) for slot in self.slots)]
        padding = len(lengths) * max(lengths) - sum(lengths)
        return max(lengths) - min(lengths) <= _SLACK or padding <= _WASTE * sum(lengths)

    def join(self, slot: Slot, cache: list[Any], last_token: int) -> None:
        """Add a slot whose cache holds all of its prompt but `last_token`; the batch then owns the cache."""
        self._mergeable = self._mergeable and mergeable(cache)
        first = self._sample(mx.array([[last_token]]), cache, [slot])
        mx.async_eval(first)  # type: ignore[no-untyped-call]
        slot.tokens.append(last_token)
        if not self.slots:
            self._cache, self._next = cache, first
        else:
            if len(self.slots) == 1:
                self._cache = [layer.merge([layer]) for layer in self._cache]
            for layer, other in zip(self._cache, cache, strict=True):
                layer.extend(other.merge([other]))
            self._next = mx.concatenate([self._next, first])
        self.slots.append(slot)

    def step(self) -> list[int]:
        """The next token of each slot, in the order of `slots`."""
        inputs = self._next
        self._next = self._sample(inputs[:, None], self._cache, self.slots, generated=True)
        mx.async_eval(self._next)  # type: ignore[no-untyped-call]
        tokens: list[int] = inputs.tolist()
        for slot, token in zip(self.slots, tokens, strict=True):
            slot.tokens.append(token)
        return tokens

    def leave(self, slot: Slot) -> list[Any]:
        """Remove a slot; returns its cache, which holds exactly its tokens."""
        place = self.slots.index(slot)
        keep = [number for number in range(len(self.slots)) if number != place]
        if not keep:
            cache, self._cache, self._next, self._mergeable = self._cache, [], None, True
        else:
            cache = [layer.extract(place) for layer in self._cache]
            if len(keep) == 1:
                self._cache = [layer.extract(keep[0]) for layer in self._cache]
            else:
                for layer in self._cache:
                    layer.filter(keep)
            self._next = self._next[mx.array(keep)]
        del self.slots[place]
        return cache

    @property
    def nbytes(self) -> int:
        """Bytes of the cache of all slots, padding included."""
        return sum(layer.nbytes for layer in self._cache)

    def _sample(
        self, inputs: Any, cache: list[Any], slots: Sequence[Slot], *, generated: bool = False
    ) -> Any:
        """Run tokens of shape (slots, 1) through the model and sample the next ones, of shape (slots,).

        `generated`: the inputs are part of the answers, so grammars advance by them.
        """
        logits = self._model(inputs, cache=cache)[:, -1, :]
        held = any(slot.guide is not None and not slot.guide.over for slot in slots)
        mask = _mask(inputs, logits, slots, generated) if held else None
        if any(slot.processors for slot in slots):
            logits = mx.concatenate(
                [_processed(slot, inputs[n], logits[n : n + 1]) for n, slot in enumerate(slots)]
            )
        if mask is not None:
            logits = mx.where(mask, logits, -mx.inf)
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        sampler = slots[0].sampler
        if all(slot.sampler is sampler for slot in slots):
            return sampler(logprobs)
        return mx.concatenate([slot.sampler(logprobs[n : n + 1]) for n, slot in enumerate(slots)])


def mergeable(cache: Iterable[Any]) -> bool:
    """Whether caches of these kinds can be merged into one batch."""
    return all(
        mergeable(layer.caches) if isinstance(layer, CacheList) else hasattr(layer, "merge")
        for layer in cache
    )


def _mask(inputs: Any, logits: Any, slots: Sequence[Slot], generated: bool) -> Any | None:
    """The tokens that grammars allow, of shape (slots, vocabulary); computed while the model runs."""
    if generated:
        mx.async_eval(logits)  # type: ignore[no-untyped-call]
        for slot, (token,) in zip(slots, inputs.tolist(), strict=True):
            if slot.guide is not None:
                slot.guide.advance(token)
    masks = token_masks([slot.guide for slot in slots], logits.shape[-1])
    return None if masks is None else mx.array(masks)


def _processed(slot: Slot, inputs: Any, logits: Any) -> Any:
    if slot.context is not None:
        context = slot.context.update_and_fetch(inputs)
        for processor in slot.processors:
            logits = processor(context, logits)
    return logits
