"""The parser tests of vLLM and SGLang: run with their own parsers, which read what is meant.

A test counts if it passes with the peer's own parser, and what that parser read in it is what is meant.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bench
from bench.peer_tests.judging import Output
from bench.peer_tests.sorted_tests import reason
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.schemas.tools import ToolSchema, json_type

FOLDERS = {
    "vllm": ("tests/tool_parsers",),
    "mlx-lm": ("tests/test_tool_parsing.py",),
    "sglang": ("test/registered/unit/function_call", "test/registered/function_call"),
}
_FAMILIES = {
    "Apertus": "apertus",
    "Apertus2509": "apertus",
    "CohereCommand3": "cohere",
    "CohereCommand4": "cohere",
    "DeepSeekV3": "deepseek_v3",
    "DeepSeekV31": "deepseek_v31",
    "DeepSeekV32": "deepseek_v32",
    "DeepSeekV4": "deepseek_v4",
    "Ernie45": "hermes",
    "FunctionGemma": "function_gemma",
    "Gemma4": "gemma4",
    "GigaChat3": "gigachat",
    "Glm47Moe": "glm",
    "Glm47MoeModel": "glm",
    "Glm4Moe": "glm",
    "Glm4MoeModel": "glm",
    "GptOss": "harmony",
    "Granite": "granite",
    "Granite20bFC": "granite_20b",
    "Granite4": "hermes",
    "HYV3": "hy3",
    "Hermes": "hermes",
    "Hermes2Pro": "hermes",
    "Hunyuan": "hy3",
    "HunyuanA13B": "jamba",
    "Internlm": "internlm",
    "Internlm2": "internlm",
    "Jamba": "jamba",
    "KimiK2": "kimi",
    "Lfm2": "lfm2",
    "Llama32": "llama3_json",
    "Llama3Json": "llama3_json",
    "Llama4Pythonic": "llama4",
    "LongcatFlash": "longcat",
    "MiMo": "qwen3_coder",
    "MiniCPM5": "minicpm5",
    "Minimax": "minimax_m1",
    "MinimaxM2": "minimax",
    "MinimaxM3": "minimax_m3",
    "Mistral": "mistral",
    "Olmo3Pythonic": "olmo3",
    "Phi4MiniJson": "phi4_mini",
    "PoolsideV1": "glm",
    "Pythonic": "llama4",
    "Qwen25": "hermes",
    "Qwen3Coder": "qwen3_coder",
    "Qwen3XML": "qwen3_coder",
    "SeedOss": "seed_oss",
    "Step3": "step3",
    "Step3p5": "qwen3_coder",
    "Trinity": "hermes",
    "xLAM": "xlam",
    # The modules of mlx-lm.
    "function_gemma": "function_gemma",
    "gemma4": "gemma4",
    "glm47": "glm",
    "json_tools": "hermes",
    "kimi_k2": "kimi",
    "longcat": "longcat",
    "minimax_m2": "minimax",
    "mistral": "mistral",
    "pythonic": "lfm2",
    "qwen3_coder": "qwen3_coder",
}
"""The family that a peer's parser is for."""


class TestsFailed(RuntimeError):
    """A peer's tests could not be run; the message ends with the last lines of pytest."""


def outputs(peer: str, checkout: Path) -> Iterator[Output]:
    """The outputs in a peer's tests.

    Raises:
        TestsFailed: pytest did not run them.
    """
    notes = _notes(peer, checkout.resolve())
    called: dict[str, Schemas] = {}
    for test in notes:
        for read in test["read"]:
            called.setdefault(_file(test), Schemas()).add(read["calls"])
    for test in notes:
        yield from _of_test(peer, test, called.get(_file(test), Schemas()))


class Schemas:
    """Schemas from the calls of a file's tests, in place of the tools that their requests lack."""

    def __init__(self) -> None:
        self._types: dict[str, dict[str, set[str]]] = {}

    def add(self, calls: Iterable[tuple[str, str]]) -> None:
        for name, arguments in calls:
            try:
                values = json.loads(arguments or "{}")
            except ValueError:
                continue
            types = self._types.setdefault(name, {})
            for key, value in values.items() if isinstance(values, dict) else ():
                types.setdefault(key, set()).add(json_type(value))

    def tools(self) -> tuple[ToolSchema, ...]:
        return tuple(
            ToolSchema(name, {"properties": {key: {"type": sorted(kinds)} for key, kinds in types.items()}})
            for name, types in sorted(self._types.items())
            if name
        )


def _file(test: dict[str, Any]) -> str:
    return str(test["test"]).partition("::")[0]


def _of_test(peer: str, test: dict[str, Any], called: Schemas) -> Iterator[Output]:
    why = {
        "failed": "fails here with the peer's own parser",
        "skipped": "skipped by the peer",
        "expected to fail": "the peer's own parser is known to fail it",
    }.get(test["outcome"], "" if test["read"] else "reads no output with a parser")
    if why:
        yield Output(peer, test["test"], "", why=why)
        return
    for read in test["read"]:
        yield _output(peer, test["test"], read, called)


def _output(peer: str, test: str, read: dict[str, Any], called: Schemas) -> Output:
    parser, text = read["parser"].removesuffix("ToolParser").removesuffix("Detector"), read["text"]
    if why := reason(peer, test, text):
        return Output(peer, test, text, why=why)
    if parser not in _FAMILIES:
        return Output(peer, test, text, why="a parser of no format: a base class, a list of JSON, a double")
    tools = tuple(ToolSchema(tool["name"], tool["schema"]) for tool in read["tools"]) or called.tools()
    try:
        meant = _calls(read["calls"])
        if "whole" in read and meant != _calls(read["whole"]):
            return Output(peer, test, text, why="the peer reads other calls in parts than as a whole")
    except ValueError:
        return Output(peer, test, text, why="a call in parts that do not end")
    family = family_named(_FAMILIES[parser])
    return Output(peer, test, text, family, tools, meant, thinking=family.thinking or ("", ""))


def _calls(noted: list[list[str]]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, json.loads(arguments or "{}")) for name, arguments in noted)


def _notes(peer: str, checkout: Path) -> list[dict[str, Any]]:
    folders = [folder for folder in FOLDERS[peer] if (checkout / folder).exists()]
    if not folders:
        raise TestsFailed(f"{checkout} has none of {', '.join(FOLDERS[peer])}")
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.json"
        environment = {
            **os.environ,
            "PEER_CHECKOUT": str(checkout),
            "PEER_NOTES": str(notes),
            "HF_HUB_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(Path(bench.__file__).parents[1]), os.environ.get("PYTHONPATH")))
            ),
        }
        options = ("-p", "bench.peer_tests.recorder", "--noconftest", "-p", "no:cacheprovider", "-q")
        command = [sys.executable, "-m", "pytest", *options, "-c", os.devnull, "--rootdir", str(checkout)]
        command += ["--import-mode=importlib", "--continue-on-collection-errors", *folders]
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        if not notes.exists():
            raise TestsFailed(f"pytest ended with {done.returncode}:\n{(done.stdout + done.stderr)[-1500:]}")
        found: list[dict[str, Any]] = json.loads(notes.read_text("utf-8"))
        return found
