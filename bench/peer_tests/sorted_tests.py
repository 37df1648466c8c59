"""Outputs in tests of peers that do not say which calls are meant, each with the reason.

Found by hand, from the outputs that are read otherwise here: a peer's own habit is no meaning of the output.
"""

from __future__ import annotations

_ANY = "asks only that nothing is raised"
_UNKNOWN = "drops calls of tools that are not offered, which a client answers"
_WITHOUT_END = "gives up a whole call that lacks only its end, or has a name in another spelling"
_GUESSED = "makes a call of a broken one: completes a value, drops an argument, guesses the tool"
_NO_OUTPUT = "is no output of a model: its line breaks are two characters"

_REASONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "vllm": (
        ("test_malformed_input", "", _ANY),
        ("test_malformed_xml_no_gt_delimiter", "", "takes a broken tag for the name of a tool"),
        ("Qwen3xmlToolParser::test_various_data_types", "", "takes the text null for an empty one"),
        ("multiline_json_not_supported", "", "reads a call on one line only"),
        ("glm4_moe_tool_parser.py::test_extract_tool_calls_incomplete_tool_call", "", _WITHOUT_END),
        ("hermes_parser_non_streaming_tool_call_invalid_json", "", _WITHOUT_END),
        ("test_extract_tool_calls_malformed_xml", "", _GUESSED),
    ),
    "sglang": (
        ("test_invalid_tool_call", "", _UNKNOWN),
        ("unknown_function", "", _UNKNOWN),
        ("unknown_tool", "", _UNKNOWN),
        ("test_detect_and_parse_missing_arguments", "", "gives up a call without arguments"),
        ("test_incomplete_missing_function_end", "", _WITHOUT_END),
        ("test_truncated_post_value", "", _WITHOUT_END),
        ("test_case_sensitive_param_name", "", _WITHOUT_END),
        ("test_array_argument_with_escaped_json", r"\n<arg_key>", _NO_OUTPUT),
        ("arg_key_without_value", "", _GUESSED),
        ("orphan_key", "", _GUESSED),
        ("bare_counter", "", _GUESSED),
        ("test_invalid_then_valid_json", "", _GUESSED),
        ("Qwen3CoderDetector::test_incomplete_tool_call", "", _GUESSED),
    ),
    "mlx-lm": (("test_parsers", '<arg_value>"London"', "takes the quotes off a text"),),
}
"""For each peer a part of a test's name, a part of its output, and why it is not judged."""


def reason(peer: str, test: str, output: str) -> str:
    """Why an output does not tell what is meant; empty if it does."""
    found = (why for name, text, why in _REASONS.get(peer, ()) if name in test and text in output)
    return next(found, "")
