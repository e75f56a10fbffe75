"""Where log lines of this process go, and how they name the request they belong to."""

from __future__ import annotations

import logging
from contextvars import ContextVar

request_id_of_context: ContextVar[str] = ContextVar("request_id", default="")

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


def set_up_logging() -> None:
    """To standard error, from INFO on; nothing happens where somebody else has set logging up."""
    if logging.root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(_LINE))
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.INFO)


class LineFormatter(logging.Formatter):
    """The sentence for people, then `name=value` for machines: the `extra` of the call and the request's id."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        values = {name: value for name, value in vars(record).items() if name not in _KNOWN}
        request_id = request_id_of_context.get()
        if request_id:
            values.setdefault("request_id", request_id)
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in values.items())])
