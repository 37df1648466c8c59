"""The texts of the help screen for what opens over the panes: groups of (name, style, meaning)."""

from __future__ import annotations

Entry = tuple[str, str, str]
Group = tuple[str, tuple[Entry, ...]]

SCREENS_HELP: dict[str, tuple[Group, ...]] = {
    "trace": (
        (
            "Parts",
            (
                (
                    "{trace.part:0} Why",
                    "",
                    "what it took and why, step by step on one axis; the session's turns around it",
                ),
                (
                    "{trace.part:1} Conversation",
                    "",
                    "the messages as the model saw them; what is new begins where you are",
                ),
                ("{trace.part:2} System", "", "the blocks of the system text, with their cache breakpoints"),
                (
                    "{trace.part:3} Tools offered",
                    "",
                    "their share of the prompt, and which were used in this conversation",
                ),
                ("{trace.part:4} Answer", "", "what the client got, or the error and the answer so far"),
                (
                    "{trace.part:5} Calls",
                    "",
                    "how each was read, its repairs and verdict, and what came back",
                ),
                (
                    "{trace.part:6} Raw",
                    "",
                    "request and answer as JSON, and the headers; secrets are [redacted]",
                ),
                (
                    "{trace.part:7} Upstream",
                    "",
                    "the body that was sent upstream, and what translation changed",
                ),
                ("{trace.part:8} Events", "", "each moment that was recorded, and the gap before it"),
            ),
        ),
        (
            "The axis",
            (
                ("░░░", "warn", "waiting: until prefill begins"),
                ("███", "restored", "restoring: the part of the prompt that is in the cache"),
                ("▒▒▒", "prefill", "prefill, or an upstream that tells nothing: until the first token"),
                ("◆", "", "a moment: the first token, the next request"),
                ("┊┊┊", "thinking", "thoughts that were written"),
                ("▓▓▓", "decode", "text that was written"),
                ("▬▬▬", "tool", "a tool call that was written"),
                ("▚▚▚", "ok", "the client's time with a call, until its result came"),
                ("~", "", "about so many tokens: the part's share of the characters"),
            ),
        ),
    ),
    "replay": (
        (
            "",
            (
                ("", "", "The request as it was stored, asked again: the answer of then on the left, that"),
                ("", "", "of now on the right. No tool is run, and its session does not see it."),
                ("≠", "warn", "a line that differs"),
            ),
        ),
    ),
    "read": (
        (
            "",
            (
                (
                    "",
                    "",
                    "One text at length: Markdown rendered, code and JSON in colours with line numbers.",
                ),
                ("", "", "A search looks in the text as it is, so that it leads out of what is rendered."),
                ("", "", "A link is never opened: a click copies its address. What is selected with the"),
                ("", "", "mouse, or with shift and the arrows, is what {read.copy} copies."),
            ),
        ),
        (
            "Files that a call returned",
            (
                (
                    "",
                    "",
                    "What Read, or cat -n, returned of a file has the file's own line numbers and colours. "
                    "{read.copy}, {read.outside:pager} and {read.outside:editor} get the file's text without "
                    "them, the editor with the file's suffix. The client's note behind it stands above.",
                ),
            ),
        ),
        (
            "Limits",
            (
                ("source", "dim", "Markdown of more than some forty paragraphs is shown as it is"),
                ("no colours", "dim", "more than 12,000 characters"),
                (
                    "plain",
                    "dim",
                    "more than 40,000, or a line of more than 4,000: no line numbers but a file's",
                ),
            ),
        ),
    ),
    "models": (
        (
            "",
            (
                (
                    "",
                    "",
                    "The models in the stores of the host's machine. {models.use} loads the "
                    "selected one: what",
                ),
                ("", "", "follows stands below the list. Claude Code goes on with it, as requests meanwhile"),
                ("", "", "are told to retry; where it does not come up, the one before is loaded again."),
            ),
        ),
        (
            "Columns",
            (
                ("●", "ok", "the model that the engine has"),
                ("✗", "muted", "cannot be loaded; FITS says why"),
                ("FITS", "", "tokens of context that fit beside its weights; all: its whole window"),
                ("PREFILL TOK/S", "", "tokens a second, as anyclaude-tui models bench measured them here"),
                ("CALLS", "", "the form of tool calls that its chat template shows"),
            ),
        ),
    ),
    "settings": (
        (
            "",
            (
                (
                    "",
                    "",
                    "What can be changed while the host runs, until it ends. {settings.edit} "
                    "edits a value; empty",
                ),
                (
                    "",
                    "",
                    "stands for the default. {settings.save} writes the value to your own file, once the "
                    "engine",
                ),
                ("", "", "is up with it."),
            ),
        ),
        ("Marks", (("±", "accent", "changed since the host began"),)),
    ),
    "why": (
        (
            "",
            (
                (
                    "",
                    "",
                    "What a request was slow, failed or missed by; what is usual in its session; what to",
                ),
                ("", "", "do. Below: its phases on one axis, the longest in bold."),
            ),
        ),
    ),
    "diff": (
        (
            "",
            (
                ("", "", "Two prompts, segment by segment: A came before, B is the one whose cost is told."),
                ("", "", "What stands before the first difference could be restored; all behind it was"),
                (
                    "",
                    "",
                    "prefilled again, also where the text is the same. {main.mark} marks a "
                    "request in a list;",
                ),
                ("", "", "then {main.diff} on another one compares these two, whatever their order."),
                (
                    "",
                    "",
                    "From 160 columns on both sides stand beside each other; {diff.turn_sides} turns that, "
                    "from 110 on.",
                ),
            ),
        ),
        (
            "Marks",
            (
                ("=", "muted", "the same in both"),
                ("≠", "bad", "changed"),
                ("+ -", "ok", "only in B, only in A: a segment, or a line of one"),
                ("word", "bad underline", "differs from the line beside it, or from the one below it"),
                ("→ ·", "warn", "a tabulator, a blank: where these are what differs"),
                ("⋯", "dim", "what is the same is left out"),
                ("███", "restored", "its place in B's prompt, where it could be restored"),
                ("▒▒▒", "prefill", "its place in B's prompt, behind the first difference"),
            ),
        ),
    ),
    "context": (
        (
            "",
            (
                ("", "", "The prompt of the session's newest request in its main lane, part by part. It was"),
                ("", "", "counted part by part by the engine; ~: as a whole, and shared by characters."),
            ),
        ),
        (
            "Words",
            (
                ("turn", "", "one request of the main lane"),
                ("LAST TURN", "", "what the part grew by since the turn before"),
                ("reserved", "", "max_tokens of the answer, as much as the window has room for"),
                ("never called", "warn", "an offered tool that no request of the session called"),
                ("┊", "warn", "where Claude Code compacts: the window, less two reserves"),
                ("growth", "", "the median of the last five turns that grew"),
            ),
        ),
    ),
}
