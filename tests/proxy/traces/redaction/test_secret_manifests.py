from __future__ import annotations

from proxy.traces.redaction.secret_shapes import redact_shapes

MANIFEST = """\
apiVersion: v1
kind: Secret
metadata:
  name: access
data:
  # in Base64
  user: YWRh
  empty: ""
  quoted: "aHVudGVyMg=="
  config: |
    url: https://host
    more
type: Opaque
---
kind: ConfigMap
data:
  user: ada
"""
WITHOUT = """\
apiVersion: v1
kind: Secret
metadata:
  name: access
data:
  # in Base64
  user: [redacted]
  empty: ""
  quoted: "[redacted]"
  config: |
    [redacted]
    [redacted]
type: Opaque
---
kind: ConfigMap
data:
  user: ada
"""


def test_the_data_of_a_secret_goes_and_that_of_other_kinds_stays() -> None:
    assert redact_shapes(MANIFEST) == WITHOUT


def test_so_it_does_where_the_kind_comes_last_and_lines_have_numbers() -> None:
    assert redact_shapes("1→data:\n2→  user: YWRh\n3→kind: 'Secret'\n") == (
        "1→data:\n2→  user: [redacted]\n3→kind: 'Secret'\n"
    )
