"""Each command of the documents does what its document shows, with bundled model and real Claude Code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.blocks import CommandBlock, command_blocks
from tests.documents.workplace import CommandDiffers, Workplace
from tests.e2e.real_client import claude_binary

ROOT = Path(__file__).parents[2]
DOCUMENTS = [path.relative_to(ROOT) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
# Those that go on with the requests of the one before; the others follow in the order of their names.
FIRST = ("quickstart", "tracing-and-metrics", "setup-verification", "tool-calls")


def blocks(document: str) -> list[CommandBlock]:
    return command_blocks(ROOT / document, document)


def in_order() -> list[str]:
    first = [f"docs/{name}.md" for name in FIRST]
    return [*first, *(str(path) for path in DOCUMENTS if str(path) not in first)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_documented_commands_do_what_their_documents_show(tmp_path: Path) -> None:
    """In one test, because starting a host takes longer than most of the commands."""
    ran = {document: [block for block in blocks(document) if block.runs] for document in in_order()}
    if any("claude" in block.marks for found in ran.values() for block in found):
        claude_binary()
    differing = []
    with Workplace(tmp_path / "you") as here:
        for found in ran.values():
            here.begin()
            for block in found:
                try:
                    here.run(block)
                except CommandDiffers as difference:
                    differing.append(str(difference))
    assert not differing, "\n\n".join(differing)
