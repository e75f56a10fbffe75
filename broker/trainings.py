"""Sends a recipe to the queue of the trainers. What a trainer does with it is training/tasks.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kombu.exceptions import KombuError

from broker.app import MESSAGE_PRIORITY, RUN_TRAINING, TRAINING, make_app
from broker.settings import BrokerSettings
from jobs.errors import QueueUnavailable


def send_training(settings: BrokerSettings, *, text: str, title: str, roots: Mapping[str, str]) -> str:
    """Returns the task's id. roots: where data sets lie, on the trainer's machine. Raises QueueUnavailable.

    A recipe is a few hundred bytes and nowhere else: unlike a job it travels in the message itself.
    """
    app = make_app(settings)
    limits = {"socket_timeout": settings.publish_timeout_s, "socket_connect_timeout": settings.publish_timeout_s}
    with app.connection_for_write(transport_options=limits) as connection:
        failures: tuple[type[BaseException], ...] = (
            *connection.connection_errors,
            *connection.channel_errors,
            KombuError,
            OSError,
        )
        try:
            sent: Any = app.send_task(
                RUN_TRAINING,
                kwargs={"text": text, "title": title, "roots": dict(roots)},
                queue=TRAINING,
                priority=MESSAGE_PRIORITY[TRAINING],
                connection=connection,
                retry=False,
            )
        except failures as error:
            raise QueueUnavailable("the broker does not answer; nothing was sent") from error
    return str(sent.id)
