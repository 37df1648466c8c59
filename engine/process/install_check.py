"""Can anyclaude-tui be installed and run here? One sentence where it cannot.

`make install` asks before there is an environment, with whatever Python it finds: this module keeps to what
Python 3.8 understands, and imports nothing but the standard library.
"""

from __future__ import annotations

import platform
import sys

LEAST_PYTHON = (3, 11)
LEAST_MACOS = 14  # of mlx's wheels
_NOT_TOLD = "10.16"  # how macOS 11 and later call themselves to programs that were built for 10


def refusal(version: tuple[int, ...], system: str, machine: str, macos: str) -> str:
    """Why not, with what to do; "" where nothing is in the way.

    `version` is as `sys.version_info`, the others are as `platform` has them; `macos` is "" elsewhere.
    """
    if system == "Darwin" and machine != "arm64":
        made_for = "Intel processors" if machine == "x86_64" else machine
        return (
            f"this Python is made for {made_for}, and MLX needs Apple silicon; on such a Mac take an arm64"
            " Python, such as Homebrew's: make PYTHON=/opt/homebrew/bin/python3 ..."
        )
    major = macos.partition(".")[0]
    if system == "Darwin" and macos != _NOT_TOLD and major.isdigit() and int(major) < LEAST_MACOS:
        return f"macOS {LEAST_MACOS} or newer is needed, for MLX; this is macOS {macos}: upgrade it"
    if tuple(version[:2]) < LEAST_PYTHON:
        return "Python {}.{} or newer is needed; name one: make PYTHON=python3.12 ...".format(*LEAST_PYTHON)
    return ""


def refusal_here() -> str:
    """The same for this Python on this machine."""
    return refusal(sys.version_info[:2], platform.system(), platform.machine(), platform.mac_ver()[0])
