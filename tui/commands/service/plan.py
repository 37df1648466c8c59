"""What a service runs: the program, its options and its environment, from the command that installs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.options.setting import Setting
from proxy.configuration.file import expand_home
from proxy.configuration.provenance import Origin
from proxy.configuration.settings import CONFIG_FILE, SETTINGS
from proxy.configuration.settling import Settled
from tui.commands.program_name import program_path

# Where models are found and how they are downloaded; no secret among them.
_CARRIED = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME")
_PATHS = ("home", "config", "adapter")


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What the system is to run. `notes` say what a user should know, such as a secret that is left out."""

    arguments: tuple[str, ...]  # the program first, by its absolute path
    environment: Mapping[str, str]
    home: Path  # of the host's data
    notes: tuple[str, ...] = ()


def service_plan(
    settled: Settled,
    options: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    cwd: Path,
    program: str = "",
) -> ServicePlan:
    """The plan for these options and this environment; relative paths are meant from `cwd`.

    A secret is never part of it: a unit can be read by others, and shown by the system.
    """
    arguments = [program or program_path()]
    notes = []
    for name in (*SETTINGS, "config"):
        setting = CONFIG_FILE if name == "config" else SETTINGS[name]
        value = options.get(name)
        if not setting.option or value in (None, ""):
            continue
        if _is_secret(setting, str(value)):
            notes.append(_left_out(setting.option, setting))
        else:
            arguments += [setting.option, _absolute(name, str(value), cwd)]
    carried = {name: environ[name] for name in _CARRIED if environ.get(name)}
    for name, setting in (("config", CONFIG_FILE), *SETTINGS.items()):
        value = environ.get(setting.env, "")
        if not setting.env or not value or options.get(name) not in (None, ""):
            continue
        if _is_secret(setting, value):
            notes.append(_left_out(setting.env, setting))
        else:
            carried[setting.env] = _absolute(name, value, cwd)
    if environ.get("HF_TOKEN"):
        notes.append(
            "HF_TOKEN is a secret and is not written into the service; log in instead: hf auth login"
        )
    for file in settled.files:
        if file.origin is Origin.FOLDER_FILE:
            notes.append(f"{file.path} does not count for the service, which runs in no folder")
    return ServicePlan(tuple(arguments), carried, settled.config.home.absolute(), tuple(notes))


def _is_secret(setting: Setting, value: str) -> bool:
    return setting.kind.secret or setting.kind.masked(value) != value


def _left_out(name: str, setting: Setting) -> str:
    return (
        f"{name} is a secret and is not written into the service; set {setting.key} in ~/.anyclauderc.json,"
        " which only you should be able to read"
    )


def _absolute(name: str, value: str, cwd: Path) -> str:
    """A path for a process that runs elsewhere; a model's id stays."""
    path = expand_home(value, Path.home())
    if name in _PATHS or (name == "model" and not path.is_absolute() and (cwd / path).is_dir()):
        return str(cwd / path)
    return str(path) if value.startswith("~") else value
