"""The GPU's watchdog is relaxed on macOS alone, for those who ask, before mlx is there."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from bench.child import clean_environment, python
from engine.process.gpu_watchdog import VARIABLE, relaxed_watchdog


def test_on_macos_the_driver_is_told_to_wait_longer() -> None:
    added, told = relaxed_watchdog({}, "Darwin")
    assert added == {"AGX_RELAX_CDM_CTXSTORE_TIMEOUT": "1"}
    assert "is relaxed" in told


@pytest.mark.parametrize("value", ["0", "1", ""])
def test_what_the_user_has_set_stays(value: str) -> None:
    added, told = relaxed_watchdog({VARIABLE: value}, "Darwin")
    assert added == {}
    assert f"{value!r} already" in told


def test_elsewhere_nothing_is_set_and_it_is_said() -> None:
    added, told = relaxed_watchdog({}, "Linux")
    assert added == {}
    assert "only macOS" in told


ENGINE_ON_A_MAC = f"""
import os, platform, sys, types

platform.system = lambda: "Darwin"
platform.machine = lambda: "arm64"
platform.mac_ver = lambda: ("26.1", ("", "", ""), "arm64")

def serve(settings, listener, **_):
    listener.close()
    print(os.environ.get("{VARIABLE}"), "mlx" in sys.modules)
    return 0

sys.modules["engine.serving"] = types.SimpleNamespace(serve=serve)
from engine.__main__ import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "variable"), [({"relax_gpu_watchdog": True}, "1"), ({}, None)])
def test_an_engine_that_is_to_relax_it_does_so_before_it_imports_mlx(
    settings: dict[str, Any], variable: str | None
) -> None:
    ended = subprocess.run(
        python("-c", ENGINE_ON_A_MAC),
        input=json.dumps({"port": 0} | settings) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        env={name: value for name, value in clean_environment().items() if name != VARIABLE},
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == f"{variable} False"
    assert ("watchdog is relaxed" in ended.stderr) == (variable is not None)
