"""`anyclaude-tui` without a command: the control center, with its own host or attached to another."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from engine.process.descriptors import raise_descriptor_limit
from engine.process.loopback import is_loopback_name
from engine.process.private_files import open_private, private_folder
from proxy.configuration.destination import public_url, without_password
from proxy.configuration.settled import ConfigError, HostConfig
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.output import write_data
from tui.commands.port_check import check_ports
from tui.commands.program_name import program_name, program_with_options
from tui.commands.trust_question import question

if TYPE_CHECKING:
    from proxy.configuration.settling import Settled
    from proxy.events.types import HostState
    from proxy.recordings.format import Recording
    from tui.client.recording.bundle import MadeBundle
    from tui.client.records import ModelFit
    from tui.screen.choices.configured import ScreenChoices
    from tui.screen.host_actions.bundling import Bundler
    from tui.screen.host_protocols import HostApi


def run_screen(invocation: Invocation) -> int:
    """Show the screen until the user quits; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong.
        CommandFailed: there is no terminal, a port is busy, or no host answers at `--attach`.
    """
    hold_garbage_collection()
    why = no_screen(invocation.environ)
    asks = not why and not invocation.attach
    settled = invocation.settle(question(invocation.environ) if asks else None)
    config = settled.config
    if why:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{why}; without one, use: anyclaude-tui --no-ui",
        )
    choices, problems = screen_choices(config)
    if problems:
        raise ConfigError(problems)
    if invocation.attach:
        from tui.commands.narration import destination_of

        url = invocation.base_url(settled)
        state = asyncio.run(_must_answer(url, config.token))
        say(f"requests go to {destination_of(state)}, according to the host on {public_url(url)}")
        here = is_loopback_name(urlsplit(url).hostname or "")
        own = invocation.own_file if here else None
        home = Path(state.home) if here and state.home else None
        program = _program(invocation, urlsplit(url).port or 0, home)
        return _show(config, url, program, choices, own, _bundler(settled))
    check_ports(config)
    for line in settled.account:
        say(line)
    program = _program(invocation, config.port, config.home)
    return _show(config, None, program, choices, invocation.own_file, _bundler(settled), invocation)


def _program(invocation: Invocation, port: int, home: Path | None) -> str:
    """The command line of this program that leads to the host which is shown."""
    config = str(invocation.options.get("config") or "")
    return program_with_options(port, invocation.environ, home=home, config=config)


def no_screen(environ: Mapping[str, str]) -> str:
    """Why no screen can be shown here; empty where one can."""
    dumb = environ.get("TERM") == "dumb"
    if sys.stdin.isatty() and sys.stdout.isatty() and not dumb:
        return ""
    return f"the screen needs a terminal{' that can move its cursor (TERM is dumb)' if dumb else ''}"


def hold_garbage_collection() -> None:
    """Look for no garbage until the first frame, after which the screen does again.

    There is none until then, and to look for it takes a sixth of the processor's time.
    """
    gc.disable()


def _show(
    config: HostConfig,
    attach_url: str | None,
    program: str,
    choices: ScreenChoices | None = None,
    own: Path | None = None,
    bundler: Bundler | None = None,
    start: Invocation | None = None,
) -> int:
    """Run the screen; `start` started its host, for which a model can be suggested."""
    raise_descriptor_limit()
    from tui.client.host_process import HostProcess
    from tui.screen.choices.configured import DEFAULT_CHOICES
    from tui.screen.choices.remembered import FILE_NAME
    from tui.screen.running import ScreenSettings, run_app

    host = None
    if attach_url is None:
        host = HostProcess(config, log_path=private_folder(config.home / "logs") / "host.log")
    settings = ScreenSettings(
        program=program,
        token=config.token,
        log_path=screen_log(config.home),
        theme_path=config.home / FILE_NAME,
        own_file=own,
        choices=choices or DEFAULT_CHOICES,
        bundler=bundler,
        suggest=None if start is None or config.backend != "mlx" else lambda: _fit(start),
    )
    code = run_app(host, attach_url, settings)
    for line in host.report if host is not None else ():
        say(line)
    return code


def _fit(invocation: Invocation) -> ModelFit | None:
    from tui.commands.models.suggesting import model_fit

    try:
        return model_fit(invocation, program_name(invocation.environ))
    except (ConfigError, CommandFailed):
        return None


def screen_choices(config: HostConfig) -> tuple[ScreenChoices, list[str]]:
    """What the configuration says of the screen, and one line for each thing that is wrong with it."""
    from tui.screen.choices.configured import settle_choices

    return settle_choices(config.theme, config.themes, config.keys, config.notify)


def run_config_keys(invocation: Invocation, *, as_json: bool) -> int:
    """Print each command of the screen: its name, its keys, and what it does; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: the configuration is wrong, its keys included.
    """
    choices, problems = screen_choices(invocation.settle().config)
    if problems:
        raise ConfigError(problems)
    from tui.screen.keymap import all_commands, take_keys
    from tui.screen.keys.command import shown_key

    take_keys(choices.keys)
    rows = [
        (one.id, " ".join(map(shown_key, one.keys.split(","))), one.title, one.id in choices.keys)
        for one in all_commands()
    ]
    if as_json:
        names = ("name", "keys", "title", "yours")
        write_data("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
        return ExitCode.FINE
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]  # type: ignore[arg-type]
    for name, keys, title, yours in rows:
        mark = "  (yours)" if yours else ""
        write_data(f"{name:<{widths[0]}}  {keys:<{widths[1]}}  {title}{mark}\n")
    return ExitCode.FINE


def _bundler(settled: Settled) -> Bundler:
    """Makes bug bundles for a screen, whose host has this configuration."""

    async def make(
        client: HostApi | None, contents: Literal["redacted", "none"], traces: Sequence[str]
    ) -> MadeBundle:
        # 300 ms of imports, and only for those who make one.
        commands = await asyncio.to_thread(importlib.import_module, "tui.commands.recording")
        made: MadeBundle = await commands.bundle_for_screen(settled, client, contents, traces)
        return made

    return make


def show_recording(recording: Recording, home: Path) -> int:
    """Show a recording until the user quits; returns the exit code. `home` has the theme and the log."""
    from tui.screen.choices.remembered import FILE_NAME
    from tui.screen.playing.playing_app import PlayingApp
    from tui.screen.running import show_app
    from tui.screen.terminal_background import light_background
    from tui.screen.theme_choice import ThemeChoice

    themes = ThemeChoice(home / FILE_NAME, light_background=light_background)
    return show_app(PlayingApp(recording, themes=themes), screen_log(home))


def screen_log(home: Path) -> Path | None:
    """The file for what others than the screen print; None, with a word why, where it cannot be written.

    A screen alone keeps nothing else that it cannot do without, so it is shown also on such a home.
    """
    path = home / "logs" / "screen.log"
    try:
        private_folder(path.parent)
        open_private(path, "ab").close()
    except OSError as error:
        say(f"{path} cannot be written ({error.strerror}): nothing that goes wrong in the screen is kept")
        return None
    return path


async def _must_answer(url: str, token: str) -> HostState:
    from tui.client.host_client import HostError, host_state

    try:
        return await host_state(url, token)
    except HostError as error:
        address = without_password(url.rstrip("/"))
        raise CommandFailed(ExitCode.USAGE, f"no host to attach to on {address}: {error}") from None
