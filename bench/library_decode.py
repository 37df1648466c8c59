"""mlx-lm's own generation loop as a process: the peer of the engine's speed.

    python -m bench.library_decode     settings on stdin: {"model": FOLDER}

Each further line on stdin is {"messages": [...], "max_tokens": N}; it answers with {"tokens_per_s": ...,
"first_s": ..., "prompt_tokens": ...} of one greedy generation with `mlx_lm.stream_generate`: the speed from
the first token to the last, and the time to the first. With {"messages": [...], "known": [...]} it answers
with {"turn_s": ..., "new_tokens": ...}: the time that the model itself needs for the messages behind `known`,
up to the first token.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from engine.process.parent_watch import announce, read_settings

_CHUNK = 512  # tokens of the known part, whose time does not count


def generation(model: Any, tokenizer: Any, messages: list[dict[str, Any]], max_tokens: int) -> dict[str, Any]:
    """One greedy answer."""
    from mlx_lm import stream_generate
    from mlx_lm.sample_utils import make_sampler

    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    began = time.perf_counter()
    answer = stream_generate(model, tokenizer, prompt, max_tokens=max_tokens, sampler=make_sampler(temp=0.0))
    times = [time.perf_counter() for _ in answer]
    return {
        "tokens_per_s": (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0,
        "first_s": times[0] - began,
        "prompt_tokens": len(prompt),
    }


class KnownTurns:
    """A conversation whose beginning is in the model's cache; only the new part is timed."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        from mlx_lm.models.cache import make_prompt_cache

        self._model, self._tokenizer = model, tokenizer
        self._cache: list[Any] = make_prompt_cache(model)
        self._held: list[int] = []

    def turn(self, known: list[dict[str, Any]], messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Compute the messages behind `known`."""
        import mlx.core as mx

        before = self._tokenizer.apply_chat_template(known, add_generation_prompt=True)
        prompt = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        shared = _common(before, prompt)
        self._hold(prompt[:shared])
        began = time.perf_counter()
        mx.eval(self._model(mx.array([prompt[shared:]]), cache=self._cache)[:, -1].argmax())
        took = time.perf_counter() - began
        self._held = prompt
        return {"turn_s": took, "new_tokens": len(prompt) - shared}

    def _hold(self, tokens: list[int]) -> None:
        import mlx.core as mx

        kept = _common(self._held, tokens)
        for layer in self._cache:
            layer.trim(len(self._held) - kept)
        for at in range(kept, len(tokens), _CHUNK):
            self._model(mx.array([tokens[at : at + _CHUNK]]), cache=self._cache)
            mx.eval([layer.state for layer in self._cache])
        self._held = tokens


def _common(first: list[int], second: list[int]) -> int:
    shared = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        shared += 1
    return shared


def main() -> None:
    """Serve requests until stdin closes."""
    from mlx_lm.utils import load

    model, tokenizer = load(read_settings()["model"])[:2]
    turns = KnownTurns(model, tokenizer)
    announce(listening="stdin")
    for line in sys.stdin:
        asked = json.loads(line)
        if "known" in asked:
            announce(**turns.turn(asked["known"], asked["messages"]))
        else:
            announce(**generation(model, tokenizer, asked["messages"], asked["max_tokens"]))


if __name__ == "__main__":
    main()
