"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.commands.doctor.examination import Examination

Repair = Callable[[], Iterable[str]]
"""Repairs what was found; gives a sentence for each thing that it did.

Raises:
    OSError, sqlite3.Error: it could not; what it did before stays done.
"""


class Standing(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: the evidence, and what to do about it (empty for nothing).

    `details` are further lines of evidence. `repair` is for `--fix`: only what is safe has one. `holds` says
    whether checks that need this one can run.
    """

    standing: Standing
    evidence: str
    advice: str = ""
    details: tuple[str, ...] = ()
    repair: Repair | None = None
    holds: bool = True


def ok(evidence: str, *details: str) -> Finding:
    return Finding(Standing.OK, evidence, details=details)


def warning(
    evidence: str,
    advice: str,
    *,
    details: tuple[str, ...] = (),
    repair: Repair | None = None,
    holds: bool = True,
) -> Finding:
    """It works, but; with `holds` false, what needs it cannot be checked."""
    return Finding(Standing.WARNING, evidence, advice, details, repair, holds)


def failed(
    evidence: str, advice: str, *, details: tuple[str, ...] = (), repair: Repair | None = None
) -> Finding:
    return Finding(Standing.FAILED, evidence, advice, details, repair, holds=False)


def not_checked(reason: str) -> Finding:
    return Finding(Standing.NOT_CHECKED, reason, holds=False)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table; `needs` are the names of checks that have to hold before it can run."""

    name: str  # for programs, such as "model.weights"
    title: str  # for people
    run: Callable[[Examination], Finding]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A check that was made, what `--fix` did for it, and how long it took in seconds."""

    check: Check
    finding: Finding
    repairs: tuple[str, ...] = ()
    took_s: float = 0.0
