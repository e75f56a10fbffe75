"""PostgreSQL's driver, and how its connections are made. Imported where the database is such a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

# A server that vanished with its network is given up within half a minute, not after the kernel's two hours.
ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
CONNECT_S = 4
PING_S = 2.0


def postgresql(url: URL, *, wait_s: float, answer_s: float | None, **common: Any) -> Engine:
    options = f"-c lock_timeout={int(wait_s * 1000)} -c timezone=UTC"
    if answer_s is not None:  # a process that froze or is out of reach keeps its locks for no longer than this
        options += f" -c idle_in_transaction_session_timeout={int(2 * answer_s * 1000)}"
    arguments = {"connect_timeout": CONNECT_S, "options": options, "application_name": "maskmill", **ALIVE}
    engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, **common)
    if answer_s is not None:
        event.listen(engine, "do_connect", partial(_connect_patiently, answer_s))
        engine.dialect.do_ping = partial(_ping, engine.dialect.do_ping)  # type: ignore[method-assign]
    return engine


class PatientConnection(psycopg.Connection[Any]):
    """Gives a server up that is there and says nothing: one that is frozen, or behind a network that lost its way.

    The server's own `statement_timeout` is of no use then, and the kernel still confirms what it was sent.
    """

    answer_s = 30.0

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        return super().wait(self._limited(gen), *arguments, **options)

    def _limited(self, gen: Any) -> Generator[Any, Any, Any]:
        """The steps of one exchange, which the driver also resumes ten times a second when nothing comes."""
        give_up = time.monotonic() + self.answer_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > give_up:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server said nothing for {self.answer_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as over:
            return over.value


def _connect_patiently(
    answer_s: float, _dialect: object, _record: object, arguments: Sequence[Any], options: dict[str, Any]
) -> PatientConnection:
    connection = PatientConnection.connect(*arguments, **options)
    connection.answer_s = answer_s
    return connection


def _ping(ping: Callable[[Any], bool], connection: PatientConnection) -> bool:
    """A connection of the pool is tried with less patience: when it is dead, another has to be made yet."""
    patience_s, connection.answer_s = connection.answer_s, min(PING_S, connection.answer_s)
    try:
        return ping(connection)
    finally:
        connection.answer_s = patience_s
