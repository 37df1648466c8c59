"""Secrets on the lines below their name, and in lists."""

from __future__ import annotations

import json

import pytest

from proxy.traces.redaction.secret_shapes import redact_shapes

BLOCKS = [
    ("password: |\n  hunter2\nb: 1", "password: |\n  [redacted]\nb: 1"),
    ("password: >-\n  two words\n\n  1 line\nb: 1", "password: >-\n  [redacted]\nb: 1"),
    ("a:\n  - secret: |\n      x: y\n      z\n    b: 1", "a:\n  - secret: |\n      [redacted]\n    b: 1"),
    ("password:\n  hunter2\nb: 1", "password:\n  [redacted]\nb: 1"),
    ("passwords:\n- hunter2\n- 'geheim'\nb: 1", "passwords:\n- [redacted]\n- [redacted]\nb: 1"),
    ("api_keys: # two\n - k3y\n - $REF\n - k4y", "api_keys: # two\n - [redacted]\n - $REF\n - [redacted]"),
    ("token: |\n  a1b2c3d4e5\n", "token: |\n  [redacted]\n"),
    (" 3→password: |\n 4→  hunter2\n 5→b: 1", " 3→password: |\n 4→  [redacted]\n 5→b: 1"),
    ("b:3:password: |\nb:4:  hunter2\nb:5:b: 1", "b:3:password: |\nb:4:  [redacted]\nb:5:b: 1"),
    ("- passwords:\n  - hunter2\n- pa55ed\n", "- passwords:\n  - [redacted]\n- pa55ed\n"),
    ("passwords:\n  - hunter2\n    - a1 of it\n", "passwords:\n  - [redacted]\n    - a1 of it\n"),
    ("password: |\r\n  hunter2\r\nb: 1", "password: |\r\n  [redacted]\r\nb: 1"),
    ('secrets: ["password: x1, b", "c2"]', 'secrets: ["password: [redacted], b", "[redacted]"]'),
    ('"passwords": ["a", "too short", "b"]', '"passwords": ["[redacted]", "too short", "[redacted]"]'),
    ("passwords = [\n 'geheim',\n 'hunter2',\n]", "passwords = [\n '[redacted]',\n '[redacted]',\n]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "redacted"), BLOCKS)
def test_what_belongs_to_a_name_goes_as_a_whole_and_nothing_behind_it(text: str, redacted: str) -> None:
    assert redact_shapes(text) == redacted


@pytest.mark.parametrize(("text", "redacted"), [case for case in BLOCKS if '"' not in case[0]])
def test_so_it_does_where_the_text_is_one_of_a_json_text(text: str, redacted: str) -> None:
    written = json.dumps({"content": f"a: 1\n{text}\n"}, ensure_ascii=False)
    assert json.loads(redact_shapes(written)) == {"content": f"a: 1\n{redacted}\n"}


@pytest.mark.parametrize(
    "text",
    [
        "password: |\nb: 1",
        "password: |\n  ${PASSWORD}\n",
        "password:\n  type: string\n  minLength: 8\n",
        "secrets:\n  - db_password\n  - source: server-certificate\n    target: server.cert\n",
        "secrets:\n  - server\n",
        "password:\n  z.string().min(8),\n",
        "token: |\n  the words of a text\n",
        "password:\n\nThe next paragraph",
        "tokens:\n  - a1b2c3d4\n",
        'password = ["password", "user.password", "$PASSWORD", "", "must have a digit"]',
        "list_of_keys: ['compiler_f77', 'compiler_f90']",
    ],
)
def test_code_references_and_schemas_below_a_name_stay(text: str) -> None:
    assert redact_shapes(text) == text
