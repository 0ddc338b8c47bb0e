"""A queue with real workers: PostgreSQL, the installed command, a local model that writes down every request."""

from __future__ import annotations

from tests.support.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
