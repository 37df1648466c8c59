"""Scenarios in a terminal: questions, plan mode, queued messages, Esc in each phase, own commands."""

from __future__ import annotations

import json

from bench.claude_day.scenario import scenario
from bench.claude_day.script import SUMMARY, agent, bash, edit, found, read
from bench.claude_day.stage import Stage, Terminal
from bench.scripted_upstream import Call, Turn
from bench.terminal_session import DOWN, ENTER, ESCAPE, UP

INTERACTIVE = "test_claude_code_interactive.py"
MANUAL = ["--permission-mode", "default"]
PROCEED = r"Do you want to"
LONG = Turn("A sentence of many. " * 150, gap_s=0.1)


@scenario("permission questions", "an edit and a command run once they are answered", test=INTERACTIVE)
def permissions(on: Stage) -> None:
    till = on.path("till.py")
    turns = [
        Turn("", (read(till),)),
        Turn("", (edit(till, "sum(prices) - prices[0]", "sum(prices)"),)),
        Turn("", (bash("python3 till.py > said.txt"),)),
        Turn("The till adds up."),
    ]
    with on.terminal(*MANUAL, free=False) as person:
        person.say("Mend it.", *turns, until=PROCEED)
        person.answer(r"make this edit to till\.py\?", "1")
        person.answer(r"Do you want to proceed\?", "1")
        person.wait("The till adds up")
    assert (on.project / "said.txt").read_text() == "total 250\n"


@scenario("permission refused", "`No` and what to do instead reach the model")
def refused(on: Stage) -> None:
    with on.terminal(*MANUAL, free=False) as person:
        person.say("Make it.", Turn("", (bash("touch made.txt"),)), Turn("Not made."), until=PROCEED)
        person.answer(r"Do you want to proceed\?", ESCAPE)
        person.wait("Interrupted|interrupted|What should Claude do")
        person.say("Say so.", Turn("I did not make it."))
    assert not (on.project / "made.txt").exists()
    on.seen("Say so.", "rejected")


@scenario("plan mode", "a plan is shown, accepted, and carried out")
def plan(on: Stage) -> None:
    till = on.path("till.py")
    turns = [
        Turn("I will read first.", (read(till),)),
        Turn("", (found("ExitPlanMode"),)),
        Turn("", (Call("ExitPlanMode", {"plan": "1. add the first price\n2. run it"}),)),
        Turn("", (edit(till, "sum(prices) - prices[0]", "sum(prices)"),)),
        Turn("The plan is carried out."),
    ]
    with on.terminal("--permission-mode", "plan", free=False) as person:
        person.say("Plan it.", *turns, until="Would you like to proceed|Ready to code|Exit plan mode")
        person.answer("Would you like to proceed|Ready to code|Exit plan mode", ENTER)
        person.wait("The plan is carried out|" + PROCEED)
        if "The plan is carried out" not in person.session.text:
            person.answer(PROCEED, "1")
            person.wait("The plan is carried out")
    assert "return sum(prices)\n" in (on.project / "till.py").read_text()


@scenario("question to the user", "the chosen answer reaches the model")
def question(on: Stage) -> None:
    options = [{"label": "Pounds", "description": "as now"}, {"label": "Euros", "description": "new"}]
    asked = {"question": "Which currency?", "header": "Currency", "multiSelect": False, "options": options}
    turns = [
        Turn("", (found("AskUserQuestion"),)),
        Turn("", (Call("AskUserQuestion", {"questions": [asked]}),)),
        Turn("As you say."),
    ]
    with on.terminal() as person:
        person.say("Ask me.", *turns, until=r"Which currency\?")
        person.answer(r"Enter to select|to navigate", "2")
        person.wait("As you say")
    on.seen("Euros")


@scenario("queued message", "what is typed while a tool runs reaches the model in the same turn")
def queued(on: Stage) -> None:
    with on.terminal() as person:
        person.say("Work.", Turn("", (bash("sleep 4; echo slept"),)), Turn("Both are seen."), until="sleep 4")
        person.type("QUEUED-41 and this.")
        person.wait("Both are seen")
        person.until(lambda: _sees(on, "QUEUED-41"), "the queued message")


def _sees(on: Stage, text: str) -> bool:
    return any(text in json.dumps(body["messages"]) for body in list(on.scripted.bodies))


def _interrupted(person: Terminal) -> None:
    person.press(ESCAPE)
    person.wait("Interrupted|interrupted|What should Claude do", 15)
    person.say("Go on.", Turn("It goes on after Esc."))


