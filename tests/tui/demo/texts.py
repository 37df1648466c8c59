"""What is said, called and answered in the demo. All of it was written for it."""

from __future__ import annotations

from typing import Any

HOME = "/Users/ada/ledger"
MODEL = "mlx-community/Qwen3-32B-4bit"

SYSTEM = (
    "You are a careful engineer who works in the repository of the person who asks.\n"
    "Read before you write. Make the smallest change that does the whole thing, and say why.\n"
    "Run the tests after a change, and read their output before you go on.\n"
    "Ask where a decision is not yours to make."
)
PROJECT = "# Ledger\nKeeps accounts as plain text. Money is Decimal, never float. Tests: python -m pytest -q."
BRANCH = "You are on branch {branch}. Last commit: 4f1c2aa Round half to even. {changed} files changed."

TOOLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Bash", "Run a command in the project's shell and return what it prints.", ("command", "description")),
    ("Edit", "Replace one text in a file by another.", ("file_path", "old_string", "new_string")),
    ("Glob", "List files whose paths match a pattern, newest first.", ("pattern", "path")),
    ("Grep", "Search the contents of files for a pattern.", ("pattern", "path", "output_mode")),
    ("Read", "Return the lines of a file with their numbers.", ("file_path", "offset", "limit")),
    ("Task", "Give a task of its own to an agent.", ("description", "prompt", "subagent_type")),
    ("TodoWrite", "Keep the list of what is to be done.", ("todos",)),
    ("WebFetch", "Return a web page as text.", ("url", "prompt")),
    ("Write", "Write a whole file.", ("file_path", "content")),
    ("mcp__tracker__create_issue", "Open an issue in the tracker.", ("title", "body", "labels")),
    ("mcp__tracker__list_issues", "List the issues of a project.", ("project", "state", "label")),
)

COMMAND_PY = (
    "import argparse\nfrom pathlib import Path\n\nfrom ledger.export.rows import rows_of\n"
    "from ledger.export.writer import CsvWriter\n\n\ndef add_options(parser: argparse.ArgumentParser) -> None:\n"
    '    parser.add_argument("table", help="the table to export")\n'
    '    parser.add_argument("--csv", type=Path, help="where to write it")\n\n\n'
    "def run(options: argparse.Namespace) -> int:\n    rows = rows_of(options.table)\n"
    '    with options.csv.open("w", newline="") as stream:\n        CsvWriter(stream).write(rows)\n    return 0'
)
WRITER_PY = (
    "import csv\nfrom collections.abc import Iterable\nfrom typing import TextIO\n\n"
    "from ledger.export.rows import Row\n\n\nclass CsvWriter:\n    def __init__(self, stream: TextIO) -> None:\n"
    "        self._out = csv.writer(stream)\n\n    def write(self, rows: Iterable[Row]) -> None:\n"
    '        self._out.writerow(("date", "account", "amount"))\n        for row in rows:\n'
    "            self._out.writerow((row.date.isoformat(), row.account, row.amount))"
)
RETRY_PY = (
    "def with_retries(ask, attempts=3, pause_s=0.5):\n    for attempt in range(1, attempts):\n        try:\n"
    "            return ask()\n        except TimeoutError:\n            time.sleep(pause_s * attempt)\n"
    "    return ask()"
)
JSON_WRITER = (
    "\n\nclass JsonWriter:\n    def __init__(self, stream: TextIO) -> None:\n        self._out = stream\n\n"
    "    def write(self, rows: Iterable[Row]) -> None:\n"
    "        json.dump([row.as_dict() for row in rows], self._out, ensure_ascii=False, indent=2)\n"
)
TEST_PY = (
    "import json\nfrom datetime import date\nfrom decimal import Decimal\nfrom io import StringIO\n\n"
    "from ledger.export.rows import Row\nfrom ledger.export.writer import JsonWriter\n\n\n"
    "def written(*rows: Row) -> object:\n    out = StringIO()\n    JsonWriter(out).write(rows)\n"
    "    return json.loads(out.getvalue())\n\n\ndef test_an_empty_table_is_an_empty_list() -> None:\n"
    "    assert written() == []\n\n\ndef test_amounts_stay_exact() -> None:\n"
    '    row = Row(date(2026, 2, 28), "cash", Decimal("0.10"))\n    assert written(row)[0]["amount"] == "0.10"'
)
FAILED_TESTS = (
    "..F                                                                      [100%]\n"
    "=================================== FAILURES ===================================\n"
    "___________________________ test_amounts_stay_exact ____________________________\n"
    "    def default(self, o):\n>       raise TypeError(f'Object of type {o.__class__.__name__} '\n"
    "                        f'is not JSON serializable')\n"
    "E       TypeError: Object of type Decimal is not JSON serializable\n"
    "=========================== short test summary info ============================\n"
    "FAILED tests/test_export.py::test_amounts_stay_exact - TypeError: Object of type Decimal\n"
    "1 failed, 2 passed in 0.31s"
)

