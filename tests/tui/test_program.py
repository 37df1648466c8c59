"""A ctrl+c ends the program at any moment, also while its modules still load."""

from __future__ import annotations

import pytest
from pydantic_core import SchemaError

import tui.cli
from tui.commands.exit_codes import ExitCode
from tui.program import main


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SchemaError('Error building "dataclass" serializer:\n  KeyboardInterrupt: \n'),
    ],
)
def test_ctrl_c_ends_without_a_traceback(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.cli, "main", lambda: raise_it(error))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == ExitCode.INTERRUPTED


def test_another_error_is_not_taken_for_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    error = SchemaError("Invalid schema")
    monkeypatch.setattr(tui.cli, "main", lambda: raise_it(error))
    with pytest.raises(SchemaError):
        main()


@pytest.fixture(autouse=True)
def a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["anyclaude-tui", "env"])  # options alone would show the screen


def raise_it(error: BaseException) -> None:
    raise error
