"""How much the logs say: of this program by its debug level, of libraries only what is wrong."""

from __future__ import annotations

import logging

# httpx logs the whole address, in which an upstream's password may stand.
CHATTY_LOGGERS = ("httpx", "httpcore", "asyncio", "uvicorn")


def quiet_libraries() -> None:
    """Leave what libraries say below a warning out of the log, at each level of it."""
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class DebugLevel:
    """Switches the root logger between debugging and its level without; `begun` is the level at the start."""

    def __init__(self, begun: int) -> None:
        self._quiet = logging.INFO if begun > 0 else logging.getLogger().level

    def set(self, level: int) -> None:
        """Log as `debug.level` asks for."""
        logging.getLogger().setLevel(logging.DEBUG if level > 0 else self._quiet)