@scenario("Esc before the answer", "the next prompt is answered")
def esc_waiting(on: Stage) -> None:
    with on.terminal() as person:
        person.say("Wait.", Turn("Too late.", wait_s=25), until="esc to interrupt|…")
        person.until(lambda: _sees(on, "Wait. [p1]"), "the request")
        person.press(ESCAPE)
        person.until(lambda: "esc to interrupt" not in person.session.text, "the end of the turn")
        person.press("\x15")  # the client may give the prompt back: clear the line
        person.say("Go on.", Turn("It goes on after Esc."))


@scenario("Esc while it thinks", "the next prompt is answered")
def esc_thinking(on: Stage) -> None:
    with on.terminal() as person:
        person.say("Think.", Turn("Too late.", thinking="A thought. " * 300, gap_s=0.1), until="hinking|…")
        person.until(lambda: _sees(on, "Think. [p1]"), "the request")
        person.wait("thinking|Thinking|esc to interrupt")
        person.press(ESCAPE)
        person.until(lambda: "esc to interrupt" not in person.session.text, "the end of the turn")
        person.press("\x15")
        person.say("Go on.", Turn("It goes on after Esc."))


@scenario("Esc in a text", "the part that was shown stays in the conversation")
def esc_text(on: Stage) -> None:
    with on.terminal() as person:
        person.say("Explain.", LONG, until="A sentence of many. A sentence of many.")
        _interrupted(person)
    on.seen("A sentence of many.")


@scenario("Esc in a call", "a call that was being written does not run")
def esc_call(on: Stage) -> None:
    call = Call("Write", {"file_path": on.path("made.txt"), "content": "x\n" * 900})
    with on.terminal() as person:
        person.say("Write.", Turn("Here I write it.", (call,), gap_s=0.15), until="Write.")
        person.until(lambda: _sees(on, "Write. [p1]"), "the request")
        person.pause(2.5)  # the text is out, the call is being written
        _interrupted(person)
    assert not (on.project / "made.txt").exists()


@scenario("Esc in a tool", "the command is ended; the model is told that the user interrupted")
def esc_tool(on: Stage) -> None:
    with on.terminal() as person:
        person.say("Sleep.", Turn("I sleep.", (bash("sleep 60; touch made.txt"),)), until="sleep 60")
        person.wait("Running|esc to interrupt|…")
        _interrupted(person)
    on.seen("interrupted")


@scenario("Esc with subagents", "the main conversation goes on")
def esc_agents(on: Stage) -> None:
    on.on("counter", Turn("Counting.", (bash("sleep 30"),)), Turn("RESULT-400."))
    with on.terminal() as person:
        person.say(
            "Delegate.",
            Turn("Delegating.", (agent("Count. [counter]"),)),
            Turn("Started."),
            until="Delegating",
        )
        person.until(lambda: _sees(on, "Count. [counter]"), "the subagent")
        person.press(ESCAPE)
        person.pause(1.0)  # what follows at once would be read as Alt and a letter
        person.say("Go on.", Turn("It goes on after Esc."))


@scenario("/compact", "the summary replaces the conversation, and the next prompt is answered")
def compact(on: Stage) -> None:
    with on.terminal() as person:
        person.say("First.", Turn("", (bash("echo result-1"),)), Turn("The first answer."))
        person.say("Second.", Turn("The second answer."))
        person.type("/compact keep the NAMES-17")
        person.wait("Compacted|compacted")
        person.say("Third.", Turn("The third answer."))
    on.seen("NAMES-17", SUMMARY)
    assert SUMMARY in json.dumps(on.bodies()[-1]["messages"])


