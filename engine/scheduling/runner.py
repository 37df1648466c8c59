"""The model that prefill and decoding run, with its draft model or quantized KV where configured."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, KVCache, can_trim_prompt_cache, make_prompt_cache

from engine.model_files.errors import OptionUnsupported
from engine.models.loading import LoadedModel
from engine.prefix_cache.layers import cache_arrays
from engine.scheduling.batch import Batch, DecodeBatch
from engine.scheduling.speculative import SpeculativeDecode

_KV_GROUPS = (64, 32)  # values that share a scale; the first is mlx-lm's default


class ModelRunner:
    """Makes caches and batches for one model. Used on the model's thread."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Raises:
        OptionUnsupported: the model's caches do not support an option, or the draft model does not match.
        """
        self._model = loaded.model
        self._draft: Any = None
        self._draft_tokens = loaded.draft_tokens
        self._alone = loaded.alone != ""
        self._quantization: tuple[int, int] | None = None
        if loaded.kv_bits is not None:
            self._quantization = loaded.kv_group or kv_group(loaded, loaded.kv_bits), loaded.kv_bits
        if loaded.draft is not None:
            _check_draft(loaded, loaded.draft)
            tokens = shared_tokens(loaded, loaded.draft)
            self._model = _SharedTokens(loaded.model, tokens)
            self._draft = _SharedTokens(loaded.draft.model, tokens)

    def __call__(self, inputs: mx.array, cache: list[Any]) -> Any:
        """Run tokens of shape (1, n) through the model and the draft model; returns the model's logits."""
        if self._draft is None:
            return self._model(inputs, cache=cache)
        layers = len(self._model.layers)
        self._draft(inputs, cache=cache[layers:])
        return self._model(inputs, cache=cache[:layers])

    def new_cache(self) -> list[Any]:
        """An empty prompt cache: the model's layers, then the draft model's."""
        layers: list[Any] = make_prompt_cache(self._model)
        if self._quantization is not None:
            layers = _quantized(layers, *self._quantization)
        return layers + (make_prompt_cache(self._draft) if self._draft is not None else [])

    def new_batch(self) -> Batch:
        """An empty batch; it has one slot with a draft model, or if the model cannot be batched."""
        if self._draft is None:
            return DecodeBatch(self._model, alone=self._alone)
        return SpeculativeDecode(self._model, self._draft, self._draft_tokens)


class _SharedTokens:
    """A model whose logits end behind the tokens that model and draft model share.

    Rows behind them are padding, which stands for no token, and of which the other model has another number:
    a token from there would be read behind the end of the other's embeddings.
    """

    def __init__(self, model: Any, tokens: int) -> None:
        self._model = model
        self._tokens = tokens

    def __call__(self, inputs: mx.array, cache: list[Any]) -> Any:
        return self._model(inputs, cache=cache)[..., : self._tokens]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)  # mlx-lm also asks for `layers` and `make_cache`


def shared_tokens(loaded: LoadedModel, draft: LoadedModel) -> int:
    """The number of tokens that a model and its draft model both have embeddings for."""
    return min(loaded.vocab_size, draft.vocab_size)


def _quantized(layers: list[Any], group: int, bits: int) -> list[Any]:
    return [
        layer.to_quantized(group_size=group, bits=bits) if type(layer) is KVCache else layer
        for layer in layers
    ]


def kv_group(loaded: LoadedModel, bits: int) -> int:
    """The group size for quantizing this model's KV, found by running it.

    Raises:
        OptionUnsupported: the KV cannot be quantized.
    """
    layers = make_prompt_cache(loaded.model)
    other = sorted(
        {type(layer).__name__ for layer in layers if not isinstance(layer, (KVCache, ArraysCache))}
    )
    if other:
        raise OptionUnsupported(
            f"kvBits = {bits}: {loaded.name} has layers ({', '.join(other)}) whose keys and values cannot be"
            " quantized; leave kvBits out"
        )
    fault: Exception | None = None
    for group in _KV_GROUPS:
        try:
            cache = _quantized(make_prompt_cache(loaded.model), group, bits)
            mx.eval(loaded.model(mx.array([[0, 0]]), cache=cache), cache_arrays(cache))
        except Exception as error:  # mlx and the models raise any type for a wrong shape
            fault = error
        else:
            return group
    raise OptionUnsupported(
        f"kvBits = {bits}: the attention of {loaded.name} does not take quantized keys and values"
        f" ({fault}); leave kvBits out"
    )


def _check_draft(loaded: LoadedModel, draft: LoadedModel) -> None:
    for model in (loaded, draft):
        cache = make_prompt_cache(model.model)
        if not can_trim_prompt_cache(cache) or len(cache) != len(model.model.layers):
            kinds = ", ".join(sorted({type(layer).__name__ for layer in cache if not layer.is_trimmable()}))
            raise OptionUnsupported(
                f"draftModel: the caches of {model.name} ({kinds}) cannot be trimmed after a rejected guess;"
                " leave draftModel out"
            )
    vocabulary = loaded.tokenizer.get_vocab()
    if vocabulary != draft.tokenizer.get_vocab() or max(vocabulary.values()) >= shared_tokens(loaded, draft):
        raise OptionUnsupported(
            f"draftModel: {draft.name} has other tokens than {loaded.name}; take a small model of the same"
            " family, or leave draftModel out"
        )
