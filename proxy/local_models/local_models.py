"""All models on this machine with what is known of them, and one of them by its name or path."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.memory_budget.estimate import estimated_machine
from proxy.configuration.file import expand_home
from proxy.configuration.settled import HostConfig
from proxy.local_models.facts import MemoryRoom, ModelFacts, facts_of
from proxy.local_models.stores import (
    BUNDLED_STORE,
    FoundModel,
    ModelStore,
    StoreKind,
    models_in,
    stores,
)


class NoSuchModel(ValueError):
    """A name means no model of this machine, or more than one; the message says what to do."""


@dataclass(frozen=True)
class LocalModels:
    """The stores of this user, with the configuration that says what fits and what is used.

    Relative paths are looked up in `cwd`.
    """

    config: HostConfig
    stores: tuple[ModelStore, ...]
    room: MemoryRoom
    cwd: Path

    @staticmethod
    def of(config: HostConfig, environ: Mapping[str, str], user_home: Path, cwd: Path) -> LocalModels:
        """The stores that there are, and what fits on this machine."""
        found = stores(environ, user_home, config.model_folders)
        room = MemoryRoom.of(estimated_machine(), config.memory_limit_bytes, config.kv_bits)
        return LocalModels(config, (BUNDLED_STORE, *found), room, cwd)

    def models(self) -> Iterator[FoundModel]:
        """All models, store by store."""
        for store in self.stores:
            yield from models_in(store)

    def facts(self, model: FoundModel, running: Mapping[str, Sequence[str]] | None = None) -> ModelFacts:
        """What is known of one; `running` are the addresses of hosts by the model that they have."""
        used = ["configured"] if self.is_configured(model) else []
        for name, urls in (running or {}).items():
            used += [f"host {url}" for url in urls] if is_called(model, name) else []
        return facts_of(model, self.room, used)

    def is_configured(self, model: FoundModel) -> bool:
        """Whether the configuration names it."""
        name = self.config.model
        if self.config.backend != "mlx":
            return False  # the name is of another server's model
        return is_called(model, name) if name else model.store.kind is StoreKind.BUNDLED

    def find(self, text: str, *, in_part: bool = True) -> FoundModel:
        """The model that a user names by its id, its name in a store or a path, also of one in no store.

        `in_part`: a part of its name suffices where only one model has it.

        Raises:
            NoSuchModel: there is none, or more than one of that name.
        """
        if not text.strip():  # as a path it would be the working directory
            raise NoSuchModel("the model's name is empty; see anyclaude-tui models list")
        found = [model for model in self.models() if model.name == text]
        if not found:
            path = (self.cwd / expand_home(text, Path.home())).absolute()
            found = [model for model in self.models() if is_called(model, str(path))]
            if not found and os.path.isdir(path):  # False also for what can be no path: a null byte, too long
                return FoundModel(text, ModelStore(StoreKind.FOLDER, path.parent), path, path)
        if not found:
            lowered = text.lower()
            found = [model for model in self.models() if lowered in model.name.lower()]
            if found and not in_part:
                raise NoSuchModel(
                    f'no model is named "{text}", and a part of a name is not enough here; did you mean'
                    f" {found[0].name}?"
                )
            if len(found) > 1:
                names = ", ".join(model.name for model in found[:5])
                raise NoSuchModel(f'"{text}" may be any of {names}; name one of them')
        if not found:
            could_be_pulled = not text.startswith(("/", ".", "~"))
            pull = f", or get it with: anyclaude-tui models pull {text}" if could_be_pulled else ""
            raise NoSuchModel(f'no model "{text}" on this machine; see anyclaude-tui models list{pull}')
        if len(found) > 1:
            paths = " and ".join(str(model.path) for model in found)
            raise NoSuchModel(f"{text} is there more than once: {paths}; name the path")
        return found[0]


def is_called(model: FoundModel, name: str) -> bool:
    """Whether a configuration or a host that names `name` means this model."""
    if name == model.name:
        return True
    if not name.startswith("/"):
        return False
    try:
        return Path(name).resolve() in (model.path.resolve(), model.whole.resolve())
    except (OSError, RuntimeError, ValueError):
        return False
