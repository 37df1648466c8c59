"""Times as people write them: so long ago, a day, a time of a day."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_AGO = re.compile(r"(\d{1,6})([mhdw])")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
FORMS = "90m, 12h, 7d or 2w before now, today, yesterday, 14:30, 2026-11-28, 2026-11-28T14:30"


def moment_of(text: str, *, now: float) -> float:
    """Epoch seconds of a time in one of `FORMS`, local where no zone is given.

    A time of day is that of today, or of yesterday where it is still to come.

    Raises:
        ValueError: it is none of them.
    """
    if found := _AGO.fullmatch(text):
        return now - int(found[1]) * _UNITS[found[2]]
    try:
        today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
        if text == "today":
            return today.timestamp()
        if text == "yesterday":
            return (today - timedelta(days=1)).timestamp()
        if found := _CLOCK.fullmatch(text):
            that = today.replace(hour=int(found[1]), minute=int(found[2]))
            return (that if that.timestamp() <= now else that - timedelta(days=1)).timestamp()
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"a time is one of: {FORMS}") from None
