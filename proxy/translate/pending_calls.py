"""Tool calls while their pieces arrive."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field

import orjson

from proxy.backends.upstream import ToolCallDelta
from proxy.json_text import encode_json

# Shorter ids are counters in many upstreams ("call_0") and would be the same in each answer.
_TRUSTED_ID = re.compile(r"[A-Za-z0-9_-]{12,64}")


@dataclass(slots=True)
class PendingCall:
    """One call; `arguments` is JSON as the model wrote it, `raw` the whole call where the upstream tells."""

    id: str
    name: str
    raw: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole JSON value already, so that no more can belong to them."""
        try:
            orjson.loads(self.arguments)
        except orjson.JSONDecodeError:
            return bool(self.raw)
        return True

    def as_text(self) -> str:
        """The call as text, arguments unchanged, for an upstream that does not tell how it was written."""
        return f'{{"name": {encode_json(self.name).decode()}, "arguments": {self.arguments or "{}"}}}'


class PendingCalls:
    """The calls of one answer that are not settled yet, in the order in which they began."""

    def __init__(self, used_ids: frozenset[str] = frozenset()) -> None:
        self._used = set(used_ids)
        self._calls: dict[int, PendingCall] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, piece: ToolCallDelta) -> bool:
        """Add a piece; True when it began a call while others were pending."""
        call = self._calls.get(piece.index)
        began = call is None
        if call is None:
            call = self._calls[piece.index] = PendingCall(self._fresh_id(piece.id), piece.name)
        elif not call.name:
            call.name = piece.name
        call.raw = piece.raw or call.raw
        if piece.arguments:
            call.pieces.append(piece.arguments)
        return began and len(self._calls) > 1

    def take_complete(self, *, but: int | None = None) -> list[PendingCall]:
        """The leading calls that are whole, except that of index `but`; the others stay, in order."""
        taken: list[PendingCall] = []
        for index, call in list(self._calls.items()):
            if index == but or not call.complete:
                break
            taken.append(self._calls.pop(index))
        return taken

    def take_all(self) -> list[PendingCall]:
        taken = list(self._calls.values())
        self._calls.clear()
        return taken

    def _fresh_id(self, upstream_id: str) -> str:
        """The upstream's id where it can be told from all others of the conversation, else a new one."""
        if not _TRUSTED_ID.fullmatch(upstream_id) or upstream_id in self._used:
            upstream_id = f"toolu_{uuid.uuid4().hex[:24]}"
        self._used.add(upstream_id)
        return upstream_id
