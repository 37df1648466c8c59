"""Secrets beside their name, without a sign between them."""

from __future__ import annotations

import pytest

from proxy.traces.redaction.secret_shapes import redact_shapes

PAIRS = [
    '{{"name": "API_KEY", "value": "{}"}}',
    '{{"value": "{}", "name": "API_KEY"}}',
    '{{"Key": "DbPassword", "Value": "{}"}}',
    '{{"ParameterKey": "DbPassword", "ParameterValue": "{}"}}',
    '{{\n  "name": "DB_PASSWORD",\n  "type": "secret",\n  "value": "{}"\n}}',
    r"{{\"name\": \"API_KEY\", \"value\": \"{}\"}}",
    "- name: DB_PASSWORD\n  value: {}\n- name: B\n",
    '- name: DB_PASSWORD\n  value: "{}"\n',
    " 7→- name: DB_PASSWORD\n 8→  value: {}\n",
    'name = "DB_PASSWORD"\nvalue = "{}"',
    '<add key="Password" value="{}"/>',
    '<input name="password" type="password" value="{}">',
    "docker run -e API_KEY={} -e LEVEL=1 image",
    "tool --api-key {} x",
    "tool --password '{}' if it has to be",
    '["--api-key", "{}", "run"]',
    "args:\n  - --password\n  - {}\n  - run",
    "API_KEY      {}\nHOME         /root",
    "Name\tValue\nHF_TOKEN\t{}\n",
    "| API_KEY | {} |",
    "| 1 | `DB_PASSWORD` | `{}` | x |",
    "setx API_KEY {}",
    "set -gx API_KEY {}",
    "sshpass -p {} ssh ada@host",
    "curl -u ada:{} https://host",
    "curl -X POST \\\n  --user 'ada:{}' https://host",
    "ALTER USER ada WITH PASSWORD '{}';",
    "CREATE USER ada IDENTIFIED BY '{}'",
    "the user `ada` with the password `{}`",
]


@pytest.mark.parametrize("frame", PAIRS)
@pytest.mark.parametrize("secret", ["hunter2", "geheim"])
def test_what_stands_beside_its_name_goes(frame: str, secret: str) -> None:
    assert redact_shapes(frame.format(secret)) == frame.format("[redacted]")


@pytest.mark.parametrize(
    "command",
    ["aws configure set aws_secret_access_key {}", "npm config set //host/:_authToken {}"],
)
def test_a_value_that_a_command_sets_goes_and_words_about_it_stay(command: str) -> None:
    assert redact_shapes(command.format("wJalrXUtn3")) == command.format("[redacted]")
    assert redact_shapes(command.format("before")) == command.format("before")


def test_a_value_that_is_said_to_be_a_password_goes() -> None:
    assert redact_shapes("the password is hunter2, I think") == "the password is [redacted], I think"


@pytest.mark.parametrize(
    "text",
    [
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: {name: db, key: password}\n",
        '{"name": "LEVEL", "value": "debug"}',
        '{"name": "API_KEY", "value": "$OTHER"}',
        '{"name": "MAX_TOKENS", "value": "4096"}',
        "Field(name='password', value=value)",
        '{"key": "token", "value": "identifier"}',
        '{"key": "cache_key", "value": "550e8400-e29b-41d4-a716-446655440000"}',
        "password   string   what the user types",
        "| password | varchar | not null |",
        "| password | text | x |",
        "| password | citext | x |",
        "password   bytea",
        "MAX_TOKENS   4096",
        "IDREF|NMTOKEN|ENTITIES|",
        "the password is required",
        "chown -u 1000:1000 and docker --user www-data:www-data",
        'curl -u "$USER:$PASSWORD" host',
        'FLAGS = {"--token", "--quiet"}',
        "a value identified by `name`",
        'tags = ["secret", "decoded:base64"]',
    ],
)
def test_tables_of_types_and_references_stay(text: str) -> None:
    assert redact_shapes(text) == text
