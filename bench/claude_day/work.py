"""Scenarios of ordinary work: prompts, permissions, todo lists, subagents, background commands."""

from __future__ import annotations

import json

from bench.claude_day.scenario import scenario
from bench.claude_day.script import agent, bash, edit, found, read, write
from bench.claude_day.stage import FREE, Stage
from bench.scratch_project import ScratchProject
from bench.scripted_upstream import Call, Turn

WITH_TOOLS = "test_claude_code_with_tools.py"
BROKEN_CALLS = "test_claude_code_with_broken_calls.py"


@scenario("plain answer", "the answer is the model's", test="test_claude_command.py")
def plain(on: Stage) -> None:
    on.ask("Who are you?", Turn("I am a model of your own."))
    on.seen("Who are you?")


@scenario("eight rounds of tools", "reads, edits, writes and runs; each result arrives", test=WITH_TOOLS)
def mend(on: Stage) -> None:
    on.ask("Mend the till.", *ScratchProject(on.project).rounds())
    assert "What was wrong" in (on.project / "report.md").read_text()
    on.seen("total 250", "File does not exist")


@scenario("parallel calls", "four calls of one answer run, one of them fails", test=WITH_TOOLS)
def parallel(on: Stage) -> None:
    calls = (bash("echo word-one"), bash("echo word-two"), read(on.path("till.py")), bash("exit 7"))
    on.ask("All at once.", Turn("Four.", calls), Turn("Four are done."))
    on.seen("word-one", "word-two", "Adds up a bill", "Exit code 7")


@scenario("calls that fail", "the model gets each error and the turn goes on", test=BROKEN_CALLS)
def failing(on: Stage) -> None:
    on.ask(
        "Try.",
        Turn("", (edit(on.path("till.py"), "no such text", "x"),)),
        Turn("", (Call("NoSuchTool", {"a": 1}),)),
        Turn("", (Call("Read", {}),)),
        Turn("", (Call("Bash", {"command": ["ls"], "description": "x"}),)),
        Turn("", (bash("echo still-here"),)),
        Turn("All was tried."),
    )
    on.seen("still-here")


@scenario("call cut in the middle", "arguments that end early are told to the model", test=BROKEN_CALLS)
def cut_call(on: Stage) -> None:
    cut = Call("Write", {}, written='{"file_path": "long.txt", "content": "aaaa aaaa ')
    on.ask("Write.", Turn("Writing.", (cut,), ends="length"), Turn("I gave up on the file."))
    assert not (on.project / "long.txt").exists()


@scenario("no permission", "a refused command is an error for the model, not for the turn")
def refused(on: Stage) -> None:
    on.ask("Make it.", Turn("", (bash("touch made.txt"),)), Turn("I may not."), free=False)
    assert not (on.project / "made.txt").exists()
    assert len(on.bodies()) == 2


@scenario("allowed tools", "`--allowedTools` lets one command through and no other")
def allowed(on: Stage) -> None:
    calls = (bash("touch made.txt"), bash("touch other.txt"))
    args = ["--allowedTools", "Bash(touch made.txt)"]
    on.ask("Make both.", Turn("", calls), Turn("One is made."), args=args, free=False)
    assert (on.project / "made.txt").exists()
    assert not (on.project / "other.txt").exists()


@scenario("deny rules", "a rule of the project's settings holds", test="test_claude_command.py")
def denied(on: Stage) -> None:
    on.put(".claude/settings.json", {"permissions": {"deny": ["Bash(touch *)"]}})
    on.ask("Make it.", Turn("", (bash("touch made.txt"),)), Turn("It is denied."))
    assert not (on.project / "made.txt").exists()
    on.seen("denied")


@scenario("accept edits", "an edit needs no answer in this mode, a command does")
def accept_edits(on: Stage) -> None:
    calls = (
        write(on.path("new.txt"), "new\n"),
        bash("python3 -c 'open(1).close()' ; python3 till.py > made.txt"),
    )
    on.ask("Go.", Turn("", calls), Turn("Half of it."), args=["--permission-mode", "acceptEdits"], free=False)
    assert (on.project / "new.txt").exists()
    assert not (on.project / "made.txt").exists()


@scenario("todo and task tools", "tasks are made, changed and listed, where the client has the tools")
def todo(on: Stage) -> None:
    todos = [{"content": "First thing", "status": "in_progress", "activeForm": "Doing it"}]
    tasks = [
        (Call("TaskCreate", {"subject": "First thing", "description": "do it"}),),
        (Call("TaskUpdate", {"taskId": "1", "status": "completed"}), Call("TaskList", {})),
    ]

    def task(step: int, _: int) -> Turn:
        names = {tool["function"]["name"] for tool in on.bodies()[-1]["tools"]}
        if step == 0 and "ToolSearch" in names:
            return Turn("", (found("TaskCreate", "TaskUpdate", "TaskList", "TodoWrite"),))
        calls = tasks if "TaskCreate" in names else [(Call("TodoWrite", {"todos": todos}),)]
        done = step - ("ToolSearch" in names)
        known = calls[0][0].name in names
        return Turn("", calls[done]) if known and done < len(calls) else Turn("The list is done.")

    on.ask("Plan it.", task=task, says="The list is done.", env={"CLAUDE_CODE_ENABLE_TASKS": "1"})
    assert all("Error" not in str(message) for message in on.bodies()[-1]["messages"][2:])


