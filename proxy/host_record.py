"""The file in which a running host names its process, so that it is found although it does not answer.

`run/host-PID.json` below the state folder, one JSON object with the fields of `HostRecord`. It is written
when the host listens and removed at its end; what a killed host leaves, the next one removes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from engine.process.private_files import write_private

RUN_FOLDER = "run"
PATTERN = "host-*.json"
_SAME_S = 2.0  # the system's account of when a process began moves with its clock

_log = logging.getLogger("anyclaude")


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One host: where it listens, and which process it is."""

    pid: int
    created: float  # of the process, in epoch seconds: a later process with this id is another one
    url: str

    @property
    def runs(self) -> bool:
        """Whether that very process is there."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.created) < _SAME_S
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except (psutil.Error, OverflowError):  # a number in a file may be none of a process
            return False


def recorded_hosts(home: Path) -> list[HostRecord]:
    """The hosts that run with this state folder, in the order of their start."""
    records = [record for path in sorted((home / RUN_FOLDER).glob(PATTERN)) if (record := _read(path))]
    return sorted((record for record in records if record.runs), key=lambda record: record.created)


@contextmanager
def recorded(home: Path, url: str) -> Iterator[None]:
    """A block in which this process is on record as the host at `url`."""
    pid = os.getpid()
    record = HostRecord(pid, psutil.Process().create_time(), url)
    path = home / RUN_FOLDER / f"host-{pid}.json"
    try:
        _remove_left_behind(home / RUN_FOLDER)
        write_private(path, json.dumps(asdict(record)).encode())
    except OSError as error:
        _log.warning("%s cannot be written (%s); stop and status ask the port alone", path, error.strerror)
    try:
        yield
    finally:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            pass


def _remove_left_behind(folder: Path) -> None:
    for path in folder.glob(PATTERN):
        record = _read(path)
        if record is None or not record.runs:
            path.unlink(missing_ok=True)


def _read(path: Path) -> HostRecord | None:
    try:
        fields = json.loads(path.read_bytes())
        record = HostRecord(int(fields["pid"]), float(fields["created"]), str(fields["url"]))
        whole = record.pid > 0 and urlsplit(record.url).port is not None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return record if whole else None
