"""Which files of working directories the user has trusted, or refused: remembered by place and content.

One small file a decision, in a folder of the user's home that no configuration can move. A decision holds for
one place with one content; whoever changes the file has to be trusted anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.process.private_files import write_private
from proxy.configuration.small_file import NOT_THERE, read_small_file

TRUST_FOLDER = "trust"
_MOST_BYTES = 64 << 10
_SUFFIX = ".json"
_END_OF_TIME = 1e11  # seconds, some three thousand years: what a calendar can still show


class DamagedDecision(ValueError):
    """A decision cannot be read as one; the message has the reason. Raised and caught within `TrustList`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The user's decision about one content of one file."""

    file: str  # where it stands, its folder's real path
    sha256: str
    trusted: bool
    time: float  # seconds since 1970


def content_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place_of(path: Path) -> Path:
    """Where a file stands: its folder's real path and its name.

    The name is not resolved: a link to a file that is trusted elsewhere is not trusted here.
    """
    return Path(os.path.realpath(path.parent)) / path.name


class TrustList:
    """The decisions in `folder`. A damaged one counts as none and is moved away; `notices` says so."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.notices: list[str] = []
        self._clock = clock

    def decision(self, place: Path, content: bytes) -> bool | None:
        """True: trusted, False: refused, None: the user was not asked."""
        digest = content_hash(content)
        path = self._path(str(place), digest)
        found = self._read(path)
        if found is None:
            return None
        if (found.file, found.sha256) != (str(place), digest):
            self._quarantine(path, "it is about another file")
            return None
        return found.trusted

    def remember(self, place: Path, content: bytes, *, trusted: bool) -> None:
        """Keep a decision.

        Raises:
            OSError: it could not be written.
        """
        decision = Decision(str(place), content_hash(content), trusted, self._clock())
        path = self._path(decision.file, decision.sha256)
        write_private(path, json.dumps(asdict(decision), indent=1).encode() + b"\n")

    def forget(self, place: Path) -> int:
        """Remove all decisions about this file; returns how many there were.

        Raises:
            OSError: one could not be removed.
        """
        removed = [decision for decision in self.decisions() if decision.file == str(place)]
        for decision in removed:
            self._path(decision.file, decision.sha256).unlink(missing_ok=True)
        return len(removed)

    def decisions(self) -> list[Decision]:
        """All of them, by file, the newest first."""
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(_SUFFIX))
        except OSError:
            return []
        visible = [self.folder / name for name in names if not name.startswith(".")]
        found = [decision for path in visible if (decision := self._read(path)) is not None]
        return sorted(found, key=lambda decision: (decision.file, -decision.time))

    def _path(self, place: str, digest: str) -> Path:
        name = hashlib.sha256(os.fsencode(place) + b"\0" + digest.encode()).hexdigest()
        return self.folder / f"{name}{_SUFFIX}"

    def _read(self, path: Path) -> Decision | None:
        try:
            file = read_small_file(path, most=_MOST_BYTES)
            if file.owner not in (os.geteuid(), 0):
                raise DamagedDecision("it belongs to another user")
            return _decision(file.data)
        except OSError as error:
            if error.errno in NOT_THERE:
                return None
            self._quarantine(path, error.strerror or str(error))
        except DamagedDecision as error:
            self._quarantine(path, str(error))
        return None

    def _quarantine(self, path: Path, reason: str) -> None:
        away = path.with_name(path.name + ".damaged")
        try:
            path.replace(away)
            kept = f"it is kept as {away.name}"
        except OSError:
            kept = "it cannot be moved away"
        self.notices.append(
            f"{path} does not say which file is trusted ({reason}); {kept}, and nothing is trusted by it"
        )


def _decision(data: bytes) -> Decision:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise DamagedDecision("it is not JSON") from None
    match document:
        case {
            "file": str(file),
            "sha256": str(digest),
            "trusted": bool(trusted),
            "time": int() | float() as at,
        } if 0 <= at < _END_OF_TIME:
            return Decision(file, digest, trusted, float(at))
    raise DamagedDecision("it is no decision")
