"""Generated file names, folders, phrases, patterns and commands."""

from __future__ import annotations

import string
from dataclasses import replace
from random import Random

from training.lexicon import Lexicon

_RARE = "äöüßéèñçøåłžабвгдежзиклαβγδλπ日本語中文字한글"
_SIGNS = "@#%&*+=~^"
_CONSONANTS = "bcdfghjklmnpqrstvwxyz"


class Strings:
    """Draws strings of all kinds from one random source and one lexicon."""

    def __init__(self, random: Random, lexicon: Lexicon) -> None:
        self.random = random
        self._whole = self._lexicon = lexicon

    def narrow(self) -> None:
        """Draw from few words and syllables from now on, so that they recur.

        Then a copy must be found by more than its last token.
        """
        lexicon, random = self._whole, self.random
        self._lexicon = lexicon
        if random.random() < 0.6:
            words = tuple(random.sample(lexicon.words, min(len(lexicon.words), random.choice((6, 12, 30)))))
            count = min(len(lexicon.syllables), random.choice((3, 6, 12)))
            self._lexicon = replace(
                lexicon, words=words, syllables=tuple(random.sample(lexicon.syllables, count))
            )

    def word(self) -> str:
        """A word: mostly a real one, else an invented one."""
        if self.random.random() < 0.6:
            return self.random.choice(self._lexicon.words)
        return self.invented()

    def invented(self) -> str:
        """A word without meaning."""
        draw = self.random.random()
        if draw < 0.5 or (draw < 0.7 and not self._lexicon.quarry):
            return "".join(self.random.choices(self._lexicon.syllables, k=self.random.randint(2, 4)))
        if draw < 0.7:
            return "".join(self._piece() for _ in range(self.random.randint(1, 3)))
        if draw < 0.85:
            return "".join(self._sound() for _ in range(self.random.randint(1, 3)))
        letters = string.ascii_lowercase if draw < 0.95 else string.ascii_letters + string.digits
        return "".join(self.random.choices(letters, k=self.random.randint(2, 5)))

    def _piece(self) -> str:
        """Some letters of a word."""
        word, length = self.random.choice(self._lexicon.quarry), self.random.randint(2, 6)
        start = self.random.randint(0, max(0, len(word) - length))
        return word[start : start + length]

    def _sound(self) -> str:
        """Consonants, a vowel, consonants: any of them, so that every piece of a word occurs."""
        before = self.random.choices(_CONSONANTS, k=self.random.choice((0, 1, 1, 2, 2, 3)))
        after = self.random.choices(_CONSONANTS, k=self.random.choice((0, 0, 1, 1, 2)))
        return "".join((*before, self.random.choice("aeiouy"), *after))

    def number(self) -> int:
        """A whole number; small ones are more frequent."""
        return self.random.randint(0, 10 ** self.random.randint(1, 5))

    def identifier(self) -> str:
        """A name as in source code."""
        words = [self.word() for _ in range(self.random.choice((1, 1, 1, 2, 2, 3)))]
        style = self.random.randrange(8)
        if style < 3:
            return "_".join(words)
        if style < 5:
            return "-".join(words)
        if style == 5:
            return "".join(word.capitalize() for word in words)
        if style == 6:
            return "_".join(words).upper()
        return words[0] + "".join(word.capitalize() for word in words[1:])

    def stem(self) -> str:
        """A file name without its ending."""
        draw = self.random.random()
        if draw < 0.35:
            return self.word()
        if draw < 0.8:
            return self.identifier()
        if draw < 0.92:
            return f"{self.identifier()}{self.random.choice(('', '_', '-', '.'))}{self.number()}"
        if draw < 0.97:
            return self.identifier().capitalize()
        return self.word() + "".join(self.random.choices(_RARE, k=self.random.randint(1, 3)))

    def file(self) -> str:
        """A file's path, relative or absolute."""
        draw = self.random.random()
        if draw < 0.04:
            name = "." + self.word() + self.random.choice(("", "rc", "ignore"))
        elif draw < 0.1:
            name = self.stem()
            name = name.capitalize() if "." not in name else name
        else:
            name = f"{self.stem()}.{self.ending()}"
        return self._inside(name, self.random.random())

    def folder(self) -> str:
        """A folder's path."""
        path = self._inside(self.identifier(), self.random.random())
        return path + ("/" if self.random.random() < 0.25 else "")

    def ending(self) -> str:
        """A file name ending, without its dot."""
        draw = self.random.random()
        return self.random.choice(self._lexicon.endings) if draw < 0.93 else self.word()[:4]

    def phrase(self, least: int = 1, most: int = 5) -> str:
        """Words of a sentence."""
        words = [self.word() for _ in range(self.random.randint(least, most))]
        draw = self.random.random()
        if draw < 0.15:
            words[0] = words[0].capitalize()
        elif draw < 0.22:
            words[self.random.randrange(len(words))] = str(self.number())
        elif draw < 0.3 and len(words) > 1:
            words[self.random.randrange(len(words) - 1)] += self.random.choice((",", ":", ";", "!"))
        return " ".join(words)

    def snippet(self) -> str:
        """A piece of code or configuration."""
        a, b, number = self.identifier(), self.identifier(), self.number()
        return self.random.choice(
            (
                f"{a} = {number}",
                f"{a} = {b}",
                f"{a}({b})",
                f"return {a}",
                f"{a} + {b}",
                f"{a} - {b}",
                f"{a}: {number}",
                f"{a}={b}",
                f"{a}.{b}()",
                f"import {a}",
                f"def {a}({b}):",
                f"if {a} > {number}:",
                f"{a}[{number}]",
                f"<{a}>",
                f"{a}->{b}",
                f"--{a}",
                f"${a}",
                f"{a} == {b}",
                f"print({a})",
                f"{a}, {b}",
            )
        )

    def value(self) -> str:
        """A text to find, to replace or to insert."""
        draw = self.random.random()
        if draw < 0.4:
            return self.word()
        if draw < 0.55:
            return self.identifier()
        if draw < 0.72:
            return self.phrase(2, 4)
        if draw < 0.9:
            return self.snippet()
        if draw < 0.96:
            return str(self.number())
        return self.word() + self.random.choice(_SIGNS) + self.word()

    def pattern(self) -> str:
        """A text to search for that needs no escapes."""
        draw = self.random.random()
        if draw < 0.5:
            return self.word()
        if draw < 0.85:
            return self.identifier()
        return self.phrase(2, 3)

    def glob(self) -> str:
        """A pattern for file names."""
        draw = self.random.random()
        if draw < 0.6:
            return f"*.{self.ending()}"
        if draw < 0.8:
            return f"{self.word()}*"
        return f"*{self.word()}*.{self.ending()}" if draw < 0.9 else f"{self.word()}_*.{self.ending()}"

    def command(self) -> str:
        """A shell command."""
        draw = self.random.random()
        if draw < 0.12:
            return self._simple_command() + self.random.choice((" | ", " && ", "; ")) + self._simple_command()
        return self._simple_command()

    def _simple_command(self) -> str:
        f, d, w, n = self.file(), self.folder(), self.word(), self.random.randint(1, 40)
        return self.random.choice(
            (
                f"wc -l {f}",
                f"wc -l {f}",
                f"wc {self.random.choice(('-w', '-c', ''))} {f}".replace("  ", " "),
                f"ls {self.random.choice(('-la', '-l', '-a', '-lh', ''))} {d}".replace("  ", " "),
                "ls",
                "pwd",
                f"cat {f}",
                f"head -n {n} {f}",
                f"tail -{n} {f}",
                "git status",
                f"git log --oneline -{n}",
                f"git diff {f}",
                f"git checkout {self.identifier()}",
                f"python3 {f}",
                f"python -m {w}",
                f"node {f}",
                f"bash {f} {w}",
                f"grep -n {w} {f}",
                f'grep -rn "{self.phrase(1, 2)}" {d}',
                f"make {w}",
                f"npm run {w}",
                f"cargo {w} --{self.word()}",
                f"echo {self.phrase()}",
                f"echo '{self.phrase()}'",
                f'echo "{self.phrase()}" > {f}',
                f"pytest {f} -k {w}",
                f"du -sh {d}",
                f"mkdir -p {d}",
                f"cp {f} {self.file()}",
                f"mv {f} {d}",
                f"touch {f}",
                f"find {d} -name '{self.glob()}'",
                f"sort {f}",
                f"date +%{self.random.choice('YmdHMS')}",
                f"{w} --{self.word()}={n} {f}",
                f"{w} -{self.random.choice(string.ascii_lowercase)} {self.word()}",
                f"./{w}.sh {self.word()} {n}",
                f"{self.invented()} {self.invented()}",
                f"sleep {n}",
                "whoami",
                "uname -a",
                "df -h",
            )
        )

    def _inside(self, name: str, draw: float) -> str:
        """`name` within folders, or alone."""
        if draw < 0.55:
            return name
        folders = "/".join(self.identifier() for _ in range(self.random.choice((1, 1, 1, 2))))
        if draw < 0.82:
            return f"{folders}/{name}"
        lead = self.random.choice(("/", "/", "./", "../", "~/", "/tmp/", "/home/"))
        return f"{lead}{folders}/{name}"
