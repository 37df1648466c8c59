"""Wordings of tools' errors, for training; the evaluation has other wordings in `heldout_failures`.

Slots: `{f}` what the request named, `{a}` the same below some folder, `{o}` the old text of an edit, `{x}`
the program that a command starts, `{n}` a number, `{p}` some words, `{w}` one word, `{d}` a folder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureWordings:
    """What tools and shells return for failed calls, by kind of failure.

    `exits` frame a line of a shell; `shell_` groups are such lines.
    """

    missing: tuple[str, ...]
    folder: tuple[str, ...]
    forbidden: tuple[str, ...]
    refused: tuple[str, ...]
    absent: tuple[str, ...]  # the old text of an edit is not in the file
    several: tuple[str, ...]  # the old text is in the file more than once
    other: tuple[str, ...]
    exits: tuple[str, ...]
    bare_exits: tuple[str, ...]  # for commands without output
    shell_missing: tuple[str, ...]
    shell_folder: tuple[str, ...]
    shell_forbidden: tuple[str, ...]
    shell_other: tuple[str, ...]
    background: tuple[str, ...]  # the command takes too long and continues
    nothing: tuple[str, ...]  # in place of an empty listing, search or output
    interruptions: tuple[str, ...]  # what a client writes before the request behind an interrupted turn
    frames: tuple[str, ...] = ()  # what may surround `{core}`, the wording of an error without marks


def lines(text: str) -> tuple[str, ...]:
    r"""One wording per line; `\n` in a line is a line break."""
    return tuple(line.strip().replace("\\n", "\n") for line in text.strip().split("\n"))


TRAINING = FailureWordings(
    missing=lines(
        """
        Error: File does not exist.
        Error: File does not exist. The working directory is {d}.
        Error: File does not exist. Note: your current working directory is {d}.
        Error: File does not exist. Note: your current working directory is {d}. Did you mean {w}?
        Error: File does not exist. {p}.
        Error: {f} does not exist.
        Error: {a} does not exist.
        Error: {a} does not exist. {p}.
        Error: file {f} was not found
        Error: file {a} not found.
        Error: {f}: no such file
        Error: {a}: no such file or directory
        Error: no such file: {a}
        Error: ENOENT: no such file or directory, open '{a}'
        Error: could not find {f}
        Error: Path does not exist: {a}
        Error: Path does not exist: {a}. Note: your current working directory is {d}.
        Error: Directory does not exist: {a}. {p}.
        <tool_use_error>File does not exist.</tool_use_error>
        <tool_use_error>File does not exist. Note: your current working directory is {d}.</tool_use_error>
        <tool_use_error>Path does not exist: {a}. {p}.</tool_use_error>
        <tool_error>The file does not exist. {p}.</tool_error>
        <error>{f}: not found</error>
        <{w}_error>{a} does not exist</{w}_error>
        error: file does not exist: {f}
        File not found: {f}
        {f} does not exist.
        There is no such file.
        Error: no file {f}
        Error: there is no such file as {f}
        Error: there is nothing at {a}
        Error: no {w} at {a}
        Error: could not open {f}: no such file or directory
        Error: can't find {a}
        Error: cannot find {f}
        Error: file missing: {f}
        Error: missing file: {a}. {p}.
        Error: {f} is not there
        Error: {f}: No such file or directory (os error 2)
        Error: [Errno 2] No such file or directory: '{a}'
        Error: ENOENT: no such file or directory, {w} '{a}'
        Error: The path {a} does not exist
        Error: The {w} {f} does not exist
        Error: the {w} {a} was not found. {p}.
        Error: File does not exist. {p} {d}.
        Error: File does not exist. The {w} {w} is {d}.
        Error: FileNotFoundError: {a}
        Error: not found: {f}. {p}.
        Error: No file found at {a}
        Error: No such {w}: {f}
        <tool_use_error>The path {a} was not found</tool_use_error>
        <tool_use_error>There is no file {f}. {p}, {p}.</tool_use_error>
        """
    ),
    folder=lines(
        """
        Error: EISDIR: illegal operation on a directory, read '{a}'
        Error: EISDIR: illegal operation on a directory, open '{a}'
        Error: EISDIR: {p}
        Error: {f} is a directory
        Error: {a} is a directory, not a file.
        Error: cannot read {f}: it is a directory
        Error: cannot write {a}: is a directory. {p}.
        Error: path is a directory: {a}
        <tool_use_error>{f} is a directory, not a file.</tool_use_error>
        <tool_use_error>{f} is a directory, not a file. {p}, {p}.</tool_use_error>
        <error>{f}: is a directory</error>
        error: is a directory: {a}
        Error: expected a file, but {f} is a folder
        Error: EISDIR: illegal operation on a directory, {w} '{a}'
        Error: [Errno 21] Is a directory: '{a}'
        Error: {f}: Is a directory
        Error: {a} names a directory
        Error: the {w} {f} is a directory
        Error: cannot {w} {a}: it is a directory
        Error: IsADirectoryError: {a}
        Error: {f} is a folder
        Error: not a file but a directory: {a}
        Error: {a} is a directory, so {p}
        """
    ),
    forbidden=lines(
        """
        Error: EACCES: permission denied, open '{a}'
        Error: EACCES: permission denied, mkdir '{a}'
        Error: EPERM: operation not permitted, open '{a}'
        Error: permission denied: {f}
        Error: permission denied: {a}. {p}.
        Error: no permission for {f}
        Error: {f}: permission denied
        Error: cannot open {f}: Permission denied
        Error: {a} is not readable: permission denied
        <tool_use_error>EACCES: permission denied, open '{a}'</tool_use_error>
        <tool_use_error>Permission denied: {f}</tool_use_error>
        <error>{a}: permission denied</error>
        error: permission denied ({a})
        Error: EACCES: permission denied, {w} '{a}'
        Error: EPERM: operation not permitted, {w} '{a}'
        Error: [Errno 13] Permission denied: '{a}'
        Error: cannot {w} {f}: permission denied
        Error: could not open {a}: operation not permitted
        Error: PermissionError: {a}
        Error: Permission denied (os error 13): {f}
        Error: the system denies permission for {a}
        Error: {f} may not be read: permission denied. {p}.
        """
    ),
    refused=lines(
        """
        Error: The user does not want this {w}. The call was rejected ({p}). Stop and wait for the user.
        Error: The user doesn't want to go on with this tool use. The tool use was rejected ({p}). {p}.
        Error: The user doesn't want to take this action right now. {p}.
        Error: The user doesn't want to proceed. STOP and wait for {p}.
        Error: The user rejected this tool use. {p}.
        Error: The user rejected the {w}.
        Error: The user declined.
        Error: The user declined this call: {p}
        Error: The user did not allow this.
        Error: rejected by the user
        Error: denied by the user: {p}
        Error: Claude requested permissions to use {w}, but you haven't granted it yet.
        Error: Claude requested permissions to write to {a}, but you haven't granted it.
        Error: Claude requested permissions to read from {a}, but you haven't granted it.
        Error: The model requested permission for {a}, but it was not granted.
        Error: This command needs approval
        Error: This command requires approval. {p}.
        Error: {x} in '{a}' needs approval. The path is {p} ('{d}'), and {p}.
        Error: {x} in '{a}' needs approval. {p}.
        Error: {x} in '{d}' was blocked. For security, {p}: '{d}'.
        Error: {x} was blocked. {p}.
        Error: this needs the approval of the user
        Error: Permission to use {w} has been denied.
        Error: Permission to use {w} with {p} has been denied.
        Error: Permission to {w} {a} has been denied by your settings.
        Error: not allowed in this mode: {p}
        Error: {p} is not allowed here. {p}.
        <tool_use_error>Permission to use {w} was denied. {p}.</tool_use_error>
        <tool_use_error>The user rejected this call.</tool_use_error>
        <error>The user has not approved this</error>
        The user doesn't want to proceed with this. The {w} was rejected ({p}, {p}). {p}.
        The user doesn't want this action. {p}.
        Permission was not granted: {p}
        Error: The user doesn't want to {w} with this {w}. {p}.
        Error: The user does not want to {w} this {w}. {p}.
        Error: The user does not want this. {p}.
        Error: The user does not want the {w}. The {w} was rejected ({p}).
        Error: The user rejected this {w} ({p}). {p}.
        Error: The user rejected it ({p})
        Error: The user rejected the call. {p}, {p}.
        Error: The user declined the {w}.
        Error: The user denied this {w}
        Error: The user stopped this {w}. {p}.
        Error: Claude requested permissions to {w} {a}, but you haven't granted it yet.
        Error: Claude requested permissions to {w} {a}, but {p}.
        Error: {x} in '{a}' needs your approval. {p}.
        Error: {x} in '{a}' requires {w} approval. {p}, {p}.
        Error: {x} in '{a}' was blocked for {w}. {p}.
        Error: {x} in '{a}' was stopped. For your safety, {p}: '{d}'.
        Error: {x} on '{a}' was blocked. {p}, {p}.
        Error: This {w} requires approval
        Error: This {w} needs approval: {p}
        Error: This requires the user's approval. {p}.
        Error: Approval is required
        Error: Permission to use {w} was denied
        Error: Permission to use {w} was refused by {p}.
        Error: Permission for {w} has been denied by {p}
        Error: {w} is denied by your settings
        Error: blocked by a hook: {p}
        Error: rejected by {w}: {p}
        The user does not want to {w} this. {p}.
        The user doesn't want to {w} with this {w}. {p}.
        The user rejected this {w}. {p}.
        """
    ),
    absent=lines(
        """
        <tool_use_error>String to replace not found in file.\\nString: {o}</tool_use_error>
        <tool_use_error>String to replace not found in {f}.\\nString: {o}</tool_use_error>
        <tool_use_error>The old string was not found.</tool_use_error>
        Error: String to replace not found in file.\\nString: {o}
        Error: the text was not found in {f}.
        Error: old_string not found in {a}
        Error: {o} was not found in {f}
        <error>text not found: {o}</error>
        error: no match for {o} in {f}
        Error: old_string is not in {f}
        Error: old_string was not found
        Error: the old text was not found in {a}
        Error: the {w} was not found in {f}
        Error: could not find {o} in {f}
        Error: {o}: not found in {a}
        Error: no such text in {f}: {o}
        Error: {f} does not contain {o}
        Error: The string to replace is not in the file.\\nString: {o}
        Error: The {w} to replace was not found in {f}.\\nString: {o}
        Error: Text to replace not found.\\n{o}
        error: {o} is not in {f}
        """
    ),
    several=lines(
        """
        <tool_use_error>Found {n} matches of the string, replace_all is not set. {p}.</tool_use_error>
        <tool_use_error>Found {n} matches of {o}. {p}, {p}.\\nString: {o}</tool_use_error>
        Error: Found {n} matches of the string to replace, but replace_all is false. {p}.\\nString: {o}
        Error: the text is there {n} times in {f}. {p}.
        Error: old_string has {n} matches, it must be unique
        Error: {n} matches for {o}
        error: {o} is not unique in {f} ({n} matches)
        Error: Found {n} matches of the {w} in {f}
        Error: Found {n} matches in {f}. {p}.
        Error: Found {n} matches for {o} in {a}. {p}.
        Error: Found {n} places with the string, {p}.\\nString: {o}
        Error: {n} matches of {o} in {f}
        Error: {o} matches {n} times in {f}
        Error: {o} is there {n} times. {p}.
        Error: old_string has {n} matches in {f}. {p}.
        Error: the old text is not unique: {n} matches
        Error: more than one match ({n}) of {o} in {a}
        """
    ),
    other=lines(
        """
        Error: {p}
        Error: {p}.
        Error: {w}: {p}.
        Error: {p}. {p}.
        Error: {w}Error: {p} ({w})
        Error: {w}Error: {p}: {w}
        Error: Refusing to {p}
        Error: timeout after {n} s
        Error: {w} failed with {n}
        <error>{p}</error>
        <tool_error>{p}. {p}.</tool_error>
        <tool_use_error>{p}.</tool_use_error>
        <tool_use_error>No such tool available: {w}</tool_use_error>
        <tool_use_error>{w}Error: {w} failed due to {p}</tool_use_error>
        <{w}_error>{p}</{w}_error>
        error: {p}
        Error: {p}\\n{p}
        Error: {w} is not {w}: {p}.
        Error: {w} was not {w}: {p}.
        Error: {w} was {w}. {p}.
        Error: the {w} was too {w}: {p}
        Error: the {w} is {w}
        Error: {w} could not {w}: {p}.
        Error: {w} cannot {w} {p}
        Error: unable to {w} the {w}
        Error: invalid {w}: {p}
        Error: expected {w}, got {p}
        Error: {w} must be {w}, not {w}
        Error: {p}, {p}
        Error: {p} ({n})
        Error: {p}: {w}: {p}
        Error: {w} {w}: {p}
        Error: {w} {w}Error: {w}: {p}
        Error: {w} {w}Error {n}: {p}
        Error: {w}Error: {p}
        Error: {w}{w}: {p}
        Error: something is {w} with {p}
        <error>{w} was not {w}</error>
        <tool_use_error>{w}: {p}.</tool_use_error>
        <tool_use_error>{w} {w}: {w}</tool_use_error>
        <tool_use_error>{p}: {p}.</tool_use_error>
        """
    ),
    exits=lines(
        """
        Error: Exit code {n}\\n{line}
        Error: Exit code {n}\\n{line}
        Error: Exit code {n}\\n{line}
        Exit code {n}\\n{line}
        Error: exit code {n}\\n{line}
        Error: exit code {n}: {line}
        <error>Exit code {n}\\n{line}</error>
        <tool_use_error>Exit code {n}\\n{line}</tool_use_error>
        Error: Exit code {n}\\n{line}\\n{p}\\n{p}
        Error: Exit code {n}\\n{line}\\n{w}: {p}
        Error: Exit code {n}\\n{line}\\n\\n{p}
        Exit code {n}\\n{line}\\n{p}
        Error: exit code {n}\\n{line}\\n{line}\\n{line}
        <tool_use_error>Exit code {n}\\n{line}\\n{p}, {p}</tool_use_error>
        Error: The command failed with exit code {n}\\n{line}
        Error: Command exited with exit code {n}\\n{line}
        Error: {w} ended with exit code {n}\\n{line}
        Error: the command returned exit code {n}: {line}
        <error>The {w} had exit code {n}\\n{line}</error>
        <error>Command ended, exit code {n}\\n{line}</error>
        <tool_use_error>The command failed with exit code {n}\\n{line}</tool_use_error>
        The {w} ended with exit code {n}\\n{line}
        """
    ),
    bare_exits=lines(
        """
        Error: Exit code {n}
        Error: Exit code {n}
        Exit code {n}
        Error: exit code {n}
        <error>Exit code {n}</error>
        Error: The command failed with exit code {n}
        Error: {w} ended with exit code {n}
        Error: Command exited with exit code {n}
        Error: the process returned exit code {n}
        Error: exit code {n} ({p})
        <error>The command had exit code {n}</error>
        <error>The {w} ended with exit code {n}.</error>
        <tool_use_error>The command failed: exit code {n}</tool_use_error>
        The command ended with exit code {n}.
        <tool_use_error>It had exit code {n}</tool_use_error>
        """
    ),
    shell_missing=lines(
        """
        {x}: {f}: No such file or directory
        {x}: {f}: No such file or directory
        {x}: cannot access '{f}': No such file or directory
        {x}: cannot open '{f}' for reading: No such file or directory
        {x}: {a}: No such file or directory
        {x}: can't open '{f}': [Errno 2] No such file or directory
        {x}: '{f}': No such file or directory
        {x}: {f}: no such file
        {x}: cannot {w} '{f}': No such file or directory
        {x}: cannot read {f}: No such file or directory
        {x}: cannot find {f}: no such file or directory
        {x}: {f} does not exist: No such file or directory
        {x}: {f}: not found
        {x}: stat '{f}': No such file or directory
        """
    ),
    shell_folder=lines(
        """
        {x}: {f}: Is a directory
        {x}: {f}: Is a directory
        {x}: read error: {f}: Is a directory
        {x}: {f} is a directory
        {x}: '{f}' is a directory
        {x}: cannot open '{f}': Is a directory
        {x}: {a} is a directory
        {x}: {w}: {a}: Is a directory
        """
    ),
    shell_forbidden=lines(
        """
        {x}: {f}: Permission denied
        {x}: {f}: Permission denied
        {x}: cannot open directory '{f}': Permission denied
        {x}: cannot open '{f}' for reading: Permission denied
        {x}: {a}: Operation not permitted
        {x}: cannot {w} '{f}': Permission denied
        {x}: '{f}': Operation not permitted
        {x}: {a}: Permission denied
        {x}: {f}: permission denied ({w})
        """
    ),
    shell_other=lines(
        """
        /bin/bash: line {n}: {x}: command not found
        /bin/bash: line {n}: {x}: command not found
        bash: {x}: command not found
        zsh: command not found: {x}
        /bin/bash: line {n}: {x}: Permission denied
        /bin/bash: line {n}: cd: {d}: No such file or directory
        /bin/bash: eval: line {n}: unexpected EOF while looking for {w}
        Command timed out after {n}s
        Command timed out after {n}m 0s
        Command timed out after {n}m 0s {p}
        {x}: cannot create directory '{d}': No such file or directory
        {x}: cannot create directory '{d}': File exists
        {x}: {p}
        {x}: {w}: {p}
        {x}: invalid option -- '{w}'
        {x}: unrecognized option '--{w}'
        error: {p}
        error: pathspec '{w}' did not match any {p}
        fatal: {p}
        fatal: not a {w} repository: {p}
        Traceback (most recent call last):\\n  File "{w}.py", line {n}, in <module>\\n{w}Error: {p}
        Traceback (most recent call last):\\n  File "<string>", line {n}\\n{w}Error: {p}
        {w} ERR! {p}
        make: *** No rule to make target '{w}'.  Stop.
        make: *** [{w}] Error {n}
        {p}
        {p}\\n{p}
        {w}Error: {p}
        sh: {x}: command not found
        sh: {n}: {x}: Permission denied
        dash: {n}: {x}: not found
        /bin/zsh: {n}: {x}: command not found
        /bin/sh: line {n}: {x}: not found
        /bin/bash: line {n}: {x}: cannot {w}: {p}
        bash: {x}: cannot execute
        Command timed out after {n} seconds
        Timed out after {n} minutes
        {x}: cannot {w} '{d}': {p}
        {x}: cannot remove '{d}': No such file or directory
        {x}: missing {w}
        {x}: missing argument to '{w}'
        {x}: too many arguments
        {x}: {w} error: {p}
        {x}: fatal: {p}
        fatal: {w} {w}: {p}
        warning: {w}: {p}
        error: {w} {w}: {p}
        make: *** No {w} specified and no {w} found.  Stop.
        Traceback (most recent call last):\\n  File "{w}.py", line {n}, in {w}\\n    {p}\\n{w}Error: {p}
        """
    ),
    background=lines(
        """
        Command did not complete within its {n}s timeout and was moved to the background (ID: {w}). {p}, {p}.
        Command did not finish within {n} s and was moved to the background. {p}. {p}.
        Command is running in the background with ID {w}. {p} {p}.
        Command running in background with ID: {w}. {p}.
        Command did not end within {n} s and was moved to the background ({w}). {p}, {p}.
        The command goes on in the background (ID: {w}). {p}. {p}.
        Command is still running in the background, ID {w}. {p}.
        Command was moved to the background (ID: {w}). {p}, {p}.
        """
    ),
    nothing=lines(
        """
        No files found
        No matches found
        No results
        No results found.
        No output
        (no output)
        (empty)
        (nothing)
        (The command completed with no output)
        Tool ran without output
        (no results)
        [no matches]
        [empty]
        [no results]
        [nothing]
        There were no results
        No files were there
        Nothing found
        Nothing matches
        0 results
        No lines
        no output
        Nothing was printed
        The command completed and printed nothing
        The command ended without output
        Done without output
        (completed without output)
        """
    ),
    interruptions=lines(
        """
        [Request interrupted by user]
        [Request interrupted by user]
        [Request interrupted by user for tool use]
        [Request interrupted by user for tool use]
        [Request interrupted]
        [Request stopped by the user]
        [Interrupted by the user]
        [The user interrupted the request]
        [The user stopped the {w}]
        [interrupted]
        [The turn was interrupted by the user]
        [The request was stopped by the user]
        [Request cancelled by the user]
        [Interrupted by user during {w}]
        [Request interrupted by user before {w}]
        [Request interrupted while {w}]
        [The user cancelled the request]
        [Stopped by user]
        [Request aborted by user]
        [Request interrupted by user ({p})]
        """
    ),
    frames=lines(
        """
        Error: {core}
        Error: {core}.
        Error: {core}. {p}.
        Error: {core} ({p})
        Error: {core}, {p}
        Error: {core}\\n{p}
        Error: {w}: {core}
        error: {core}
        <error>{core}</error>
        <error>{core}. {p}.</error>
        <{w}_error>{core}</{w}_error>
        <tool_error>{core}</tool_error>
        <tool_use_error>{core}</tool_use_error>
        <tool_use_error>{core}.</tool_use_error>
        <tool_use_error>{core}. {p}.</tool_use_error>
        <tool_use_error>{core} ({p}). {p}.</tool_use_error>
        <tool_use_error>{w}: {core}</tool_use_error>
        """
    ),
)
