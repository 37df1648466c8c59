"""What is said and called on the made-up morning."""

from __future__ import annotations

from typing import Any

ASKED = (
    "Add a --json flag to the export command and cover it with tests",
    "Why does the retry loop give up after the second attempt?",
    "Rename Ledger.total to Ledger.balance everywhere, keep the old name working",
    "Find every place that opens a file without closing it",
    "The date parser fails on 29 February. 修复它，并解释原因。",
    "Write the release notes for 2.4",
)
THINKING = (
    "The flag has to reach the writer, so the options object needs a new field. Let me look at how the "
    "other flags travel before I touch anything.\n"
)
ANSWER = (
    "I'll start with the command's options, then follow the value down to the writer.\n\n"
    "The export command builds its rows in `rows_of()`, and the writer only ever sees finished lines. So a "
    "JSON form belongs next to the CSV one, not inside it:\n\n"
    "    class JsonWriter:\n"
    "        def write(self, rows: Iterable[Row]) -> None:\n"
    "            json.dump([row.as_dict() for row in rows], self.stream)\n\n"
    "Two things to note: dates are written as ISO 8601, and 全角文字 stay as they are. Next I'll add the "
    "tests for an empty table and for a table with one row, because those are the two cases in which the "
    "comma between the objects is easy to get wrong."
)
FOLDER = "/home/ada/ledger"
TITLE = "Add JSON export to the export command"
CLOSINGS = (
    "The tests pass now; `--json` writes one object a row.",
    "src/export has three writers: csv, text and html. None of them knows of the others.",
    "The loop gives up because `attempts` is counted before the first try.",
    "I renamed it in 14 files and kept the old name as an alias.",
    "Two callers need a change: src/cli.py:88 and src/report.py:12.",
)
REPAIRS = (
    "a comma before the closing brace was taken out",
    'timeout: the text "120" became a number',
)
CALLS: tuple[tuple[str, dict[str, Any], str, bool], ...] = (
    (
        "Read",
        {"file_path": "/home/ada/ledger/src/export/command.py"},
        "1\timport argparse\n2\tfrom pathlib import Path",
        False,
    ),
    (
        "Grep",
        {"pattern": "def rows_of", "path": "/home/ada/ledger/src", "output_mode": "content"},
        "src/export/rows.py:14:def rows_of(table: Table) -> Iterator[Row]:",
        False,
    ),
    (
        "Bash",
        {"command": "python -m pytest tests/test_export.py -q", "description": "Run the export tests"},
        "12 passed in 0.84s",
        False,
    ),
    (
        "Edit",
        {
            "file_path": "/home/ada/ledger/src/export/command.py",
            "old_string": "    parser.add_argument('--csv')\n",
            "new_string": "    parser.add_argument('--csv')\n    parser.add_argument('--json')\n",
        },
        "The file has been updated.",
        False,
    ),
    (
        "Bash",
        {"command": "git diff --stat"},
        " src/export/command.py | 2 ++\n 1 file changed, 2 insertions(+)",
        False,
    ),
    ("Glob", {"pattern": "**/*_test.py"}, "No files found", False),
    (
        "TodoWrite",
        {
            "todos": [
                {"content": "Add JsonWriter", "status": "in_progress"},
                {"content": "Test it", "status": "pending"},
            ]
        },
        "Todos have been modified successfully.",
        False,
    ),
    (
        "Bash",
        {"command": "make lint"},
        "\x1b[31merror\x1b[0m: src/export/writer.py:41: line too long [E501]\nmake: *** [lint] Error 1",
        True,
    ),
)
