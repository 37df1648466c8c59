"""Builds a model's mlx-lm module from its weight files, and reads the weights into memory."""

from __future__ import annotations

import contextlib
import glob
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.utils
from mlx.utils import tree_flatten

from engine.model_files.description import read_config
from engine.model_files.errors import (
    IF_TRUSTED,
    BrokenWeights,
    ConfigMissing,
    ModelError,
    UnsupportedArchitecture,
    first_line,
)
from engine.model_files.weight_files import PATTERN, WeightChoice
from engine.model_files.whole_folder import damaged_document

OnProgress = Callable[[float, str], None]
"""Called with the completed fraction (0 to 1) and a description for people."""

_STEP_BYTES = 256 << 20  # of weights read between two reports
_CONFIGS = ("config.json", "generation_config.json", "hf_quant_config.json")
"""What mlx-lm reads apart from the weights."""

_OF_SETTINGS = (TypeError, KeyError, AttributeError, AssertionError)

log = logging.getLogger("engine")


def build(
    path: Path, choices: Sequence[WeightChoice], trust_remote_code: bool = False
) -> tuple[Any, dict[str, Any], WeightChoice]:
    """The module with its weights still on disk, its configuration, and the choice of weights that fits.

    With `trust_remote_code` the model's own module, which config.json names in `model_file`, is run.

    Raises:
        ConfigMissing, UnsupportedArchitecture, BrokenWeights: see `engine.model_files.errors`.
    """
    model_type = _known_type(path, trust_remote_code)
    fault: ModelError | None = None
    for choice in choices:
        try:
            model, config = _built(path, choice.files, model_type, trust_remote_code)
        except (BrokenWeights, UnsupportedArchitecture) as error:
            fault = fault or (BrokenWeights(choice.damage) if choice.damage else error)
        else:
            return model, config, choice
    raise fault or BrokenWeights(f"{path} has no weights; download the model again")


def read_weights(model: Any, path: Path, name: str, on_progress: OnProgress) -> None:
    """Read the weights into memory in steps, and report progress after each.

    Raises:
        BrokenWeights: they cannot be read.
    """
    weights = [array for _, array in tree_flatten(model.parameters())]
    total = sum(array.nbytes for array in weights) or 1
    done = 0
    for step in _steps(weights):
        try:
            mx.eval(step)
        except RuntimeError as error:
            raise _broken(path, error) from error
        done += sum(array.nbytes for array in step)
        on_progress(done / total, f"loading {name}: {done / 1e9:.1f} of {total / 1e9:.1f} GB")


def _known_type(path: Path, trust_remote_code: bool) -> str:
    config = read_config(path)
    model_type: str = config["model_type"]
    if (code := config.get("model_file")) is not None:
        if trust_remote_code:
            return model_type
        raise UnsupportedArchitecture(
            f"{path} requires code of its own to run ({code!r}); use a model that mlx-lm knows, or,"
            f" {IF_TRUSTED}"
        )
    try:
        mlx_lm.utils._get_classes(config)
    except (ValueError, TypeError) as error:
        raise UnsupportedArchitecture(
            f"model type {model_type!r} of {path} is unknown to mlx-lm; upgrade mlx-lm or take another model"
        ) from error
    except (Exception, SystemExit) as error:  # a module may need a missing package, and exit the process
        why = "it ends the program" if isinstance(error, SystemExit) else first_line(error)
        raise UnsupportedArchitecture(
            f"mlx-lm's module for model type {model_type!r} of {path} cannot be used here ({why});"
            " take another model"
        ) from error
    return model_type


def _built(
    path: Path, files: Sequence[Path], model_type: str, trust_remote_code: bool
) -> tuple[Any, dict[str, Any]]:
    try:
        with _linked_folder(path, files) as folder:
            return mlx_lm.utils.load_model(  # type: ignore[no-any-return]
                folder, lazy=True, trust_remote_code=trust_remote_code
            )
    except (Exception, SystemExit) as error:  # mlx raises the same types for files, shapes and settings
        raise _why(path, model_type, error) from error


def _why(path: Path, model_type: str, error: BaseException) -> ModelError:
    """The engine's error for one of mlx-lm's while it builds a model."""
    if damaged := damaged_document(path, _CONFIGS):
        return ConfigMissing(damaged)
    if isinstance(error, _OF_SETTINGS):
        return _unbuildable(path, model_type, error)
    if (way := _foreign_quantization(read_config(path))) and not _lacks_weights(error):
        return UnsupportedArchitecture(
            f"mlx-lm cannot read how the weights of {path} are quantized ({way}: {first_line(error)});"
            " take the model's MLX version"
        )
    if _is_of_files(error):
        return _broken(path, error)
    if _is_of_weights(error):
        return BrokenWeights(
            f"the weights of {path} do not fit its config.json ({first_line(error)}); upgrade mlx-lm, or take"
            " another copy of this model"
        )
    return _unbuildable(path, model_type, error)


def _unbuildable(path: Path, model_type: str, error: BaseException) -> UnsupportedArchitecture:
    return UnsupportedArchitecture(
        f"mlx-lm cannot build a {model_type} model from {path / 'config.json'} ({first_line(error)});"
        " choose a model in MLX format"
    )


def _foreign_quantization(config: Mapping[str, Any]) -> str:
    """The quantization method, if the weights were not quantized by mlx-lm."""
    found = config.get("quantization_config")
    if config.get("quantization") is not None or not isinstance(found, dict):
        return ""
    return str(found.get("quant_method") or "unknown method")


def _is_of_files(error: BaseException) -> bool:
    return isinstance(error, OSError) or str(error).startswith("[load_safetensors]")


def _lacks_weights(error: BaseException) -> bool:
    """Whether weights are missing or damaged, whatever quantized them; unknown names mean another method."""
    return _is_of_files(error) or str(error).startswith("Missing ")


def _is_of_weights(error: BaseException) -> bool:
    """Whether names or shapes of weights are others than the model has."""
    return str(error).startswith(("Missing ", "Received ", "Expected shape "))


@contextlib.contextmanager
def _linked_folder(path: Path, files: Sequence[Path]) -> Iterator[Path]:
    """A folder in which mlx-lm finds these weights and no others: the model's own, or one of links to it.

    Files that are open stay readable after the links are removed. mlx-lm treats a folder's name as a glob
    pattern: one with brackets would not be found, or another folder would.
    """
    if set(files) == set(path.glob(PATTERN)) and glob.escape(str(path)) == str(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="anyclaude-weights-") as made:
        folder = Path(made)
        code = [file.name for file in path.glob("*.py")]  # run only with `trust_remote_code`
        for name in (*_CONFIGS, *code):
            if (path / name).is_file():
                (folder / name).symlink_to((path / name).absolute())
        for number, file in enumerate(files):
            (folder / f"model-{number:05}.safetensors").symlink_to(file.absolute())
        yield folder


def _steps(weights: list[Any]) -> Iterator[list[Any]]:
    step: list[Any] = []
    size = 0
    for array in weights:
        step.append(array)
        size += array.nbytes
        if size >= _STEP_BYTES:
            yield step
            step, size = [], 0
    if step:
        yield step


def _broken(path: Path, error: BaseException) -> BrokenWeights:
    return BrokenWeights(
        f"the weights of {path} cannot be read ({first_line(error)}); download the model again"
    )
