"""Speculative decoding: a draft model guesses tokens ahead, and the model verifies them in one step.

The algorithm is mlx-lm's (Leviathan et al. 2022). The model's own sample decides, so a draft model changes
the speed but not the distribution. Greedy answers are the same; sampled answers of one seed are not, since
guesses are sampled too. A batch has one slot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import speculative_generate_step
from mlx_lm.models.cache import trim_prompt_cache

from engine.constrained.grammar import token_masks
from engine.constrained.thinking_cap import Guide
from engine.scheduling.batch import Slot
from engine.scheduling.sampling import LogitsProcessor

_ENDLESS = 1 << 31  # the loop ends an answer, not the library


class SpeculativeDecode:
    """A `Batch` of one slot. Its cache has the model's layers, then the draft model's."""

    def __init__(self, model: Any, draft: Any, draft_tokens: int) -> None:
        self._model = model
        self._draft = draft
        self._draft_tokens = draft_tokens
        self._cache: list[Any] = []
        self._steps: Iterator[tuple[Any, Any, bool]] = iter(())
        self.slots: list[Slot] = []

    def __len__(self) -> int:
        return len(self.slots)

    def accepts(self, length: int, cache: Sequence[Any]) -> bool:
        """Whether the one slot is free."""
        return not self.slots

    def join(self, slot: Slot, cache: list[Any], last_token: int) -> None:
        """Add the slot whose cache holds its prompt but `last_token`; the batch then owns the cache."""
        prompt = mx.array(slot.tokens, mx.uint32)
        processors = list(slot.processors)
        if slot.guide is not None:
            processors.append(_Guided(slot.guide, len(slot.tokens) + 1))
        self._cache = cache
        self._steps = speculative_generate_step(
            mx.array([last_token], mx.uint32),
            self._model,
            self._draft,
            stream=mx.default_stream(mx.default_device()),
            num_draft_tokens=self._draft_tokens,
            max_tokens=_ENDLESS,
            sampler=slot.sampler,
            logits_processors=[_with_prompt(prompt, processor) for processor in processors] or None,
            prompt_cache=cache,
        )
        slot.tokens.append(last_token)
        self.slots.append(slot)

    def step(self) -> list[int]:
        """The next token of the slot."""
        token = int(next(self._steps)[0])
        self.slots[0].tokens.append(token)
        return [token]

    def leave(self, slot: Slot) -> list[Any]:
        """Remove the slot; returns its cache. Trims its tokens to those that both models computed."""
        self.slots.remove(slot)
        self._steps.close()  # type: ignore[attr-defined]  # trims rejected guesses
        layers = len(self._model.layers)
        own, drafts = self._cache[:layers], self._cache[layers:]
        length = min(own[0].size(), drafts[0].size(), len(slot.tokens))
        for part in (own, drafts):
            trim_prompt_cache(part, part[0].size() - length)
        del slot.tokens[length:]
        cache, self._cache = self._cache, []
        return cache

    @property
    def nbytes(self) -> int:
        """Bytes of the caches of both models."""
        return sum(layer.nbytes for layer in self._cache)


class _Guided:
    """A logits processor that constrains generated and guessed tokens by the grammar."""

    def __init__(self, guide: Guide, begin: int) -> None:
        self._guide = guide
        self._begin = begin  # position of the answer's next token in the sequence
        self._taken: list[int] = []

    def __call__(self, tokens: Any, logits: Any) -> Any:
        """`tokens` of shape (n,) is the whole sequence; rejected guesses are no longer in it."""
        now: list[int] = tokens[self._begin :].tolist()
        same = next(
            (n for n, (old, new) in enumerate(zip(self._taken, now, strict=False)) if old != new), None
        )
        keep = min(len(self._taken), len(now)) if same is None else same
        self._guide.rewind(len(self._taken) - keep)
        for token in now[keep:]:
            self._guide.advance(token)
        self._taken = now
        mask = token_masks([self._guide], logits.shape[-1])
        return logits if mask is None else mx.where(mx.array(mask), logits, -mx.inf)


def _with_prompt(prompt: Any, processor: LogitsProcessor) -> LogitsProcessor:
    """A processor that gets the whole sequence; the library passes only the tokens after the prompt."""
    return lambda tokens, logits: processor(mx.concatenate([prompt, tokens.astype(prompt.dtype)]), logits)
