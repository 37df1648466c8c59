"""Each command of the documents does what its document shows, with bundled model and real Claude Code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.blocks import CommandBlock, command_blocks
from tests.documents.workplace import CommandDiffers, Workplace
from tests.e2e.real_client import claude_binary

ROOT = Path(__file__).parents[2]
DOCUMENTS = [path.relative_to(ROOT) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
# Documents that go on with the host and the requests of the one before; those of no group follow the last.
GROUPS = [
    ("docs/quickstart.md", "docs/tracing-and-metrics.md", "README.md"),
    ("docs/setup-verification.md", "docs/tool-calls.md"),
]
GROUPS[-1] += tuple(str(path) for path in DOCUMENTS if not any(str(path) in group for group in GROUPS))


def blocks(document: str) -> list[CommandBlock]:
    return command_blocks(ROOT / document, document)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: Path(group[0]).stem)
def test_documented_commands_do_what_their_documents_show(group: tuple[str, ...], tmp_path: Path) -> None:
    found = [(document, [block for block in blocks(document) if block.runs]) for document in group]
    if any("claude" in block.marks for _, ran in found for block in ran):
        claude_binary()
    differing = []
    with Workplace(tmp_path / "you") as here:
        for _, ran in found:
            here.begin()
            for block in ran:
                try:
                    here.run(block)
                except CommandDiffers as difference:
                    differing.append(str(difference))
    assert not differing, "\n\n".join(differing)
