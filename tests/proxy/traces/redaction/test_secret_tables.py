"""Secrets in columns of tables, and tables that only speak of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces.redaction.redact import Redactor
from proxy.traces.redaction.secret_shapes import redact_shapes

TABLES = [
    " id | name | password \n----+------+----------\n  1 | ada  | {}\n  2 | bob  | {}\n(2 rows)\n",
    "+----+----------+\n| id | password |\n+----+----------+\n|  1 | {}  |\n|  2 | {} |\n+----+----------+\n",
    " password \n----------\n {}\n {}\n(2 rows)\n",
    "name,password,email\nada,{},ada@x.org\nbob,{},bob@x.org\n",
    '"name","password"\n"ada","{}"\n"bob, the first","{}"\n',
    "user;api_key;mail\r\nada;{};x\r\nbob;{};y\r\n",
    "name,password\rada,{}\rbob,{}\r",
    "user\tpassword\nada\t{}\nbob\t{}",
    "     1→name,password\n     2→ada,{}\n     3→bob,{}\n",
    "     1\tname\tpassword\n     2\tada\t{}\n     3\tbob\t{}\n",
    '{{"content": "name,password\\nada,{}\\nbob,{}"}}',
    "first\nname,password\nada,{}\nbob,{}\n\nlast, and last\n",
    "a password of each:\n\nname,password\nada,{}\nbob,{}",
]


@pytest.mark.parametrize("frame", TABLES)
@pytest.mark.parametrize("secret", ["hunter2", "geheim", "correct-horse"])
def test_a_column_that_is_named_like_a_secret_is_taken_out(frame: str, secret: str) -> None:
    assert redact_shapes(frame.format(secret, secret)) == frame.format("[redacted]", "[redacted]")


def test_of_a_table_in_a_document_words_stay_and_passwords_go() -> None:
    table = "| user | password |\n|------|----------|\n| ada | {} |\n"
    assert redact_shapes(table.format("hunter2")) == table.format("[redacted]")
    assert redact_shapes(table.format("supported")) == table.format("supported")


def test_each_of_several_columns_goes_and_what_is_cut_off_too() -> None:
    text = "user,password,mail,secret\nada,hunter2,x,geheim\nbob,hun"
    assert redact_shapes(text) == "user,password,mail,secret\nada,[redacted],x,[redacted]\nbob,[redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "for name, password in rows:\n    connect(name, password)\n",
        "from x import (\n    user, password,\n    host, port,\n)\n",
        "SELECT id, password\nFROM users, logins\n",
        "Password\n--------\nIt has eight signs\n",
        " Password \n----------\n It has eight signs\n and more\n",
        "user,password\n",
        "user,password\nand then he said\n",
        " id | password \n----+----------\n  1 | \n  2 | $HASH\n  3 | null\n",
        "name,secrets\nvault,12\n",
        "id,password_hash\n1,a1b2c3d4\n",
        "| password | the user types it |\n| token | 8f3a9c |\n",
        'text = "user,password\\n"\nother = "a,b1"\n',
        "x = [\n  'name', 'password',\n  'mail', 'other1',\n]\n",
    ],
)
def test_lists_of_names_and_headings_stay(text: str) -> None:
    assert redact_shapes(text) == text


def test_json_stays_json() -> None:
    text = '{"a": "user,password\\nada,hunter2", "b": "user,password\\nada,\\"hunter2"}'
    redacted = Redactor().text(text)
    assert "hunter2" not in redacted.replace('\\"hunter2', "")
    assert Redactor().text(redacted) == redacted


_PIECES = st.sampled_from(
    [
        "password",
        "api_key",
        "secret",
        "x",
        ",",
        "|",
        "--",
        " ",
        "\r",
        "\n",
        "\r\n",
        "\\n",
        "\\r",
        "\\",
        '"',
        '\\"',
        "\u2028",
    ]
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_no_end_of_a_line_and_no_quote_ends_the_reading(text: str) -> None:
    assert redact_shapes(redact_shapes(text)) == redact_shapes(text)


@pytest.mark.parametrize("text", ["api_key\r", "secret 10%\rsecret 20%\r", "password\r\\", '"api_key\\\r"'])
def test_what_programs_draw_over_their_own_line_is_read(text: str) -> None:
    assert redact_shapes(text) == text
