"""`anyclaude-tui verify` says what it can verify."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation
from tui.commands.verify import run_verify_cache


def invocation(tmp_path: Path, **options: str) -> Invocation:
    return Invocation({"home": str(tmp_path), **options}, "", dict(os.environ))


@pytest.mark.parametrize(("exact", "backend"), [(False, "mlx"), (True, "claude")])
def test_what_cannot_be_verified_is_a_usage_error(tmp_path: Path, exact: bool, backend: str) -> None:
    with pytest.raises(CommandFailed, match="verify cache --exact") as failed:
        run_verify_cache(
            invocation(tmp_path, backend_name=backend), exact=exact, conversations=1, head_tokens=60
        )
    assert failed.value.exit_code == ExitCode.USAGE