ASKED_EXPORT = "Add a --json flag to the export command and cover it with tests"
ASKED_RETRY = "Why does the retry loop give up after the second attempt?"
ASKED_NOTES = "Good. Now write the release note for it, and look for other commands that should get the flag"

LOOK_FIRST = (
    "I'll start with the command's options and follow the value down to the writer, so that the new form sits "
    "next to the old one and not inside it."
)
WRITER_NEXT = "The command builds its rows in `rows_of()`, and the writer only sees finished rows. Let me see the writer."
SEND_AGENTS = (
    "So a JSON writer belongs next to the CSV one. Before I add it I want to know two things: who else builds "
    "rows, and how the tests of the exporter are made. I'll have both looked up at the same time."
)
AFTER_AGENTS = (
    "Both are clear now. `rows_of()` is the only place that builds rows, and the tests write into a StringIO. "
    "I'll add the writer first."
)
ADD_OPTION = "Now the option. Only one of the two forms makes sense at a time, so they exclude each other."
ADD_TESTS = "And the tests: an empty table, one row, and an amount that a float would spoil."
RUN_TESTS = "Let me run them."
FIX_DECIMAL = (
    "The failure is a real one: `json` cannot write a Decimal, and turning it into a float would break the rule "
    "in the project's notes. A string keeps all digits, and the CSV form writes the same characters."
)
RUN_AGAIN = "Once more, the whole file this time."
DONE = (
    "All 14 tests pass.\n\n"
    "- `export --json FILE` writes one list of objects with `date`, `account` and `amount`\n"
    "- amounts are strings, as in the CSV form, so that no digit is lost\n"
    "- `--csv` and `--json` exclude each other; without either the command says so\n\n"
    "I left `rows_of()` as it is. If you want the JSON lines form for large tables, that would be a third writer "
    "of about ten lines."
)
RETRY_LOOK = "Let me look at the loop itself before I guess."
RETRY_WHY = (
    "The loop runs one time less than it says. `range(1, attempts)` has `attempts - 1` numbers, and the last "
    "call, after the loop, is outside of the `try`: with three attempts, two are guarded, and the third one "
    "raises what it gets.\n\nSo a timeout on the third attempt reaches the caller as it is, and that looks as if "
    "the loop had given up early. I can move the last call into the loop and raise after it. Shall I?"
)
RETRY_EDIT = "Then each attempt is guarded, and the last error is raised with its cause."
NOTES_PLAN = (
    "The note first, then a look at the other commands. `balance` and `report` also print tables, so they are "
    "the ones to check; I'll send an agent through each while I write."
)
RELEASE_NOTE = (
    "Here is the note:\n\n"
    "> **`export --json FILE`** writes a table as one list of objects. Dates are ISO 8601, amounts are strings "
    "with all their digits. It cannot be combined with `--csv`.\n\n"
    "A word on why amounts are strings, because people will ask: a JSON number is read as a binary float by most "
    "programs, and 0.10 is not a number that a float can hold. The CSV form never had that question, since "
    "everything in it is text. A reader that wants numbers can convert them, knowingly; one that got a float "
    "could not get the lost digits back.\n\nFor `balance` the flag makes sense: its rows are the same as those of "
    "the export. `report` is another matter, since it groups its rows by month and prints totals between them, "
    "and a flat list would lose that. I would give it a list of months, each with its rows and its total, and I "
    "would ask the people who read these reports before settling on names."
)
THINK_EXPORT = (
    "The flag has to reach the writer, so the options object needs a new field. Let me see how the other flag "
    "travels before I touch anything.\n"
)
THINK_FAIL = "Decimal again. A float is out of the question here; the project's notes say so.\n"
THINK_RETRY = (
    "Three attempts by default, and it gives up after two. That smells of an off-by-one in the range.\n"
)
THINK_NOTE = "A release note says what one can do now, and what to know before doing it.\n"
AGENT_REPORT = (
    "The command report groups its rows by month (src/report.py:27) and prints a total behind each group. Its "
    "rows are not those of the export."
)
AGENT_BALANCE = (
    "The command balance calls `rows_of()` in line 41 and prints one line for each row, with the balance behind "
    "it. The rows are those of the export, and the balance is one more field, so JsonWriter fits if it takes the "
    "names of the fields from the row. Let me make sure that nothing else reaches into them, and that no caller "
    "counts on the order of the columns."
)
FIND_ROWS = "Find every place that builds rows for an export and report file and line"
FIND_TESTS = "Find how the tests of the exporter are made: fixtures, helpers, where output goes"
FIND_BALANCE = "Read the command balance and say whether its rows could be written by JsonWriter"
FIND_REPORT = "Read the command report and say how its rows are grouped"
AGENT_ROWS = (
    "One place only: src/export/rows.py:14 `rows_of(table)`. Two callers: command.py:16 and balance.py:41."
)
AGENT_TESTS = (
    "The tests are plain functions. They write into a StringIO and compare text; no fixtures, no files."
)
AGENT_LOOKS = "I'll search for it first."

