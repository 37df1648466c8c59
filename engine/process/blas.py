"""Find a fast BLAS for the engine's process on Linux, where MLX's wheel brings only the slow reference one.

MLX resolves its matrix products through the dynamic linker, so an OpenBLAS that is preloaded takes its place.
That must happen before the process starts; this module imports no mlx, so that a parent can ask it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path

_FAST_LIBRARIES = ("openblas", "mkl", "blis")

_LAYOUTS = (
    # Debian, Ubuntu: libopenblas0-pthread, -openmp, -serial.
    "/usr/lib/{machine}-linux-gnu/openblas-pthread/libblas.so.3",
    "/usr/lib/{machine}-linux-gnu/openblas-openmp/libblas.so.3",
    "/usr/lib/{machine}-linux-gnu/openblas-serial/libblas.so.3",
    # Fedora, RHEL: openblas-threads, openblas-openmp, openblas.
    "/usr/lib64/libopenblasp.so.0",
    "/usr/lib64/libopenblaso.so.0",
    "/usr/lib64/libopenblas.so.0",
    # Arch, Alpine: openblas.
    "/usr/lib/libopenblas.so.0",
    "/usr/lib/libopenblas.so.3",
)

_HINTS = (
    ("/etc/debian_version", "libopenblas0-pthread"),
    ("/etc/redhat-release", "openblas-threads"),
    ("/etc/arch-release", "openblas"),
)


def find_openblas(
    system: str | None = None,
    machine: str | None = None,
    exists: Callable[[Path], bool] = Path.is_file,
) -> Path | None:
    """The OpenBLAS to preload: a library with the whole BLAS interface, threaded variants first.

    Only on Linux on x86_64 and aarch64; `system` and `machine` are as `platform` names them.
    """
    system = system or platform.system()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        machine or platform.machine(), machine or platform.machine()
    )
    if system != "Linux" or machine not in ("x86_64", "aarch64"):
        return None
    candidates = (Path(layout.format(machine=machine)) for layout in _LAYOUTS)
    return next((path for path in candidates if exists(path)), None)


def engine_environment(
    environment: Mapping[str, str],
    system: str | None = None,
    machine: str | None = None,
    exists: Callable[[Path], bool] = Path.is_file,
) -> tuple[dict[str, str], str]:
    """The environment to start the engine with, and what will multiply its matrices, for people.

    On macOS that is "" here: `engine.models.device_name` names it. An LD_PRELOAD that is there already stays;
    one that names a fast BLAS is left as it is.
    """
    env = dict(environment)
    system = system or platform.system()
    if system == "Darwin":
        return env, ""  # MLX itself reports whether it has a Metal device
    preloaded = env.get("LD_PRELOAD", "").replace(":", " ").split()
    for library in preloaded:
        if any(name in library.lower() for name in _FAST_LIBRARIES):
            return env, f"preloaded BLAS ({library})"
    found = find_openblas(system, machine, exists)
    if found is None:
        package = next((name for marker, name in _HINTS if exists(Path(marker))), "OpenBLAS")
        return env, f"reference BLAS: decode and prefill are about 30 times slower; install {package}"
    env["LD_PRELOAD"] = " ".join([*preloaded, str(found)])
    return env, f"openblas ({found})"
