"""Statements compiled once and handed to the driver as text, for rows that are written thousands of times.

Executing a SQLAlchemy statement costs three times what the driver needs for a small row: each time a cache key is
looked up, parameters are worked out and a result is set up. Errors are SQLAlchemy's all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement


class Prepared:
    """A statement that gives no rows, for rows of parameters with these names. It takes no lists (``IN``) and no
    column's default of Python's making."""

    def __init__(self, statement: Executable, dialect: Dialect, names: Sequence[str]) -> None:
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=dialect, column_keys=list(names), for_executemany=True)
        assert isinstance(compiled, SQLCompiler)
        self._sql = str(compiled)
        #: Values that the statement itself holds.
        self._own = {bind.key: bind.value for bind in compiled.bind_names if bind.key not in names}
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._positional = compiled.positiontup is not None
        #: By place: the name in the SQL, the name in the row, and how the driver wants it.
        self._places = [
            (name, binds[name].key, binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or binds
        ]

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Once for each row, in one call of the driver. Raises what ``connection.execute`` would raise."""
        given = [{**self._own, **row} for row in rows] if self._own else rows
        parameters: Sequence[Any]
        if self._positional:
            parameters = [
                tuple([row[key] if to is None else to(row[key]) for _, key, to in self._places])
                for row in given
            ]
        else:
            parameters = [
                {name: row[key] if to is None else to(row[key]) for name, key, to in self._places}
                for row in given
            ]
        connection.exec_driver_sql(self._sql, parameters)
