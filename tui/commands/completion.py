"""What a shell completes besides commands and options: words of settings, backends, event types, trace ids.

It runs on each press of Tab, so it reads names of files and nothing else, and an error is no completion.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import typer

from engine.options.setting import Setting
from proxy.configuration.known_backends import KNOWN_BACKENDS

_MOST_IDS = 50  # the newest; more fill a screen

Complete = Callable[[str], list[str]]


def words_of(setting: Setting) -> Complete | None:
    """Completes a setting that is one of a few words; None for all others."""
    choices = setting.kind.schema.get("anyOf") or [setting.kind.schema]
    words = [word for word in choices[0].get("enum", ()) if isinstance(word, str) and word]
    return _beginning(words) if words else None


def _beginning(words: list[str]) -> Complete:
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def backends(incomplete: str) -> list[str]:
    """Names of backends."""
    return _beginning(list(KNOWN_BACKENDS))(incomplete)


def event_types(incomplete: str) -> list[str]:
    """Types of events, and of groups of them."""
    from proxy.events.types import PAYLOADS

    groups = {f"{name.partition('.')[0]}.*" for name in PAYLOADS}
    return _beginning([*sorted(groups), *PAYLOADS])(incomplete)


def trace_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest traces, each with its backend and time."""
    return list(islice(_trace_ids(_home(context), incomplete), _MOST_IDS))


def _trace_ids(home: Path, incomplete: str) -> Iterator[tuple[str, str]]:
    from proxy.traces.files import TRACES_FOLDER, id_in, time_in, trace_files
    from tui.client.figures import day_and_clock

    try:
        for path in trace_files(home / TRACES_FOLDER):
            if (found := id_in(path)) and found.startswith(incomplete):
                yield found, f"{path.partition('/')[0]} {day_and_clock(time_in(path))}"
    except OSError:
        return


def _home(context: typer.Context) -> Path:
    """The state folder by option, variable or default; a configuration file is not read for this."""
    given = context.find_root().params.get("home") or os.environ.get("ANYCLAUDE_HOME") or "~/.anyclaude"
    return Path(os.path.expanduser(str(given)))  # unlike that of `Path`, this never raises
