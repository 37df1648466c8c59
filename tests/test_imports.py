"""Who may import whom: the rooms drawn in docs/architecture.md, against the source and fresh interpreters."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.child import clean_environment

ROOT = Path(__file__).resolve().parent.parent
MLX = {"mlx", "mlx_lm", "transformers"}


def drawing() -> dict[str, list[tuple[str, bool]]]:
    """Of each package its rooms from the top floor down, each with whether it is free of mlx."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = text.split("## Rooms")[1].split("```")[1]
    rooms: dict[str, list[tuple[str, bool]]] = {}
    package = ""
    for line in block.strip("\n").split("\n"):
        if found := re.match(r"(\w+)/", line):
            package = found[1]
            rooms[package] = []
        elif found := re.match(r"  (\w+)/", line):
            rooms[package].append((found[1], line.endswith("free of mlx")))
    return rooms


ROOMS = drawing()
PACKAGES = tuple(ROOMS)
FREE_OF_MLX = {f"engine.{room}" for room, free in ROOMS["engine"] if free}
SCREEN = {"tui.screen"}


@dataclass(frozen=True)
class Imports:
    """Full names of what a module imports, wherever in it."""

    when_it_runs: frozenset[str]
    for_types_too: frozenset[str]  # also what only type checkers see


@functools.cache
def modules(package: str) -> tuple[tuple[str, Imports], ...]:
    """Name and imports of each module of a package."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append((name, imports_of(ast.parse(path.read_text("utf-8"), str(path)))))
    return tuple(found)


def imports_of(tree: ast.Module) -> Imports:
    nodes = list(ast.walk(tree))
    typing_only = {
        id(node)
        for block in nodes
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return Imports(
        frozenset(name for node in imports if id(node) not in typing_only for name in named(node)),
        frozenset(name for node in imports for name in named(node)),
    )


def named(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        assert node.level == 0, "imports are absolute in this project"
        yield node.module or ""
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(name: str) -> str:
    return name.split(".")[0]


def is_below(name: str, parents: set[str]) -> bool:
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


def room_of(name: str) -> str:
    """The room of a module, or an empty text for one beside the rooms."""
    package, *rest = name.split(".")
    return rest[0] if rest and rest[0] in {room for room, _ in ROOMS[package]} else ""


class TestTheRooms:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_the_drawing_has_every_folder(self, package: str) -> None:
        folders = {path.parent.name for path in (ROOT / package).glob("*/*.py")}
        assert {room for room, _ in ROOMS[package]} == folders

    @pytest.mark.parametrize("package", PACKAGES)
    def test_a_room_imports_only_from_below(self, package: str) -> None:
        floors = {room: floor for floor, (room, _) in enumerate(reversed(ROOMS[package]))}
        floors[""] = len(floors)
        found = {
            (name, target)
            for name, imports in modules(package)
            for target in imports.for_types_too
            if target.startswith(package + ".") and floors[room_of(target)] > floors[room_of(name)]
        }
        assert found == set()

    def test_no_folder_is_crowded(self) -> None:
        """About fifteen modules can be seen at a glance; commands and families are lists of like things."""
        crowded = {
            str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) - 1
            for package in PACKAGES
            for folder in (ROOT / package).rglob("*")
            if folder.is_dir() and folder.name not in ("__pycache__", "commands", "families")
        }
        assert {folder: count for folder, count in crowded.items() if count > 16} == {}

    @pytest.mark.parametrize("package", [*PACKAGES, "training", "bench"])
    def test_no_module_is_too_long_to_be_read(self, package: str) -> None:
        lines = {
            str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
            for path in (ROOT / package).rglob("*.py")
        }
        word_lists = {"training/wordings.py", "training/failure_wordings.py"}
        assert {name for name, count in lines.items() if count > 400} <= word_lists


class TestTheSource:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_no_package_of_the_wheel_needs_what_is_not_in_it(self, package: str) -> None:
        found = {
            (name, target)
            for name, imports in modules(package)
            for target in imports.for_types_too
            if top(target) in {"bench", "training", "tests"}
        }
        assert found == set()

    def test_the_engine_knows_neither_proxy_nor_screen(self) -> None:
        found = {
            (name, target)
            for name, imports in modules("engine")
            for target in imports.when_it_runs
            if top(target) in {"proxy", "tui", "textual"}
        }
        assert found == set()

    def test_the_proxy_knows_neither_screen_nor_model(self) -> None:
        found = {
            (name, target)
            for name, imports in modules("proxy")
            for target in imports.when_it_runs
            if top(target) in {"tui", "textual", *MLX}
        }
        assert found == set()

    def test_the_proxy_shares_only_what_is_free_of_mlx(self) -> None:
        found = {
            (name, target)
            for name, imports in modules("proxy")
            for target in imports.when_it_runs
            if top(target) == "engine" and target != "engine" and not is_below(target, FREE_OF_MLX)
        }
        assert found == set()

    def test_the_screen_and_its_commands_know_no_model(self) -> None:
        found = {
            (name, target)
            for name, imports in modules("tui")
            for target in imports.when_it_runs
            if top(target) in MLX
            or (top(target) == "engine" and target != "engine" and not is_below(target, FREE_OF_MLX))
        }
        assert found == set()

    def test_only_screen_modules_know_textual(self) -> None:
        found = {
            (name, target)
            for name, imports in modules("tui")
            if not is_below(name, SCREEN)
            for target in imports.when_it_runs
            if top(target) == "textual"
        }
        assert found == set()

    def test_screen_modules_are_imported_by_screen_modules_and_by_one_command(self) -> None:
        found = {
            name
            for name, imports in modules("tui")
            if not is_below(name, SCREEN)
            for target in imports.when_it_runs
            if is_below(target, SCREEN)
        }
        assert found <= {"tui.commands.screen"}

    def test_no_module_is_a_drawer_for_odds_and_ends(self) -> None:
        names = {name.rsplit(".", 1)[-1] for package in PACKAGES for name, _ in modules(package)}
        assert not names & {"utils", "util", "helpers", "common", "manager", "core", "misc"}


def loaded(*arguments: str) -> set[str]:
    """The top names of all modules in an interpreter after it ran `arguments`."""
    show = "atexit.register(lambda: sys.stderr.write('\\n' + json.dumps(sorted(sys.modules))))"
    code = f"import sys, json, atexit; {show}; sys.argv[1:] = {list(arguments[1:])!r}; {arguments[0]}"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return set(json.loads(ended.stderr.splitlines()[-1]))


RUN = "from tui.cli import main; main()"


class TestAFreshInterpreter:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["import proxy.host, proxy.api.server, proxy.__main__"],
            ["import tui.cli, tui.client.host_process, tui.commands.headless, tui.commands.claude_session"],
            [RUN, "--help"],
            [RUN, "events", "--help"],
            [RUN, "--port", "9", "env"],
            [RUN, "--home", "/nowhere", "traces", "list"],
        ],
        ids=lambda arguments: " ".join(arguments).replace(RUN, "anyclaude-tui"),
    )
    def test_neither_textual_nor_mlx_nor_what_renders_templates_is_there(self, arguments: list[str]) -> None:
        tops = {top(name) for name in loaded(*arguments)}
        assert not tops & {"textual", "jinja2", *MLX}

    @pytest.mark.parametrize("module", sorted(FREE_OF_MLX))
    def test_what_is_shared_of_the_engine_is_free_of_mlx(self, module: str) -> None:
        assert not {top(name) for name in loaded(f"import {module}")} & MLX

    def test_the_engine_needs_neither_proxy_nor_screen_and_trains_nothing(self) -> None:
        names = loaded("import engine.api.app")
        assert not {top(name) for name in names} & {"proxy", "tui", "textual"}
        assert "mlx_lm.tuner" not in names

    def test_help_imports_nothing_heavy(self) -> None:
        tops = {top(name) for name in loaded(RUN, "--help")}
        assert not tops & {"pydantic", "httpx", "fastapi", "uvicorn", "rich", "psutil", "asyncio"}

    def test_asking_a_host_for_its_state_imports_no_trace_and_no_command_line_of_httpx(self) -> None:
        names = loaded("from tui.program import main; main()", "--port", "9", "env")
        assert "httpx" in names
        assert not names & {"proxy.traces.schema", "rich.progress", "pygments", "click"}

    def test_the_first_frame_needs_no_model_of_the_wire(self) -> None:
        tops = {top(name) for name in loaded("import tui.screen.app")}
        assert not tops & {"pydantic", "httpx", "fastapi", "uvicorn"}