Call = tuple[str, dict[str, Any], str, bool, float]
"""Name, input, result, whether that is an error, and how long it took in seconds."""


def numbered(text: str) -> str:
    """A file as the tool Read returns it."""
    return "\n".join(f"{number:>4}\t{line}" for number, line in enumerate(text.split("\n"), 1))


READ_COMMAND: Call = (
    "Read", {"file_path": f"{HOME}/src/export/command.py"}, numbered(COMMAND_PY), False, 0.03,
)  # fmt: skip
READ_WRITER: Call = (
    "Read", {"file_path": f"{HOME}/src/export/writer.py"}, numbered(WRITER_PY), False, 0.02,
)  # fmt: skip
READ_RETRY: Call = ("Read", {"file_path": f"{HOME}/src/net/retry.py"}, numbered(RETRY_PY), False, 0.02)
GREP_ROWS: Call = (
    "Grep",
    {"pattern": "def rows_of|rows_of\\(", "path": f"{HOME}/src", "output_mode": "content"},
    "src/export/rows.py:14:def rows_of(table: Table) -> Iterator[Row]:\n"
    "src/export/command.py:16:    rows = rows_of(options.table)\nsrc/balance.py:41:    rows = rows_of(table)",
    False,
    0.21,
)
GLOB_TESTS: Call = (
    "Glob", {"pattern": "tests/test_export*.py"}, "tests/test_export.py\ntests/test_export_dates.py", False, 0.05,
)  # fmt: skip
EDIT_WRITER: Call = (
    "Edit",
    {
        "file_path": f"{HOME}/src/export/writer.py",
        "old_string": "            self._out.writerow((row.date.isoformat(), row.account, row.amount))",
        "new_string": "            self._out.writerow((row.date.isoformat(), row.account, row.amount))"
        + JSON_WRITER,
    },
    "The file has been updated.",
    False,
    0.04,
)
EDIT_COMMAND: Call = (
    "Edit",
    {
        "file_path": f"{HOME}/src/export/command.py",
        "old_string": '    parser.add_argument("--csv", type=Path, help="where to write it")\n',
        "new_string": "    form = parser.add_mutually_exclusive_group(required=True)\n"
        '    form.add_argument("--csv", type=Path, help="write it there, as CSV")\n'
        '    form.add_argument("--json", type=Path, help="write it there, as JSON")\n',
    },
    "The file has been updated.",
    False,
    0.04,
)
WRITE_TESTS: Call = (
    "Write", {"file_path": f"{HOME}/tests/test_export.py", "content": TEST_PY}, "The file is written.", False, 0.04,
)  # fmt: skip
RUN_FAILING: Call = (
    "Bash",
    {"command": "python -m pytest tests/test_export.py -q", "description": "Run the export tests"},
    FAILED_TESTS,
    True,
    1.94,
)
EDIT_DECIMAL: Call = (
    "Edit",
    {
        "file_path": f"{HOME}/src/export/writer.py",
        "old_string": "[row.as_dict() for row in rows], self._out",
        "new_string": '[{**row.as_dict(), "amount": str(row.amount)} for row in rows], self._out',
    },
    "The file has been updated.",
    False,
    0.03,
)
RUN_PASSING: Call = (
    "Bash",
    {"command": "python -m pytest tests -q -k export", "description": "Run all export tests"},
    "..............                                                           [100%]\n14 passed in 0.84s",
    False,
    2.31,
)
EDIT_RETRY: Call = (
    "Edit",
    {
        "file_path": f"{HOME}/src/net/retry.py",
        "old_string": "    for attempt in range(1, attempts):",
        "new_string": "    for attempt in range(1, attempts + 1):",
    },
    "The file has been updated.",
    False,
    0.03,
)
GREP_BALANCE: Call = (
    "Grep",
    {"pattern": "as_dict|group_by_month", "path": f"{HOME}/src", "output_mode": "content"},
    "src/export/rows.py:9:    def as_dict(self) -> dict[str, str]:\nsrc/report.py:27:    for month in group_by_month(rows):",
    False,
    0.18,
)


def task(description: str, prompt: str, result: str) -> Call:
    """A task for an agent; what it took is what the agent takes."""
    given = {"description": description, "prompt": prompt, "subagent_type": "Explore"}
    return ("Task", given, result, False, 0.0)
