"""The table of commands: the source of keys, footer, palette and help."""

from __future__ import annotations

from tui.screen.keys.command import PANES, TRACE_PARTS, Command

COMMANDS: tuple[Command, ...] = (
    *(
        Command(f"Show {title}", f"pane('{place}')", str(number), shown=str(number))
        for number, (place, title) in enumerate(PANES, 1)
    ),
    Command("Next pane", "next_pane(1)", "tab", short="next pane", rank=7),
    Command("Previous pane", "next_pane(-1)", "shift+tab"),
    Command("Filter the list (words; !word excludes)", "filter", "slash", short="filter", rank=3, shown="/"),
    Command("Help for this pane", "help", "question_mark,f1", short="help", rank=1, shown="?"),
    Command("Find a command", "palette", "colon,ctrl+p", short="commands", rank=6, shown=":"),
    Command("Why was this request slow, or failed?", "why", "w", short="why", rank=3),
    Command("Compare with the marked request, else with the one before", "diff", "d", short="diff", rank=4),
    Command("Mark this request, to compare others with it", "mark", "m", short="mark", rank=6),
    Command("What fills this session's context window?", "context", "c", short="context", rank=5),
    Command("To its session, in Streams", "app.to_session", "u", short="session", rank=7),
    Command("Go on to its trace, calls, cache entry …", "app.go_on", "f", short="go on to", rank=6),
    Command("Load another model", "models", "M", short="model", rank=8),
    Command("Settings of the running host", "settings", "comma", shown=","),
    Command("Colours", "colours", "ctrl+t", shown="^t"),
    Command("Zoom: only the part that has the focus; again: all", "zoom", "z", short="zoom", rank=8),
    Command("Parts beside or below each other (remembered)", "turn_parts", "vertical_line", shown="|"),
    Command("Draw the screen again", "app.redraw", "ctrl+l", shown="^l"),
    Command("Make a bug bundle", "app.bundle", "B"),
    Command("Quit", "leave", "q,ctrl+c,ctrl+q", short="quit", rank=5),
    Command(
        "Unfold or fold; then its turns; then the answer",
        "step_in",
        "enter,right,l",
        "streams",
        "open",
        4,
        "enter",
    ),
    Command("Back to the sessions; again: clear the filter", "list", "escape", "streams"),
    Command("Back, or fold", "step_out", "left,h", "streams"),
    Command("Copy the answer", "copy", "y", "streams", "copy", 8),
    Command("Sort the sessions by the next figure (remembered)", "sort", "s", "streams", "sort", 9),
    Command("Read the answer at length", "read_answer", "V", "streams"),
    Command("Copy the command for Claude Code (c in an empty list)", "copy_command", "C", "streams"),
    Command("Copy the command for a model that fits this machine", "copy_model", "P", "streams"),
    Command("Cancel this request", "cancel", "x", "streams", "cancel", 2),
    Command("Open this request's trace", "open_trace", "t", short="trace", rank=2),
    Command("Open the request that used the entry last", "open", "enter", "cache"),
    Command("Other table", "swap", "right,left", "cache", "other table", 6, "→"),
    Command("Pin or unpin the entry: keep it from eviction", "pin", "p", "cache", "pin", 2),
    Command("Drop the entry from memory and disk", "drop", "x", "cache", "drop", 4),
    Command("Flush memory or disk, but for what is pinned", "flush", "F", "cache", "flush", 4),
    Command("First prompts of sessions too", "first_prompts", "n", "cache"),
    Command("Another range of time: now, today, 7 days, all", "range", "r", "cache", "range", 5),
    Command("Back to the list; again: clear the filter", "list", "escape", "cache"),
    Command("Read the call", "read", "enter,right,l", "tools", "read", 4, "enter"),
    Command("Back to the list; again: clear the filter", "list", "escape,left,h", "tools"),
    Command("Only calls that failed, of today; again: all calls", "failed", "e", "tools", "failed only", 3),
    Command("Another range of time: now, today, 7 days, all", "range", "r", "tools", "range", 5),
    Command("Read its result at length", "read_result", "V", "tools"),
    Command("Sort the tools by the next figure", "sort", "s", "tools", "sort tools", 6),
    Command("Turn the tools' order round", "turn_round", "S", "tools"),
    Command("Open the whole call in $PAGER", "outside", "o", "tools", "$PAGER", 6),
    Command("Copy the call, with its id", "copy", "y", "tools", "copy", 7),
    Command("What happened at this moment?", "explain", "enter", "health", "what happened", 2),
    Command("The moment before in the timeline", "move(-1)", "left", "health", shown="←"),
    Command("The moment after in the timeline", "move(1)", "right", "health", shown="→"),
    Command("A shorter time, in more detail", "scale(1)", "plus,equals_sign", "health", shown="+"),
    Command("A longer time", "scale(-1)", "minus", "health", shown="-"),
    Command("Next error in the log (older)", "error(-1)", "e", "health", "next error", 3),
    Command("Next error in the log (newer)", "error(1)", "E", "health"),
    Command("Errors alone; warnings too; all lines", "levels", "l", "health", "level", 3),
    Command("Next line that was looked for (older)", "match(-1)", "n", "health"),
    Command("Next line that was looked for (newer)", "match(1)", "N", "health"),
    Command("Close; again: end the search; all levels; now", "list", "escape", "health"),
    Command("Restart the engine", "restart", "r", "health", "restart engine", 4),
    Command("Restart the engine after its requests", "drain", "D", "health", "drain, restart", 5),
    Command("Stop the host", "stop", "S", "health", "stop host", 6),
    Command("Copy the log", "copy", "y", "health", "copy log", 7),
    Command("Open the trace", "open", "enter", "traces", "open", 2),
    Command("Go to a day or a time", "go_to", "g", "traces", "go to", 4),
    Command("Sort by the next figure", "sort", "s", "traces", "sort", 5),
    Command("Turn the order round", "turn_round", "S", "traces"),
    Command("Another range of time: all, 7 days, today, the last hour", "range", "r", "traces", "range", 6),
    Command("Choose the columns", "columns", "C", "traces", "columns", 9),
    Command("Reload the list", "reload", "f5,ctrl+r", "traces"),
    Command("Clear the filter", "list", "escape", "traces"),
    Command("Copy the trace's path", "copy", "y", "traces", "copy path", 7),
    *(
        Command(f"Go to {title}", f"pane('{place}')", str(number), "opened")
        for number, (place, title) in enumerate(PANES, 1)
    ),
    Command("Back", "back", "escape,q", "opened", "back", 1, "esc"),
    Command("Filter the list below", "filter", "slash", "opened", shown="/"),
    Command("Help for this screen", "help", "question_mark,f1", "opened", "help", 7, "?"),
    Command("Find a command", "palette", "colon,ctrl+p", "opened", "commands", 9, ":"),
    Command("To its session, in Streams", "app.to_session", "u", "opened", "session", 7),
    Command("Go on to its trace, calls, cache entry …", "app.go_on", "f", "opened", "go on to", 6),
    Command("Colours", "colours", "ctrl+t", "opened", shown="^t"),
    Command("Zoom: only the part that has the focus; again: all", "zoom", "z", "opened"),
    Command("Draw the screen again", "app.redraw", "ctrl+l", "opened", shown="^l"),
    Command("Make a bug bundle", "app.bundle", "B", "opened"),
    Command("Quit", "leave", "ctrl+c,ctrl+q", "opened", shown="^c"),
    Command("Back", "back", "escape,w,q", "why", "back", 3, "esc"),
    Command("Open its trace", "trace", "t,enter", "why", "trace", 1),
    Command("Compare with the marked request, else with the one before", "diff", "d", "why", "diff", 2),
    Command("Back; while something is searched for: no more", "back", "escape,q", "trace", "back", 1, "esc"),
    Command(
        "Next trace (older); in a search: its next place",
        "next",
        "n",
        "trace",
        "next, previous",
        2,
        bar="n p",
    ),
    Command("Search: the place before", "match(-1)", "N", "trace"),
    Command("Previous trace (newer)", "step(-1)", "p", "trace"),
    Command("Turn before, of this session", "turn(-1)", "left,h", "trace", "turns", 3, "←", bar="← →"),
    Command("Turn after, of this session", "turn(1)", "right,l", "trace"),
    *(
        Command(f"Part {number}: {name}", f"part({number - 1})", str(number), "trace", shown=str(number))
        for number, (name, _) in enumerate(TRACE_PARTS, 1)
    ),
    Command("Next part", "section(1)", "tab", "trace", "part", 2, bar="1-9"),
    Command("Previous part", "section(-1)", "shift+tab", "trace"),
    Command("Search in this part", "filter", "slash", "trace", "search", 3, "/"),
    Command("Why was this request slow, or failed?", "why", "w", "trace", "why", 9),
    Command("Compare with the marked request, else with the one before", "diff", "d", "trace", "diff", 4),
    Command("What fills this session's context window?", "context", "c", "trace", "context", 9),
    Command("Fold or unfold", "fold", "enter,space", "trace", "fold", 9, "enter"),
    Command("Unfold everything, or fold it", "fold_all", "a", "trace", "all", 9),
    Command("Copy the block at the cursor", "copy", "y", "trace", "copy", 5),
    Command("Open this part in $PAGER", "outside('pager')", "o", "trace", "$PAGER", 5),
    Command("Open this part in $VISUAL or $EDITOR", "outside('editor')", "v", "trace", "editor", 10),
    Command("Read the block at length", "read", "V", "trace", "read", 8),
    Command("Export: JSON, curl, HTML, HAR, OpenTelemetry", "export", "E", "trace", "export", 6),
    Command("Replay: ask this request again", "replay", "R", "trace", "replay", 6),
    Command("Open the trace of the new answer", "trace", "t,enter", "replay", "trace", 2, "t"),
    Command("Ask it once more", "again", "R,r", "replay", "once more", 3, "R"),
    Command("Copy the new answer", "copy", "y", "replay", "copy", 4),
    Command("Back; while something is searched for: no more", "back", "escape,q,V", "read", "back", 1, "esc"),
    Command("Search in it", "filter", "slash", "read", "search", 2, "/"),
    Command("Next place that was searched for", "match(1)", "n", "read", "next, previous", 3, bar="n N"),
    Command("Place before, of a search", "match(-1)", "N", "read"),
    Command("Markdown rendered, or as it is", "source", "v", "read", "rendered, source", 3),
    Command("Copy the selection, else all of it", "copy", "y", "read", "copy", 4),
    Command("Open it in $PAGER", "outside('pager')", "o", "read", "$PAGER", 5),
    Command("Open it in $VISUAL or $EDITOR", "outside('editor')", "e", "read", "editor", 6),
    Command("Back to the segments; from there back", "back", "escape", "diff", "back", 1, "esc"),
    Command("Back", "close", "q,d", "diff"),
    Command("Read the difference", "read", "enter,right,l", "diff"),
    Command(
        "Next difference, in this segment or the next",
        "difference(1)",
        "n",
        "diff",
        "difference",
        2,
        bar="n N",
    ),
    Command("Previous difference", "difference(-1)", "N", "diff"),
    Command("Next segment that differs", "next_change", "c", "diff", "next change", 3),
    Command(
        "Side by side, or one below the other (remembered)",
        "turn_sides",
        "v,vertical_line",
        "diff",
        "side by side",
        2,
    ),
    Command("Swap A and B", "swap", "x", "diff", "swap", 3),
    Command("Open B's trace", "trace", "t", "diff", "trace", 3),
    Command("Open A's trace", "trace_a", "T", "diff"),
    Command("Copy the difference", "copy", "y", "diff", "copy", 4),
    Command("Back to the parts; from there back", "back", "escape", "context", "back", 1, "esc"),
    Command("Back", "close", "q,c", "context"),
    Command("What is in the part; from there its trace", "open", "enter", "context", "open", 2),
    Command("Other table", "swap", "tab", "context", "other table", 6),
    Command("Turn before", "turn(-1)", "left,h", "context", "turn before", 3, "←"),
    Command("Turn after", "turn(1)", "right,l", "context", "turn after", 4, "→"),
    Command("Copy it as text", "copy", "y", "context", "copy", 5),
    Command("Load this model", "use", "enter", "models", "load it", 2),
    Command("Look again", "reload", "r,f5", "models", "reload", 4),
    Command("Copy its name", "copy", "y", "models", "copy name", 5),
    Command("Change the value", "edit", "enter", "settings", "change", 2),
    Command("Write it to your own file", "save", "w", "settings", "write to your file", 3),
    Command("Back to its default", "default", "backspace,u", "settings", "default", 4, "u"),
    Command("Close", "close", "escape,q,question_mark,f1,enter", "help", "close"),
    Command("Quit", "leave", "ctrl+c,ctrl+q", "help"),
    Command("Yes", "yes", "enter,y", "confirm", "yes"),
    Command("No", "close", "escape,n,q,ctrl+c", "confirm", "cancel"),
    Command("Flush the memory", "choose('memory')", "m", "choose"),
    Command("Flush the disk", "choose('disk')", "d", "choose"),
    Command("Flush both", "choose('both')", "b", "choose"),
    Command("Flush nothing", "close", "escape,n,q,ctrl+c", "choose", "keep everything"),
    Command("Make the bundle", "make('redacted')", "enter,y", "bundle", "make it"),
    Command("Make it without texts", "make('none')", "w", "bundle", "without texts"),
    Command("Make none", "close", "escape,n,q,ctrl+c", "bundle", "cancel"),
    Command("Export to a file", "choose('file')", "enter", "export", "to a file"),
    Command("Export to the clipboard", "choose('clipboard')", "y", "export", "to the clipboard"),
    Command("Export nothing", "close", "escape,q,E,ctrl+c", "export", "cancel"),
    *(
        Command(f"Export as format {number}", f"take({number - 1})", str(number), "export")
        for number in range(1, 6)
    ),
    Command("Ask the model at the cursor", "take(-1)", "enter", "ask", "ask"),
    Command("Load another model", "other", "M", "ask"),
    Command("Copy the command", "copy", "y", "ask", "copy the command"),
    Command("Ask none", "close", "escape,q,R,ctrl+c", "ask", "cancel"),
    *(Command(f"Ask model {number}", f"take({number - 1})", str(number), "ask") for number in range(1, 10)),
    Command("Show or hide the column", "turn", "space", "columns", "show or hide"),
    Command("The usual columns", "usual", "u", "columns", "the usual ones"),
    Command("Done", "close", "escape,q,C,ctrl+c", "columns", "done"),
    Command("Go there", "go", "enter", "go_to", "go there"),
    Command("Stay here", "close", "escape,ctrl+c", "go_to", "stay"),
)

