"""What a check found: one line for each claim, with its evidence and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from tui.client.wire_text import line_text
from tui.commands.exit_codes import ExitCode
from tui.commands.output import write_data

ClaimStatus = Literal["ok", "warning", "failed", "not checked"]
_STATUS_CELLS = len("not checked")


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that was verified; `advice` says what to do unless it is ok."""

    name: str
    status: ClaimStatus
    evidence: str
    advice: str = ""


@dataclass(slots=True)
class Claims:
    """The claims of one check, in order; each is also narrated by `narrate` as soon as it is known."""

    check: str  # such as "verify cache"
    narrate: Callable[[str], None]
    found: list[Claim] = field(default_factory=list)
    interpretation: list[str] = field(default_factory=list)  # sentences

    def ok(self, name: str, evidence: str) -> None:
        """It holds."""
        self._add(Claim(name, "ok", evidence))

    def warning(self, name: str, evidence: str, advice: str) -> None:
        """It holds, or cannot be told, but the user should know."""
        self._add(Claim(name, "warning", evidence, advice))

    def failed(self, name: str, evidence: str, advice: str) -> None:
        """It does not hold."""
        self._add(Claim(name, "failed", evidence, advice))

    def not_checked(self, name: str, why: str, advice: str = "") -> None:
        """It could not be verified, or something before it failed."""
        self._add(Claim(name, "not checked", why, advice))

    def holds(self, name: str, good: bool, evidence: str, advice: str) -> bool:
        """`ok` or `failed`."""
        self._add(Claim(name, "ok", evidence) if good else Claim(name, "failed", evidence, advice))
        return good

    def rest_not_checked(self, names: Sequence[str]) -> None:
        """All that come after one that failed."""
        for name in names:
            self.not_checked(name, "what comes before it failed")

    def _add(self, claim: Claim) -> None:
        self.found.append(claim)
        self.narrate(f"{claim.name}: {claim.status}")

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not any(claim.status == "failed" for claim in self.found)

    def write(self, *, as_json: bool) -> int:
        """Print all of it on stdout; returns the exit code."""
        if as_json:
            result = {
                "check": self.check,
                "passed": self.passed,
                "claims": [asdict(claim) for claim in self.found],
                "interpretation": self.interpretation,
            }
            write_data(json.dumps(result, indent=2) + "\n")
        else:
            write_data("".join(f"{line}\n" for line in self._lines()))
        return ExitCode.FINE if self.passed else ExitCode.FAILED

    def _lines(self) -> Iterator[str]:
        for claim in self.found:
            yield f"{claim.status:<{_STATUS_CELLS}}  {claim.name}: {line_text(claim.evidence)}"
            if claim.advice:
                yield f"{'':<{_STATUS_CELLS}}  do: {line_text(claim.advice)}"
        if self.interpretation:
            yield ""
            yield from (line_text(sentence) for sentence in self.interpretation)
        failed = sum(claim.status == "failed" for claim in self.found)
        yield ""
        yield f"{self.check}: {'passed' if self.passed else f'{failed} of {len(self.found)} failed'}"
