"""Variables for Claude Code about a model's context window, so that a long task survives its compactions.

Behaviour of Claude Code 2.1.332: it compacts a conversation at `compacts_at` tokens, and stops ("Autocompact
is thrashing") if the conversation is full again within three turns, three times in a row. Its first prompt
has about 15,000 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proxy.anthropic.compaction import RESERVED, compacts_at
from tui.commands.claude_variables import DIET, preferences
from tui.commands.user_settings import UserSettings

WINDOW = "CLAUDE_CODE_MAX_CONTEXT_TOKENS"
OUTPUT = "CLAUDE_CODE_MAX_OUTPUT_TOKENS"
COMPACTION = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"
NAMES = (WINDOW, OUTPUT, COMPACTION)
# The variables that this program set, as NAME=VALUE: a child session must not take them for the user's.
SET_HERE = "ANYCLAUDE_CLIENT_WINDOW"

# Claude Code refuses a smaller window for automatic compaction, with a message in each session.
LEAST_COMPACT_WINDOW = 100_000
DEFAULT_OUTPUT = 32_000  # for a model with an unknown name

CONVERSATION = 32_000  # has priority over longer answers; a window of 65,536 has room for it
LEAST_OUTPUT, LEAST_OUTPUT_BELOW_40K = 4_096, 2_048
# By 24 rounds of tests/e2e/test_claude_code_in_small_windows.py in a terminal: 36,000 is not enough.
LEAST_WINDOW = 37_000
LEAST_COMPACTION = 21_900
FIRST_PROMPT = 15_000


def longest_answer(window: int) -> int:
    """Tokens of the longest answer in a window below `LEAST_COMPACT_WINDOW`.

    The part of the window beyond the client's reserve and a conversation. A longer answer is not lost: the
    client asks the model to continue.
    """
    least = LEAST_OUTPUT if window >= 40_000 else min(LEAST_OUTPUT_BELOW_40K, window // 4)
    return max(least, min(window - RESERVED - CONVERSATION, DEFAULT_OUTPUT))


def window_table(windows: Sequence[int]) -> str:
    """The rule by window, as a table in Markdown, with the tokens for all behind the first prompt."""
    head = "| window | longest answer | compacts at | for the conversation |\n|---|---|---|---|\n"
    rows = []
    for window in windows:
        output = longest_answer(window) if window < LEAST_COMPACT_WINDOW else DEFAULT_OUTPUT
        at = compacts_at(window, output)
        rows.append(f"| {window:,} | {output:,} | {at:,} | {max(0, at - FIRST_PROMPT):,} |\n")
    return head + "".join(rows)


def own_values(theirs: UserSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's own values of `NAMES` and of preferences, from their settings, else their environment."""
    ours = environ.get(SET_HERE, "").split()
    kept = {name: value for name, value in environ.items() if f"{name}={value}" not in ours}
    values = {name: theirs.variable(name) for name in NAMES}
    for name in NAMES:
        given = environ.get(name, "")
        if not values[name] and f"{name}={given}" not in ours:
            values[name] = given
    return {name: value for name, value in values.items() if value} | preferences(theirs, kept)


def inherited_variables(environ: Mapping[str, str]) -> set[str]:
    """The variables of the environment that this program set for another session."""
    ours = environ.get(SET_HERE, "").split()
    names = (*NAMES, *(variable.name for variable in DIET))
    values = {name for name in names if name in environ and f"{name}={environ[name]}" in ours}
    return values | ({SET_HERE} & environ.keys())


def window_variables(tokens: int, own: Mapping[str, str], *, diet: bool = False) -> dict[str, str]:
    """The variables for a window of `tokens`, 0 where it is not known, but for those of the user's `own`.

    With `diet` also those that shorten the prompt.
    """
    window = _number(own.get(WINDOW)) or tokens
    values: dict[str, int | str] = {one.name: one.value for one in DIET} if diet else {}
    if window:
        values[WINDOW] = window
    if window >= LEAST_COMPACT_WINDOW:
        values[COMPACTION] = window
    elif window:
        values[OUTPUT] = longest_answer(window)
    chosen = {name: str(value) for name, value in values.items() if name not in own}
    if chosen:
        chosen[SET_HERE] = " ".join(f"{name}={value}" for name, value in chosen.items())
    return chosen


def window_notice(tokens: int, own: Mapping[str, str], *, setting: str) -> str:
    """The notice for a session with an unknown window, or one that is too small for long tasks; else empty.

    `setting` is the configuration key of the window.
    """
    window = _number(own.get(WINDOW)) or tokens
    if not window and WINDOW not in own:
        return (
            "the model's context window is not known, so Claude Code guesses when to compact; "
            f"set {setting} or ANYCLAUDE_CONTEXT_TOKENS"
        )
    if not 0 < window < LEAST_COMPACT_WINDOW:
        return ""
    output = (_number(own[OUTPUT]) or DEFAULT_OUTPUT) if OUTPUT in own else longest_answer(window)
    if compacts_at(window, output) >= LEAST_COMPACTION:
        return ""
    if window >= LEAST_WINDOW:
        return (
            f"your own {OUTPUT}={own[OUTPUT]} leaves too little of the window of {window} tokens: "
            f'long tasks will end in "Autocompact is thrashing"; {longest_answer(window)} would fit'
        )
    return (
        f"the window of {window} tokens is too small for long tasks, they will end in "
        f'"Autocompact is thrashing": Claude Code fills about 15,000 with its first prompt and compacts at '
        f"{max(0, compacts_at(window, output))}; {LEAST_WINDOW} is the smallest that works"
    )


def _number(text: str | None) -> int:
    """A count of tokens, 0 if the text is no number."""
    try:
        return max(0, int(text or "0"))
    except ValueError:
        return 0
