"""How our processes and commands end: the exit codes that parents, scripts and people may rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """One meaning for each code, whichever of our programs ends with it."""

    FINE = 0
    FAILED = 1  # a check that failed; of the engine: its loop failed
    USAGE = 2  # the command line, the settings or the configuration
    PORT_BUSY = 3
    ENGINE_FAILED = 4  # no model, or an engine that cannot be started
    GPU_REFUSED = 5  # the GPU did no more work for the process; a new one can
    INTERRUPTED = 130
