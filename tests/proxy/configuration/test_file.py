from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.configuration.file import FILE_NAME, read_config_file
from proxy.configuration.settled import ConfigError

EARLIER_USERS_FILE = """
{"backend": "vllm-mlx",
 "debug": {"level": 0, "enableTraces": false, "enableStreamLogging": false},
 "backends": {"vllm-mlx": {"enabled": true, "port": 8081, "baseUrl": "http://localhost:8081/v1", "apiKey": "vllm-mlx",
                           "model": "/models/Qwen3-Coder-30B-A3B-Instruct-MLX-4bit", "serverScript": "scripts/vllm-mlx-server.py"}}}
"""  # noqa: E501 - as it is in the wild


def write(folder: Path, content: Any) -> Path:
    path = folder / FILE_NAME
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def test_the_file_of_earlier_users_loads_and_says_what_is_unused(tmp_path: Path) -> None:
    found = read_config_file(write(tmp_path, EARLIER_USERS_FILE))
    assert found.values["backend"] == "vllm-mlx"
    assert found.values["debug.enableTraces"] is False
    assert found.values["backends.vllm-mlx.port"] == 8081
    assert len(found.warnings) == 1
    assert "serverScript is not used" in found.warnings[0]


class TestBrokenFiles:
    @pytest.mark.parametrize(
        ("text", "place", "line", "hint"),
        [
            ('{"port": 1\n "host": "x"}', "line 2, column 2", "host", ""),
            ('{\n  "port": 8082,\n}', "line 3, column 1", "}", "comma too many"),
            ('{\n // mine\n "port": 1}', "line 2, column 2", "// ...", "no comments"),
            ('{"debug": {"level": 0}', "line 1, column 23", "level", ""),
            ("", "line 1, column 1", '""', ""),
            ("{'port': 1}", "line 1, column 2", "'port'", ""),
        ],
    )
    def test_broken_json_names_file_line_column_and_text(
        self, tmp_path: Path, text: str, place: str, line: str, hint: str
    ) -> None:
        path = write(tmp_path, text)
        (problem,) = problems_of(path)
        assert problem.startswith(f"{path}, {place}: ")
        assert line in problem
        assert hint in problem

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"\xff\xfe{}", "not UTF-8"),
            (b"[1, 2]", "one JSON object"),
            (b"7", "one JSON object"),
            (b'{"port": ' + b"9" * 9999 + b"}", "too long"),
            (b"[" * 100_000, "too deeply"),
        ],
    )
    def test_what_is_no_configuration_is_said_to_be_none(
        self, tmp_path: Path, content: bytes, says: str
    ) -> None:
        path = tmp_path / FILE_NAME
        path.write_bytes(content)
        (problem,) = problems_of(path)
        assert str(path) in problem
        assert says in problem

    def test_a_byte_order_mark_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / FILE_NAME
        path.write_bytes(b'\xef\xbb\xbf{"port": 9000}')
        assert read_config_file(path).values == {"port": 9000}


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("content", "key", "nearest"),
        [
            ({"prot": 1}, "prot", '"port"'),
            ({"debgu": {}}, "debgu", '"debug"'),
            ({"debug": {"enableTrace": True}}, "debug.enableTrace", '"enableTraces"'),
            ({"backends": {"lmstudoi": {}}}, "backends.lmstudoi", '"lmstudio"'),
            ({"backends": {"mlx": {"baseURL": "x"}}}, "backends.mlx.baseURL", '"baseUrl"'),
        ],
    )
    def test_they_warn_with_the_nearest_known_one(
        self, tmp_path: Path, content: Any, key: str, nearest: str
    ) -> None:
        path = write(tmp_path, content)
        found = read_config_file(path)
        assert found.values == {}
        (warning,) = found.warnings
        assert warning == f"{path}: {key} is not known and was ignored; did you mean {nearest}?"

    def test_a_repeated_key_warns(self, tmp_path: Path) -> None:
        found = read_config_file(write(tmp_path, '{"port": 1, "port": 2}'))
        assert found.values == {"port": 2}
        assert "twice" in found.warnings[0]


class TestWrongValues:
    @pytest.mark.parametrize(
        ("content", "key", "value", "allowed"),
        [
            ({"backend": "llama"}, "backend", '"llama"', "vllm-mlx"),
            ({"port": "8082"}, "port", '"8082"', "whole number"),
            ({"debug": []}, "debug", "[]", "an object"),
            ({"debug": {"level": "high"}}, "debug.level", '"high"', "0 to 3"),
            ({"debug": {"enableTraces": "yes"}}, "debug.enableTraces", '"yes"', "true or false"),
            ({"backends": "mlx"}, "backends", '"mlx"', "an object"),
            ({"backends": {"mlx": None}}, "backends.mlx", "null", "an object"),
            ({"backends": {"mlx": {"model": 5}}}, "backends.mlx.model", "5", "text"),
            ({"backends": {"openai": {"baseUrl": "x"}}}, "backends.openai.baseUrl", '"x"', "web address"),
        ],
    )
    def test_they_name_file_key_value_and_what_is_allowed(
        self, tmp_path: Path, content: Any, key: str, value: str, allowed: str
    ) -> None:
        path = write(tmp_path, content)
        (problem,) = problems_of(path)
        assert problem.startswith(f"{path}: {key} is {value}; allowed: ")
        assert allowed in problem

    @pytest.mark.parametrize(
        "text",
        [
            '{\n"token": "hunter2"\n"port": 1}',
            '{\n"token": "hunter2\n, "port": 1}',
            '{"token": hunter2, "port": 1}',
            '{"backends": {"openai": {"apiKey": "hunter2" "baseUrl": "http://h"}}}',
            '{"backends": [{"apiKey": "hunter2"}]}',
            '{"backends": {"openai": "hunter2"}}',
            '{"backend": {"openai": {"apiKey": "hunter2"}}}',
            '[{"token": "hunter2"}]',
            '"hunter2"',
        ],
    )
    def test_no_key_in_the_wrong_place_or_in_broken_json_is_repeated(self, tmp_path: Path, text: str) -> None:
        problems = problems_of(write(tmp_path, text))
        assert problems
        assert "hunter2" not in "".join(problems)

    def test_all_of_them_are_told_at_once(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"port": -1, "debug": {"level": 9}, "backends": {"mlx": {"enabled": 1}}})
        assert len(problems_of(path)) == 3


@settings(deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r'\{"(port|debug|backends)": [\[\]{}"0-9a-z:, ]*\}?'))
def test_any_text_is_a_configuration_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    problems: tuple[str, ...] | None = None
    try:
        read_config_file(path)
    except ConfigError as error:
        problems = error.problems
    assert problems is None or (problems and not any("\n" in problem for problem in problems))
