"""The texts of the help screen, for each place: `groups` says how they are written."""

from __future__ import annotations

from tui.screen.screens.help_table import Group, groups

_LANES = """
# Lanes
main | lane.main | the conversation itself
subagent | lane.subagent | an agent that the conversation started
compaction | lane.compaction | the summary of a conversation that fills its window
title, check | lane.auxiliary | side requests, by what they are for; side: not known for what
"""

VITAL_SIGNS = groups(
    """
# The second line, the same on every pane
▶ 2 ◌ 1 | decode | requests that run, and those that wait
tok/s | decode | output tokens a second, all answers; each cell is ten seconds
restored | restored | share of the prompt tokens since the host started; a cell for each prompt
saved ~6m | restored | restored tokens, at the measured time of prefill; ·: no long one yet
mem | lane.main | memory of the engine's process, of its limit
context | lane.main | how full the window of the fullest session of the last hour is
✗ 1 of 31 | bad | today's requests that failed and were not repeated, of all (31+: of the newest)
⚑ 1 | warn | what needs you now: Health says more
"""
)[0]

_TEXTS = {
    "streams": """
The sessions of the client, below the chosen one its turns, then the answer of the chosen turn as it
arrives. While the first session is selected, all three follow what runs; home follows again.
{streams.step_in} unfolds, and goes further in; {streams.list} goes back.

# Sessions
▾ name | bold | the title that the client asked for, else the first question
context | lane.main | how full the window is, and turns left until the client compacts
→ Edit a.py | tool | the call that is written, or that the last answer made; ✗: it failed
▸ tool runs | tool | the client runs the tool, or asks you for permission
▸ asks you | warn | the client shows you a plan, or a question of the model's
4 more | dim | subagents that ended before the last four
sort | {streams.sort}: by activity, name, context, requests, failed for good, tokens

# Columns
STATE, END | queued, then a bar and the time left during prefill, then writing, then the end
↻ 14:18:09 ✓ | warn | it failed; the client repeated it then, and got an answer
⊘ | warn | cancelled: its client left, or you ended it with {streams.cancel}; nobody repeats it
███ | restored | restored: the part of the prompt that came from the cache
▒▒▒ | prefill | prefilled: the part of the prompt that was computed
PROMPT | tokens of the whole prompt
OUT | output tokens so far
TOK/S | decode speed in tokens per second, after the first token
TTFT | time to first token, with queue and prefill
TIME, TOOK | from arrival to end, or until now
"""
    + _LANES,
    "cache": """
The prefix cache keeps the computed state of prompts. A prompt that begins with the same tokens restores
it. In Claude Code nearly every prompt does.

# Numbers
percentage | restored | restored tokens, of all prompt tokens since the host started, or in the range
  ({cache.range})
restored | restored | tokens that came from the cache (REST.: their share)
prefilled | prefill | tokens that were computed, and kept for later prompts
not kept | neutral | tokens that were computed and are not cached
█ ▒ ░ | the shapes of restored, prefilled and not kept in a bar
FROM | the tier of the restored tokens: memory or disk

# Disk
written today | of the daily limit; above it nothing is written until tomorrow
restored | restored | tokens that this engine loaded from files instead of computing them
not written | warn | spans that were not written; the next turn offers them again
quarantined | bad | damaged or foreign files; their tokens are computed again

# Held
system + tools | bold | a shared prefix: sessions that begin alike use it together
├ 9f3c1e main | what one session holds behind it, and its first question
TOKENS | of the entry alone (+: behind the entry above it)
MEMORY, DISK | its bytes there (½: of a part of it)
REUSED | prompts that it spared a prefill since the engine started
SAVED | restored | the prefill time that it spared, estimated as in the second line
⚲ | accent | pinned: not evicted; ⚲ ½: what came later is not pinned
{cache.pin} | bold | pins, or unpins; pins take at most half of the cache
{cache.drop}, {cache.flush} | bold | drop the entry; flush memory, disk or both (pins stay)
{cache.open}, {main.open_trace} | bold | the request that used it last
▓ in the bar | accent | the pinned part of memory

# Could have restored more
cold miss | no stored prompt begins with the same text
diverged | warn | a stored prompt is equal up to a token; both texts from there are shown
evicted | bad | it was stored and then evicted: when, and whose request needed the room
disabled | the cache was off for this prompt
LOST | tokens that were computed again; ≤: with what is new in the prompt
{cache.first_prompts} | bold | lists the first prompts of sessions too: they differ in what was asked
""",
    "tools": """
Each line is one call of the model. The client runs the tools and sends the result with a later request.
{tools.sort}, {tools.turn_round} | bold | sort the tools above by their figures; ↓ ↑ mark the order
{tools.outside} | bold | the whole call in $PAGER: a trace keeps 16,384 characters of a result

# Verdicts
valid | ok | the arguments fit the tool's schema, as the model wrote them
grammar | ok | they fit: decoding was constrained by a grammar of the schema
relaxed | ok | they fit; the grammar covers only a part of the schema
1 repair | warn | they fit after repairs, which the detail lists
invalid | bad | they do not fit; the detail says where. The client answers with an error
unparsed | bad | the call could not be parsed. Returned as text
unknown tool | bad | the request offers no tool with that name. The client answers so
truncated | warn | the answer ended within the call, at max_tokens for instance
unchecked | muted | there is no schema to check

# Results
✓ ok, ✗ error | what the client says of the tool that it ran
✗ exit 2 | bad | a command ended with this code
… | dim | the client has not sent it yet

# Counts by tool
███ | lane.main | calls, in proportion to the most used tool
▒▒▒ | warn | repaired calls
▓▓▓ | bad | refused calls, and calls whose result was an error
P50 P95 | muted | half of the calls took no longer, and 95 of 100, as the client measured it
{tools.range}: of now (what this screen saw), today, 7 days or all; {tools.failed}: only what failed
REFUSED | bad | share of calls that no tool could run: invalid, unparsed, unknown tool
REPAIRED | warn | share of calls that fit after repairs
ERRORS | bad | share of results that are errors

# The detail
The first line lists the steps of the call: its text, the family that read it, the grammar, the repairs,
the verdict, the result.
""",
    "health": """
# States of the engine
ready | ok | no request is running
busy | decode | a request is running
loading | warn | the model is loading
stalled | bad | no progress with the work
restarting | warn | it ended and starts again after a growing pause
failed | bad | five restarts in a row failed; {health.restart} tries again
{health.drain} restarts the engine after its requests, {health.restart} at once; {health.stop} ends the
host

# Timeline
█ | area.decode | the engine was busy
▄ | area.ok | it was ready; another server accepted connections
▒ | warn | it started, or loaded its model
▓ | bad | it stalled
✗ | bad | it ended, a probe failed, a request failed, or a server refused connections
↻ ↺ | warn | it restarted by itself; you restarted it
· | track | nothing is known of this time; blank: no host ran
┄ | dim | the memory's limit: full height in the line below; ▓ there: over it
▬ | lane.main | a request of this session ran; ▶ one runs now; on the right ↻ was repeated
On the right: the value now, or at the moment of the cursor. {health.scale:1} and {health.scale:-1} go
from 2 minutes to 7 days. Restarts of the host lose nothing of it. The moment and the line of the log go
together: {health.move:-1} {health.move:1} move both, so do ↑ ↓. {health.explain} tells what happened
there: cause, what broke, what was repeated, what to do.

# Log
engine | muted | a line that the engine wrote
host | accent | what the host did or noticed
upstream | tool | what another server did, by probes and failed requests
{health.levels} shows errors alone, then warnings too, then all. {main.filter} searches,
{health.match:-1} and {health.match:1} go on. {health.error:-1} is the next error, from the newest up.
{main.why}, {main.open_trace} and {main.diff} are of the line's request, or of the last one that came by then.

# Numbers
restarts | in the last 24 hours; after ten minutes without one all are left again
memory | lane.main | claimed of the limit: █ weights, ▓ requests, ▒ prefix cache
""",
    "traces": """
A trace is the record of one request: the client's request, the upstream request, the answer, the
timings. Secrets are removed before it is written.

# Columns
WHO | lane.subagent | the lane; a subagent's kind, what a side request is for
ASKED → DID | tool | the last question, then the calls of the answer (✗: failed) or its text
END | how it ended; ↻ it failed and was repeated then; ◆ has a mark: never pruned
PROMPT … TOOK | as in Streams
CALLS | tool | tool calls of the answer; /1✗: one of them failed
SIZE | of the file
TOOK↓ | the list is in this order: {traces.sort} takes the next figure, {traces.turn_round} turns it
  round

# The strip above
▁▃▇ | lane.main | requests by time: the higher, the more
● | warn | the filter found some there; other bars are grey
▲ ◉ | accent | the selected request; ◉ where the filter found some. {traces.go_to} goes to a time
"""
    + _LANES,
    "trace": """
# Parts
{trace.part:0} Why | what it took and why, step by step on one axis; the session's turns around it
{trace.part:1} Conversation | the messages as the model saw them; what is new begins where you are
{trace.part:2} System | the blocks of the system text, with their cache breakpoints
{trace.part:3} Tools offered | their share of the prompt, and which were used in this conversation
{trace.part:4} Answer | what the client got, or the error and the answer so far
{trace.part:5} Calls | how each was read, its repairs and verdict, and what came back
{trace.part:6} Raw | request and answer as JSON, and the headers; secrets are [redacted]
{trace.part:7} Upstream | the body that was sent upstream, and what translation changed
{trace.part:8} Events | each moment that was recorded, and the gap before it

# The axis
░░░ | warn | waiting: until prefill begins
███ | restored | restoring: the part of the prompt that is in the cache
▒▒▒ | prefill | prefill, or an upstream that tells nothing: until the first token
◆ | a moment: the first token, the next request
┊┊┊ | thinking | thoughts that were written
▓▓▓ | decode | text that was written
▬▬▬ | tool | a tool call that was written
▚▚▚ | ok | the client's time with a call, until its result came
~ | about so many tokens: the part's share of the characters
""",
    "replay": """
The request as it was stored, asked again: the answer of then on the left, that of now on the right. No
tool is run, and its session does not see it.
≠ | warn | a line that differs
""",
    "read": """
One text at length: Markdown rendered, code and JSON in colours with line numbers. A search looks in the
text as it is, so that it leads out of what is rendered. A link is never opened: a click copies its
address. What is selected with the mouse, or with shift and the arrows, is what {read.copy} copies.

# Files that a call returned
What Read, or cat -n, returned of a file has the file's own line numbers and colours. {read.copy},
{read.outside:pager} and {read.outside:editor} get the file's text without them, with four blanks in
place of tabs, the editor with the file's suffix. The client's note behind it stands above.

# Limits
source | dim | Markdown of more than some forty paragraphs is shown as it is
no colours | dim | more than 12,000 characters
plain | dim | more than 40,000, or a line of more than 4,000: no line numbers but a file's
""",
    "models": """
The models in the stores of the host's machine. {models.use} loads the selected one: what follows stands
below the list. Claude Code goes on with it, as requests meanwhile are told to retry; where it does not
come up, the one before is loaded again.

# Columns
● | ok | the model that the engine has
✗ | muted | cannot be loaded; FITS says why
FITS | tokens of context that fit beside its weights; all: its whole window
PREFILL TOK/S | tokens a second, as anyclaude-tui models bench measured them here
CALLS | the form of tool calls that its chat template shows
""",
    "settings": """
What can be changed while the host runs, until it ends. {settings.edit} edits a value; empty stands for
the default. {settings.save} writes the value to your own file, once the engine is up with it.

# Marks
± | accent | changed since the host began
""",
    "why": """
What a request was slow, failed or missed by; what is usual in its session; what to do. Below: its
phases on one axis, the longest in bold.
""",
    "diff": """
Two prompts, segment by segment: A came before, B is the one whose cost is told. What stands before the
first difference could be restored; all behind it was prefilled again, also where the text is the same.
{main.mark} marks a request in a list; then {main.diff} on another one compares these two, whatever
their order. From 160 columns on both sides stand beside each other; {diff.turn_sides} turns that, from
110 on.

# Marks
= | muted | the same in both
≠ | bad | changed
+ - | ok | only in B, only in A: a segment, or a line of one
word | bad underline | differs from the line beside it, or from the one below it
→ · | warn | a tabulator, a blank: where these are what differs
⋯ | dim | what is the same is left out
███ | restored | its place in B's prompt, where it could be restored
▒▒▒ | prefill | its place in B's prompt, behind the first difference
""",
    "context": """
The prompt of the session's newest request in its main lane, part by part. It was counted part by part
by the engine; ~: as a whole, and shared by characters.

# Words
turn | one request of the main lane
LAST TURN | what the part grew by since the turn before
reserved | max_tokens of the answer, as much as the window has room for
never called | warn | an offered tool that no request of the session called
┊ | warn | where Claude Code compacts: the window, less two reserves
growth | the median of the last five turns that grew
""",
}
HELP: dict[str, tuple[Group, ...]] = {place: groups(text) for place, text in _TEXTS.items()}
