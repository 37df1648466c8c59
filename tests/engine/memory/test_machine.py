"""A machine's memory is read from its device, its system and its control group."""

from __future__ import annotations

from pathlib import Path

from engine.memory.machine import machine_of, this_machine
from engine.memory_budget.control_group import group_folders, group_limit

M4 = {
    "device_name": "Apple M4 Max",
    "architecture": "applegpu_g16s",
    "memory_size": 68_719_476_736,
    "max_recommended_working_set_size": 51_539_607_552,
    "max_buffer_length": 38_654_705_664,
    "resource_limit": 499_000,
}


def group(root: Path, path: str, **files: str) -> Path:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_metal_reports_working_set_and_buffers() -> None:
    machine = machine_of(M4, 68_719_476_736)
    assert (machine.working_set_bytes, machine.buffers) == (51_539_607_552, 499_000)


def test_a_cpu_has_no_working_set() -> None:
    machine = machine_of({"device_name": "AMD EPYC", "architecture": "x86_64"}, 8 << 30)
    assert (machine.working_set_bytes, machine.buffers, machine.group_bytes) == (0, 0, 0)


def test_a_groups_limit_beyond_the_memory_is_none() -> None:
    assert machine_of({}, 8 << 30, 9223372036854771712).group_bytes == 0
    assert machine_of({}, 8 << 30, 2 << 30).group_bytes == 2 << 30


def test_the_least_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    group(root, "", memory__max="max\n")
    group(root, "a", memory__max="3000\n", memory__high="max\n")
    group(root, "a/b", memory__max="5000\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    assert group_limit(root, membership) == 3000


def test_version_one_is_read_as_well(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    group(root, "memory/job", memory__limit_in_bytes="7000\n")
    membership = tmp_path / "membership"
    membership.write_text("5:cpu,cpuacct:/x\n4:memory:/job\n0::/\n")
    assert group_limit(root, membership) == 7000
    assert group_folders(root, membership)[0] == root / "memory" / "job"


def test_a_path_of_the_host_leads_to_the_containers_own_group(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    group(root, "", memory__max="9000\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/docker/of/the/host\n")
    assert group_limit(root, membership) == 9000


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert group_limit(tmp_path, tmp_path / "missing") == 0


def test_this_machine_has_memory() -> None:
    assert this_machine().ram_bytes > 1 << 30
