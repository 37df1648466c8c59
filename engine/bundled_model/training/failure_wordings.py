"""How tools word what went wrong, for training; the evaluation has other wordings in `heldout_failures`.

Slots: `{f}` what the request named, `{a}` the same below some folder, `{o}` the old text of an edit, `{x}`
the program that a command starts, `{n}` a number, `{p}` some words, `{w}` one word, `{d}` a folder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureWordings:
    """What tools and shells return where they could not do what was asked, by what was wrong.

    `exits` frame a line of a shell; `shell_` groups are such lines.
    """

    missing: tuple[str, ...]
    folder: tuple[str, ...]
    forbidden: tuple[str, ...]
    refused: tuple[str, ...]
    absent: tuple[str, ...]  # the old text of an edit is not in the file
    several: tuple[str, ...]  # or it is there more than once
    other: tuple[str, ...]
    exits: tuple[str, ...]
    bare_exits: tuple[str, ...]  # of commands that printed nothing
    shell_missing: tuple[str, ...]
    shell_folder: tuple[str, ...]
    shell_forbidden: tuple[str, ...]
    shell_other: tuple[str, ...]
    background: tuple[str, ...]  # the command took too long and goes on
    nothing: tuple[str, ...]  # in place of an empty listing, search or output
    interruptions: tuple[str, ...]  # what a client puts before the next request after a turn was stopped


def lines(text: str) -> tuple[str, ...]:
    """One wording a line; `\\n` in a line is a line break."""
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
        """
    ),
    bare_exits=lines(
        """
        Error: Exit code {n}
        Error: Exit code {n}
        Exit code {n}
        Error: exit code {n}
        <error>Exit code {n}</error>
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
        """
    ),
    shell_folder=lines(
        """
        {x}: {f}: Is a directory
        {x}: {f}: Is a directory
        {x}: read error: {f}: Is a directory
        {x}: {f} is a directory
        """
    ),
    shell_forbidden=lines(
        """
        {x}: {f}: Permission denied
        {x}: {f}: Permission denied
        {x}: cannot open directory '{f}': Permission denied
        {x}: cannot open '{f}' for reading: Permission denied
        {x}: {a}: Operation not permitted
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
        """
    ),
    background=lines(
        """
        Command did not complete within its {n}s timeout and was moved to the background (ID: {w}). {p}, {p}.
        Command did not finish within {n} s and was moved to the background. {p}. {p}.
        Command is running in the background with ID {w}. {p} {p}.
        Command running in background with ID: {w}. {p}.
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
        """
    ),
)
