"""What `?` says: for each place, groups of (name, look, meaning)."""

from __future__ import annotations

Entry = tuple[str, str, str]
Group = tuple[str, tuple[Entry, ...]]

_LANES: Group = (
    "Lanes",
    (
        ("main", "lane.main", "the conversation itself"),
        ("subagent", "lane.subagent", "an agent that the conversation started"),
        ("compaction", "lane.compaction", "the conversation being summed up to make room"),
        ("auxiliary", "lane.auxiliary", "side requests: titles, checks, warm-ups"),
    ),
)

HELP: dict[str, tuple[Group, ...]] = {
    "streams": (
        (
            "",
            (
                (
                    "",
                    "",
                    "Each line is a request of the client. The newest are at the end and the list follows",
                ),
                ("", "", "them; moving up stops that, end goes on."),
            ),
        ),
        (
            "Columns",
            (
                (
                    "STATE",
                    "",
                    "waiting, then a bar while the prompt is read, then writing, then why it ended",
                ),
                ("━━━", "reused", "part of the prompt that the cache gave back"),
                ("━━━", "prefill", "part of the prompt that was computed (prefill)"),
                ("PROMPT", "", "tokens of the whole prompt"),
                ("HIT", "", "share of the prompt that came from the cache"),
                ("OUT", "", "tokens written so far"),
                ("TOK/S", "", "decode speed: tokens after the first one, a second"),
                ("TTFT", "", "time to first token, waiting and prefill included"),
                ("TOOK", "", "from arrival to end, or until now"),
            ),
        ),
        _LANES,
    ),
    "cache": (
        (
            "",
            (
                (
                    "",
                    "",
                    "The prefix cache keeps what was computed for a prompt, so that the next prompt that",
                ),
                ("", "", "begins the same continues from there. In Claude Code nearly every prompt does."),
            ),
        ),
        (
            "Numbers",
            (
                (
                    "hit rate",
                    "reused",
                    "prompt tokens from the cache, of all prompt tokens since the host started",
                ),
                ("reused", "reused", "not computed: given back by the cache"),
                ("kept", "prefill", "computed now, and stored for later prompts"),
                ("rest", "rest", "computed now, and not stored"),
                ("FROM", "", "where the stored part was: memory or disk"),
            ),
        ),
        (
            "Disk",
            (
                (
                    "written today",
                    "",
                    "of what may be written in a day; then nothing is saved until tomorrow",
                ),
                ("loaded", "reused", "tokens that were read from files instead of computed, by this engine"),
                ("skipped", "warn", "parts of prompts that were not saved; the next turn offers them again"),
                ("set aside", "bad", "files that were damaged or foreign; what they held is computed again"),
            ),
        ),
        (
            "Misses",
            (
                ("cold", "", "nothing was stored that begins like this prompt"),
                ("diverged", "warn", "a stored prompt is the same up to a token; both sides of it are shown"),
                ("evicted", "bad", "it had been stored, but had to make room: the budget is too small"),
                ("disabled", "", "the cache was off for this prompt"),
            ),
        ),
    ),
    "tools": (
        (
            "",
            (
                (
                    "",
                    "",
                    "Each line is one call that the model made. Its result comes with a later request of",
                ),
                ("", "", "the client, which runs the tools."),
            ),
        ),
        (
            "Verdicts",
            (
                ("valid", "ok", "the arguments fit the tool's schema, as the model wrote them"),
                ("grammar", "ok", "they could not but fit: a grammar held the model to the schema"),
                ("relaxed", "ok", "they fit; the grammar did not say all that the schema does"),
                ("1 repair", "warn", "they fit since they were mended; the detail says how"),
                ("invalid", "bad", "they do not fit; the detail says where"),
                ("unparsed", "bad", "the call could not be read and was given back as text"),
                ("unknown tool", "bad", "the client offered no tool of that name"),
                ("cut", "warn", "the answer ended within the call, at max_tokens for instance"),
                ("unchecked", "muted", "no schema to check against"),
            ),
        ),
        (
            "Counts by tool",
            (
                ("━━━", "lane.main", "calls, the longest bar being the most used tool"),
                ("━━━", "warn", "those that were repaired"),
                ("━━━", "bad", "those that were malformed or whose result was an error"),
                ("LAST", "muted", "how long the newest call took, as the client measured it"),
                ("BAD", "bad", "share of calls that fitted no schema"),
                ("REPAIRED", "warn", "share of calls that fitted only once they were repaired"),
                ("ERRORS", "bad", "share of results that were errors"),
            ),
        ),
        (
            "The detail",
            (
                (
                    "",
                    "",
                    "Its first line is the way of the call: its text, whose way of writing calls it was",
                ),
                ("", "", "read by, what held or repaired it, the verdict, and what came back."),
            ),
        ),
    ),
    "health": (
        (
            "States of the engine",
            (
                ("ready", "ok", "it waits for requests"),
                ("busy", "decode", "it works on a request"),
                ("loading", "warn", "the model is being read"),
                ("stalled", "bad", "no progress although there is work"),
                ("restarting", "warn", "it ended and starts again, after a pause that grows"),
                ("failed", "bad", "five restarts in a row did not help; r tries again"),
            ),
        ),
        (
            "Histories",
            (
                ("memory", "lane.main", "of the engine's process, newest at the right; of what it may take"),
                ("━", "reused", "what of that is claimed: by weights, requests, prefixes kept for later"),
                ("probes", "ok", "health probes: height is latency"),
                ("✗", "bad", "a probe that failed"),
            ),
        ),
        (
            "Numbers",
            (
                ("restarts", "", "in a row, of how many before it gives up"),
                ("last exit", "warn", "how the process before this one ended"),
            ),
        ),
    ),
    "traces": (
        (
            "",
            (
                (
                    "",
                    "",
                    "A trace is the record of one request: what the client asked, what was sent to the "
                    "model, what came back, when. Secrets are taken out before it is written.",
                ),
            ),
        ),
        (
            "Columns",
            (
                ("PROMPT HIT OUT", "", "as in Streams"),
                ("CALLS", "tool", "tool calls of the answer; /1✗ of which one failed"),
                ("SIZE", "", "of the file"),
            ),
        ),
        _LANES,
    ),
    "trace": (
        (
            "Overview",
            (
                ("━━━", "rest", "waiting: until the model began with the prompt"),
                ("━━━", "prefill", "prefill: until the first token"),
                ("━━━", "decode", "decode: until the last token"),
            ),
        ),
        (
            "Sections",
            (
                ("Request", "", "as the client sent it, redacted"),
                ("Upstream", "", "as it was sent to the model"),
                ("Response", "", "the message that the client got, or the error and how far it came"),
                ("Tools", "", "each call: as written, read by whom, repairs, verdict, result"),
                ("Headers", "", "of the request"),
                ("Notes", "", "what translation folded, dropped or gave back as text"),
            ),
        ),
    ),
}
