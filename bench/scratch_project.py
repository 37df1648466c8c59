"""A small project with a bug, and the script that leads Claude Code through fixing it in eight rounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.scripted_upstream import Body, Call, Script, Turn, in_order, text_of

AGENTIC, DELEGATE, WORKER = "mend the till", "delegate the count", "count the prices"

_TILL = '''"""Adds up a bill."""

PRICES = [120, 80, 50]


def total(prices):
    return sum(prices) - prices[0]


if __name__ == "__main__":
    print("total", total(PRICES))
'''
_REPORT = "# Report\n\n" + "The till left out the first price — it is added now: £2.50.\n" * 12


@dataclass(frozen=True)
class ScratchProject:
    """The project's folder and the actions of the eight rounds."""

    folder: Path

    def create(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "README.md").write_text("# Till\n\nAdds up a bill.\n")
        (self.folder / "till.py").write_text(_TILL)
        (self.folder / "log.txt").write_text("".join(f"{n} sold for {n * 37 % 101}\n" for n in range(400)))

    @property
    def till(self) -> str:
        return str(self.folder / "till.py")

    @property
    def report(self) -> str:
        return str(self.folder / "report.md")

    def rounds(self) -> list[Turn]:
        """Eight rounds of tools and a final text; two rounds have parallel calls, one call fails."""
        return [
            Turn("I will look around first.", (_bash("ls"),)),
            Turn("", (_read(str(self.folder / "README.md")), _read(self.till))),
            Turn(
                "`total` leaves out a price.", (_edit(self.till, "sum(prices) - prices[0]", "sum(prices)"),)
            ),
            Turn("", (_bash("python3 till.py"),)),
            Turn("", (Call("Write", {"file_path": self.report, "content": _REPORT}),)),
            Turn("Checking.", (_read(str(self.folder / "missing.txt")), _bash("tail -n 1 report.md"))),
            Turn("", (_edit(self.report, "# Report", "# What was wrong"),)),
            Turn("", (_bash("python3 till.py && wc -l report.md log.txt"),)),
            Turn("Done: the till adds up, and the report says what was wrong."),
        ]

    def script(self) -> Script:
        """An agentic, a delegating, a subagent's or a plain answer, chosen by the user's text."""
        agentic = in_order(self.rounds())
        work = Call(
            "Agent",
            {"description": "Count prices", "prompt": WORKER, "subagent_type": "general-purpose"},
        )
        delegate = in_order([Turn("", (work,)), Turn("The subagent counted 400.")])
        worker = in_order([Turn("", (_bash("wc -l log.txt"),)), Turn("There are 400 prices.")])
        plain = in_order([Turn("I am a model of your own.")])

        def choose(body: Body) -> Turn:
            said = text_of(body)
            if not body.get("tools"):
                return Turn('{"title": "Mend the till"}')
            if AGENTIC in said:
                return agentic(body)
            if DELEGATE in said:
                return delegate(body)
            return worker(body) if WORKER in said else plain(body)

        return choose


def _bash(command: str) -> Call:
    return Call("Bash", {"command": command, "description": "Run a command"})


def _read(path: str) -> Call:
    return Call("Read", {"file_path": path})


def _edit(path: str, old: str, new: str) -> Call:
    return Call("Edit", {"file_path": path, "old_string": old, "new_string": new})
