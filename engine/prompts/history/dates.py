"""The date that a chat template writes: that of a conversation's first prompt, for all of its prompts.

Templates write the date, some the time to the second, before the conversation. With the time of each request
nothing behind it could be read from the cache. So a conversation keeps its day, also after midnight, and the
time is the start of that day: prompts of other conversations of the day begin alike.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from engine.wire.chat import Message, content_text

_MAX_CONVERSATIONS = 1024


class ConversationDates:
    """The days of the most recent conversations, each known by its first question."""

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now
        self._days: OrderedDict[bytes, datetime] = OrderedDict()

    def of(self, messages: Sequence[Message]) -> datetime:
        """The start of the day on which this conversation was first rendered."""
        first = next((m for m in messages if m["role"] == "user"), {})
        said = content_text(first.get("content")).encode("utf-8", "surrogatepass")
        name = hashlib.sha256(said).digest()
        day = self._days.pop(name, None) or self._now().replace(hour=0, minute=0, second=0, microsecond=0)
        self._days[name] = day
        if len(self._days) > _MAX_CONVERSATIONS:
            self._days.popitem(last=False)
        return day
