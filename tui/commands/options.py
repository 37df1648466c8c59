"""Options that several commands have, and those that the table of settings gives to the program itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from engine.options.setting import Setting
from proxy.configuration.settings import CONFIG_FILE, SETTINGS
from tui.commands.completion import words_of

_LONGEST = 300  # characters of what an option's help says that it may be; docs/settings.md has all


def option_of(setting: Setting) -> Any:
    """The option of a setting, as typer takes it within `Annotated`."""
    allowed = setting.kind.allowed
    explained = (
        f"{setting.help}; a wrong name is answered with all" if len(allowed) > _LONGEST else setting.explained
    )
    return _option(setting, explained)


def _option(setting: Setting, explained: str) -> Any:
    default = f"  [{setting.default_text}]" if setting.default_text else ""
    text = f"{explained[0].upper()}{explained[1:]}.{default}"
    return typer.Option(setting.option, metavar=setting.metavar, help=text, autocompletion=words_of(setting))


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the table, in the place of its `**settings`.

    What was not given comes as None, under the setting's name.
    """
    signature = inspect.signature(command, eval_str=True)
    kept = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[setting.option_type | None, option_of(setting)],
        )
        for name, setting in SETTINGS.items()
        if setting.option
    ]
    command.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return command


Attach = Annotated[str | None, typer.Option(metavar="URL", help="A host that runs elsewhere.")]
Port = Annotated[int | None, option_of(SETTINGS["port"])]
HostPort = Annotated[int | None, _option(SETTINGS["port"], "port of the host that runs on this machine")]
Config = Annotated[str | None, option_of(CONFIG_FILE)]


def on_host(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command of a running host `--attach`, `--port` and `--config`; see `_with`."""
    return _with(command, {"attach": Attach, "port": HostPort, "config": Config})


def on_disk(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that needs no host `--config`; see `_with`."""
    return _with(command, {"config": Config})


def _with(command: Callable[..., None], options: Mapping[str, Any]) -> Callable[..., None]:
    """The command with these options; its `invocation` has them over those before the command."""
    signature = inspect.signature(command, eval_str=True)
    own = [each for name, each in signature.parameters.items() if name != "invocation"]

    @functools.wraps(command)
    def run(context: typer.Context, **given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(invocation=context.obj.over(**chosen), **given)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]
    run.__signature__ = signature.replace(parameters=[context, *own, *added])  # type: ignore[attr-defined]
    return run
