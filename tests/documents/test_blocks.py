"""Which blocks of a document are commands, and what their marks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.blocks import CommandBlock, command_blocks

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
