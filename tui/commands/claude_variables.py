"""The variables of Claude Code that `claude` and `env` set, each with its reason: one table.

Names and meanings of Claude Code 2.1.332. `python -m tui.commands.claude_variables` prints the table as the
docs have it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tui.commands.user_settings import UserSettings


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable; a `value` in words, within parentheses, differs from session to session.

    `seen` is what differed in requests of Claude Code 2.1.332 with and without it. `yields`: the user's own
    value, of their settings or their environment, has precedence. `is_passed_through`: it is set with the
    backend `claude` too.
    """

    name: str
    value: str
    reason: str
    seen: str = ""
    yields: bool = False
    is_passed_through: bool = False


MODEL_NAMES = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
_OFFERED = ("default", "opus", "sonnet", "haiku", "fable")
_MODEL = "(the model's name)"

# Set by `claude_environment`.
VARYING = (
    Variable(
        "ANTHROPIC_BASE_URL",
        "(the host's address)",
        "requests go to the host",
        "they arrive there",
        is_passed_through=True,
    ),
    Variable(
        "NO_PROXY",
        "(your own, and the host)",
        "no web proxy gets a prompt that is for the host; `no_proxy` too",
        "without it they go to the web proxy that the environment names",
        is_passed_through=True,
    ),
    Variable(
        "ANTHROPIC_AUTH_TOKEN",
        "(the host's `token`, or any word)",
        "the client does not start without one",
        "header `authorization`",
    ),
    Variable(MODEL_NAMES[0], _MODEL, "whatever the client asks for, this model answers", "`model`"),
    *(
        Variable(name, _MODEL, "as above, for a name that `/model` offers", f"`model`, with `--model {word}`")
        for name, word in zip(MODEL_NAMES[1:-1], _OFFERED, strict=True)
    ),
    Variable(MODEL_NAMES[-1], _MODEL, "as above, for subagents", "`model` of a subagent"),
    Variable(
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
        "(the model's window)",
        "the client compacts in time; it assumes a million tokens for a name that it does not know",
        "with 65,536 it compacts at 45,000 tokens, without it not",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
        "(by the window, below 100,000)",
        "its reserve for an answer leaves room for the conversation",
        "`max_tokens`",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
        "(the window, from 100,000)",
        "documented to compact by this window, whatever the client assumes of the model",
        "alone it does not, at 200,000 tokens: the line above does",
        yields=True,
    ),
)
FIXED = (
    Variable(
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS",
        "1",
        "requests name their lane and agent, and how long tools ran",
        "header `x-claude-code-request-class`",
        is_passed_through=True,
    ),
    Variable("ANTHROPIC_API_KEY", "", "no key of yours goes to the host", "no header `x-api-key`"),
    Variable(
        "CLAUDE_CODE_ATTRIBUTION_HEADER",
        "0",
        "it begins each prompt and differs between conversations, so that no other would find its cache",
        "no `x-anthropic-billing-header` in `system`",
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "1",
        "no telemetry, error reports, feature flags or update checks",
        "without it a connection to api.anthropic.com at the start",
    ),
    Variable(
        "API_TIMEOUT_MS",
        "3600000",
        "after a broken stream the client repeats the request as one answer, and would wait 300 s for it",
        "header `x-stainless-timeout`: 3600, not 600",
        yields=True,
    ),
    Variable(
        "API_FORCE_IDLE_TIMEOUT",
        "0",
        "such an answer is silent until it is whole, which the client would end after 360 s",
        "an answer that comes whole after 400 s arrives; without it none had after 560 s",
        yields=True,
    ),
    Variable(
        "ENABLE_TOOL_SEARCH",
        "true",
        "tools that are seldom used are loaded on demand: a first prompt of 14,400 tokens, not 23,200",
        "as without it; with `false` 21 tools and 79,500 bytes, not 12 and 50,200",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_TOTAL_TOKENS_REMINDER",
        "off",
        "a count of tokens in each turn that a local model has no use for",
        "no `<total_tokens>`, for a name that the client knows",
        yields=True,
    ),
    Variable(
        "DISABLE_COST_WARNINGS",
        "1",
        "the client guesses dollars for a model that costs none; only an organization can set its prices",
        "not in requests: by its name in the client only",
        yields=True,
    ),
)
# With `promptDiet`; `seen` is how much shorter the first request gets by it, beside the others.
DIET = (
    Variable(
        "CLAUDE_CODE_SIMPLE_SYSTEM_PROMPT",
        "1",
        "the short system text, also for names that it knows",
        "38,198 bytes for such a name, else none",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_BUNDLED_SKILLS",
        "1",
        "no list of the client's own skills",
        "5,831 bytes; alone it makes the Workflow tool 17,484 bytes longer",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_WORKFLOWS",
        "1",
        "no Workflow tool, whose description is long",
        "23,292 bytes",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_EXPLORE_PLAN_AGENTS", "1", "no agents Explore and Plan", "916 bytes", yields=True
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS",
        "1",
        "no git status, no rules for commits",
        "2,132 bytes",
        yields=True,
    ),
    Variable(
        "CLAUDE_CODE_DISABLE_AUTO_MEMORY",
        "1",
        "no memory across sessions, no path of it",
        "2,127 bytes",
        yields=True,
    ),
)


def preferences(theirs: UserSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's own values of variables that yield to them, from their settings, else their environment."""
    names = [variable.name for variable in (*FIXED, *DIET) if variable.yields]
    values = {name: theirs.variable(name) or environ.get(name, "") for name in names}
    return {name: value for name, value in values.items() if value}


def table() -> str:
    """All variables as a table in Markdown."""
    head = "| variable | value | why | seen |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{one.name}`{'*' * one.yields} | {_shown(one.value)} | {one.reason} | {one.seen} |\n"
        for one in (*VARYING, *FIXED)
    )


def diet_table() -> str:
    """The variables of the prompt diet as a table in Markdown."""
    head = "| variable | value | effect | shorter by |\n|---|---|---|---|\n"
    return head + "".join(f"| `{one.name}`* | `{one.value}` | {one.reason} | {one.seen} |\n" for one in DIET)


def _shown(value: str) -> str:
    if value.startswith("("):
        return value[1:-1]
    return f"`{value}`" if value else "empty"


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n{diet_table()}")
