"""The results of tools: generated file contents, listings, matches and outputs."""

from __future__ import annotations

from training.strings import Strings


class Results:
    """Draws the results of tools."""

    def __init__(self, strings: Strings) -> None:
        self._strings = strings
        self._random = strings.random

    def content(self, contains: str | None = None) -> str:
        """The text of a file that includes `contains`."""
        draw = self._random.random()
        if contains is None and draw < 0.05:
            return ""
        count = self._random.choice((1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 7))
        lines = [self._line() for _ in range(count)]
        if contains is not None:
            at = self._random.randrange(count)
            lines[at] = self._random.choice(
                (contains, f"{self._strings.phrase()} {contains}", f"{contains} {self._strings.phrase()}")
            )
        elif count > 2 and self._random.random() < 0.3:
            lines[self._random.randrange(1, count - 1)] = ""
        return "\n".join(lines)

    def numbered(self, content: str) -> str:
        """A file as reading tools return it: with line numbers."""
        if not content:
            return ""
        lines = content.split("\n") + ([""] if self._random.random() < 0.5 else [])
        draw = self._random.random()
        if draw < 0.6:
            return "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1))
        if draw < 0.85:
            return "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, 1))
        return "\n".join(lines)

    def listing(self) -> str:
        """Names of files, one per line."""
        if self._random.random() < 0.06:
            return ""
        names = [self._strings.file() for _ in range(self._random.choice((1, 2, 2, 3, 3, 4, 6)))]
        return "\n".join(name.rsplit("/", 1)[-1] if self._random.random() < 0.6 else name for name in names)

    def matches(self, pattern: str, path: str | None) -> str:
        """The lines that a search found."""
        if self._random.random() < 0.1:
            return ""
        lines = []
        for _ in range(self._random.choice((1, 1, 2, 3, 4, 6))):
            text = self._random.choice(
                (pattern, f"{self._strings.phrase()} {pattern}", f"{pattern} {self._strings.phrase()}")
            )
            where = f"{self._random.randint(1, 400)}:"
            if path is None or self._random.random() < 0.4:
                where = f"{path or self._strings.file()}:{where}"
            lines.append(where + text)
        return "\n".join(lines)

    def output(self, command: str) -> str:
        """The output of a command."""
        draw = self._random.random()
        if draw < 0.07:
            return ""
        if command.startswith("wc"):
            return f"{self._strings.number()} {command.split()[-1]}"
        if command.startswith("ls"):
            return self.listing()
        if draw < 0.2:
            return str(self._strings.number())
        return "\n".join(self._line() for _ in range(self._random.choice((1, 1, 2, 2, 3, 3, 4, 6))))

    def success(self, file: str) -> str:
        """A tool's message after writing a file."""
        w = self._strings.phrase(1, 4)
        return self._random.choice(
            (
                f"The file {file} was written.",
                f"File {file} created.",
                f"File created: {file} ({w})",
                f"Wrote {file} successfully",
                f"{file} has been updated. ({w} - {w})",
                f"The file {file} has been changed: {w}",
                f"Updated {file} successfully.",
                f"Created {file} at {w}",
                f"ok: {file}",
                "OK",
                "done",
                f"success ({w})",
                f"Saved {file}; {w}.",
                f"The edit of {file} was successful. {w}",
                "",
            )
        )

    def _line(self) -> str:
        draw = self._random.random()
        if draw < 0.5:
            text = self._strings.phrase(1, 3)
        elif draw < 0.8:
            text = self._strings.snippet()
        elif draw < 0.9:
            text = f"{self._strings.identifier()}: {self._strings.phrase(1, 3)}"
        elif draw < 0.94:
            text = self._strings.file()
        else:
            text = f"# {self._strings.phrase(1, 3)}"
        return (" " * self._random.choice((2, 4, 4, 8)) + text) if self._random.random() < 0.12 else text
