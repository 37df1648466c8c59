"""Words and wordings for the evaluation that are not in the training data.

Names and texts are made of these words and syllables, and requests are worded like this. A test checks that
none of it is in the lists of `lexicon` and `wordings`.
"""

from __future__ import annotations

from training.lexicon import Lexicon
from training.wordings import Wordings

_WORDS = """
abbey acorn almond anvil apron aspen attic badger bamboo banjo basil beacon beaver beetle biscuit bishop
blender bobcat bonnet broom buffalo bunker burrow cactus candy carbon carrot castle cedar cello cement chalk
chapel chestnut chimney cinema clover cobalt cocoon compass condor cornet cottage cougar cradle cricket
crystal cyclone daisy dingo donkey drizzle dune easel elm ember falcon fiddle flannel flute fossil fountain
furnace gadget gazelle geyser ginger glacier goblet granite gravel hamster hazel helium heron hornet igloo
iris ivy jaguar jasmine jersey juniper kayak kernel kettle kiosk koala lagoon lantern lark lava lilac lizard
lobster lotus magnet mango marble marlin meteor mint mitten mole mosaic moth mustard nectar nickel nutmeg
oboe opal orchid otter oyster paddle panda pebble pelican pigeon plaza plow polka poppy prism pumpkin quartz
quill quilt racket raft rhubarb ribbon rivet saddle saffron salmon sapphire satchel scarf shrimp sickle silo
sleet sparrow spruce squid squirrel stork sunset syrup tangerine teapot thistle thyme tornado trumpet tundra
turnip twig urchin vanilla viper vulture waffle walrus whisker willow wrench yak yarn yogurt zeppelin zinc
"""

_SYLLABLES = """
blo bly brem clew cryn dof dwin fleb fyr glom gnu gry hov hyl jov jyl klo kry lyn lof myr mov nyl nov phi
pho plo pyr qui rhy ryn scro sev skel slo smy snor spry swi syl thra thry tov twy vyn vlo wex wry xyl yev
yor zyg zom glyn
"""

HELD_OUT = Lexicon(
    words=tuple(_WORDS.split()),
    syllables=tuple(syllable for syllable in _SYLLABLES.split() if syllable != "qui"),
    endings=tuple(
        "rst adoc lua pl jl ex hs scala dart proto graphql scss less bak tmp dat list diff patch nix gradle"
        " svg".split()
    ),
)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().split("\n"))


HELD_OUT_WORDINGS = Wordings(
    leads=(
        *("" for _ in range(6)),
        *("Please ", "could you ", "Would you please ", "Now please ", "hey, ", "Ok, now ", "I want you to "),
    ),
    tails=(*("" for _ in range(6)), ".", "?", " please!", " for me, please", ", thank you", " now, please"),
    requests={
        "read": _lines(
            """
            show me the text of {f}
            tell me what you see in {f}
            print the file {f}
            open {f} and tell me what it says
            Look at the file {f}
            read the contents of {f}
            what are the contents of {f}
            let me see the file {f}
            give me the text of {f}
            what does the file {f} say
            I want to know what is in {f}
            display the contents of {f}
            """
        ),
        "list": _lines(
            """
            list all the files in the folder {d}
            show all files in {d}
            what are the files in {d}
            Tell me what files are in the folder {d}
            print a list of the files in {d}
            which files are in the directory {d}
            give me the names of the files in {d}
            """
        ),
        "list_here": _lines(
            """
            list the files in the current folder
            show me what files are here
            Which files are in this directory
            tell me what is in this folder
            give me a list of all files here
            what files do we have here
            """
        ),
        "search": _lines(
            """
            look in {d} for {p}
            show all lines with {p} in {d}
            Find every line with {p} in {d}
            search for the text {p} in {d}
            tell me which lines in {d} have {p}
            which lines in {d} contain the word {p}
            in {d}, search for {p}
            """
        ),
        "search_here": _lines(
            """
            look for {p} in all files
            search everything for {p}
            find all lines with {p}
            Search for the word {p}
            tell me which files contain {p}
            find the word {p} in this project
            """
        ),
        "find_here": _lines(
            """
            list the files named {g}
            look for files matching {g}
            show me the files that match {g}
            Find every file named {g}
            tell me which files match {g}
            search for {g} files
            """
        ),
        "run": _lines(
            """
            please run the shell command {c}
            run this in the shell: {c}
            Execute the following command: {c}
            use the terminal to run {c}
            I want to see what {c} prints
            run the following: {c}
            show me what the command {c} prints
            in the shell, execute {c}
            """
        ),
        "count": _lines(
            """
            how many lines are there in {f}
            tell me how many lines the file {f} has
            Count all lines in {f}
            what is the line count of the file {f}
            give me the number of lines in {f}
            """
        ),
        "write": _lines(
            """
            make a file {f} with the text {t}
            create a file {f} that says {t}
            write a new file {f} containing the words {t}
            Save the words {t} in the file {f}
            put {t} in a new file called {f}
            create a new file named {f} with the content {t}
            write the text {t} into {f}
            add a new file {f} containing {t}
            """
        ),
        "edit": _lines(
            """
            replace the word {o} with {n} in {f}
            change the word {o} to {n} in {f}
            in {f} replace the text {o} by {n}
            Edit {f} and change {o} into {n}
            in the file {f}, change {o} to {n}
            open {f} and replace {o} with {n}
            in {f}, use {n} instead of {o}
            """
        ),
        "edit_all": _lines(
            """
            replace every {o} by {n} in {f}
            change all occurrences of {o} to {n} in {f}
            In {f}, replace all {o} with {n}
            in the file {f} change every {o} into {n}
            turn every {o} into {n} in {f}
            """
        ),
        "plus": _lines(
            """
            can you add {a} and {b}
            tell me what {a} plus {b} is
            how much is the sum of {a} and {b}
            calculate {a} plus {b}
            What's {a} + {b}
            please add {a} to {b}
            """
        ),
        "minus": _lines(
            """
            tell me what {a} minus {b} is
            calculate {a} minus {b}
            can you subtract {b} from {a}
            What's {a} - {b}
            compute {a} minus {b}
            """
        ),
        "identity": _lines(
            """
            can you tell me who you are
            tell me what you are
            please introduce yourself
            what is the name of this model
            who or what are you
            what model is this
            tell me your name
            """
        ),
        "joke": _lines(
            """
            can you tell me a joke
            please tell me a good joke
            I would like to hear a joke
            give me another joke
            tell me something funny
            do you have a joke for me
            """
        ),
        "hello": _lines(
            """
            hello, model
            hi, how are you
            good morning, model
            hey hello
            hello, good day
            """
        ),
        "goodbye": _lines(
            """
            bye, see you
            ok, goodbye
            good night, see you tomorrow
            bye for today
            goodbye, take care
            """
        ),
        "thanks": _lines(
            """
            thank you a lot
            ok, thanks
            great, thank you
            thanks, that was good
            """
        ),
        "cannot": _lines(
            """
            write me a poem about the {w}
            explain {w} and {w}
            who is {w}
            what is the history of {w}
            translate {w} to German
            can you fix the {w} bug
            implement the {w} feature
            how do I learn {w}
            why is {w} so {w}
            draw me a {w}
            refactor the {w} code
            summarize the {w} for me
            """
        ),
    },
)
