"""Tool calls while their pieces arrive."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field

from engine.tool_calls.schemas.tools import Verdict, parse_json
from engine.wire.json_text import encode_json
from proxy.backends.upstream import ToolCallDelta, ToolCallRaw
from proxy.events.tool_call import ToolCall

TRUNCATED = "the answer ended within the call"

# Shorter ids are counters in many upstreams ("call_0") and would be the same in each answer.
_TRUSTED_ID = re.compile(r"[A-Za-z0-9_-]{12,64}")


@dataclass(slots=True)
class PendingCall:
    """One call; `pieces` are its arguments, JSON as the model wrote it, `reported` how it came about."""

    id: str
    name: str
    reported: ToolCallRaw | None = None
    pieces: list[str] = field(default_factory=list)
    _checked: int = 0  # pieces when it was last seen to be incomplete

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole JSON value already, so that no more can belong to them."""
        if self._checked == len(self.pieces) or not self._may_end_here():
            return False
        try:
            parse_json(self.arguments)
        except ValueError:
            self._checked = len(self.pieces)
            return False
        return True

    def _may_end_here(self) -> bool:
        """Spares most of the parsing where other output comes between the pieces of a long call."""
        last = next((piece for piece in reversed(self.pieces) if not piece.isspace()), "")
        return last.rstrip().endswith(("}", '"'))  # an object, or one that is written as a string

    @property
    def raw(self) -> str:
        """The call as the model wrote it, or written down anew where the upstream does not report that."""
        return self.reported.raw if self.reported is not None else as_text(self.name, self.arguments)

    def entry(self, verdict: Verdict) -> ToolCall:
        """The record of the call with this verdict."""
        reported = self.reported or ToolCallRaw(0, "")
        return ToolCall(
            id=self.id,
            name=self.name,
            raw=self.raw,
            tokens=list(reported.tokens),
            family=reported.family,
            constrained=reported.constrained,
            relaxed=reported.relaxed,
            input=verdict.input,
            repairs=list(reported.repairs),
            verdict=verdict.verdict,
            detail=verdict.detail,
        )

    def truncated_entry(self, why: str = TRUNCATED) -> ToolCall:
        """The record of a call without its end. It has no input: that might mean something else."""
        entry = self.entry(Verdict("unparsed", detail=why))
        entry.verdict = "cut"
        return entry


def as_text(name: str, arguments: str) -> str:
    """A call as text, its arguments unchanged."""
    return f'{{"name": {encode_json(name).decode()}, "arguments": {arguments}}}'


class CallIds:
    """Ids for the calls of one answer; `used` are those of its conversation."""

    def __init__(self, used: frozenset[str] = frozenset()) -> None:
        self._used = set(used)

    def fresh(self, upstream_id: str = "") -> str:
        """The upstream's id where it differs from all others of the conversation, else a new one."""
        if not _TRUSTED_ID.fullmatch(upstream_id) or upstream_id in self._used:
            upstream_id = f"toolu_{uuid.uuid4().hex[:24]}"
        self._used.add(upstream_id)
        return upstream_id

    def served(self) -> str:
        """An id for a call that the proxy runs itself, in the form that Anthropic's have."""
        return f"srvtoolu_{uuid.uuid4().hex[:24]}"


class PendingCalls:
    """The calls of one answer that are not settled yet, in the order in which they began."""

    def __init__(self, ids: CallIds) -> None:
        self.calls: dict[int, PendingCall] = {}  # by the upstream's index
        self._ids = ids
        self._reported: dict[int, ToolCallRaw] = {}  # of calls that are to come

    @property
    def unfinished(self) -> bool:
        """Whether one of them is not whole."""
        return any(not call.complete for call in self.calls.values())

    def add(self, piece: ToolCallDelta) -> bool:
        """Add a piece; True when it began a call while others were pending."""
        call = self.calls.get(piece.index)
        began = call is None
        if call is None:
            reported = self._reported.pop(piece.index, None)
            call = self.calls[piece.index] = PendingCall(self._ids.fresh(piece.id), piece.name, reported)
        elif piece.name != call.name and not (call.name and call.pieces):
            # Some send the name in pieces, or each piece with all before it.
            call.name = piece.name if piece.name.startswith(call.name) else call.name + piece.name
        if piece.arguments:
            call.pieces.append(piece.arguments)
        return began and len(self.calls) > 1

    def take_raw(self, reported: ToolCallRaw) -> None:
        """Keep how a call that is pending, or comes next, was made."""
        call = self.calls.get(reported.index)
        if call is None:
            self._reported[reported.index] = reported
        else:
            call.reported = reported

    def take_complete(self, *, but: int | None = None) -> list[PendingCall]:
        """The leading calls that are whole, except that of index `but`; the others stay, in order."""
        taken: list[PendingCall] = []
        for index, call in list(self.calls.items()):
            if index == but or not call.complete:
                break
            taken.append(self.calls.pop(index))
        return taken

    def take_all(self) -> list[PendingCall]:
        taken = list(self.calls.values())
        self.calls.clear()
        return taken
