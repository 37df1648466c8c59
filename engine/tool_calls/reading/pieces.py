"""What a reader yields for a model's tool calls while the model writes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call has begun, and its tool is known."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next piece of the open call's arguments, as JSON text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The open call is complete: `arguments` is its whole JSON text, `raw` its text with marks."""

    name: str
    arguments: str
    raw: str


@dataclass(frozen=True, slots=True)
class CallBroken:
    """Text behind an opening mark that is not a call of its family, or is truncated.

    `raw` is the whole text, mark included. It may follow a `CallBegin`, in place of the `CallEnd`.
    """

    raw: str
    why: str


CallPiece = CallBegin | CallArguments | CallEnd | CallBroken
