"""The file of pinned prefixes, beside the span files: what is pinned stays so after a restart, or a kill.

It is one JSON object, `{"format": 1, "pins": [{"start": 11548, "tokens": "…"}, …]}`: the tokens of a prompt's
beginning, as base64 of little-endian int32, of which those from `start` on are pinned. It is written whole
and then renamed, so that a process that is killed leaves the one before.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from engine.prefix_cache.interface import TokenArray
from engine.process.private_files import write_private

_log = logging.getLogger(__name__)

FILE_NAME = "pins.json"
_FORMAT = 1


class Pin(NamedTuple):
    """A prompt's beginning, of which the tokens from `start` on are pinned."""

    start: int
    tokens: TokenArray


class PinFile:
    """The pins of one model's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Pin]:
        """The pins; none if there is no such file, or if it cannot be read, which is logged."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("%s cannot be read (%s): nothing is pinned", self._path, error)
            return []
        try:
            known = orjson.loads(content)
            if known["format"] != _FORMAT:
                raise ValueError(f"format {known['format']} is not known")
            return [_pin(entry) for entry in known["pins"]]
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            _log.warning("%s is damaged (%s): nothing is pinned", self._path, error)
            return []

    def write(self, pins: Iterable[Pin]) -> bool:
        """Replace the pins; returns whether they are on disk. A failure is logged."""
        entries = [
            {"start": pin.start, "tokens": base64.b64encode(pin.tokens.astype("<i4").tobytes()).decode()}
            for pin in pins
        ]
        try:
            if not entries:
                self._path.unlink(missing_ok=True)
            else:
                write_private(self._path, orjson.dumps({"format": _FORMAT, "pins": entries}))
        except OSError as error:
            _log.warning("%s cannot be written (%s): pins end with the engine", self._path, error)
            return False
        return True


def _pin(entry: dict[str, object]) -> Pin:
    start, text = entry["start"], entry["tokens"]
    if not isinstance(start, int) or not isinstance(text, str):
        raise TypeError("a pin has a start and tokens")
    tokens = np.frombuffer(base64.b64decode(text, validate=True), "<i4").astype(np.int32)
    if not 0 <= start < len(tokens):
        raise ValueError(f"its start {start} is not within {len(tokens)} tokens")
    return Pin(start, tokens)
