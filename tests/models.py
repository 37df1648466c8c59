"""Small real models for tests: random ones of several architectures, and ones that recite a given text.

`ModelShelf` makes each once per test run, in a folder that the run owns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from bench.random_model import (
    Architecture,
    RandomShape,
    build_random_model,
    new_model,
    random_config,
    text_model,
    write_model,
)
from bench.stdlib_tokenizer import (
    MARKUP_TOKENS,
    TURN_END,
    save_tokenizer,
    train_tokenizer,
)
from engine.source_texts import standard_library_texts

TINY = RandomShape(
    vocab_size=1536,
    hidden_size=64,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=32,
    feed_forward=96,
    context_length=32768,
    window=32,
    corpus_bytes=200_000,
)
"""`window=32`: gemma3_text's rotating caches pass their window within a short test prompt."""


def tiny_model(
    out: Path,
    architecture: Architecture = "qwen3",
    *,
    seed: int = 0,
    eos_every: int | None = None,
    context_length: int = TINY.context_length,
) -> Path:
    """A random model that loads in a blink; by default its answers never end by themselves."""
    shape = replace(TINY, context_length=context_length)
    return build_random_model(out, architecture, shape, seed=seed, eos_every=eos_every)


def bare_model(out: Path, config: dict[str, Any], *, seed: int = 7) -> Path:
    """A model of any configuration that mlx-lm knows, with freshly drawn weights; its answers mean nothing.

    Norms and biases are drawn as well, since those that are all alike hide what is left out.
    """
    mx.random.seed(seed)
    model = new_model(config)
    drawn = [
        (name, array + 0.1 * mx.random.normal(array.shape) if _is_even(array) else array)
        for name, array in tree_flatten(model.parameters())
    ]
    model.update(tree_unflatten(drawn))
    write_model(out, model, config)
    vocab_size = config.get("vocab_size") or config["text_config"]["vocab_size"]
    texts = standard_library_texts(20_000)
    save_tokenizer(train_tokenizer(vocab_size, texts), out, TINY.context_length)
    return out


def _is_even(array: mx.array) -> bool:
    return mx.issubdtype(array.dtype, mx.floating) and bool(mx.all(array == array.flatten()[0]).item())


def scripted_model(out: Path, script: str, *, context_length: int = TINY.context_length) -> Path:
    """A qwen3 model that answers every prompt with `script` and then ends, at temperatures up to 1.

    Attention and feed-forward add nothing, so the next token depends on the last one alone. Each piece of the
    script is a token of its own, used once; the chain starts at the line break that ends the generation
    prompt. `<tool_call>`, `<think>` and the like are the tokens that a real tokenizer has for them.

    Raises:
        ValueError: the script is empty, not ASCII, or begins with a line break.
    """
    if not script or not script.isascii() or script.startswith("\n"):
        raise ValueError("a script is ASCII text that does not begin with a line break")
    pieces = list(script_pieces(script))
    shape = replace(
        TINY, vocab_size=TINY.vocab_size + len(pieces), hidden_size=128, context_length=context_length
    )
    tokenizer = train_tokenizer(shape.vocab_size, standard_library_texts(shape.corpus_bytes), pieces)
    config = random_config("qwen3", shape)
    mx.random.seed(1)
    model = new_model(config)
    for layer in model.layers:
        layer.self_attn.o_proj.weight = mx.zeros_like(layer.self_attn.o_proj.weight)
        layer.mlp.down_proj.weight = mx.zeros_like(layer.mlp.down_proj.weight)
    part = text_model(model)
    embedding = mx.random.normal((shape.vocab_size, shape.hidden_size))
    part.model.embed_tokens.weight = embedding
    start = tokenizer.encode("\n").ids
    chain = [start[-1], *(tokenizer.token_to_id(piece) for piece in pieces), tokenizer.token_to_id(TURN_END)]
    head = mx.zeros_like(embedding)
    for here, following in pairwise(chain):
        head[following] = embedding[here]
    part.lm_head.weight = head
    write_model(out, model, config | {"eos_token_id": chain[-1]})
    save_tokenizer(tokenizer, out, context_length)
    return out


def script_pieces(script: str) -> Iterator[str]:
    """Cut a text into pieces of which no two are alike: tags, else words with the blanks behind them.

    A piece that was there before grows by the next one until it is new.
    """
    tags = "|".join(re.escape(token) for token in MARKUP_TOKENS)
    seen = {"\n"}
    held = ""
    for word in re.findall(rf"{tags}|[^\s<]+\s*|<|\s+", script):
        if held not in seen and held:
            seen.add(held)
            yield held
            held = ""
        held += word
    if held in seen:
        # The text ends with a repetition: split its last piece where both parts are new.
        for cut in range(1, len(held)):
            if held[:cut] not in seen and held[cut:] not in seen and held[:cut] != held[cut:]:
                yield held[:cut]
                held = held[cut:]
                break
        else:
            raise ValueError(f"the script ends with {held!r}, which it also has before; change its last word")
    yield held


class ModelShelf:
    """Makes each model once and hands out its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tiny(
        self,
        architecture: Architecture = "qwen3",
        *,
        eos_every: int | None = None,
        context_length: int = TINY.context_length,
    ) -> Path:
        """A random model; see `tiny_model`."""
        out = self._folder / f"{architecture}-{eos_every}-{context_length}"
        if not out.exists():
            tiny_model(out, architecture, eos_every=eos_every, context_length=context_length)
        return out

    def scripted(self, script: str) -> Path:
        """A model that recites `script`; see `scripted_model`."""
        out = self._folder / f"script-{abs(hash(script)):x}"
        return out if out.exists() else scripted_model(out, script)
