"""Why a model cannot be loaded: one error for each situation.

    ModelError
    ├── ModelFolderMissing       the path does not exist
    ├── NotAModel                a folder lacks something
    │   ├── ConfigMissing        no config.json, or not readable as one
    │   ├── WeightsMissing       no weight files, or none yet
    │   └── TokenizerMissing     no tokenizer, or one that cannot be loaded
    ├── UnsupportedArchitecture  mlx-lm has no such model_type, or refuses its configuration
    ├── BrokenWeights            the weights are damaged, incomplete or of another model
    ├── ModelTooLarge            this machine has not the memory for it
    ├── OptionUnsupported        it cannot be run in the way that was asked for
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
    """What was named looks like a path, or cannot be a hub id, and nothing is there."""


class NotAModel(ModelError):
    """The folder is there but something that each model has is not."""


class ConfigMissing(NotAModel):
    """There is no config.json, or it is no JSON object."""


class WeightsMissing(NotAModel):
    """There are no model*.safetensors files."""


class TokenizerMissing(NotAModel):
    """There are no tokenizer files, or they cannot be loaded."""


class UnsupportedArchitecture(ModelError):
    """mlx-lm knows no such `model_type`, or cannot build a model from this config.json."""


class BrokenWeights(ModelError):
    """The weights cannot be read, some are missing, or they do not fit config.json."""


class OptionUnsupported(ModelError):
    """Its caches allow no quantized keys and values or no draft model, or the draft does not fit."""


class ModelTooLarge(ModelError):
    """It does not fit into the memory that the engine may take, or leaves no room for a prompt."""


class HubError(ModelError):
    """The model is named by a hub id and could not be downloaded."""


class HubModelMissing(HubError):
    """The hub has no model of this name, or does not give it to this user."""


class HubUnreachable(HubError):
    """The hub does not answer, and no whole copy is in its local cache."""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, short enough for a line of ours."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 160 else line[:159] + "…"
