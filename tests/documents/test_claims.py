"""Each claim of the README has a row in docs/skeptic-checklist.md, with a command that CI runs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.documents.test_documents import DOCUMENTS, blocks

ROOT = Path(__file__).parents[2]
CLAIM = "<!--claim-->"  # after the claim: a line that begins with a comment is no Markdown
CHECKLIST = "docs/skeptic-checklist.md"


def plain(text: str) -> str:
    """In one line, without the targets of links."""
    return " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).split())


def rows() -> list[tuple[str, str]]:
    """The claim and the command of each row."""
    table = (ROOT / CHECKLIST).read_text("utf-8").split("|---|---|---|---|\n")[1].split("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in table.splitlines()]
    return [
        (claim.strip(), re.findall(r"`([^`]+)`", command)[0].replace("\\|", "|")) for claim, command in cells
    ]


def claims() -> list[str]:
    """What comes before each mark in the README."""
    return [plain(text) for text in (ROOT / "README.md").read_text("utf-8").split(CLAIM)[:-1]]


def test_each_claim_has_a_row_that_quotes_it() -> None:
    quoted = [claim for claim, _ in rows()]
    assert [text[-80:] for text in claims() if not any(text.endswith(claim) for claim in quoted)] == []


def test_each_row_quotes_a_claim() -> None:
    marked = claims()
    assert [claim for claim, _ in rows() if not any(text.endswith(claim) for text in marked)] == []


def test_the_command_of_each_row_is_run() -> None:
    ran = {
        re.sub(r"\s+# .*", "", command.text)
        for document in DOCUMENTS
        for block in blocks(str(document))
        if block.runs or "ci" in block.marks
        for command in block.commands
    }
    assert [command for _, command in rows() if command not in ran] == []
