"""A worker whose network was cut must notice: what its connections ask of the operating system."""

from __future__ import annotations

import psycopg

from windlass.store.base import Database
from windlass.store.connect import parse_url, postgres_settings


def _in_use(url: str) -> dict[str, str]:
    database = Database(url)
    try:
        with database.reading() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            return driver.info.get_parameters()
    finally:
        database.close()


def test_a_cut_connection_is_noticed_within_half_a_minute_unless_the_url_says_otherwise(
    postgres_url: str,
) -> None:
    used = _in_use(postgres_url)
    silent = int(used["keepalives_idle"]) + int(used["keepalives_interval"]) * int(used["keepalives_count"])
    assert silent <= 30
    assert 0 < int(used["tcp_user_timeout"]) <= 30_000
    other = _in_use(f"{postgres_url}&keepalives_idle=77&connect_timeout=3")
    assert (other["keepalives_idle"], other["connect_timeout"]) == ("77", "3")
    assert other["keepalives_count"] == used["keepalives_count"]


def test_the_queue_uses_the_same() -> None:
    asked = postgres_settings(parse_url("postgresql://h/d?tcp_user_timeout=5"))
    assert "tcp_user_timeout" not in asked
    assert asked["keepalives_idle"] > 0
