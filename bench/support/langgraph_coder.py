"""The shop task as a LangGraph graph with a SQLite checkpointer; run by ``bench/peers.py`` in LangGraph's own venv.

    python langgraph_coder.py DATABASE TASK_FILE TEST_COMMAND...

Written as LangGraph's own documentation writes such graphs: one node a model call, the files written in the node that
got the reply. Started again with the same database it goes on after the last node that ended. It asks as often as Windlass
does: requirement, design, three files, a repair, a summary.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from openai import OpenAI

PATHS = ("money.py", "cart.py", "receipt.py")
MAX_REPAIRS = 3


class State(TypedDict, total=False):
    task: str
    criteria: str
    plan: str
    written: list[str]
    failures: str
    repairs: int
    summary: str


client = OpenAI()


def ask(step: str, *parts: str) -> str:
    content = "\n\n".join((f"STEP: {step}", *parts))
    reply = client.chat.completions.create(
        model="test-model",
        messages=[
            {"role": "system", "content": "You are an experienced software engineer."},
            {"role": "user", "content": content},
        ],
    )
    return reply.choices[0].message.content or ""


def save(reply: str) -> str:
    found = re.search(r"^(\S+)\n```\w*\n(.*?)^```", reply, re.DOTALL | re.MULTILINE)
    assert found is not None, reply
    Path(found[1]).write_text(found[2])
    return found[1]


def shown() -> str:
    return "\n\n".join(f"{path}\n```\n{Path(path).read_text()}```" for path in PATHS if Path(path).exists())


def requirement(state: State) -> State:
    return {"criteria": ask("requirement", "State acceptance criteria for this task.", state["task"])}


def design(state: State) -> State:
    return {
        "plan": ask(
            "design", "Plan the files.", state["task"], state["criteria"], Path("test_shop.py").read_text()
        )
    }


def write(state: State) -> State:
    path = PATHS[len(state.get("written", []))]
    tests = Path("test_shop.py").read_text()
    reply = ask(f"write {path}", f"Write {path}.", state["task"], state["plan"], tests, shown())
    return {"written": [*state.get("written", []), save(reply)]}


def test(state: State) -> State:
    done = subprocess.run(sys.argv[3:], capture_output=True, text=True)
    return {"failures": "" if done.returncode == 0 else done.stdout[-6000:]}


def repair(state: State) -> State:
    save(ask("repair", "Repair what fails.", state["task"], shown(), state["failures"]))
    return {"repairs": state.get("repairs", 0) + 1}


def summary(state: State) -> State:
    return {"summary": ask("summary", "Summarise.", state["task"], ", ".join(state["written"]))}


def after_write(state: State) -> str:
    return "write" if len(state["written"]) < len(PATHS) else "test"


def after_test(state: State) -> str:
    return "repair" if state["failures"] and state.get("repairs", 0) < MAX_REPAIRS else "summary"


def main() -> None:
    graph = StateGraph(State)
    for node in (requirement, design, write, test, repair, summary):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "requirement")
    graph.add_edge("requirement", "design")
    graph.add_edge("design", "write")
    graph.add_conditional_edges("write", after_write, ["write", "test"])
    graph.add_conditional_edges("test", after_test, ["repair", "summary"])
    graph.add_edge("repair", "test")
    graph.add_edge("summary", END)
    saver = SqliteSaver(sqlite3.connect(sys.argv[1], check_same_thread=False))
    app: Any = graph.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "shop"}}
    begun = app.get_state(config).values
    app.invoke(None if begun else {"task": Path(sys.argv[2]).read_text()}, config, durability="sync")
    if app.get_state(config).values.get("failures"):
        sys.exit(1)


if __name__ == "__main__":
    main()
