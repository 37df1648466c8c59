"""One setting is written into the user's file; all else in it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.changes.own_file import save_setting
from proxy.configuration.settled import ConfigError


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        (None, "keepAwake", False, {"keepAwake": False}),
        ('{"port": 1}', "backends.mlx.kvBits", 8, {"port": 1, "backends": {"mlx": {"kvBits": 8}}}),
        ('{"a": {"b": 1, "c": 2}}', "a.b", None, {"a": {"c": 2}}),
        ('{"a": {"b": {"c": 1}}, "z": 0}', "a.b.c", None, {"z": 0}),
        ('\ufeff{"é": "日本"}', "x", "y", {"é": "日本", "x": "y"}),
    ],
)
def test_one_key_is_set_or_taken_out(
    tmp_path: Path, before: str | None, key: str, value: Any, after: dict[str, Any]
) -> None:
    file = tmp_path / "rc.json"
    if before is not None:
        file.write_text(before, "utf-8")
    save_setting(file, key, value)
    assert json.loads(file.read_text("utf-8-sig")) == after


@pytest.mark.parametrize("before", ["{", "[]", '{"a": 3}', '{"a": {"b": 3}}', b"\xff\xfe{"])
def test_what_cannot_be_kept_is_left_alone(tmp_path: Path, before: str | bytes) -> None:
    file = tmp_path / "rc.json"
    content = before.encode() if isinstance(before, str) else before
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="nothing was written"):
        save_setting(file, "a.b.c", 1)
    assert file.read_bytes() == content


def test_links_permissions_and_indentation_stay(tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.json"
    kept.write_text('{\n    "port": 1\n}\n')
    kept.chmod(0o644)
    link = tmp_path / "rc.json"
    link.symlink_to(kept)
    save_setting(link, "keepAwake", True)
    assert link.is_symlink()
    assert kept.read_text() == '{\n    "port": 1,\n    "keepAwake": true\n}\n'
    assert kept.stat().st_mode & 0o777 == 0o644
    new = tmp_path / "new.json"
    save_setting(new, "keepAwake", True)
    assert new.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        # Lines as they are, lists on one line, a blank line, numbers as they are written.
        (
            '{\r\n\t"port": 1e3,\r\n\r\n\t"modelFolders": ["/a", "/b"]\r\n}\r\n',
            "keepAwake",
            False,
            '{\r\n\t"port": 1e3,\r\n\r\n\t"modelFolders": ["/a", "/b"],\r\n\t"keepAwake": false\r\n}\r\n',
        ),
        ('{"backends": {"mlx": {"a": 4}}}', "backends.mlx.a", 8, '{"backends": {"mlx": {"a": 8}}}'),
        ('{"a": 1, "b": 2}', "c", 3, '{"a": 1, "b": 2, "c": 3}'),
        ('{"a": 1, "b": 2}', "a", None, '{"b": 2}'),
        ('{"a": 1, "b": 2}', "b", None, '{"a": 1}'),
        ('{"a": 1, "b": {"c": 2} }', "b.c", None, '{"a": 1 }'),
        ('{ "a": 1 }', "a", None, "{}"),
        ('{"a": {}}', "a.b", None, '{"a": {}}'),
        ('{"a": 1, "a": 2}', "a", None, "{}"),
        ('{"a": 1, "a": 2}', "a", 3, '{"a": 1, "a": 3}'),
        (
            '{\n    "backends": {\n        "mlx": {}\n    }\n}',
            "backends.mlx.loopTokens",
            9,
            '{\n    "backends": {\n        "mlx": {\n            "loopTokens": 9\n        }\n    }\n}',
        ),
        (
            '{\n  "port": 1\n}\n',
            "backends.mlx.loopTokens",
            9,
            '{\n  "port": 1,\n  "backends": {\n    "mlx": {\n      "loopTokens": 9\n    }\n  }\n}\n',
        ),
        ("\ufeff{}\n", "a", "b", '\ufeff{\n  "a": "b"\n}\n'),
        ('{"say \\"hi\\" {": "}, \\u0041", "a": [{"a": 1}]}', "z", True,
         '{"say \\"hi\\" {": "}, \\u0041", "a": [{"a": 1}], "z": true}'),
    ],
)  # fmt: skip
def test_every_other_sign_of_the_file_stays(
    tmp_path: Path, before: str, key: str, value: Any, after: str
) -> None:
    file = tmp_path / "rc.json"
    file.write_bytes(before.encode())
    save_setting(file, key, value)
    assert file.read_bytes().decode() == after


def test_a_section_that_stands_twice_keeps_what_counts(tmp_path: Path) -> None:
    file = tmp_path / "rc.json"
    file.write_text('{"a": {"b": 1, "c": 2}, "a": {"b": 3}}')
    save_setting(file, "a.b", None)
    assert json.loads(file.read_text()) == {}


_names = st.text("abc", min_size=1, max_size=2)
_objects = st.recursive(
    st.dictionaries(_names, st.integers()),
    lambda inner: st.dictionaries(_names, inner, min_size=1),
    max_leaves=6,
)


@given(
    document=_objects,
    key=st.lists(_names, min_size=1, max_size=3).map(".".join),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_set_and_taken_out_again_leaves_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
    document: dict[str, Any],
    key: str,
    indent: int | str | None,
    newline: str,
) -> None:
    file = tmp_path_factory.getbasetemp() / "random.json"
    file.write_text(json.dumps(document, indent=indent), newline=newline)
    try:
        save_setting(file, key, "set")
    except ConfigError:
        assert json.loads(file.read_text()) == document
        return
    found: Any = json.loads(file.read_text())
    for part in key.split("."):
        found = found[part]
    assert found == "set"
    save_setting(file, key, None)
    assert set(json.loads(file.read_text())) <= set(document)
