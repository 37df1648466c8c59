"""`claude-agent-sdk` on a host: the cases of `python -m bench.agent_sdk` that most programs depend on.

The others run by `make agent-sdk`: each starts the real client once or more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bench.agent_sdk import extensions
from bench.agent_sdk.host import SdkHost, sdk_host
from bench.agent_sdk.registry import CASES
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHost]:
    claude_binary()
    with sdk_host(tmp_path_factory.mktemp("agent-sdk")) as running:
        yield running


@pytest.mark.parametrize(
    "case", [extensions.own_tool, extensions.permissions], ids=["own_tool", "permissions"]
)
def test_a_program_runs_the_client_on_the_host(host: SdkHost, case: object) -> None:
    [known] = [one for one in CASES.values() if one.run is case]
    asyncio.run(known.run(host))  # type: ignore[arg-type]
