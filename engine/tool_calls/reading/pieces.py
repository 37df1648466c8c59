"""What reading a model's tool calls yields, piece by piece, while the model writes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call whose tool is known now."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next piece of the open call's arguments, as JSON text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The open call is whole. `arguments` is all of its JSON text, `raw` what the model wrote, with marks."""

    name: str
    arguments: str
    raw: str


@dataclass(frozen=True, slots=True)
class CallBroken:
    """Text that an opening mark announced and that is no call as its family writes it, or was cut.

    `raw` is all of it, from the mark on; it may come behind a `CallBegin`, in place of the `CallEnd`.
    """

    raw: str
    why: str


CallPiece = CallBegin | CallArguments | CallEnd | CallBroken
