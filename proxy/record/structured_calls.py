"""Which conversations have calls that the upstream sent apart from the text: there, text is never a call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

_MOST = 20_000  # sessions and ids of calls, some 2 MB


class StructuredCalls:
    """Remembers sessions, and ids of calls for clients that do not name their session; the newest of them."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, None] = OrderedDict()

    def remember(self, session: str, call_ids: Iterable[str]) -> None:
        """The upstream has sent these calls apart from the text, in an answer of the session."""
        for key in (session, *call_ids):
            if key:
                self._known[key] = None
                self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def knows(self, session: str, call_ids: Iterable[str]) -> bool:
        """Whether it has done so in this session, or any of these calls is one of them."""
        return session in self._known or any(call_id in self._known for call_id in call_ids)
