"""Where a setting comes from, and which address a key may therefore be sent to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# How a working directory's file stands.
TRUSTED, NOT_TRUSTED = "trusted", "not trusted"


class Origin(Enum):
    """Who sets a value."""

    DEFAULT = "default"
    OWN_FILE = "the user's own file"
    FOLDER_FILE = "the working directory's file"
    NAMED_FILE = "the file that was named"  # by --config or ANYCLAUDE_CONFIG
    ENVIRONMENT = "the environment"
    COMMAND_LINE = "the command line"


@dataclass(frozen=True, slots=True)
class Source:
    """Where one value stands."""

    origin: Origin
    place: str  # for people: "--port", "ANYCLAUDE_PORT", "/home/me/.anyclauderc.json: port"
    folder: Path | None = None  # from which a relative path is meant; None: the working directory
    standing: str = ""  # of the file that it is in: TRUSTED, NOT_TRUSTED

    def __str__(self) -> str:
        return self.place

    @property
    def described(self) -> str:
        """The place, and how far it counts."""
        return f"{self.place}, {self.standing}" if self.standing else self.place


DEFAULT = Source(Origin.DEFAULT, "default")


def may_be_sent(key: Source, address: Iterable[Source]) -> bool:
    """May a key go to an address, of which each part has its source?

    The same source has to name both, so that no repository and no forgotten variable leads a key elsewhere;
    or the command line names the address, with the user in front of it; or it is a backend's usual one.
    """
    return all(part.origin in (Origin.DEFAULT, Origin.COMMAND_LINE, key.origin) for part in address)
