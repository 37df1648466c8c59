"""What all tests share: when one fails, the logs of the servers that ran in it are part of the report."""

from __future__ import annotations

from collections.abc import Generator

import hypothesis
import pytest

from tests import servers

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in servers.STARTED:
            report.sections.append((f"log of {server.name} (process {server.pid})", server.log_tail()))
    if call.when == "teardown":
        servers.STARTED[:] = [server for server in servers.STARTED if server.process.poll() is None]
    return report