@scenario("subagents in parallel", "two at once; both results reach the main model", test=WITH_TOOLS)
def subagents(on: Stage) -> None:
    on.on("counter", Turn("", (bash("wc -l log.txt"),)), Turn("There are RESULT-400 prices."))
    on.on("finder", Turn("", (bash("grep -c box shelf.txt"),)), Turn("There are RESULT-420 boxes."))
    calls = (agent("Count. [counter]"), agent("Find. [finder]", "Explore"))
    on.ask("Delegate.", Turn("Two.", calls), Turn("Both have reported."))
    on.seen("RESULT-400", "RESULT-420")


@scenario("subagent in the background", "the main turn goes on; the result comes as a notification")
def background_agent(on: Stage) -> None:
    on.on("counter", Turn("", (bash("sleep 1; wc -l log.txt"),)), Turn("There are RESULT-400 prices."))
    call = agent("Count. [counter]", run_in_background=True)
    on.ask(
        "Delegate.",
        Turn("", (call,)),
        Turn("", (bash("sleep 4; echo meanwhile-done"),)),
        Turn("It is reported."),
        says="",
    )
    on.seen("RESULT-400", "meanwhile-done")


@scenario("own subagent", "an agent of `.claude/agents` has its own system text and tools")
def own_agent(on: Stage) -> None:
    on.put(
        ".claude/agents/counter.md",
        "---\nname: counter\ndescription: Counts\ntools: Bash\n---\nAGENT-TEXT-9981 count well.\n",
    )
    on.on("counter", Turn("", (bash("wc -l log.txt"),)), Turn("RESULT-400."))
    on.ask("Delegate.", Turn("", (agent("Count. [counter]", "counter"),)), Turn("It is counted."))
    on.seen("AGENT-TEXT-9981", "RESULT-400")


@scenario("background command", "its end is told, and its output is read")
def background(on: Stage) -> None:
    on.ask(
        "Start it.",
        Turn("", (bash("sleep 1; echo background-word", run_in_background=True),)),
        Turn("", (bash("sleep 4; echo waited"),)),
        Turn("It has ended."),
        says="",
    )
    on.seen("waited", "ackground")


@scenario("30 rounds", "each of thirty results arrives, in order")
def rounds(on: Stage) -> None:
    turns = [Turn(f"Round {n}.", (bash(f"echo result-{n}; seq 1 {20 + n}"),)) for n in range(30)]
    on.ask("Go on.", *turns, Turn("Thirty rounds are done."))
    on.seen(*(f"result-{n}" for n in range(30)))


@scenario("turns are limited", "`--max-turns` ends the session with its own error")
def max_turns(on: Stage) -> None:
    turn = Turn("", (bash("echo once-more"),))
    result = on.ask("Go on.", turn, turn, turn, turn, says="None", args=["--max-turns", "2"], code=1)
    assert result["subtype"] == "error_max_turns", result


@scenario("structured output", "the answer has the schema's form")
def structured(on: Stage) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }

    def answer(step: int, _: int) -> Turn:
        return Turn("Ada, 36.") if step else Turn("", (Call("StructuredOutput", {"name": "Ada", "age": 36}),))

    result = on.ask("Who?", task=answer, args=["--json-schema", json.dumps(schema)])
    assert result["structured_output"] == {"name": "Ada", "age": 36}, result


@scenario("stream of events", "`stream-json` with partial messages gives the text as it comes")
def stream_json(on: Stage) -> None:
    prompt = on.next_prompt("Go.", [Turn("Here it comes, word by word.")])
    args = ["-p", prompt, "--output-format", "stream-json", "--verbose", "--include-partial-messages", FREE]
    ended = on.run(args)
    events = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    parts = [
        event["event"]["delta"].get("text", "")
        for event in events
        if event["type"] == "stream_event" and event["event"]["type"] == "content_block_delta"
    ]
    assert "".join(parts) == "Here it comes, word by word.", parts
    assert len(parts) > 1


@scenario("several prompts on stdin", "`stream-json` input: each message has its answer")
def stream_input(on: Stage) -> None:
    asked = [on.next_prompt(f"Prompt {n}.", [Turn(f"Answer {n}.")]) for n in (1, 2, 3)]
    messages = [{"type": "user", "message": {"role": "user", "content": text}} for text in asked]
    stdin = "".join(json.dumps(message) + "\n" for message in messages)
    args = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", FREE]
    ended = on.run(args, stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    assert "Answer 3." in ended.stdout, ended.stdout[-800:]
    on.seen("Prompt 1.", "Prompt 2.", "Prompt 3.")


@scenario("own system text", "`--append-system-prompt` and CLAUDE.md reach the model")
def system_text(on: Stage) -> None:
    on.ask("Hello.", Turn("Hello."), args=["--append-system-prompt", "APPENDED-TEXT-31"])
    on.seen("APPENDED-TEXT-31", "Run `python3 till.py` after a change.")
    on.ask("Hello.", Turn("Hello again."), args=["--system-prompt", "REPLACED-TEXT-32"])
    on.seen("REPLACED-TEXT-32")
