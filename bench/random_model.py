"""A small model with random weights, for tests and benches of any architecture.

Its answers are random text that ends by itself. Its tokenizer is trained on text, so that prompts have
realistic token counts.

    python -m bench.random_model OUT [--arch qwen3|gemma3_text|qwen3_5] [--vocab N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import _get_classes

from bench.stdlib_tokenizer import (
    CONTROL_TOKENS,
    MARKUP_TOKENS,
    TURN_END,
    save_tokenizer,
    train_tokenizer,
)
from engine.source_texts import standard_library_texts

Architecture = Literal["qwen3", "gemma3_text", "qwen3_5"]

CARD = """\
# A random model that talks nonsense

Its weights are random numbers. It is here so that the engine can be tested and measured without a download:
prompts have realistic lengths, answers stream and end, and what they say means nothing.

Made by `python -m bench.random_model` (architecture {architecture}, seed {seed}). For real answers start
with `--model` and the folder or the hub id of a model in MLX format.
"""

_SAMPLE_ROWS, _SAMPLE_STEPS = 24, 96  # text for calibrating the end token
_LOGIT_SPREAD = 3.0  # standard deviation of the logits: peaked enough that greedy text does not end at once
_CONSTANT_SHARE = (
    0.8  # of an embedding's length along the axis that the end token reads; half at a line break
)


@dataclass(frozen=True, slots=True)
class RandomShape:
    """The size of a random model. `window` and `interval` set the layers of gemma3_text and qwen3_5."""

    vocab_size: int = 16384
    hidden_size: int = 128
    layers: int = 2
    heads: int = 1  # attention over a long prompt dominates prefill on a CPU
    kv_heads: int = 1
    head_dim: int = 64
    feed_forward: int = 384
    context_length: int = 131072
    window: int = 512
    interval: int = 2
    corpus_bytes: int = 6_000_000


_QUICK = RandomShape(vocab_size=4096, corpus_bytes=300_000)


def bench_shape(quick: bool, **size: int) -> RandomShape:
    """The model of a bench; of a `quick` run, which only shows that the bench works, one made in a blink."""
    return _QUICK if quick else RandomShape(**size)


def random_config(architecture: Architecture, shape: RandomShape) -> dict[str, Any]:
    """The config.json of a random model, as mlx-lm reads it."""
    config: dict[str, Any] = {
        "model_type": architecture,
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.context_length,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "rope_theta": 1_000_000.0,
    }
    if architecture == "gemma3_text":
        config |= {
            "sliding_window": shape.window,
            "sliding_window_pattern": shape.interval,
            "query_pre_attn_scalar": shape.head_dim,
        }
    if architecture == "qwen3_5":
        config |= {
            "full_attention_interval": shape.interval,
            "linear_num_value_heads": shape.heads,
            "linear_num_key_heads": shape.kv_heads,
            "linear_key_head_dim": 32,
            "linear_value_head_dim": 32,
            "linear_conv_kernel_dim": 4,
        }
    return config


def build_random_model(
    out: Path,
    architecture: Architecture = "qwen3",
    shape: RandomShape | None = None,
    *,
    seed: int = 0,
    eos_every: int | None = 60,
) -> Path:
    """Write a complete model folder to `out`.

    At temperature 1 an answer ends after `eos_every` tokens on average, but never right after a line break,
    so that none is empty. With None no answer ends by itself.
    """
    shape = shape or RandomShape()
    tokenizer = train_tokenizer(shape.vocab_size, standard_library_texts(shape.corpus_bytes))
    config = random_config(architecture, shape)
    mx.random.seed(seed)
    model = new_model(config)
    vocabulary = tokenizer.get_vocab()
    end = vocabulary[TURN_END]
    breaks = [number for token, number in vocabulary.items() if token.endswith("Ċ")]
    silent = [vocabulary[token] for token in (*CONTROL_TOKENS, *MARKUP_TOKENS)]
    _shape_answers(model, end, silent, breaks, eos_every)
    write_model(out, model, config | {"eos_token_id": end})
    save_tokenizer(tokenizer, out, shape.context_length)
    (out / "README.md").write_text(CARD.format(architecture=architecture, seed=seed), encoding="utf-8")
    return out


def new_model(config: dict[str, Any]) -> Any:
    """An mlx-lm model of this configuration with new random weights."""
    model_class, args_class = _get_classes(config)
    return model_class(args_class.from_dict(config))


def write_model(out: Path, model: Any, config: dict[str, Any]) -> None:
    """Write weights and config.json."""
    out.mkdir(parents=True, exist_ok=True)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(out / "model.safetensors"), weights, metadata={"format": "mlx"})
    (out / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def text_model(model: Any) -> Any:
    """The part of an mlx-lm model that has `lm_head` and `model.embed_tokens`."""
    return model.language_model if hasattr(model, "language_model") else model


def _shape_answers(model: Any, end: int, silent: list[int], breaks: list[int], eos_every: int | None) -> None:
    """Make the end token likely, and tokens that structure a prompt impossible.

    All embeddings share a component along the first axis, which no layer writes to. Only these tokens' rows
    of the output matrix read that axis, so that their logits are nearly the same at each position. The end
    token's logit is then chosen so that answers have the requested mean length.
    """
    part = text_model(model)
    for name, module in model.named_modules():
        if name.endswith(("o_proj", "out_proj", "down_proj")):
            module.weight[0] = 0.0
        if model.model_type == "gemma3_text" and name.endswith("norm"):
            module.weight = mx.zeros_like(module.weight)  # gemma's norms scale by 1 + weight
    embedding = part.model.embed_tokens.weight
    vocab_size, width = embedding.shape
    axis = mx.arange(width) == 0
    drawn = mx.random.normal(embedding.shape) * (1 - _CONSTANT_SHARE**2) ** 0.5 / width**0.5
    shared = mx.ones((vocab_size, 1)) * _CONSTANT_SHARE
    shared[mx.array(breaks)] = _CONSTANT_SHARE / 2
    scale = 1.0 if model.model_type == "gemma3_text" else width**0.5  # gemma scales its embeddings itself
    part.model.embed_tokens.weight = scale * mx.where(axis, shared, drawn)
    head = mx.random.normal(embedding.shape) * (_LOGIT_SPREAD / ((1 - _CONSTANT_SHARE**2) * width) ** 0.5)
    head = mx.where(axis, 0.0, head)
    head[mx.array(silent)] = mx.where(axis, -100.0, 0.0)
    part.lm_head.weight = head
    if eos_every is not None:
        head[end] = mx.where(axis, _end_weight(model, end, eos_every), 0.0)
        part.lm_head.weight = head
    mx.eval(model.parameters())


def _end_weight(model: Any, end: int, eos_every: int) -> float:
    """The end token's weight on the shared axis that gives answers a mean length of `eos_every`.

    The mean is over texts that the model itself writes.
    """
    head = text_model(model).lm_head.weight
    vocab_size, width = head.shape
    head[end] = mx.arange(width) == 0  # its logit is now what one unit of weight adds
    text_model(model).lm_head.weight = head
    cache = make_prompt_cache(model)
    tokens = mx.random.randint(0, vocab_size, (_SAMPLE_ROWS, 1))
    along, others = [], []
    for _ in range(_SAMPLE_STEPS):
        logits = model(tokens, cache=cache)[:, -1]
        without_end = mx.where(mx.arange(vocab_size) == end, -mx.inf, logits)
        along.append(logits[:, end])
        others.append(mx.logsumexp(without_end, axis=-1))
        tokens = mx.random.categorical(without_end)[:, None]
        mx.eval(tokens, along[-1], others[-1])
    unit, rest = mx.stack(along), mx.stack(others)
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        too_long = _mean_length(mx.sigmoid(middle * unit - rest)) > eos_every
        low, high = (middle, high) if too_long else (low, middle)
    return low


def _mean_length(ends: mx.array) -> float:
    """The mean length of texts that end at each token with probability `ends`, of shape (tokens, texts).

    After the last token a text is assumed to end with the same probability as before.
    """
    going_on = mx.cumprod(1 - ends, axis=0)
    behind = going_on[-1] / mx.maximum(ends.mean(axis=0), 1e-6)
    return float((1 + going_on[:-1].sum(axis=0) + behind).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `python -m bench.random_model`."""
    defaults = RandomShape()
    parser = argparse.ArgumentParser(
        prog="python -m bench.random_model", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--arch", choices=get_args(Architecture), default="qwen3")
    parser.add_argument("--vocab", type=int, default=defaults.vocab_size)
    parser.add_argument("--hidden", type=int, default=defaults.hidden_size)
    parser.add_argument("--layers", type=int, default=defaults.layers)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--eos-every", type=int, default=60, help="mean answer length in tokens; 0: endless")
    chosen = parser.parse_args(arguments)
    if chosen.out.exists() and any(chosen.out.iterdir()):
        print(f"{chosen.out} is not empty; name a new folder", file=sys.stderr)
        return 2
    shape = RandomShape(vocab_size=chosen.vocab, hidden_size=chosen.hidden, layers=chosen.layers)
    try:
        build_random_model(
            chosen.out,
            cast(Architecture, chosen.arch),
            shape,
            seed=chosen.seed,
            eos_every=chosen.eos_every or None,
        )
    except ValueError as error:
        print(str(error), file=sys.stderr)
        return 2
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
