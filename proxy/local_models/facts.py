"""What is known of a model without loading it, for the list and for other commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.memory_budget.estimate import fitting_tokens
from engine.memory_budget.limits import Machine, MemoryLimit, memory_limit
from engine.model_files.description import ModelDescription, added_tokens, describe
from engine.model_files.errors import BrokenWeights, ModelError, WeightsMissing
from engine.model_files.tokenizer_files import tokenizer_files
from proxy.local_models.stores import FoundModel, StoreKind

ASSUMED_WINDOW = 32_768
"""The engine's window of a model whose files state none (`engine.models.loading.DEFAULT_CONTEXT`)."""

_READABLE = {"bitnet", "mxfp4", "mxfp8", "fp8", "compressed-tensors", "modelopt", "awq", "gptq"}
"""Methods of other programs that mlx-lm reads, at least in part."""

_LEAST_WINDOW = 1024  # tokens; the engine refuses a model that leaves less (`engine.memory.guard`)

Condition = Literal["ready", "too large", "unfinished", "broken", "not MLX", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model of the list, as JSON-able values.

    `reason` says why its condition is not `ready`. Bytes and tokens are 0 where they are not known.
    `ignored_bytes` are weights for other senses, which the engine does not load. `fitting_tokens` is the
    context that fits beside its weights into the engine's memory on this machine.
    """

    name: str
    store: str
    path: str
    condition: Condition
    reason: str = ""
    architecture: str = ""
    quantization: str = ""
    size_bytes: int = 0
    ignored_bytes: dict[str, int] = field(default_factory=dict)
    window_tokens: int = 0
    family: str = ""
    cache: str = ""
    kv_bytes: int = 0
    needs_checkpoints: bool = False
    fitting_tokens: int = 0
    used_by: tuple[str, ...] = ()  # "configured", or hosts that run it

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MemoryRoom:
    """What the engine may take on this machine, and how a request's cost is computed."""

    limit: MemoryLimit
    on_gpu: bool
    kv_bits: int = 0

    @staticmethod
    def of(machine: Machine, asked: int | None = None, kv_bits: int | None = None) -> MemoryRoom:
        return MemoryRoom(memory_limit(machine, asked), bool(machine.working_set_bytes), kv_bits or 0)

    def fitting(self, found: ModelDescription) -> int:
        """The tokens of context that fit; 0: the model does not."""
        if found.file_bytes > self.limit.bytes:
            return 0
        window = found.window_tokens or ASSUMED_WINDOW
        room = self.limit.bytes - found.weights_bytes
        cache = found.cache
        fitting = fitting_tokens(
            room, cache.kv_bytes, cache.windows, window, kv_bits=self.kv_bits, on_gpu=self.on_gpu
        )
        return fitting if fitting >= min(_LEAST_WINDOW, window) else 0


def facts_of(model: FoundModel, room: MemoryRoom, used_by: Sequence[str] = ()) -> ModelFacts:
    """Read a model's folder; what is wrong with it is its condition, and never raised."""
    if model.unfit:
        condition: Condition = "unfinished" if model.store.kind is StoreKind.HUB else "not MLX"
        return _facts(model, condition, model.unfit, used_by, size_bytes=model.bytes_hint)
    try:
        found = describe(model.path)
    except ModelError as error:
        return _facts(model, _condition(model, error), _for_store(model, str(error)), used_by)
    except (OSError, ValueError, RecursionError) as error:
        return _facts(model, "broken", f"it cannot be read: {error}"[:300], used_by)
    standing, reason = _standing(model, found)
    fitting = room.fitting(found)
    if not standing:
        standing = "ready" if fitting else "too large"
        if not fitting:
            reason = f"the engine may take {room.limit.bytes / 1e9:.1f} GB here ({room.limit.reason})"
    return _facts(
        model,
        standing,
        reason,
        used_by,
        architecture=found.model_type,
        quantization=found.quantization.name,
        size_bytes=found.file_bytes,
        ignored_bytes=dict(found.ignored_bytes),
        window_tokens=found.window_tokens,
        family=family_name(model.path, found),
        cache=found.cache.kind,
        kv_bytes=found.cache.kv_bytes,
        needs_checkpoints=found.cache.needs_checkpoints,
        fitting_tokens=fitting if found.cache.known else 0,
    )


def family_name(folder: Path, found: ModelDescription) -> str:
    """The tool-call family by what the template renders, or the tokenizer's own tokens; empty for none."""
    # They take a fifth of a second to import.
    from jinja2 import TemplateError

    from engine.model_files.template_rendering import renderer
    from engine.tool_calls.families.template_probe import detected_family

    try:
        render = renderer(found.template)
    except TemplateError:
        render = renderer("")
    family = detected_family(render, added_tokens(folder))
    return family.name if family is not None else ""


def weight_bytes_in(folder: Path) -> int:
    """The bytes of all files below a folder, each once, links followed; what cannot be read counts 0."""
    return sum(size for _, size in files_below(folder))


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Each file with its bytes; of links to one file only the first."""
    seen: set[tuple[int, int]] = set()
    for path in sorted(folder.rglob("*")):
        try:
            status = path.stat()
            if path.is_dir():
                continue
        except OSError:
            continue
        key = (status.st_dev, status.st_ino)
        if key not in seen:
            seen.add(key)
            yield path, status.st_size


def _facts(
    model: FoundModel, condition: Condition, reason: str, used_by: Sequence[str], **more: Any
) -> ModelFacts:
    return ModelFacts(
        model.name, model.store.kind.value, str(model.path), condition, reason, used_by=tuple(used_by), **more
    )


def _condition(model: FoundModel, error: ModelError) -> Condition:
    said = str(error)
    if model.unfinished or "unfinished" in said:
        return "unfinished"
    if isinstance(error, BrokenWeights):
        return "broken"
    if isinstance(error, WeightsMissing):
        return "unfinished" if "finish the download" in said else "not MLX"
    return "unknown"


def _for_store(model: FoundModel, reason: str) -> str:
    """The loader's sentence without the folder, which the list shows beside it."""
    short = reason.replace(f"{model.path}/", "").replace(f"{model.path} ", "")
    if model.store.kind is not StoreKind.HUB or "finish the download" not in short:
        return short
    what = short.partition("; ")[0] if "convert" not in short else "its weights are not downloaded"
    return f"{what}; anyclaude-tui models pull {model.name} continues the download"


def _standing(model: FoundModel, found: ModelDescription) -> tuple[Condition | None, str]:
    if found.own_code:
        return "unknown", f"it runs with code of its own ({found.own_code}), if trustRemoteCode names it"
    if not found.known:
        return "not MLX", f"mlx-lm has no module for {found.model_type}; upgrade, or take another model"
    way = found.quantization.foreign
    if way and way not in _READABLE:
        return "not MLX", f"quantized by another program ({way}); look for its MLX version"
    if not tokenizer_files(model.path):
        return "unfinished", "it has no tokenizer (such as tokenizer.json); download it again"
    return None, ""
