"""The file that a host's health history is kept in for its next start."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from engine.process.private_files import write_private
from proxy.timeline.health_history import UNCLOSED, WEEK_S, HealthHistory, StateMark, epoch_seconds

HEALTH_FOLDER = "health"  # below the home folder
VERSION = 1
_UNSAFE = re.compile(r"[^\w.-]")
_MOST_BYTES = 8 << 20


class HealthFileDamaged(Exception):
    """The file holds no history that this version can read."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The time that a history knows, in epoch seconds."""

    since: float
    until: float


def health_path(home: Path, backend: str) -> Path:
    """Where the history of the hosts with this backend is kept; of several at once the last one's stays."""
    return home / HEALTH_FOLDER / f"{_UNSAFE.sub('_', backend).lstrip('.') or 'unnamed'}.json"


def write_health(path: Path, dumped: dict[str, Any], *, since: float, now: float) -> None:
    """Write a history whole, of which `dumped` is the dump.

    Raises:
        OSError: the disk would not take it; what was there before stays.
    """
    content = {"version": VERSION, "since": since, "until": now, **dumped}
    write_private(path, orjson.dumps(content))


def read_health(path: Path, history: HealthHistory, *, now: float) -> Coverage | None:
    """Put what the file holds before `history`; None where there is no file, or it is of a newer version.

    Raises:
        HealthFileDamaged: it cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise HealthFileDamaged("it is too large")
        content = orjson.loads(path.read_bytes())
        if content["version"] != VERSION:
            return None
        found = HealthHistory()
        found.load(content["samples"], content["marks"], content["spans"])
        known = Coverage(epoch_seconds(content["since"]), epoch_seconds(content["until"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HealthFileDamaged(error.strerror or str(error)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise HealthFileDamaged(str(error)[:200]) from None
    if found.marks and found.marks[-1].state != "off":  # that host had no time to say that it ends
        found.marks.append(StateMark(known.until, "off", UNCLOSED))
    marks = [[mark.time, mark.state, mark.detail, mark.by_you] for mark in found.marks if mark.time <= now]
    kept = found.dump() | {"marks": marks}
    history.load(kept["samples"], kept["marks"], kept["spans"])
    return replace(known, since=max(known.since, now - WEEK_S))
