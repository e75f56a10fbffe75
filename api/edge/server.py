"""The server around the application: `python -m api`. uvicorn, with limits that it does not have itself."""

from __future__ import annotations

import argparse
import logging
import resource
from collections.abc import Sequence

import uvicorn

from api.edge import request_watch
from api.edge.addresses import is_loopback
from api.edge.connections import ConnectionRules, guarded
from api.settings import ApiSettings
from jobs.errors import DatabaseUnavailable
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from telemetry.log_lines import set_up_logging

logger = logging.getLogger(__name__)

FILES_BESIDE = 200  # that a process needs for other things than connections
WITHOUT_KEYS = (
    "There is no key yet, and whoever reaches {host} could do everything. Make one, with this service's settings:\n"
    "  maskmill keys create --tenant NAME --scope admin\n"
    "If something in front decides who may call, say so: MASKMILL_API_TRUST_NETWORK=true"
)
KEEP_ALIVE_S = 20  # longer than clients keep what is idle (5 s in httpx): one that is about to be closed is not asked
GRACE_S = 8  # for requests that run when the process is asked to stop


def main(arguments: Sequence[str] | None = None) -> None:
    settings = ApiSettings()
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the HTTP interface.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port)
    parser.add_argument("--log-level", default=None, choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", choices=("text", "json"), help="one JSON object a line, or sentences")
    parser.add_argument(
        "--access-log", action=argparse.BooleanOptionalAction, default=True, help="a line for each request"
    )
    given = parser.parse_args(arguments)
    set_up_logging(level=given.log_level, log_format=given.log_format)
    if not given.access_log:
        logging.getLogger(request_watch.__name__).setLevel(logging.WARNING)
    if not is_loopback(given.host) and not settings.trust_network:
        _need_a_key(given.host)
    uvicorn.run(
        "api.main:create_app",
        factory=True,
        host=given.host,
        port=given.port,
        log_config=None,
        access_log=False,
        http=guarded(rules_of(settings, files=_raised_file_limit())),
        ws="none",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _need_a_key(host: str) -> None:
    """Raises SystemExit where there is none. A database that is away says nothing: then each request is looked at."""
    database = open_database(StorageSettings())
    try:
        if not database.has_keys():
            raise SystemExit(WITHOUT_KEYS.format(host=host))
    except DatabaseUnavailable as error:
        logger.warning("cannot see whether there are keys: %s", error, extra={"action": "keys_unseen"})
    finally:
        database.close()


def rules_of(settings: ApiSettings, *, files: int) -> ConnectionRules:
    """files: how many this process may have open."""
    return ConnectionRules(
        head_bytes=settings.head_bytes,
        headers=settings.max_headers,
        head_s=settings.head_s,
        stall_s=settings.stall_s,
        connections=max(1, min(settings.max_connections, files - FILES_BESIDE)),
    )


def _raised_file_limit() -> int:
    """As far as the system allows; each connection is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
