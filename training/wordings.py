"""Wordings of requests, for training; the evaluation has other wordings in `heldout`.

Slots: `{f}` a file, `{d}` a folder, `{c}` a command, `{o}` and `{n}` the old and the new text, `{t}` a text,
`{p}` a search pattern, `{g}` a pattern of file names, `{a}` and `{b}` numbers, `{w}` any words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wordings of each kind of request, and texts before and behind them."""

    leads: tuple[str, ...]
    tails: tuple[str, ...]
    requests: dict[str, tuple[str, ...]]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().split("\n"))


TRAINING = Wordings(
    leads=(
        *("" for _ in range(14)),
        *("please ", "Please ", "can you ", "Can you ", "could you ", "Could you please ", "now ", "Now "),
        *("ok, ", "Hey, ", "hi, ", "I want you to ", "I need you to ", "Next, ", "then ", "Go ahead and "),
        *("would you ", "first, ", "let us ", "Quickly ", "just ", "you should ", "I would like you to "),
    ),
    tails=(
        *("" for _ in range(14)),
        *(".", ".", "?", "!", " please", " please.", ", please", " for me", " for me.", " now", " now."),
        *(" thanks", ", thanks!", " and tell me.", " and stop.", " and then stop", " again", " first"),
        *(
            ". Thank you.",
            " right away",
            " if you can",
            ", please!",
            " for me, thanks",
            ", thank you so much",
        ),
        *(" now, thanks", " right now, please", " for us, please", " and thank you", ", thank you!"),
    ),
    requests={
        "read": _lines(
            """
            read the file {f}
            read {f}
            Read the file {f}
            Read {f}
            show me {f}
            show the file {f}
            show me the contents of {f}
            show me what is in {f}
            print the content of {f}
            open {f}
            open the file {f} and show it
            what is in {f}
            What is in the file {f}
            what does {f} say
            What does {f} contain
            tell me what is in {f}
            tell me what the file {f} says
            look at {f}
            look into {f}
            take a look at the file {f}
            display {f}
            give me the content of {f}
            what is written in {f}
            read me {f}
            read through {f}
            view {f}
            view the file {f}
            have a look at {f}
            check what {f} says
            what are the first lines of {f}
            read the file named {f}
            read the file called {f}
            there is a file {f}: read it
            I want to see {f}
            let me see what {f} contains
            read the text in {f}
            print {f}
            print the text of {f}
            print the file {f} for me to see
            let me see {f}
            let me see the text of {f}
            let me have a look at the file {f}
            open {f} and show me what is in it
            open {f} and read it to me
            open the file {f} and tell me what is in it
            give me the contents of the file {f}
            give me the text in {f}
            I want to know what {f} says
            I want to know what stands in the file {f}
            display the text of {f}
            display the file {f}
            show the text in {f}
            show me the text in the file {f}
            read the text of {f}
            read the content of the file {f}
            tell me what you find in {f}
            tell me what you can read in {f}
            what do you see in {f}
            Look at {f} and tell me what it says
            what are the lines of {f}
            what does the text in {f} say
            """
        ),
        "list": _lines(
            """
            list the files in {d}
            List the files in {d}
            list {d}
            list all files in {d}
            list the folder {d}
            list the contents of {d}
            show the files in {d}
            show me the files in {d}
            show me what is in the folder {d}
            which files are in {d}
            What files are in {d}
            what is in the directory {d}
            what is in the folder {d}
            tell me which files are in {d}
            give me a list of the files in {d}
            what does the folder {d} contain
            look into the directory {d}
            list everything in the directory {d}
            which files does {d} have
            print the file names in {d}
            list all the files in {d}
            what are the names of the files in {d}
            what are the files of the folder {d}
            print a list of all files in {d}
            print the list of files in the folder {d}
            tell me what is in the folder {d}
            which files are in the folder {d}
            Tell me what files {d} has
            tell me what files are in {d}
            show all the files in the folder {d}
            show every file in {d}
            give me the file names in {d}
            give me the names of all files in the folder {d}
            """
        ),
        "list_here": _lines(
            """
            list the files
            List the files here
            list all files
            list the files in this folder
            list the current directory
            what files are here
            What files are in this folder
            which files are there
            which files do we have
            show me the files
            show the files in the current folder
            show all files here
            what is in this directory
            what is in the current folder
            give me a list of the files
            tell me which files are here
            list everything in here
            print the file names
            list the files in this directory
            list all the files in the current directory
            show me what is here
            show me what files are in this folder
            tell me what files we have here
            tell me what is in the current directory
            give me a list of the files in this folder
            give me a list of everything here
            Which files are in the current folder
            what is in here
            what files do we have
            what files are in the current directory
            """
        ),
        "search": _lines(
            """
            search for {p} in {d}
            Search for {p} in {d}
            search {d} for {p}
            search the folder {d} for {p}
            find {p} in {d}
            Find the text {p} in {d}
            find the line with {p} in {d}
            find all lines with {p} in {d}
            find where {p} is in {d}
            grep for {p} in {d}
            grep {p} in {d}
            look for {p} in {d}
            look for the word {p} in {d}
            where is {p} in {d}
            Where does {p} stand in {d}
            which lines of {d} contain {p}
            which line in {d} has {p}
            is there a {p} in {d}
            show me the lines with {p} in {d}
            tell me where {p} is in {d}
            does {d} contain {p}
            look in the file {d} for {p}
            look through {d} for {p}
            look into {d} for the word {p}
            search in {d} for {p}
            search for the word {p} in {d}
            in {d}, find {p}
            in {d}, look for {p}
            in the folder {d} search for {p}
            show all lines of {d} with {p}
            show me every line with {p} in {d}
            show the lines in {d} that have {p}
            tell me which lines of {d} contain {p}
            tell me which line in {d} contains the text {p}
            tell me the lines in {d} with {p}
            which lines in {d} have the word {p}
            which lines of {d} have {p} in them
            which line in {d} contains {p}
            find each line with {p} in {d}
            find every place with {p} in {d}
            find the lines in {d} that contain {p}
            """
        ),
        "search_here": _lines(
            """
            search for {p}
            Search for {p} here
            search all files for {p}
            search the project for {p}
            find the text {p}
            find {p} in all files
            find the line with {p}
            find where {p} is used
            grep for {p}
            look for {p}
            look for the word {p} in this project
            where is {p} used
            Where is {p}
            which files contain {p}
            which file has {p} in it
            show me the lines with {p}
            tell me where {p} is used
            look for {p} everywhere
            look for the text {p} in every file
            search everywhere for {p}
            search every file for {p}
            Search for the text {p}
            search for the word {p} in all files
            find every line with {p}
            find all places with {p}
            find the word {p}
            find the word {p} in all files
            find the text {p} in this folder
            tell me which files have {p}
            tell me which file contains {p}
            tell me which lines have {p}
            """
        ),
        "find_here": _lines(
            """
            find all {g} files
            find the files {g}
            find files named {g}
            find files that match {g}
            find files matching {g}
            list all {g} files
            list the files that match {g}
            list files matching {g}
            search for files named {g}
            search for files matching {g}
            look for files named {g}
            look for {g} files
            which files match {g}
            Which files are named {g}
            are there any {g} files
            show me all {g} files
            show the files matching {g}
            give me all files that match {g}
            list every file named {g}
            list all files named {g}
            look for files that match {g}
            look for every file named {g}
            look for all files matching {g}
            show me the files named {g}
            show me all files matching {g}
            show me every {g} file
            find all files named {g}
            find every {g} file
            Find every file that matches {g}
            find each file called {g}
            tell me which files are named {g}
            tell me the names of the {g} files
            search for all {g} files
            search for every file matching {g}
            search for the files {g}
            """
        ),
        "run": _lines(
            """
            run the command {c}
            Run the command {c}
            run {c}
            Run {c}
            run this command: {c}
            run the following command: {c}
            run this: {c}
            execute {c}
            Execute the command {c}
            execute this: {c}
            use the shell to run {c}
            use Bash to run {c}
            call {c}
            start {c}
            do {c}
            in the terminal, run {c}
            run the shell command {c}
            try the command {c}
            what does {c} print
            what does the command {c} say
            tell me what {c} prints
            show me the output of {c}
            give me the output of the command {c}
            type {c} in the shell
            let {c} run
            use the terminal for {c}
            use the terminal and run {c}
            use the shell to execute {c}
            run this in the terminal: {c}
            run this shell command: {c}
            run the following in the shell: {c}
            execute the command {c} in the shell
            execute the following in the shell: {c}
            execute this command: {c}
            in the shell, run {c}
            in the terminal, execute {c}
            I want to see the output of {c}
            I want to know what {c} prints
            I want to see what the command {c} says
            show me what {c} prints
            show me what the shell prints for {c}
            show me what the command {c} says
            tell me what the command {c} prints
            let me see what {c} prints
            let me see the output of the command {c}
            what is printed by {c}
            what is the output of {c}
            """
        ),
        "count": _lines(
            """
            how many lines does {f} have
            How many lines are in {f}
            how many lines has the file {f}
            count the lines of {f}
            Count the lines in {f}
            count the lines in the file {f}
            count how many lines {f} has
            tell me how many lines are in {f}
            tell me the number of lines in {f}
            what is the number of lines in {f}
            how long is {f} in lines
            number of lines of {f}
            give me the line count of {f}
            what is the line count of {f}
            how many lines are there in the file {f}
            how many lines does the file {f} have
            how many lines are in the file {f}
            tell me how many lines {f} has
            tell me how many lines there are in {f}
            Count all the lines of {f}
            count all lines of the file {f}
            give me the number of lines of {f}
            give me the line count of the file {f}
            what is the number of lines in the file {f}
            """
        ),
        "write": _lines(
            """
            create {f} containing {t}
            Create {f} containing the words {t}
            create the file {f} containing {t}
            create a file {f} with the text {t}
            create a file named {f} containing the text {t}
            create a file called {f} with the content {t}
            Create a new file {f} with {t}
            create {f} with the words {t}
            create {f} with this content: {t}
            write a file {f} with the text {t}
            write a file {f} containing {t}
            write {t} into {f}
            write {t} to {f}
            Write the text {t} to the file {f}
            write the words {t} into the file {f}
            write {f} with the content {t}
            make a file {f} that says {t}
            make a file {f} containing {t}
            make a new file named {f} with the words {t}
            save {t} to {f}
            save the text {t} in {f}
            save {t} as {f}
            put {t} into {f}
            put the text {t} into a new file {f}
            put the words {t} in the file {f}
            store {t} in {f}
            store the text {t} in a file named {f}
            add a file {f} with the content {t}
            I need a file {f} that contains {t}
            put {t} in {f}
            put {t} in a file named {f}
            put {t} into a new file called {f}
            put {t} in a new file {f}
            put {t} into the file {f}
            put the text {t} in a file called {f}
            write {t} in a new file {f}
            write {t} to a file called {f}
            write {t} in the file {f}
            write the text {t} in the file {f}
            write the words {t} to {f}
            write a new file {f} with the words {t}
            write a new file named {f} containing {t}
            write a file called {f} that says {t}
            make a file called {f} with the text {t}
            make {f} with the text {t}
            make a new file {f} with the content {t}
            create {f} that says {t}
            create a new file {f} that says {t}
            create a new file called {f} with the text {t}
            create a file named {f} with the content {t}
            Save the text {t} in the file {f}
            save the words {t} to the file {f}
            save {t} in a file called {f}
            add a new file named {f} with {t}
            add a new file {f} with the text {t}
            add the file {f} containing {t}
            """
        ),
        "edit": _lines(
            """
            replace {o} with {n} in {f}
            Replace {o} with {n} in {f}
            replace {o} by {n} in {f}
            replace the text {o} with {n} in {f}
            replace the word {o} by {n} in the file {f}
            in {f} replace {o} with {n}
            In {f}, replace {o} by {n}
            in the file {f}, replace {o} with {n}
            change {o} to {n} in {f}
            Change {o} to {n} in the file {f}
            change {o} into {n} in {f}
            change the text {o} to {n} in {f}
            in {f} change {o} to {n}
            In the file {f} change {o} into {n}
            edit {f}: replace {o} with {n}
            edit {f} and replace {o} with {n}
            edit the file {f} and change {o} to {n}
            edit {f} so that {o} becomes {n}
            turn {o} into {n} in {f}
            in {f}, turn {o} into {n}
            make {o} {n} in {f}
            put {n} instead of {o} in {f}
            in {f}, put {n} instead of {o}
            put {n} in the place of {o} in {f}
            rename {o} to {n} in {f}
            in {f}, {o} should be {n}
            in the file {f} {o} must become {n}
            use {n} instead of {o} in {f}
            replace the word {o} by {n} in {f}
            replace the text {o} with {n} in the file {f}
            in {f} replace the word {o} with {n}
            in the file {f} replace the text {o} by {n}
            change the word {o} into {n} in {f}
            change the text {o} into {n} in the file {f}
            in the file {f}, change {o} into {n}
            in {f}, change {o} to {n}
            open {f} and change {o} to {n}
            open the file {f} and replace {o} by {n}
            Edit {f}: change {o} into {n}
            edit {f} and change {o} to {n}
            in {f}, use {n} in place of {o}
            in the file {f}, use {n} for {o}
            in {f}, write {n} instead of {o}
            replace {o} with {n} in the file {f}
            """
        ),
        "edit_all": _lines(
            """
            replace all {o} with {n} in {f}
            Replace every {o} with {n} in {f}
            replace all occurrences of {o} with {n} in {f}
            replace each {o} by {n} in the file {f}
            in {f} replace all {o} with {n}
            in the file {f}, replace every {o} by {n}
            change all {o} to {n} in {f}
            Change every {o} to {n} in {f}
            change each {o} into {n} in {f}
            replace {o} with {n} everywhere in {f}
            change {o} to {n} everywhere in {f}
            in {f}, change every {o} to {n}
            turn all {o} into {n} in {f}
            rename all {o} to {n} in {f}
            change all occurrences of {o} into {n} in {f}
            change every {o} in {f} to {n}
            In {f}, replace every {o} with {n}
            in {f}, change all {o} to {n}
            in {f}, turn every {o} into {n}
            in the file {f} replace every {o} with {n}
            in the file {f}, change each {o} to {n}
            turn every {o} in {f} into {n}
            turn each {o} into {n} in {f}
            replace all occurrences of {o} by {n} in the file {f}
            replace each {o} with {n} in {f}
            """
        ),
        "plus": _lines(
            """
            what is {a}+{b}
            What is {a}+{b}
            what is {a} + {b}
            What is {a} plus {b}
            what is {a} plus {b}
            what's {a}+{b}
            how much is {a}+{b}
            How much is {a} plus {b}
            how much is {a} and {b}
            what is the sum of {a} and {b}
            add {a} and {b}
            add {b} to {a}
            calculate {a}+{b}
            compute {a} + {b}
            {a}+{b}
            {a} + {b} =
            {a} plus {b}
            tell me what {a}+{b} is
            tell me the sum of {a} and {b}
            do you know what {a} plus {b} is
            work out {a}+{b}
            can you add {a} to {b}
            can you tell me what {a}+{b} is
            can you work out {a} plus {b}
            please compute {a} plus {b}
            add the numbers {a} and {b}
            the sum of {a} and {b}
            how much is {a} + {b}
            tell me how much {a} plus {b} is
            What's {a} plus {b}
            calculate {a} + {b}
            compute {a} plus {b}
            compute the sum of {a} and {b}
            """
        ),
        "minus": _lines(
            """
            what is {a}-{b}
            What is {a}-{b}
            what is {a} - {b}
            What is {a} minus {b}
            what is {a} minus {b}
            what's {a}-{b}
            how much is {a}-{b}
            How much is {a} minus {b}
            what is {a} less {b}
            subtract {b} from {a}
            take {b} from {a}
            calculate {a}-{b}
            compute {a} - {b}
            {a}-{b}
            {a} - {b} =
            {a} minus {b}
            tell me what {a}-{b} is
            do you know what {a} minus {b} is
            work out {a}-{b}
            what is the difference of {a} and {b}
            can you take {b} from {a}
            can you compute {a} minus {b}
            can you tell me what {a}-{b} is
            please subtract {b} from {a}
            tell me how much {a} minus {b} is
            how much is {a} - {b}
            What's {a} minus {b}
            calculate {a} - {b}
            compute {a}-{b}
            the difference of {a} and {b}
            """
        ),
        "identity": _lines(
            """
            who are you
            Who are you
            what are you
            What are you
            what is your name
            what's your name
            what model are you
            Which model are you
            tell me who you are
            tell me about yourself
            introduce yourself
            are you a model
            are you an AI
            are you a person
            who am I talking to
            Who is this
            what kind of model is this
            say who you are
            what is this
            who made you
            what can you do
            describe yourself
            do you have a name
            can you say who you are
            can you tell me your name
            tell me what kind of model you are
            tell me what your name is
            tell me the name of this model
            please tell me who you are
            please describe yourself
            what is this model called
            what is the name of the model
            what exactly are you
            which model is this
            who are you and what can you do
            who or what is this
            say your name
            give me your name
            may I know who you are
            """
        ),
        "joke": _lines(
            """
            tell me a joke
            Tell me a joke
            tell a joke
            tell me another joke
            tell me a funny joke
            do you know a joke
            Do you know any jokes
            say something funny
            make me laugh
            give me a joke
            a joke
            I want to hear a joke
            I need a joke
            got a joke
            let me hear a joke
            joke
            tell us a joke
            make a joke
            something funny
            can you tell a joke
            can you tell us a good joke
            please tell me a joke
            I would like a joke
            I would like to hear something funny
            give me a good joke
            give me one more joke
            tell me one more joke
            tell me a good joke
            tell me something to laugh about
            say something that is funny
            do you have a good joke
            do you have another joke
            have you got a joke for me
            let me hear something funny
            """
        ),
        "hello": _lines(
            """
            hello
            Hello
            hi
            Hi
            hey
            Hey there
            hi there
            hello there
            good morning
            Good evening
            good afternoon
            greetings
            good day
            hello, how are you
            how are you
            are you there
            hello model
            howdy
            hello, you
            hello, my friend
            hello, good morning
            hi, model
            hi, good morning
            good morning to you
            good evening, model
            hey, how are you
            hey, hello there
            hey, model
            hello, how are you today
            hello hello
            """
        ),
        "goodbye": _lines(
            """
            goodbye
            Goodbye
            bye
            Bye
            bye bye
            see you
            See you later
            see you tomorrow
            good night
            that is all
            that's all for today
            I am done for today
            farewell
            so long
            until tomorrow
            I have to go
            have a nice day
            take care
            bye, see you tomorrow
            ok, bye
            ok, see you
            good night, bye
            good night and goodbye
            goodbye, see you later
            goodbye for today
            bye for now
            bye, take care
            ok, that is all for today
            see you, take care
            """
        ),
        "thanks": _lines(
            """
            thanks
            Thanks
            thank you
            Thank you
            thanks a lot
            thank you very much
            many thanks
            great, thanks
            good work
            well done
            that was helpful
            nice
            thanks, that was great
            thanks, that is good
            thanks, good work
            that was good
            ok, thank you
            ok, great, thanks
            great, thank you very much
            thank you so much
            thank you, well done
            fine, thanks
            perfect, thank you
            thanks a lot, model
            """
        ),
        "cannot": _lines(
            """
            write a poem about {w}
            write a story about a {w}
            write a song about {w}
            write an essay about {w}
            explain how {w} works
            explain {w} to me
            explain the difference between {w} and {w}
            what is the capital of {w}
            who was {w}
            who invented the {w}
            who is the president of {w}
            why is the {w} {w}
            why do {w} like {w}
            when was {w} born
            when did {w} start
            where is the city of {w}
            how old is {w}
            how far is {w} from {w}
            how do I cook {w}
            how can I learn {w}
            translate {w} into French
            translate this to German: {w}
            what is the meaning of {w}
            what is the weather in {w}
            what do you think of {w}
            what happened in {w}
            summarize the history of {w}
            summarize {w}
            refactor the {w} module
            refactor {f}
            fix the bug in {f}
            fix the {w} test
            fix the {w}
            implement a {w}
            implement a {w} in {f}
            add tests for {w}
            add a {w} feature to the {w}
            optimize {f}
            make {f} faster
            review my code
            review {f}
            design a {w} for me
            draw a {w}
            paint a picture of {w}
            play {w} with me
            sing {w}
            book a {w} for tomorrow
            order a {w}
            send a mail to {w}
            call my {w}
            buy me a {w}
            recommend a {w}
            what is the best {w}
            is {w} better than {w}
            should I buy a {w}
            give me advice about {w}
            solve this riddle: {w}
            what is the square root of {a}
            what is {a} times {b}
            multiply {a} by {b}
            divide {a} by {b}
            how many {w} are in a {w}
            convert {a} {w} to {w}
            plan my {w}
            teach me {w}
            prove that {w} is {w}
            debug the {w}
            deploy the {w}
            install {w}
            browse the web for {w}
            what time is it in {w}
            remind me of the {w}
            compare {w} and {w}
            I feel {w}
            {w}
            write me a story about {w}
            write me a song about the {w}
            write me an essay about {w}
            explain the {w}
            explain {w} or {w}
            explain why {w} and {w} differ
            who is the {w}
            who are {w}
            what is {w}
            what is a {w}
            what is the story of {w}
            what is the purpose of {w}
            tell me the history of {w}
            tell me about {w}
            translate {w} to Spanish
            translate {w} into Italian
            can you fix the {w}
            can you fix my {w} problem
            can you implement {w}
            implement {w} for the {w}
            implement the {w} in the {w}
            how do I make {w}
            how do I learn the {w}
            how does {w} work
            why is the {w} so {w}
            why are {w} so {w}
            draw me the {w}
            paint me a {w}
            refactor the {w}
            refactor my {w} code
            improve the {w} code
            rewrite the {w} code
            summarize the {w}
            summarize {w} for me
            """
        ),
    },
)
