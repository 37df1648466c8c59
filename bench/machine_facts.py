"""What a machine is, for a report: its system, its chip, its GPU as MLX sees it, and its terminal.

It does not read serial numbers, the names of machine and user, or what else is installed.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import psutil

Fact = tuple[str, str]
Run = Callable[[Sequence[str]], str]

PACKAGES = ("anyclaude-tui", "mlx", "mlx-metal", "mlx-lm", "textual", "uvloop")
_SYSCTL = (
    ("model of the machine", "hw.model"),
    ("chip", "machdep.cpu.brand_string"),
    ("performance cores", "hw.perflevel0.physicalcpu"),
    ("efficiency cores", "hw.perflevel1.physicalcpu"),
    ("under Rosetta", "sysctl.proc_translated"),
    ("wired limit of the GPU, MB (0: the system's own)", "iogpu.wired_limit_mb"),
)
_GIB = 1 << 30


def said(command: Sequence[str]) -> str:
    """What a system program writes to stdout; empty if it is missing or fails."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def system_facts(run: Run = said, system: str | None = None) -> Iterator[Fact]:
    """The operating system, the processor, memory, power, and recorded GPU panics."""
    system = system or platform.system()
    mac = platform.mac_ver()[0]
    yield "system", f"macOS {mac}" if system == "Darwin" and mac else f"{system} {platform.release()}"
    yield "architecture", platform.machine()
    yield "memory", f"{psutil.virtual_memory().total / _GIB:.1f} GiB"
    yield "processors", str(psutil.cpu_count())
    if system != "Darwin":
        return
    yield "build", run(["sw_vers", "-buildVersion"]) or "not reported"
    for name, key in _SYSCTL:
        yield name, run(["sysctl", "-n", key]) or "not reported"
    cores = re.search(r'"gpu-core-count" = (\d+)', run(["ioreg", "-rc", "AGXAccelerator", "-d", "1"]))
    yield "GPU cores", cores[1] if cores else "not reported"
    power = re.search(r"'(.+ Power)'", run(["pmset", "-g", "batt"]))
    yield "power", power[1] if power else "not reported"
    low = re.search(r"lowpowermode\s+(\d)", run(["pmset", "-g"]))
    yield "Low Power Mode", {"0": "off", "1": "on"}.get(low[1], low[1]) if low else "not reported"
    yield "kernel panics on record, of them in GPU memory", _panics(Path("/Library/Logs/DiagnosticReports"))


def _panics(folder: Path) -> str:
    of_gpu = 0
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".panic"]
    except OSError:
        return "unreadable"
    for path in found:
        try:
            of_gpu += "IOGPUMemory" in path.read_text(errors="replace")
        except OSError:
            return f"{len(found)}, unreadable"
    return f"{len(found)}, {of_gpu}"


def software_facts(commit: str = "") -> Iterator[Fact]:
    """Versions; for MLX also the tag of its wheel, which differs between releases of macOS."""
    yield "Python", f"{platform.python_version()}, {platform.python_implementation()}, {platform.machine()}"
    for name in PACKAGES:
        try:
            yield name, version(name) + _tag(name)
        except PackageNotFoundError:
            continue
    yield "commit", commit or "not reported"


def _tag(name: str) -> str:
    if not name.startswith("mlx"):
        return ""
    wheel = distribution(name).read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (\S+)", wheel, re.MULTILINE)
    return f" ({', '.join(tags)})" if tags else ""


def gpu_facts(mx: Any) -> Iterator[Fact]:
    """What MLX reports about its device; `mx` is `mlx.core`."""
    yield "Metal", "yes" if mx.metal.is_available() else "no"
    yield "default device", str(mx.default_device())
    for name, value in sorted(mx.device_info().items()):
        large = isinstance(value, int) and value >= _GIB
        yield name.replace("_", " "), f"{value / _GIB:.2f} GiB ({value:,})" if large else f"{value}"


def terminal_facts(environ: Mapping[str, str], color_system: str | None) -> Iterator[Fact]:
    """The terminal, and its detected number of colours."""
    for name in ("TERM", "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION"):
        yield name, environ.get(name) or "not set"
    yield "in tmux", "yes" if environ.get("TMUX") else "no"
    yield "over ssh", "yes" if environ.get("SSH_CONNECTION") else "no"
    yield "colours", color_system or "none: no terminal"


def backup_fact(folder: Path, run: Run = said, system: str | None = None) -> Fact:
    """Whether Time Machine excludes a folder that the engine marks."""
    from engine.prefix_cache.disk.backup_exclusion import exclude_from_backups

    name = "a marked folder is left out by Time Machine"
    if (system or platform.system()) != "Darwin":
        return name, "no Time Machine here"
    exclude_from_backups(folder)
    told = run(["tmutil", "isexcluded", str(folder)])
    return name, "yes" if "[Excluded]" in told else "NO" if told else "not reported"


def commit_of(root: Path, run: Run = said) -> str:
    """The commit of a checkout, and whether its files differ from it; empty outside of a checkout."""
    commit = run(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"])
    changed = run(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}{' and changes' if changed else ''}" if commit else ""


def color_system() -> str | None:
    """The colours that the screen would use in stderr's terminal."""
    from rich.console import Console

    return Console(file=sys.stderr).color_system
