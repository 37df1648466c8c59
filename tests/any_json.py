"""Any JSON, for fields of requests to two servers, and how many examples of it a fuzz takes."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import strategies as st


def any_json(largest: int) -> st.SearchStrategy[Any]:
    """Values of at most six leaves, with whole numbers up to `largest`."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-5, largest)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    )


def examples(few: int) -> int:
    """`few`, the same in each run; a hunt takes more, by the variable ANYCLAUDE_FUZZ_EXAMPLES."""
    return int(os.environ.get("ANYCLAUDE_FUZZ_EXAMPLES", few))
