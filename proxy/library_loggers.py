"""The loggers of libraries, which say at each request where it goes."""

from __future__ import annotations

import logging

# httpx logs the whole address, in which an upstream's password may stand.
CHATTY_LOGGERS = ("httpx", "httpcore", "asyncio", "uvicorn")


def quiet_libraries() -> None:
    """Leave what libraries say below a warning out of the log, at each level of it."""
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
