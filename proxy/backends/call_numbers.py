"""Which call each piece of a streamed answer belongs to, where upstreams do not say it plainly."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.tool_calls.reading.json_extent import JsonExtent


@dataclass(slots=True)
class _Call:
    number: int
    index: int | None
    id: str = ""
    name: str = ""
    arguments: JsonExtent = field(default_factory=JsonExtent)

    def take(self, call_id: str, name: str, arguments: str) -> None:
        self.id, self.name = self.id or call_id, self.name or name
        if not self.arguments.done:
            self.arguments.feed(arguments)


class CallNumbers:
    """Numbers the calls of one answer in the order in which they begin.

    OpenAI's own API gives each call an `index`, an `id` in its first piece and the name only there. Others
    send no index, or 0 for all, no ids, a new id in each piece, or the name again in each.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._newest: dict[int, _Call] = {}  # of each index that the upstream uses

    def number(self, index: int | None, call_id: str, name: str, arguments: str, *, beside: bool) -> int:
        """The number of the call that a piece belongs to; `beside`: others of its chunk stand before it."""
        call = self._call_at(index, call_id, beside=beside)
        if call is None or _begins_another(call, call_id, name, arguments):
            call = _Call(len(self._calls), index)
            self._calls.append(call)
        if index is not None:
            self._newest[index] = call
        call.take(call_id, name, arguments)
        return call.number

    def _call_at(self, index: int | None, call_id: str, *, beside: bool) -> _Call | None:
        for call in reversed(self._calls):
            if call_id and call.id == call_id and index in (None, call.index):
                return call
        if index is not None:
            return self._newest.get(index)
        return self._calls[-1] if self._calls and not beside else None


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether a piece at the place of `call` is the first one of a call behind it.

    An id alone says nothing: some send a new one in each piece. Nothing can follow whole arguments.
    """
    if not name:
        return False
    if call_id and call.id and call_id != call.id:
        return True
    return call.arguments.done and (name != call.name or arguments.lstrip().startswith("{"))
