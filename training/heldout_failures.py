"""Wordings of failures for the evaluation that are not in the training data."""

from __future__ import annotations

from training.failure_wordings import FailureWordings, lines

HELD_OUT_FAILURES = FailureWordings(
    missing=lines(
        """
        Error: File does not exist. The current working directory is {d}.
        Error: File does not exist. Note: your working directory is now {d}.
        Error: the file {f} does not exist
        Error: there is no file {a}
        Error: file not found: {a}. {p}.
        Error: ENOENT: no such file or directory, stat '{a}'
        Error: cannot find the file {f}
        <tool_use_error>The file {a} does not exist. {p}.</tool_use_error>
        <tool_use_error>No such file: {f}</tool_use_error>
        <error>{a} does not exist</error>
        error: no such file or directory: {a}
        """
    ),
    folder=lines(
        """
        Error: EISDIR: illegal operation on a directory, stat '{a}'
        Error: the path {a} is a directory
        Error: cannot open {f}: is a directory
        <tool_use_error>{a} is a directory. {p}.</tool_use_error>
        <error>{a} is a directory</error>
        """
    ),
    forbidden=lines(
        """
        Error: EACCES: permission denied, stat '{a}'
        Error: EPERM: operation not permitted, unlink '{a}'
        Error: cannot read {f}: permission denied
        <tool_use_error>{a}: permission denied. {p}.</tool_use_error>
        <error>Permission denied: {f}</error>
        """
    ),
    refused=lines(
        """
        Error: The user doesn't want to continue with this {w}. The {w} was rejected ({p}). {p}.
        Error: The user does not want to take this action. {p}.
        Error: The user rejected this call ({p}). {p}.
        Error: The user declined this {w}.
        Error: Claude requested permissions to edit {a}, but you haven't granted it yet.
        Error: {x} in '{a}' requires approval. {p}.
        Error: {x} in '{a}' was blocked. {p}, {p}: '{d}'.
        Error: This call requires approval
        Error: Permission to use {w} was denied by {p}.
        <tool_use_error>Permission to use {w} has been denied.</tool_use_error>
        <error>rejected by the user: {p}</error>
        The user does not want to proceed with this {w}. {p}.
        """
    ),
    absent=lines(
        """
        <tool_use_error>The string to replace was not found in file.\\nString: {o}</tool_use_error>
        <tool_use_error>The text was not found in {a}.</tool_use_error>
        Error: old_string was not found in {f}
        error: {o} not found in {f}
        """
    ),
    several=lines(
        """
        <tool_use_error>Found {n} matches of the string, but {p}.\\nString: {o}</tool_use_error>
        Error: Found {n} matches of the text in {f}. {p}.
        Error: {o} has {n} matches in {f}
        """
    ),
    other=lines(
        """
        Error: {p}: {p}
        Error: {w} {w}Error: {p}
        Error: {w} was not possible: {p}.
        <tool_use_error>{p}: {w}</tool_use_error>
        <error>{w}: {p}.</error>
        """
    ),
    exits=lines(
        """
        Error: Exit code {n}\\n{line}\\n{p}
        Error: Exit code {n}\\n{line}\\n{line}
        <error>The command ended with exit code {n}\\n{line}</error>
        """
    ),
    bare_exits=lines(
        """
        Error: The command ended with exit code {n}
        <tool_use_error>Exit code {n}</tool_use_error>
        """
    ),
    shell_missing=lines(
        """
        {x}: cannot stat '{f}': No such file or directory
        {x}: cannot open {f}: No such file or directory
        {x}: {f} not found: No such file or directory
        """
    ),
    shell_folder=lines(
        """
        {x}: '{f}': Is a directory
        {x}: {a}: Is a directory
        """
    ),
    shell_forbidden=lines(
        """
        {x}: '{f}': Permission denied
        {x}: cannot access '{f}': Permission denied
        """
    ),
    shell_other=lines(
        """
        sh: {n}: {x}: not found
        /bin/sh: {x}: command not found
        /bin/bash: line {n}: {x}: cannot execute: {p}
        Command timed out after {n} minutes
        {x}: cannot remove '{f}': No such file or directory
        {x}: missing operand
        {x}: error: {p}
        fatal: {w}: {p}
        error: {w}: {p}
        make: *** No targets specified and no makefile found.  Stop.
        Traceback (most recent call last):\\n  File "{w}.py", line {n}\\n    {p}\\n{w}Error: {p}
        """
    ),
    background=lines(
        """
        Command did not complete within {n} s and was moved to the background (ID: {w}). {p}, {p}.
        Command is running in the background (ID: {w}). {p}. {p}.
        """
    ),
    nothing=lines(
        """
        No files were found
        No matches
        [no output]
        The command completed without output
        """
    ),
    interruptions=lines(
        """
        [Request interrupted by the user]
        [Request interrupted by user during {w}]
        [The request was interrupted by the user]
        [Request stopped by user]
        """
    ),
)
