"""Where log lines of a process go, and how they look: a sentence with `name=value`, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

from telemetry.secrets import without_secrets
from telemetry.settings import LogFormat, LogSettings
from telemetry.trail import current, joined

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "data"})  # data: Celery's own

# What these say at INFO, our own lines say too, and with more: a message that came, a task that ended, a request.
TALKATIVE = (
    *("celery.worker.strategy", "celery.worker.request", "celery.app.trace", "celery.beat"),
    *("uvicorn.access", "httpx", "httpcore"),
)


def set_up_logging(*, level: str | int | None = None, log_format: LogFormat | None = None) -> None:
    """To standard error; nothing happens where somebody else has set logging up. None: as the settings say."""
    if logging.root.handlers:
        return
    settings = LogSettings()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter_for(log_format or settings.format))
    logging.root.addHandler(handler)
    logging.root.setLevel(level.upper() if isinstance(level, str) else level or settings.level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))


def formatter_for(log_format: LogFormat) -> logging.Formatter:
    return JsonLines() if log_format == "json" else TextLines(_LINE)


class TextLines(logging.Formatter):
    """The sentence for people, then `name=value` for machines: the `extra` of the call and what it belongs to."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        return f"{super().formatMessage(record)} {fields}".rstrip()

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class JsonLines(logging.Formatter):
    """One object: time, level, logger, message, then the `extra` of the call and what it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            **{name: _plain(value) for name, value in fields_of(record).items()},
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = without_secrets("".join(traceback.format_exception(record.exc_info[1])))
        return json.dumps(line, ensure_ascii=False)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the call said comes before what its surroundings say."""
    own = {name: value for name, value in vars(record).items() if name not in _KNOWN}
    return own | {name: value for name, value in joined(current(), own).items() if name not in own}


def _plain(value: object) -> object:
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    return without_secrets(str(value))
