"""The engine's process gets a fast BLAS where the system has one, and says so where it has none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.process.blas import engine_environment, find_openblas


def only(*paths: str) -> Callable[[Path], bool]:
    return lambda path: str(path) in paths


@pytest.mark.parametrize(
    ("machine", "installed", "found"),
    [
        ("x86_64", "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3", True),
        ("aarch64", "/usr/lib/aarch64-linux-gnu/openblas-pthread/libblas.so.3", True),
        ("arm64", "/usr/lib/aarch64-linux-gnu/openblas-openmp/libblas.so.3", True),
        ("x86_64", "/usr/lib64/libopenblasp.so.0", True),
        ("aarch64", "/usr/lib64/libopenblas.so.0", True),
        ("x86_64", "/usr/lib/libopenblas.so.0", True),
        ("x86_64", "/usr/lib/aarch64-linux-gnu/openblas-pthread/libblas.so.3", False),
        ("riscv64", "/usr/lib/libopenblas.so.0", False),
    ],
)
def test_openblas_is_found_where_distributions_put_it(machine: str, installed: str, found: bool) -> None:
    assert find_openblas("Linux", machine, only(installed)) == (Path(installed) if found else None)


def test_a_threaded_library_is_preferred() -> None:
    both = only("/usr/lib64/libopenblas.so.0", "/usr/lib64/libopenblasp.so.0")
    assert find_openblas("Linux", "x86_64", both) == Path("/usr/lib64/libopenblasp.so.0")


def test_other_systems_need_none() -> None:
    assert find_openblas("Darwin", "arm64", lambda path: True) is None
    assert engine_environment({"A": "1"}, "Darwin") == ({"A": "1"}, "")


def test_the_library_is_preloaded_beside_what_is_preloaded_already() -> None:
    library = "/usr/lib/libopenblas.so.0"
    env, description = engine_environment({"LD_PRELOAD": "/opt/trace.so"}, "Linux", "x86_64", only(library))
    assert env["LD_PRELOAD"] == f"/opt/trace.so {library}"
    assert description == f"openblas ({library})"


def test_a_fast_library_that_is_preloaded_already_stays_alone() -> None:
    given = {"LD_PRELOAD": "/opt/intel/libmkl_rt.so"}
    env, description = engine_environment(given, "Linux", "x86_64", lambda path: True)
    assert env == given
    assert description == "preloaded BLAS (/opt/intel/libmkl_rt.so)"


@pytest.mark.parametrize(
    ("marker", "package"),
    [
        ("/etc/debian_version", "libopenblas0-pthread"),
        ("/etc/redhat-release", "openblas-threads"),
        ("/etc/arch-release", "openblas"),
        ("/nothing", "OpenBLAS"),
    ],
)
def test_without_one_the_description_says_what_it_costs_and_what_to_install(
    marker: str, package: str
) -> None:
    env, description = engine_environment({}, "Linux", "x86_64", only(marker))
    assert env == {}
    assert description.startswith("reference BLAS: decode and prefill are about 30 times slower")
    assert description.endswith(f"install {package}")


def test_the_environment_that_was_given_is_not_changed() -> None:
    given: dict[str, str] = {}
    engine_environment(given, "Linux", "x86_64", lambda path: True)
    assert given == {}


def test_asking_imports_no_mlx() -> None:
    code = (
        "import sys, engine.process.blas; sys.exit(any(name.split('.')[0] == 'mlx' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
