"""`python -m engine.model_report`: one JSON line on MLX, this machine and a model, for `doctor`.

The model is built without its weights in memory, so this runs beside an engine. A layer's KV per token is
read from arrays that are never computed. Transient memory of a chunk is assumed
(`engine.memory_budget.estimate`).

Exit codes: 0 a report was printed, also one of a model that cannot be built; 2 wrong options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import RotatingKVCache, make_prompt_cache

from engine.chunks.fit import largest_chunk
from engine.memory.machine import this_machine
from engine.memory_budget.costs import RequestCost, window_tokens
from engine.memory_budget.estimate import assumed_cost
from engine.memory_budget.limits import memory_limit
from engine.model_files.context_window import context_window_of
from engine.model_files.errors import ModelError, first_line
from engine.model_files.whole_folder import check_folder
from engine.models.device_name import computing_device
from engine.models.loading import DEFAULT_CONTEXT
from engine.models.machine import machine_description
from engine.models.tokenizer_loading import load_tokenizer
from engine.models.weight_loading import build
from engine.prefix_cache.layers import has_kv, leaves
from engine.process.blas import engine_environment
from engine.process.exit_codes import ExitCode
from engine.process.program_code import library_versions
from engine.prompts.model_forms import model_forms
from engine.prompts.probing.adaptations import adaptations
from engine.prompts.probing.project_place import new_project
from engine.prompts.rendering import PromptRenderer
from engine.wire.model_report import ModelReport

_FULL_BITS = 16  # of a number in unquantized KV


def machine_report(asked_bytes: int | None = None) -> ModelReport:
    """MLX and this machine; `asked_bytes` is the memory limit that the user set."""
    machine = this_machine()
    limit = memory_limit(machine, asked_bytes)
    device = computing_device(engine_environment(os.environ)[1])
    return ModelReport(
        libraries=library_versions(),
        machine=machine_description(),
        device=device.name,
        device_fault=device.fault,
        ram_bytes=machine.ram_bytes,
        working_set_bytes=machine.working_set_bytes,
        limit_bytes=limit.bytes,
        limit_reason=limit.reason,
    )


def with_model(
    report: ModelReport,
    folder: Path,
    *,
    tool_format: str = "",
    kv_bits: int = 0,
    context_tokens: int = 0,
    beside_bytes: int = 0,
    trust_remote_code: bool = False,
) -> ModelReport:
    """The report with what is known of a model; `tool_format` and `context_tokens` as the user set them.

    `beside_bytes` are those of a draft model's weights. With `trust_remote_code` code of the model may run.
    """
    try:
        model, config, weights = build(folder, check_folder(folder), trust_remote_code)
        found = load_tokenizer(folder, config.get("eos_token_id"), trust_remote_code)
        window = context_window_of(config, folder, weights.files)
    except ModelError as error:
        return replace(report, model=str(folder), fault=str(error))
    except OSError as error:
        return replace(report, model=str(folder), fault=f"{folder} cannot be read ({first_line(error)})")
    tokenizer = found.tokenizer
    vocabulary = tokenizer.get_vocab()
    forms = model_forms(tokenizer, tool_format)
    family = tool_format or (forms.family.name if forms.family is not None else "")
    renderer = PromptRenderer(tokenizer, forms=forms)
    traits, asked = renderer.traits, renderer.forms.family
    tokens = context_tokens or window.tokens or DEFAULT_CONTEXT
    weights_bytes = sum(file.stat().st_size for file in weights.files) + beside_bytes
    report = replace(
        report,
        model=str(folder),
        tokens=len(vocabulary),
        template_fault=found.template_fault,
        family=family,
        tools_rendered=traits.tools_rendered and not traits.tools_as_text,
        tools_form=asked.name if traits.tools_as_text and asked is not None else "",
        thinking_switch=traits.thinking_switch,
        traits=traits.document(),
        adaptations=list(adaptations(traits)),
        new_project=_new_project(renderer) if not found.template_fault else {},
        weights_bytes=weights_bytes,
        window_tokens=min(tokens, window.learned or tokens),
    )
    return _with_cache(report, model, kv_bits)


def _new_project(renderer: PromptRenderer) -> dict[str, int]:
    try:
        return asdict(new_project(lambda messages, tools: renderer.render(messages, tools).tokens))
    except Exception:  # a template may raise anything
        return {}


def _with_cache(report: ModelReport, model: Any, kv_bits: int) -> ModelReport:
    try:
        cache = make_prompt_cache(model)
        model(mx.zeros((1, 1), mx.int32), cache=cache)  # never evaluated: no weights are read
        layers = list(leaves(cache))
        cost = request_cost(layers, kv_bits)
    except Exception as error:  # mlx and the models raise any type
        return replace(report, cache_fault=first_line(error))
    room = report.limit_bytes - report.weights_bytes
    return replace(
        report,
        cache_kinds=dict(Counter(type(layer).__name__ for layer in layers)),
        needs_checkpoints=not all(has_kv(layer) for layer in layers),
        kv_bytes=cost.kv_bytes,
        fitting_tokens=window_tokens(room, cost, report.window_tokens) if room > 0 else 0,
    )


def request_cost(layers: Sequence[Any], kv_bits: int = 0) -> RequestCost:
    """The cost of a request by a prompt cache that holds one token; `kv_bits` 0: it is not quantized."""
    share = kv_bits / _FULL_BITS if kv_bits else 1.0
    rotating = [layer for layer in layers if isinstance(layer, RotatingKVCache)]
    return assumed_cost(
        int(share * sum(_token_bytes(layer) for layer in layers if has_kv(layer))),
        [(_token_bytes(layer), int(layer.max_size)) for layer in rotating],
        largest_chunk(),
    )


def _token_bytes(layer: Any) -> int:
    arrays = [array for array in (layer.keys, layer.values) if isinstance(array, mx.array)]
    return sum(array.nbytes // max(1, array.shape[-2]) for array in arrays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.model_report", description=__doc__)
    parser.add_argument("--model", default="", help="a model folder; none: only the machine")
    parser.add_argument("--tool-format", default="", help="the tool-call format, if it is set")
    parser.add_argument("--kv-bits", type=int, default=0)
    parser.add_argument("--context-tokens", type=int, default=0)
    parser.add_argument("--beside", type=int, default=0, help="bytes of a draft model's weights")
    parser.add_argument("--memory-limit", type=int, default=None, help="in bytes, if it is set")
    parser.add_argument("--trust-remote-code", action="store_true", help="let the model's own code run")
    given = parser.parse_args(arguments)
    report = machine_report(given.memory_limit)
    if given.model:
        report = with_model(
            report,
            Path(given.model),
            tool_format=given.tool_format,
            kv_bits=given.kv_bits,
            context_tokens=given.context_tokens,
            beside_bytes=given.beside,
            trust_remote_code=given.trust_remote_code,
        )
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return ExitCode.FINE


if __name__ == "__main__":
    sys.exit(main())
