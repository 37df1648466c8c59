"""What a model folder says of its model, by config.json and the headers of its weights; read without mlx."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.model_files.cache_layers import CacheLayers, cache_layers
from engine.model_files.context_window import context_window_of
from engine.model_files.errors import ConfigMissing, ModelFolderMissing, first_line
from engine.model_files.known_architectures import module_text
from engine.model_files.quantization import Quantization, float_type, quantization_of
from engine.model_files.safetensors_header import TensorEntry, tensor_entries
from engine.model_files.template_files import template_files
from engine.model_files.weight_files import WeightChoice, weight_choices
from engine.model_files.whole_folder import damaged_document, no_config

_SENSES = (
    ("vision", re.compile(r"(?:^|[._])(?:vision|visual|image|multi_modal_projector|mm_projector|vit)")),
    ("audio", re.compile(r"(?:^|[._])(?:audio|speech|talker|code2wav)")),
    ("multi-token prediction", re.compile(r"(?:^|\.)mtp\b")),
)
_OFF_LAYER = re.compile(r"(?:^|\.)layers\.\d+\.")


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as its files describe it.

    `weights_bytes` are those of the tensors that a text model loads, `ignored_bytes` of the others by what
    they are for (`vision`, …). `window_tokens` is 0 if no file states it, `scaling` is that of
    `engine.model_files.context_window.ContextWindow`. `template` is the text of all chat templates. `known`
    says whether mlx-lm has a module for the architecture, `own_code` names the file of a model that brings
    its own.
    """

    model_type: str
    architectures: tuple[str, ...] = ()
    known: bool = True
    quantization: Quantization = field(default_factory=lambda: Quantization(""))
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    file_bytes: int = 0
    weights_bytes: int = 0
    ignored_bytes: Mapping[str, int] = field(default_factory=dict)
    window_tokens: int = 0
    learned_tokens: int = 0
    scaling: str = ""
    cache: CacheLayers = field(default_factory=lambda: CacheLayers(known=False))
    template: str = ""
    own_code: str = ""


def describe(folder: Path) -> ModelDescription:
    """Read a folder.

    Raises:
        ModelError: it has no config.json or no whole weights; the message says what to do.
        OSError: it cannot be read.
    """
    config = read_config(folder)
    choice = weight_choices(folder)[0]
    model_type = str(config["model_type"])
    tensors = _tensors(choice)
    ignored = _ignored(tensors)
    module = module_text(model_type)
    window = context_window_of(config, folder, choice.files)
    shapes = {name: entry.shape for name, entry in tensors.items()}
    number_bytes = 4 if float_type(tensors.values()) == "F32" else 2
    architectures = config.get("architectures")
    return ModelDescription(
        model_type=model_type,
        architectures=tuple(map(str, architectures)) if isinstance(architectures, list) else (),
        known=module is not None,
        quantization=quantization_of(config, tensors.values()),
        files=choice.files,
        notes=choice.notes,
        file_bytes=sum(file.stat().st_size for file in choice.files),
        weights_bytes=sum(tensor.nbytes for tensor in tensors.values()) - sum(ignored.values()),
        ignored_bytes=ignored,
        window_tokens=window.tokens,
        learned_tokens=window.learned,
        scaling=window.scaling,
        cache=cache_layers(config, shapes, module or "", number_bytes=number_bytes),
        template="\n".join(template_files(folder).all.values()),
        own_code=str(config.get("model_file") or ""),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The model's config.json.

    Raises:
        ConfigMissing: there is none, or it names no `model_type`.
        ModelFolderMissing: MLX cannot open a folder of this name.
    """
    if not _is_utf8(folder):
        raise ModelFolderMissing(
            f"{folder}: this name is not UTF-8, so MLX cannot open it; rename it, or name a link to it"
        )
    file = folder / "config.json"
    try:
        config = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise no_config(folder) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigMissing(
            damaged_document(folder, ["config.json"]) or f"{file} cannot be read ({first_line(error)})"
        ) from None
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str) or not model_type:
        raise ConfigMissing(f'{file} has no "model_type", so it is not of a language model')
    return dict(config)


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def added_tokens(folder: Path) -> set[str]:
    """The tokens of a tokenizer beside its vocabulary of text, for families that templates do not show."""
    found: set[str] = set()
    for name, key in (("tokenizer_config.json", "added_tokens_decoder"), ("tokenizer.json", "added_tokens")):
        try:
            document = json.loads((folder / name).read_bytes())
            entries = document.get(key) or ()
            rows = entries.values() if isinstance(entries, dict) else entries
            found |= {str(row["content"]) for row in rows}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
        if found:
            break
    return found


def _tensors(choice: WeightChoice) -> dict[str, TensorEntry]:
    found: dict[str, TensorEntry] = {}
    for file in choice.files:
        found.update(tensor_entries(file))
    return found


def _ignored(tensors: Mapping[str, TensorEntry]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for name, tensor in tensors.items():
        # Before the first layer's number: a text layer's own parts may be named like anything.
        head = _OFF_LAYER.split(name, maxsplit=1)[0]
        sense = next((sense for sense, pattern in _SENSES if pattern.search(head)), "")
        if sense:
            sizes[sense] += tensor.nbytes
    return dict(sizes)