# What the keys of a recording do, on the main screen; they come before those of its panes.
PLAYING: tuple[Command, ...] = (
    Command("Pause, or go on", "pause", "space", "play", "pause", 0),
    Command("Back: 5 seconds, or 1/40 of a long recording", "seek(-1)", "left", "play", shown="←"),
    Command("On: 5 seconds, or 1/40 of a long recording", "seek(1)", "right", "play", "seek", 0, "← →"),
    Command("To the incident before", "incident(-1)", "shift+left", "play", shown="⇧←"),
    Command(
        "To the next ✗ failure, ↻ restart, ! miss", "incident(1)", "shift+right", "play", "✗ ↻ !", 0, "⇧→"
    ),
    Command("Slower", "speed(-1)", "less_than_sign", "play", shown="<"),
    Command("Faster", "speed(1)", "greater_than_sign", "play", "speed", 0, "< >"),
)
LEADS = frozenset({"app.to_session", "app.go_on"})  # from a request or a session to others
# These change something on a host; a recording has none.
_CHANGES = ("cancel", "restart", "drain", "stop", "models", "settings", "replay", "pin", "drop", "flush")
NEEDS_HOST = frozenset((*_CHANGES, "app.bundle"))


def without_host(app: object, action: str) -> bool:
    """Whether this action would change something on a host, and `app` shows a recording."""
    return bool(getattr(app, "plays", False)) and action in NEEDS_HOST


WHILE_FILTERING = (
    Command("Keep the filter", "filter_key('keep')", "enter", short="keep the filter"),
    Command("Clear the filter", "filter_key('clear')", "escape", short="clear the filter", shown="esc"),
    Command("Take the first completion", "filter_key('complete')", "tab", short="complete"),
)
# Where what is typed is looked for as it is, as in a log.
WHILE_LOOKING = (
    Command("Keep the search", "filter_key('keep')", "enter", short="keep the search"),
    Command("End the search", "filter_key('clear')", "escape", short="end the search", shown="esc"),
)

WHILE_SEARCHING = (
    Command("Keep the marks", "keep_search", "enter", short="keep the marks"),
    Command("Search no more", "back", "escape", short="search no more", shown="esc"),
)

WHILE_EDITING = (
    Command("Set the value", "take", "enter", short="set it"),
    Command("Keep the value as it was", "close_input", "escape", short="keep it as it was", shown="esc"),
)
