"""Why a model cannot be loaded: one error for each situation.

    ModelError
    ├── ModelFolderMissing       the path does not exist, or is not UTF-8
    ├── NotAModel                a folder lacks something
    │   ├── ConfigMissing        no config.json, or not readable as one
    │   ├── WeightsMissing       no weight files, or not yet
    │   └── TokenizerMissing     no tokenizer, or one that cannot be loaded
    ├── UnsupportedArchitecture  mlx-lm has no such model_type, or refuses its configuration
    ├── BrokenWeights            the weights are damaged, incomplete or of another model
    ├── ModelTooLarge            this machine lacks the memory for it
    ├── OptionUnsupported        it cannot run with the requested options
    └── HubError
        ├── HubModelMissing      the hub has no such model, or not for this user
        └── HubUnreachable       the hub does not answer and the model is not in its cache

All but OptionUnsupported, which is `engine.scheduling.runner`'s, are raised by
`engine.models.loading.load_model`, before or while it loads. Each message is one line that says what to do.
"""

from __future__ import annotations


class ModelError(Exception):
    """The model cannot be loaded; the message is one line that says what to do."""


class ModelFolderMissing(ModelError):
    """The given path, or invalid hub id, does not exist, or has a name that MLX cannot open."""


class NotAModel(ModelError):
    """The folder exists but lacks something that every model has."""


class ConfigMissing(NotAModel):
    """There is no config.json, or it is not a JSON object."""


class WeightsMissing(NotAModel):
    """There are no model*.safetensors files."""


class TokenizerMissing(NotAModel):
    """There are no tokenizer files, or they cannot be loaded."""


class UnsupportedArchitecture(ModelError):
    """mlx-lm knows no such `model_type`, or cannot build a model from this config.json."""


class BrokenWeights(ModelError):
    """The weights cannot be read, some are missing, or they do not fit config.json."""


class OptionUnsupported(ModelError):
    """Its caches support no quantized keys and values or no draft model, or the draft model does not fit."""


class ModelTooLarge(ModelError):
    """It does not fit into the engine's memory limit, or leaves no memory for a prompt."""


class HubError(ModelError):
    """The model is named by a hub id and could not be downloaded."""


class HubModelMissing(HubError):
    """The hub has no model of this name, or denies it to this user."""


class HubUnreachable(HubError):
    """The hub does not answer, and its local cache has no complete copy."""


IF_TRUSTED = (
    "if you trust its author with all that you can read and change, set trustRemoteCode to this model"
)
"""The end of a message on a model that brings code."""


def first_line(error: BaseException) -> str:
    """The message of a foreign error, short enough for one of our lines."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 160 else line[:159] + "…"