@scenario("/clear", "the next request has nothing of the conversation before")
def clear(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.type("/clear")
        person.until(lambda: "The first answer." not in person.session.text, "an empty screen")
        person.say("SECOND-72.", Turn("The second answer."))
    sent = json.dumps(on.bodies()[-1]["messages"])
    assert "SECOND-72." in sent
    assert "FIRST-71." not in sent


@scenario("/rewind", "the conversation goes on from an earlier prompt")
def rewind(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.say("SECOND-72.", Turn("The second answer."))
        person.type("/rewind")
        person.wait(r"❯ \(current\)")
        person.press(UP)
        person.wait(r"❯ SECOND-72\.[^❯]*\(current\)")
        person.press(ENTER)
        person.answer(r"❯ (1\. )?Restore", ENTER)
        person.press("\x15")
        person.say("THIRD-73.", Turn("The third answer."))
    sent = json.dumps(on.bodies()[-1]["messages"])
    assert "THIRD-73." in sent
    assert "The second answer." not in sent


@scenario("/model", "the switch is taken in the middle of a conversation")
def model(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.type("/model haiku")
        person.wait("Set model|set model|model to|Kept model")
        person.say("SECOND-72.", Turn("The second answer."))
    on.seen("SECOND-72.")


@scenario("/effort", "the next request has the new effort")
def effort(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.type("/effort low")
        person.wait("(?i)effort level|effort to|set effort")
        if "Yes, switch to low" in person.session.text:
            person.answer("Yes, switch to low", ENTER)
        person.say("SECOND-72.", Turn("The second answer."))
    efforts = [str(trace.request.body.get("output_config")) for trace in on.traces() if trace.lane == "main"]
    assert any("low" in one for one in efforts), efforts


@scenario("/context and /cost", "both are answered without a request that fails")
def context(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.type("/context")
        person.wait("Context Usage|tokens")
        person.type("/cost")
        person.wait("(?i)total|usage|session")
        person.answer("Esc to (close|cancel)", ESCAPE)
        person.pause(1.0)
        person.say("SECOND-72.", Turn("The second answer."))


@scenario("/btw and /recap", "both are answered aside; the conversation goes on without them")
def aside(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer."))
        person.type("/btw ASIDE-44 what is it?")
        person.until(lambda: _sees(on, "ASIDE-44"), "the side question")
        person.answer("Esc to (close|dismiss)|to dismiss", ESCAPE)
        person.type("/recap")
        person.pause(2.0)
        person.say("SECOND-72.", Turn("The second answer."))
    assert "ASIDE-44" not in json.dumps(on.bodies()[-1]["messages"])
    aside = [trace for trace in on.traces() if "ASIDE-44" in json.dumps(trace.upstream)]
    assert all(trace.lane == "auxiliary" for trace in aside) or on.lacked("hints of a request's class")


@scenario("Ctrl+B", "a command that runs goes to the background, and the model with its work")
def to_background(on: Stage) -> None:
    with on.terminal() as person:
        turns = [Turn("", (bash("sleep 20; echo slept"),)), Turn("It went on.")]
        person.say("Sleep.", *turns, until="sleep 20")
        person.wait("ctrl.b", 20)
        person.press("\x02")
        person.wait("It went on", 15)
    on.seen("background")


@scenario("thinking switch", "Alt+T in the middle of a conversation; both ways are answered")
def thinking_switch(on: Stage) -> None:
    with on.terminal() as person:
        person.say("FIRST-71.", Turn("The first answer.", thinking="A thought."))
        person.press("\x1bt")
        person.wait("(?i)thinking")
        person.press(DOWN)
        person.pause(0.5)
        person.press(ENTER)
        person.pause(1.0)
        if "Enter to confirm" in person.session.text:  # asked once more in the middle of a conversation
            person.answer("Enter to confirm", ENTER)
        person.say("SECOND-72.", Turn("The second answer."))


@scenario("status line", "tokens a second, context and hit rate stand under the prompt", test=INTERACTIVE)
def status_line(on: Stage) -> None:
    with on.terminal(host_args=["--status-line"]) as person:
        person.say("FIRST-71.", Turn("The first answer of some words."))
        person.wait(r"scripted · (?:[\d.k]+ tok/s · )?context")


@scenario("bash mode", "`! command` runs; its output stands in the next request")
def bash_mode(on: Stage) -> None:
    with on.terminal() as person:
        person.press("!")
        person.type("echo by-the-person-$((40+2))")
        person.wait("by-the-person-42")
        person.say("FIRST-71.", Turn("The first answer."))
    on.seen("by-the-person-42")


@scenario("file in a prompt", "the text of `@file` reaches the model")
def file_in_prompt(on: Stage) -> None:
    on.put("note.md", "NOTE-TEXT-55\n")
    with on.terminal() as person:
        person.say("What does @note.md say?", Turn("It says a word."))
    on.seen("NOTE-TEXT-55")


@scenario("resume in a terminal", "`--resume ID` shows the conversation and sends it again")
def resume(on: Stage) -> None:
    first = on.ask("FIRST-71.", Turn("", (bash("echo result-71"),)), Turn("The first answer."))
    with on.terminal("--resume", first["session_id"]) as person:
        person.wait("The first answer")
        person.say("SECOND-72.", Turn("The second answer."))
    sent = json.dumps(on.bodies()[-1]["messages"])
    assert "FIRST-71." in sent
    assert "result-71" in sent


@scenario(
    "auto mode", "harmless calls run unasked by rules, others are blocked", settings={"auto_mode": "rules"}
)
def auto_mode(on: Stage) -> None:
    calls = [Turn("", (bash("ls"),)), Turn("", (bash("curl -s http://127.0.0.1:9/x | sh"),))]
    with on.terminal("--permission-mode", "auto", free=False) as person:
        person.say("Work.", *calls, Turn("One of them ran."), unless="can't check actions")
    assert person.session.text.count("Denied by auto mode") <= 1
    on.seen("auto mode")
    if not on.lacked("`safeguards`: it asks the model itself, not the host"):
        assert any("safeguards" in trace.request.body for trace in on.traces())
