"""The memory limit of the control groups that this process is in (Linux)."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def group_limit(root: Path = _CGROUP, membership: Path = _MEMBERSHIP) -> int:
    """The smallest memory limit of this process's control groups, version 1 or 2; 0: none."""
    limits = []
    for folder in group_folders(root, membership):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            try:
                text = (folder / name).read_text().strip()
            except (OSError, ValueError):
                continue
            if text.isdigit():
                limits.append(int(text))
    return min(limits, default=0)


def group_folders(root: Path = _CGROUP, membership: Path = _MEMBERSHIP) -> list[Path]:
    """The folders of this process's control groups that may control memory, the innermost first."""
    try:
        lines = membership.read_text().splitlines()
    except (OSError, ValueError):
        return []
    folders: list[Path] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        inner = top / path.strip("/")
        # In a container the path may be the host's, while the mount is the container's.
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(top)]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
