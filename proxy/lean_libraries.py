"""Libraries without the parts that only their own commands need."""

from __future__ import annotations

import sys


def leave_out_httpx_command() -> None:
    """To be called before anything imports httpx: it then comes without its own command line.

    httpx allows for that, as where `httpx[cli]` is not installed; what its command draws with is here for the
    screen, and takes longer to import than all the rest of httpx.
    """
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
