"""Changes of a running host: another model, or settings that take effect without a new start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine import bundled_model
from engine.options.kinds import printable
from proxy.changes.change_facts import Changed, LiveSetting, LocalModel, LocalModelList
from proxy.changes.live_settings import fields_by_key, live_settings, read_values, with_model
from proxy.configuration.settings import ENGINE_SETTINGS, SETTINGS
from proxy.configuration.settled import HostConfig
from proxy.events.causes import HOST_ENDS
from proxy.local_models.bench_records import BenchRecords
from proxy.local_models.facts import ModelFacts
from proxy.local_models.local_models import LocalModels, NoSuchModel, is_called
from proxy.local_models.stores import FoundModel, StoreKind
from proxy.supervision.supervisor import Supervisor


class CannotChange(ValueError):
    """What was asked for is not possible on this host; the message says why."""


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model by its name for people, and by the value that the setting `model` has for it."""

    name: str
    configured: str


class LiveChanges:
    """Holds the configuration that counts `now`.

    Args:
        at_once: what has to be called with a new value, by the field of a setting.
        engine_settings: what an engine is started with under a configuration.
        notice: tells people.
    """

    def __init__(
        self,
        begun: HostConfig,
        *,
        at_once: Mapping[str, Callable[[Any], None]],
        engine_settings: Callable[[HostConfig], dict[str, Any]],
        notice: Callable[[str, str], None],
    ) -> None:
        self.now = begun
        self.supervisor: Supervisor | None = None
        self.closed = False  # the host ends: no engine is loaded any more
        self._begun = begun
        self._at_once = at_once
        self._engine_settings = engine_settings
        self._notice = notice
        self._refused: dict[str, str] = {}  # why the last change of a field did not work

    @property
    def model(self) -> str:
        """The engine's model, as people are told."""
        return self.now.model or bundled_model.NAME

    def settings(self) -> list[LiveSetting]:
        """The settings that can change here."""
        supervisor = self.supervisor
        if supervisor is None:
            return live_settings(self.now, self._begun, engine=False)
        held = self.now if supervisor.holds else supervisor.held_choice or self._begun
        listed = live_settings(self.now, self._begun, engine=True, held=held)
        names = fields_by_key(self.now.backend_name)
        gave_up = "" if supervisor.awaits else supervisor.board.state.detail or "the engine did not come up"
        for one in listed:
            one.awaited = not one.held and supervisor.awaits
            one.refused = self._refused.get(names[one.key], "") or ("" if one.held else gave_up)
        return listed

    async def until_settled(self, within_s: float) -> None:
        """Wait, no longer than that, until an engine is up with what counts now, or it was taken back."""
        if self.supervisor is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self.supervisor.until_settled()

    def change(self, wished: Mapping[str, Any], *, drain: bool = False) -> Changed:
        """Change settings; where one is the engine's, it restarts, with `drain` after its requests.

        Raises:
            proxy.configuration.settled.ConfigError: see `read_values`; nothing was changed.
            CannotChange: the host ends.
        """
        self._check_open()
        values = read_values(wished, self.now, engine=self.supervisor is not None)
        changes = {name: value for name, value in values.items() if value != getattr(self.now, name)}
        keys = {name: SETTINGS[name].key_of(self.now.backend_name) for name in values}
        for name in values:
            self._refused.pop(name, None)
        after = replace(self.now, **changes)
        for name, value in changes.items():
            if name in self._at_once:
                self._at_once[name](value)
        changed = Changed(
            changed=[keys[name] for name in changes],
            values={keys[name]: value for name, value in values.items()},
        )
        of_engine = [keys[name] for name in changes if name in ENGINE_SETTINGS]
        if of_engine:
            changed = self._restart_with(after, ", ".join(of_engine), changed, drain=drain)
        else:
            self.now = after
        if changes:
            self._notice(f"changed, as a person asked: {', '.join(changed.changed)}", "info")
        return changed

    def find_model(self, name: str) -> ChosenModel:
        """A model of this machine that the engine can load; reads its folder, so call it in a thread.

        Raises:
            CannotChange: there is no such model, or no engine of this host can load it.
        """
        if self.supervisor is None:
            raise CannotChange("this host runs no engine of its own: its server chooses the model")
        local = self._local_models()
        try:
            found = local.find(name)
        except NoSuchModel as error:
            raise CannotChange(str(error)) from None
        facts = local.facts(found)
        if facts.condition != "ready":
            raise CannotChange(f"{facts.name} cannot be loaded: {facts.condition}, {facts.reason}")
        return ChosenModel(facts.name, self._configured_name(found))

    def use_model(self, chosen: ChosenModel, *, drain: bool = False) -> Changed:
        """Load a model; returns when that is begun. What was chosen for the one before does not count.

        The one that the engine has is loaded again only where it has failed for good.

        Raises:
            CannotChange: the host ends.
        """
        self._check_open()
        if chosen.configured == self.now.model:
            assert self.supervisor is not None  # `find_model` has refused
            if self.supervisor.board.state.state != "failed":
                return Changed(changed=[], model=chosen.name)
            self.supervisor.restart()
            self._notice("the engine is being restarted, as a person asked", "info")
            return Changed(changed=[], restarting=True, model=chosen.name)
        after = with_model(self.now, self._begun, chosen.configured)
        key = SETTINGS["model"].key_of(self.now.backend_name)
        changed = self._restart_with(after, chosen.name, Changed(changed=[key]), drain=drain)
        self._notice(f"the model becomes {printable(chosen.name)}, as a person asked", "info")
        return changed.model_copy(update={"model": chosen.name})

    def _check_open(self) -> None:
        if self.closed:
            raise CannotChange(HOST_ENDS)

    def local_models(self) -> LocalModelList:
        """The models of this machine; reads their folders, so call it in a thread."""
        local = self._local_models()
        speeds = BenchRecords(self.now.home)
        models = [*local.models()]
        # One that was named by its folder may lie in no store; it is loaded, or one goes back to it.
        named = (self._begun.model, self.now.model) if self.supervisor is not None else ()
        for name in filter(None, dict.fromkeys(named)):
            with suppress(NoSuchModel):
                found = local.find(name, in_part=False)
                if all(model.path != found.path for model in models):
                    models.insert(0, found)
        rows = [self._described(model, local.facts(model), speeds) for model in models]
        limit = local.room.limit
        return LocalModelList(models=rows, limit_bytes=limit.bytes, limit_reason=limit.reason)

    def _restart_with(self, after: HostConfig, what: str, changed: Changed, *, drain: bool) -> Changed:
        assert self.supervisor is not None

        def take_back(reason: str, proven: HostConfig | None) -> None:
            # Only what the engine has: the rest may have changed meanwhile, and took effect at once.
            again = proven or self._begun
            before = {name: getattr(again, name) for name in ENGINE_SETTINGS}
            taken = [name for name, value in before.items() if value != getattr(self.now, name)]
            self._refused |= dict.fromkeys(taken, reason)
            self.now = replace(self.now, **before)
            self._notice(f"{printable(what)} did not work: {reason}; what was before counts again", "error")

        self.now = after
        running = self.supervisor.change(
            self._engine_settings(after), take_back, model=self.model, choice=after, drain=drain
        )
        return changed.model_copy(update={"restarting": True, "running": running})

    def _local_models(self) -> LocalModels:
        return LocalModels.of(self.now, os.environ, Path.home(), Path.cwd())

    def _configured_name(self, model: FoundModel) -> str:
        """The value of the setting `model` for it."""
        if is_called(model, self._begun.model):
            return self._begun.model  # as it was named, with what was chosen for it
        kind = model.store.kind
        if kind is StoreKind.BUNDLED:
            return ""
        return model.name if kind is StoreKind.HUB else str(model.path)

    def _described(self, model: FoundModel, facts: ModelFacts, speeds: BenchRecords) -> LocalModel:
        rows = [row for run in speeds.runs(facts.name)[-1:] for row in run.rows]
        measured = rows[len(rows) // 2] if rows else None  # of a middle length
        known = {name: value for name, value in asdict(facts).items() if name in LocalModel.model_fields}
        named = self.now.model
        return LocalModel(
            **known,
            prefill_speed=measured.prefill_speed if measured else 0.0,
            decode_speed=(measured.decode_speed or 0.0) if measured else 0.0,
            loaded=self.supervisor is not None
            and (is_called(model, named) if named else model.store.kind is StoreKind.BUNDLED),
        )
