"""Numbers as people read them: short, of steady width, and never an exception, whatever the number."""

from __future__ import annotations

import math
from datetime import datetime

NONE = "·"  # nothing to say yet


def count(number: float | None) -> str:
    """A count in at most five characters: 0, 999, 1.2k, 18k, 1.3M."""
    if number is None or not math.isfinite(number):
        return NONE
    sign, number = ("-", -number) if number < 0 else ("", number)
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{sign}{scaled:.1f}{unit}" if scaled < 99.95 else f"{sign}{scaled:.0f}{unit}"
    return f"{sign}{number:.0f}"


def size(number: float | None) -> str:
    """Bytes with a decimal unit: 0 B, 512 kB, 1.2 GB."""
    if number is None or not math.isfinite(number):
        return NONE
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(number) >= step * 0.9995:
            scaled = number / step
            return f"{scaled:.1f} {unit}" if abs(scaled) < 99.95 else f"{scaled:.0f} {unit}"
    return f"{number:.0f} B"


def seconds(duration: float | None) -> str:
    """A duration: 12ms, 0.42s, 4.2s, 42s, 3m12s, 2h05m, 3d04h."""
    if duration is None or not math.isfinite(duration):
        return NONE
    duration = max(0.0, duration)
    if duration < 0.0995:
        return f"{duration * 1000:.0f}ms"
    if duration < 9.95:
        return f"{duration:.2f}s" if duration < 0.995 else f"{duration:.1f}s"
    if duration < 99.5:
        return f"{duration:.0f}s"
    if duration < 3599.5:
        minutes, rest = divmod(round(duration), 60)
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(round(duration / 60), 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    return f"{hours // 24}d{hours % 24:02d}h"


def rate(per_second: float | None) -> str:
    """A speed: 0, 4.2, 41.3, 1.2k."""
    if per_second is None or not math.isfinite(per_second) or per_second <= 0:
        return NONE
    return f"{per_second:.1f}" if per_second < 999.5 else count(per_second)


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1; 100 % and 0 % are said only when they are exact."""
    if share is None or not math.isfinite(share):
        return NONE
    value = min(1.0, max(0.0, share)) * 100
    step = 10.0**-digits
    if 0 < value < 100:
        value = min(100 - step, max(step, value))
    return f"{value:.{digits}f}%"


def clock(moment: float | None) -> str:
    """Epoch seconds as local HH:MM:SS."""
    return _local(moment, "%H:%M:%S")


def day_and_clock(moment: float | None) -> str:
    """Epoch seconds as local `YYYY-MM-DD HH:MM:SS`."""
    return _local(moment, "%Y-%m-%d %H:%M:%S")


def _local(moment: float | None, form: str) -> str:
    if not moment:
        return NONE
    try:
        return datetime.fromtimestamp(moment).strftime(form)
    except (ValueError, OverflowError, OSError):
        return NONE


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`, or None where there is no whole."""
    if not whole or not math.isfinite(whole) or not math.isfinite(part):
        return None
    return part / whole


def plural(number: int, one: str, many: str = "") -> str:
    """`1 request`, `2 requests`, `1,204 requests`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
