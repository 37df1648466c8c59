"""Which blocks of a document are commands, and what their marks say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.events.tool_call import ToolCall
from proxy.events.types import CacheMiss, CacheVerdict, Timings, Usage
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.documents.blocks import CommandBlock, command_blocks

ROOT = Path(__file__).parents[2]
# What they show anybody has to run here, but for what this machine cannot have.
GUIDES = (
    "quickstart",
    "setup-verification",
    "tracing-and-metrics",
    "real-test-guide",
    "skeptic-checklist",
    "troubleshooting",
    "engineering-log",
)
COMMAND = re.compile(r"\$ |(?:\.venv/bin/)?(?:anyclaude-tui|make|curl|python|claude) ")
DOCUMENT = """# Text
<!-- run: exit 1, claude -->
```console
$ first \\
>   goes on
shown

$ second
```
```text
$ no command
```
1. In a list:

   ```
   plain one   # with a comment
   # only a comment
   plain two
   ```
<!-- run: macos -->
```sh
caffeinate
```
"""


def blocks_of(text: str, folder: Path) -> list[CommandBlock]:
    (folder / "doc.md").write_text(text)
    return command_blocks(folder / "doc.md", "doc.md")


def test_commands_and_what_they_show_are_told_apart(tmp_path: Path) -> None:
    first, second, third = blocks_of(DOCUMENT, tmp_path)
    assert [(one.text, one.shown) for one in first.commands] == [
        ("first \\\n  goes on", ["shown"]),
        ("second", []),
    ]
    assert (first.line, first.exit_code, first.runs) == (3, 1, True)
    assert [one.text for one in second.commands] == ["plain one   # with a comment", "plain two"]
    assert (second.exit_code, second.marks, second.runs) == (0, (), True)
    assert not third.runs


def test_a_mark_that_is_none_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"doc\.md:2: no mark 'mac'"):
        blocks_of("\n<!-- run: mac -->\n```\nls\n```\n", tmp_path)


@pytest.mark.parametrize("name", GUIDES)
def test_guides_leave_out_only_what_ci_cannot_have(name: str) -> None:
    found = command_blocks(ROOT / "docs" / f"{name}.md", name)
    left_out = {mark for block in found if not block.runs for mark in block.marks}
    assert left_out <= {"macos", "hub", "global", "ci"}


def test_no_command_hides_in_a_block_of_another_language() -> None:
    """There it would not be run; what a command prints is in the block of the command."""
    hidden = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for language, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", path.read_text("utf-8"), re.M | re.S):
            if language not in ("sh", "console"):
                hidden += [(path.name, line) for line in text.splitlines() if COMMAND.match(line.strip())]
    assert hidden == []


def test_each_field_of_a_trace_is_explained() -> None:
    text = (ROOT / "docs/tracing-and-metrics.md").read_text("utf-8")
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", text))))
    models = (Trace, TraceRequest, TraceResponse, Timings, Usage, CacheVerdict, CacheMiss, ToolCall)
    assert {field for model in models for field in model.model_fields} - words == set()
