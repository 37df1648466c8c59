"""What tests share: how many processes run them, models, and the logs of servers where a test fails."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# A shell without job control starts what it leaves in the background deaf to Ctrl-C, and so are all children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything loads a BLAS, here or in a process that a test starts: the tests have all cores already, and
# the threads of a BLAS that find theirs taken wait for them by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Images for containers often turn compiled files off. Each of the workers and of the hundreds of processes
# that tests start would then compile all that it imports.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False

import hypothesis
import psutil
import pytest

from engine.process.transformers_index import keep_transformers_index
from tests import servers

if TYPE_CHECKING:
    from tests.models import ModelShelf

# A second for each worker, as for each engine.
keep_transformers_index()

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("house", deadline=None, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=500)
hypothesis.settings.load_profile("house")

ROOT = Path(__file__).parents[1]
MOST_WORKERS = 4  # each may have an engine, a proxy and a client beside it
GARBAGE = (2_000, 10, 40)  # how many new objects, and rounds, are awaited; all are looked at after 800,000
SPARE_WORKERS = 2  # many tests wait for a process: with two more the cores have something to do


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker a core and two more for whole folders; what is picked by file or name is soon over without."""
    folders = all(os.path.isdir(argument) for argument in config.args)
    if config.option.keyword or not folders:
        return 0
    return min((psutil.cpu_count() or 1) + SPARE_WORKERS, MOST_WORKERS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Load this worker's share of the modules first, in which pytest rewrites all asserts for seconds.

    Each worker collects all modules, in the same order; without shares each would rewrite all of them in a
    new clone. What cannot be loaded is reported where it is collected.
    """
    gc.disable()  # what is loaded stays
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    folders = [Path(argument).resolve() for argument in session.config.args]
    modules = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
    for path in modules[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """What is loaded and collected stays: the collector need not look at all of it again each time.

    It also looks less often, as tests leave more and more behind that stays.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Find what nobody closed in the last test of a worker, if not before: after it nobody reports it."""
    if nextitem is None:
        gc.collect()


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


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelShelf:
    """Models that several test modules share, each made once in a run."""
    from tests.models import ModelShelf

    return ModelShelf(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tokenizer(shelf: ModelShelf) -> Any:
    """mlx-lm's wrapper around the random models' tokenizer and template."""
    from engine.models.tokenizer_loading import load_tokenizer

    return load_tokenizer(shelf.tiny()).tokenizer
