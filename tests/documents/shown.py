"""Does a command print what its document shows?

A document shows a real run, and parts of that differ from run to run: identifiers, dates, bars, and numbers
with a unit, a fraction or three and more digits. All else has to be the same, also a number of one or two
digits, which counts something. `…` stands for anything within a line, between blanks for any words or none, a
line of only `…` for any lines. Where lines are wrapped does not matter.
"""

from __future__ import annotations

import re

_UNITS = r"(?:ms|s|m|h|d|B|kB|MB|GB|TB|%)(?![a-zA-Z])"
_NUMBER = rf"-?\d[\d.,]*\d ?{_UNITS}|-?\d ?{_UNITS}|\d+[.,]\d[\d.,]*|\d{{3,}}"
_PARTS = re.compile(
    r"(?P<words>\s+(?:…|\.\.\.)\s+)"
    r"|(?P<gap>…|\.\.\.)"
    r"|(?P<request>req_[0-9a-f]{4,24})"
    r"|(?P<stamp>\d{8}T\d{6}\.\d{3}Z)"
    r"|(?P<date>\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?|\b\d\d:\d\d(?::\d\d)?\b)"
    r"|(?P<identifier>\b(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f][0-9a-f-]{7,}\b)"
    rf"|(?P<number>(?<![\w.])(?:{_NUMBER}))"
    r"|(?P<bar>[█▉▊▋▌▍▎▏▒░]+)"
    r"|(?P<blank>\s+)"
)
_PATTERNS = {
    "words": r"(?:\s+[^\n]*?\s+|[^\S\n]+)",
    "gap": r"[^\n]*?",
    "stamp": r"\d{8}T\d{6}\.\d{3}Z",
    "date": r"[\d:. TZ-]+",
    "identifier": r"[0-9a-f-]+",
    "number": rf"-?\d[\d.,]* ?(?:{_UNITS}|(?:m|h)\d\ds)?",
    "bar": r"[█▉▊▋▌▍▎▏▒░]*",
    "blank": r"\s+",
}


class RequestNames:
    """Which request of this run each one of a document is; the first line that shows it says so."""

    def __init__(self) -> None:
        self._bound: dict[str, str] = {}

    def of(self, written: str) -> str | None:
        """The identifier here, as much of it as the document writes."""
        for theirs, ours in self._bound.items():
            if theirs.startswith(written):
                return ours[: len(written)]
        return None

    def bind(self, written: str, here: str) -> None:
        self._bound[written] = here

    def in_command(self, command: str) -> str:
        """The command with the identifiers of this run.

        Raises:
            LookupError: no line before showed an identifier that the command has.
        """

        def here(found: re.Match[str]) -> str:
            if (name := self.of(found[0])) is None:
                raise LookupError(f"no output above the command shows {found[0]}")
            return name

        return re.sub(r"req_[0-9a-f]{4,24}", here, command)


def missing(shown: list[str], streams: list[str], names: RequestNames) -> str | None:
    """The first line that no stream has after the lines before it, or None; binds the requests it meets."""
    places = [0] * len(streams)
    for line in shown:
        if line.strip() in ("…", "..."):
            continue
        pattern, written = _pattern(line.strip(), names)
        for which, stream in enumerate(streams):
            if found := pattern.search(stream, places[which]):
                places[which] = found.end()
                for name, here in zip(written, found.groups(), strict=True):
                    names.bind(name, here)
                break
        else:
            return line
    return None


def _pattern(line: str, names: RequestNames) -> tuple[re.Pattern[str], list[str]]:
    """What matches the line, and the requests that its groups are."""
    parts, unknown, end = [], [], 0
    for found in _PARTS.finditer(line):
        parts.append(re.escape(line[end : found.start()]))
        end = found.end()
        kind = str(found.lastgroup)
        if kind != "request":
            parts.append(_PATTERNS[kind])
        elif (here := names.of(found[0])) is not None:
            parts.append(re.escape(here))
        else:
            parts.append(f"(req_[0-9a-f]{{{len(found[0]) - 4}}})")
            unknown.append(found[0])
    return re.compile("".join([*parts, re.escape(line[end:])])), unknown
