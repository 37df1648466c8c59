"""The JSON Schema says what the reader says, and the docs have the tables of today."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.options.kinds import TOOL_FORMAT, URL, Kind
from engine.options.setting import OF_A_BACKEND
from proxy.configuration.file import parse_config
from proxy.configuration.known_backends import KNOWN_BACKENDS
from proxy.configuration.reference import json_schema, main, with_tables
from proxy.configuration.settings import BACKEND, FILE_KEYS, SETTINGS
from proxy.configuration.settled import ConfigError
from proxy.configuration.small_file import SmallFile
from tests.engine.options.test_kinds import JSON
from tests.proxy.configuration.test_file import EARLIER_USERS_FILE
from tests.proxy.configuration.test_untrusted import HARMFUL, HARMLESS, nested

ROOT = Path(__file__).parents[3]
SCHEMA = Draft202012Validator(json_schema())
KINDS = list({setting.kind.allowed: setting.kind for setting in FILE_KEYS.values()}.values())
VALIDATORS = {kind.allowed: Draft202012Validator(kind.schema) for kind in KINDS}


def accepts(kind: Kind, value: Any) -> bool:
    try:
        kind.check(value)
    except ValueError:
        return False
    return True


def reader_accepts(document: Any) -> bool:
    content = SmallFile(Path("/x"), json.dumps(document).encode(), (0, 0), 0)
    try:
        parse_config(content).raise_problems()
    except ConfigError:
        return False
    return True


def agree(kind: Kind, value: Any) -> bool:
    return VALIDATORS[kind.allowed].is_valid(value) == accepts(kind, value)


def example_of_the_docs() -> Any:
    text = (ROOT / "docs" / "running.md").read_text("utf-8")
    return json.loads(text.split("## Configuration")[1].split("```json")[1].split("```")[0])


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())
    json.dumps(json_schema(), allow_nan=False)


@pytest.mark.parametrize(
    "document",
    [
        json.loads(EARLIER_USERS_FILE),
        example_of_the_docs(),
        {},
        {"$schema": ".anyclaude/schema.json", "port": 9},
        {"prot": 1, "debug": {"levle": 9}, "backends": {"mlx": {"modle": 1}, "llama": 7}},  # warnings alone
        *(nested(key, value) for key, value in (HARMLESS | HARMFUL).items()),
    ],
    ids=lambda document: json.dumps(document)[:50],
)
def test_real_files_are_accepted_by_both(document: Any) -> None:
    assert [error.message for error in SCHEMA.iter_errors(document)] == []
    assert reader_accepts(document)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"port": "8082"},
        {"backend": "llama"},
        {"debug": []},
        {"debug": {"level": 4}},
        {"backends": "mlx"},
        {"backends": {"mlx": None}},
        {"backends": {"vllm-mlx": {"maxBatch": 0}}},
        {"backends": {"lmstudio": {"baseUrl": "localhost:1234"}}},
        {"$schema": 7},
    ],
    ids=json.dumps,
)
def test_wrong_files_are_refused_by_both(document: Any) -> None:
    assert not SCHEMA.is_valid(document)
    assert not reader_accepts(document)


def test_every_key_is_described_and_has_its_default() -> None:
    schema = json_schema()
    backend = schema["$defs"]["backend"]["properties"]
    assert set(schema["properties"]["backends"]["properties"]) == set(KNOWN_BACKENDS)
    for key, setting in FILE_KEYS.items():
        section = backend if key.startswith(OF_A_BACKEND) else schema["properties"]
        section = schema["properties"]["debug"]["properties"] if key.startswith("debug.") else section
        described = section[key.removeprefix(OF_A_BACKEND).removeprefix("debug.")]
        assert described["description"].startswith(setting.help)
        if "default" in described:
            assert described["default"] == setting.default
            assert accepts(setting.kind, described["default"])


EDGES = [
    *({"x": {"inputs": 3}}, {"x": {}}, {"": {"input": 1}}, {"a": {"input": -1}}, {"a": {"input": True}}),
    *(
        {"x": 3},
        {"claude-*": {"input": 3, "cacheRead": 0.3}},
        {"x": {"output": 10**9}},
        {"a\n": {"input": 1}},
    ),
    *(0, 1, -1, 4, 8, 16, 17, 99, 100, 256, 257, 1023, 1024, 65535, 65536, 86400, 86401, 10**5, 10**5 + 1),
    *(10**8 - 1, 10**8, 10**8 + 1, 10**14, 10**14 + 1, 1 << 20, (1 << 20) + 1, 0.5, 7.5, True, False, None),
    *(
        "",
        " ",
        "mlx",
        " mlx ",
        "mlx\n",
        "glm",
        "weights",
        " off",
        "a\x7f",
        "a\x1f",
        "\ud800",
        "é",
        "\U0001f600",
    ),
    *("\xa0key", "http://a:1", [], {}, ["mlx"]),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.allowed[:40])
def test_a_kinds_schema_accepts_what_its_check_accepts(kind: Kind) -> None:
    assert [value for value in EDGES if not agree(kind, value)] == []


@settings(max_examples=300)
@given(kind=st.sampled_from(KINDS), value=JSON)
def test_any_value_is_one_for_both_or_for_neither(kind: Kind, value: Any) -> None:
    # JSON Schema cannot tell 80.0 from 80; the reader can, and refuses it.
    assume(not (isinstance(value, float) and value.is_integer()))
    assert agree(kind, value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1234/v1/",
        " https://[::1]:9/x ",
        "HTTP://a",
        "http://me:pass@word@host:65535/a/b//",
        "http://host:00080",
        "http://host:",
        "http://host?",
        "http://host/#",
        "localhost:1234",
        "ftp://host/",
        "http://",
        "http:///path",
        "http://@",
        "http://me@:80",
        "http://m]e@host",
        "http://[::1]@host",
        "http://[::1",
        "http://host:0",
        "http://host:65536",
        "http://host:99999/v1",
        "http://host:8o",
        "http://a:b:1",
        "http://host/?key=1",
        "http://host/#part",
        "http://127.0.0.1\\@host/",
        "http://127.0.0.1 .host/",
        "http://host/\n",
    ],
)
def test_an_address_is_one_for_both(url: str) -> None:
    assert agree(URL, url)


@given(rest=st.text(alphabet="a1:/@?# \\-", max_size=12))
def test_any_address_is_one_for_both_or_for_neither(rest: str) -> None:
    assert agree(URL, f"http://{rest}")


@pytest.mark.parametrize("kind", [BACKEND, TOOL_FORMAT])
def test_words_have_no_sign_that_a_pattern_obeys(kind: Kind) -> None:
    for choice in kind.schema["anyOf"][0]["enum"]:
        assert re.fullmatch(r"[a-z0-9_-]*", choice)


@pytest.mark.parametrize("name", ["README.md", "docs/settings.md"])
def test_the_docs_have_the_tables_of_today(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert with_tables(text) == text, "make settings"
    emptied = re.sub(r"\n\|.*(?=\n)", "", text) if name == "docs/settings.md" else text.replace("8082", "1")
    page = tmp_path / "page.md"
    page.write_text(emptied, "utf-8")
    main([str(page)])
    assert "ANYCLAUDE_PORT" in page.read_text("utf-8")


def test_each_setting_is_in_the_docs_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for setting in SETTINGS.values():
        assert f"| `{setting.key}`" in text
        assert f"`{setting.env}`" in text
        if setting.more:
            file, _, place = setting.more.partition("#")
            headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / file).read_text("utf-8"), re.MULTILINE)
            places = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert not place or place in places
