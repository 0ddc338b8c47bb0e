"""Bad input of the document workflows through the real command: one clear sentence, the right exit code, no harm done."""

from __future__ import annotations

import pytest

from tests.acceptance.cli import Cli
from tests.acceptance.test_bad_input import one_sentence
from windlass.testing.server import OpenAIServer

#: What a terminal that is not set to UTF-8 hands over for "café".
LATIN = "caf\udce9"


def nothing_kept(cli: Cli, server: OpenAIServer) -> None:
    """Nothing was asked of the model, and no run stands in the list."""
    assert server.count() == 0
    assert cli("runs", "list", "--json").out.strip() == "[]"


@pytest.mark.parametrize("workflow", ["coding", "chat", "write", "write-pages", "write-tests", "auto"])
def test_message_that_is_not_utf8(cli: Cli, server: OpenAIServer, workflow: str) -> None:
    what = "requirement" if workflow == "coding" else "message"
    one_sentence(cli("run", workflow, LATIN, "--quiet"), 2, f"The {what} is not UTF-8 text (character 4)")
    nothing_kept(cli, server)
