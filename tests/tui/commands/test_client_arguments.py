from __future__ import annotations

import pytest

from tui.commands.client_arguments import take_option


@pytest.mark.parametrize(
    ("arguments", "value", "rest"),
    [
        ([], None, []),
        (["-p", "hi"], None, ["-p", "hi"]),
        (["--settings", "a", "-p"], "a", ["-p"]),
        (["--settings=a", "--settings=b"], "b", []),
        (["--settings", "a", "--settings=", "-p"], "", ["-p"]),
        (["--settings", "a", "--", "--settings", "b"], "a", ["--", "--settings", "b"]),
        (["--", "--settings", "a"], None, ["--", "--settings", "a"]),
        (["--settings"], None, ["--settings"]),
        (["--setting-sources", "user"], None, ["--setting-sources", "user"]),
    ],
)
def test_an_option_is_found_as_the_client_finds_it(
    arguments: list[str], value: str | None, rest: list[str]
) -> None:
    assert take_option(arguments, "--settings") == (value, rest)
