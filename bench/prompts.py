"""What fetching a prompt costs: Windlass on SQLite and PostgreSQL beside Langfuse's SDK and MLflow, in one run.

    python bench/prompts.py [--rounds 5] [--postgres URL] [--peers-python PATH] [--json FILE]

``--peers-python`` is an interpreter that has ``langfuse`` and ``mlflow`` (either may be missing).
Langfuse's SDK talks to a local server that answers at once. Figures are microseconds a call: the median of
the rounds and their range. What is measured:

- *memory*: the text a step already holds (``current_prompt``), or the SDK's cache;
- *cached*: a fetch that first makes sure nobody switched the version (``resolve``);
- *switched*: the first fetch after another process put another version in effect;
- *cold*: the first fetch of a new process's store, connecting included;
- *add*, *use*: storing a version and putting it in effect, on stable storage;
- *away*: a fetch while the database or server cannot be reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

PROMPT = "You are a careful engineer. {{requirement}}\n" * 40
Figures = dict[str, list[float]]

PEERS = r"""
import json, sys, threading, time, logging, warnings, os, tempfile
logging.disable(logging.CRITICAL); warnings.simplefilter("ignore")
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
prompt, rounds = sys.argv[1], int(sys.argv[2])
found = {}
def timed(key, work, times):
    start = time.perf_counter()
    for _ in range(times):
        work()
    found.setdefault(key, []).append((time.perf_counter() - start) / times * 1e6)
class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"id": "1", "name": "p", "version": 1, "prompt": prompt, "type": "text", "labels": ["production"],
            "tags": [], "config": {}, "isActive": True, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            "projectId": "x", "createdBy": "x"}).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *a): pass
try:
    from langfuse import Langfuse
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Langfuse(public_key="pk", secret_key="sk", base_url=f"http://127.0.0.1:{server.server_port}", tracing_enabled=False)
    client.get_prompt("p")
    for _ in range(rounds):
        timed("langfuse memory", lambda: client.get_prompt("p"), 2000)
        timed("langfuse cold", lambda: client.get_prompt("p", cache_ttl_seconds=0), 20)
    away = Langfuse(public_key="pk2", secret_key="sk", base_url="http://127.0.0.1:1", tracing_enabled=False)
    timed("langfuse away", lambda: away.get_prompt("q", fallback=prompt), 1)
except Exception as error:
    found["langfuse: " + repr(error)[:200]] = []
try:
    folder = tempfile.mkdtemp()
    os.environ["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_REGISTRY_URI"] = f"sqlite:///{folder}/m.db"
    import mlflow
    mlflow.genai.register_prompt(name="p", template=prompt)
    mlflow.genai.set_prompt_alias("p", alias="production", version=1)
    for _ in range(rounds):
        mlflow.genai.load_prompt("prompts:/p@production")
        timed("mlflow memory", lambda: mlflow.genai.load_prompt("prompts:/p@production"), 200)
        timed("mlflow cold", lambda: mlflow.genai.load_prompt("prompts:/p@production", cache_ttl_seconds=0), 10)
        timed("mlflow add", lambda: mlflow.genai.register_prompt(name="p", template=prompt), 5)
        timed("mlflow use", lambda: mlflow.genai.set_prompt_alias("p", alias="production", version=1), 5)
except Exception as error:
    found["mlflow: " + repr(error)[:200]] = []
print("\n" + json.dumps(found))
os._exit(0)
"""


def timed(work: Callable[[], object], times: int) -> float:
    """Microseconds a call."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times * 1e6


def windlass(url: str, rounds: int) -> Figures:
    """One database's figures."""
    from windlass.prompt import PromptVersioningMixin
    from windlass.store.base import Database
    from windlass.store.prompts import SqlPromptStore

    class Step(PromptVersioningMixin):
        prompt_name = "bench"
        default_prompt = PROMPT

    databases = [Database(url), Database(url)]
    mine, other = (SqlPromptStore(database) for database in databases)
    step, numbers, found = Step(), count(), Figures()
    step.repository = mine
    step.get_current_effective_prompt()
    second = other.add("bench", PROMPT + "second")

    def note(key: str, value: float) -> None:
        found.setdefault(key, []).append(value)

    def cold() -> None:
        database = Database(url)
        store = SqlPromptStore(database)
        store.resolve("bench", PROMPT)
        store.close()
        database.close()

    for _ in range(rounds):
        note("memory", timed(lambda: step.current_prompt, 20_000))
        note("cached", timed(lambda: mine.resolve("bench", PROMPT), 1000))
        other.use("bench", 1)
        mine.resolve("bench", PROMPT)
        for version in (second, 1) * 5:
            other.use("bench", version)
            note("switched", timed(lambda: mine.resolve("bench", PROMPT), 1))
        note("cold", timed(cold, 5))
        note("use", timed(lambda: other.use("bench", 1 + next(numbers) % 2 * (second - 1)), 10))
    for _ in range(rounds):
        note("add", timed(lambda: mine.add("bench", f"{PROMPT} {next(numbers)}"), 10))
    for store, database in zip((mine, other), databases, strict=True):
        store.close()
        database.close()
    return found


def away(rounds: int) -> list[float]:
    """Fetches from a server that refuses connections: the first asks it, the others know."""
    from windlass.store.base import Database
    from windlass.store.prompts import SqlPromptStore

    store = SqlPromptStore(Database("postgresql://nobody@127.0.0.1:1/none"))
    return [timed(lambda: store.resolve("bench", PROMPT), 1) for _ in range(rounds)]


def peers(python: str, rounds: int) -> Figures:
    """The others' figures, from their own interpreter."""
    done = subprocess.run(
        [python, "-c", PEERS, PROMPT, str(rounds)], capture_output=True, text=True, check=True
    )
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    parser.add_argument("--peers-python", metavar="PATH")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for key, figures in windlass(f"sqlite:///{folder}/w.db", arguments.rounds).items():
            results[f"windlass sqlite {key}"] = figures
    if arguments.postgres:
        for key, figures in windlass(arguments.postgres, arguments.rounds).items():
            results[f"windlass postgresql {key}"] = figures
    first, *later = away(arguments.rounds + 1)
    results |= {"windlass away, first": [first], "windlass away, then": later}
    if arguments.peers_python:
        results |= peers(arguments.peers_python, arguments.rounds)
    print(f"{'µs a call':<32}{'median':>12}{'least':>12}{'most':>12}")
    for key, figures in results.items():
        if figures:
            print(f"{key:<32}{statistics.median(figures):>12.1f}{min(figures):>12.1f}{max(figures):>12.1f}")
        else:
            print(f"{key}: not measured")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
