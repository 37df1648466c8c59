"""The parts of a system text that differ by project are found by what they name, and nothing is lost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.project_text import system_parts, working_directory
from proxy.anthropic.prompt_prefix import BILLING_MARK, system_text

HARNESS = "You are an agent.\n\n# Harness\n - Text is shown as Markdown.\n\n"
MEMORY = (
    "# Memory\n\nYou have a memory at `/home/u/.claude/projects/{}/memory/`. Each is a file:\n\n"
    "```markdown\n---\n# its title\n---\n```\n\nLink them.\n\n"
)
STYLE = "# Style\nBe brief.\n"
ENVIRONMENT = "# Environment\n - Primary working directory: /w/{}\n - Platform: linux\n\n"
TAGGED = (
    "Here is useful information about the environment you are running in:\n"
    "<env>\nWorking directory: /w/{}\nPlatform: linux\n</env>\n"
)
STATUS = "gitStatus: This is the git status at the start.\n\nCurrent branch: {}\n\nStatus:\n?? a.md\n"
SCRATCHPAD = "# Scratchpad\n\nUse `/tmp/c/-w-{}/0b5a2a7e-8a44-4b9e-9a55-1d4c3e2f1a00/scratchpad`.\n"
AGENT_MEMORY = "# Persistent memory\n\nIt is in /w/{}/.claude/agent-memory/reviewer/.\n"

OF_PROJECT = [MEMORY, ENVIRONMENT, TAGGED, STATUS, SCRATCHPAD, AGENT_MEMORY]


@pytest.mark.parametrize("of_project", OF_PROJECT)
def test_a_section_that_names_the_project_is_found_whole(of_project: str) -> None:
    own = of_project.format("otter")
    behind = STYLE if own.startswith("# ") or own == STATUS.format("otter") else "You are a model.\n"
    assert system_parts(HARNESS + own + behind) == [(HARNESS, False), (own, True), (behind, False)]


def test_two_projects_differ_in_these_parts_alone() -> None:
    def shared(project: str) -> list[str]:
        text = HARNESS + "".join(part.format(project) + STYLE for part in OF_PROJECT)
        return [part.text for part in system_parts(text) if not part.of_project]

    assert shared("otter") == shared("heron")
    assert "otter" not in "".join(shared("otter"))


@pytest.mark.parametrize(
    "text",
    [
        HARNESS + STYLE,
        "# Memory\nWrite facts into a file. See https://example.org/projects/x and ~/memory.\n" + STYLE,
        "Say which working directory: the user's.\n",
        "",
    ],
)
def test_a_text_that_names_no_project_is_one_part(text: str) -> None:
    assert system_parts(text) == ([(text, False)] if text else [])


def test_a_block_ends_a_section_and_the_billing_block_is_none() -> None:
    own = MEMORY.format("otter").rstrip("\n")
    blocks = [
        {"type": "text", "text": f"{BILLING_MARK} cc_version=1"},
        {"type": "text", "text": HARNESS + own, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "An appended text.\n"},
    ]
    assert system_parts(blocks) == [(HARNESS, False), (own + "\n", True), ("An appended text.\n", False)]


def test_a_fence_that_is_left_open_hides_no_heading() -> None:
    text = f"{HARNESS}```\nls\n{MEMORY.format('otter')}{STYLE}".replace("```\n\nLink", "\nLink")
    assert [of_project for _, of_project in system_parts(text + "```\n")][-1] is False


PIECES = st.sampled_from(
    [
        HARNESS,
        STYLE,
        "```\n",
        "<env>\n",
        "</env>\n",
        "\n",
        "# x",
        "gitStatus: ",
        *OF_PROJECT,
        "\r\n",
        "\x0c# y\n",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=20), max_size=8).map("".join)
BLOCKS: st.SearchStrategy[Any] = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS), max_size=3
)


@given(system=st.one_of(st.none(), TEXTS, BLOCKS))
def test_the_parts_add_up_to_the_text(system: Any) -> None:
    parts = system_parts(system)
    assert "".join(part.text for part in parts) == system_text(system)
    assert all(part.text for part in parts)
    assert all(one.of_project != other.of_project for one, other in itertools.pairwise(parts))


@pytest.mark.parametrize(
    ("body", "folder"),
    [
        ({"system": HARNESS + ENVIRONMENT.format("otter")}, "/w/otter"),
        ({"system": [{"type": "text", "text": TAGGED.format("otter")}]}, "/w/otter"),
        ({"messages": [{"role": "system", "content": ENVIRONMENT.format("a b")}]}, "/w/a b"),
        ({"messages": [{"role": "user"}, 3, {"content": [4, {"text": ENVIRONMENT.format("x")}]}]}, "/w/x"),
        ({"messages": [{"role": "user", "content": "x"}] * 9 + [{"content": ENVIRONMENT}]}, ""),
        ({"system": 3, "messages": {}}, ""),
        ({}, ""),
    ],
)
def test_the_working_directory_is_said_at_the_beginning(body: dict[str, Any], folder: str) -> None:
    assert working_directory(body) == folder
