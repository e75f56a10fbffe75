"""The Celery app: queues, delivery rules, schedule. `celery -A broker.app …` finds `app` here; tasks live elsewhere.

A message carries ids. The database decides what they mean, so delivery may repeat itself and results are off.
"""

from __future__ import annotations

import os
from typing import Any

import click
from celery import Celery
from celery.signals import setup_logging
from kombu import Queue

from broker.settings import BrokerSettings
from broker.transport import take_over
from telemetry.log_lines import set_up_logging

SEGMENT_SLICE = "maskmill.segment_slice"
RUN_UPKEEP = "maskmill.run_upkeep"
RUN_TRAINING = "maskmill.run_training"
DELIVER_WEBHOOKS = "maskmill.deliver_webhooks"

INTERACTIVE = "interactive"
BULK = "bulk"
WEBHOOKS = "webhooks"
UPKEEP = "upkeep"
TRAINING = "training"

# Kombu reads all queues of a lower number before any of a higher one: whatever the order of -Q, upkeep is never
# starved by images and small jobs overtake big ones.
MESSAGE_PRIORITY = {UPKEEP: 0, INTERACTIVE: 3, WEBHOOKS: 6, BULK: 6, TRAINING: 9}
QUEUES = tuple(MESSAGE_PRIORITY)

UPKEEP_EXPIRES_S = 30


def make_app(settings: BrokerSettings) -> Celery:
    app = Celery("maskmill", set_as_current=False)
    app.conf.update(celery_configuration(settings))
    return app


def celery_configuration(settings: BrokerSettings) -> dict[str, Any]:
    take_over()
    beat = {"beat_schedule": _schedule(settings), "beat_scheduler": "broker.steady_schedule:SteadyScheduler"}
    return {**_delivery(settings), **_connection(settings), **_worker(settings), **beat}


def _delivery(settings: BrokerSettings) -> dict[str, Any]:
    return {
        "broker_url": settings.broker_url(),
        "task_queues": [Queue(name) for name in QUEUES],
        "task_default_queue": BULK,
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _connection(settings: BrokerSettings) -> dict[str, Any]:
    """What keeps a frozen, killed or half-open broker from holding anybody for long."""
    return {
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": settings.publish_timeout_s,
        "broker_pool_acquire_timeout": settings.publish_timeout_s,
        "broker_transport_options": {
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": settings.restore_interval_s,
            "unacked_restore_throttle": 1,
            "socket_timeout": settings.socket_timeout_s,
            "socket_connect_timeout": settings.publish_timeout_s,
            "socket_keepalive": True,
            "health_check_interval": settings.health_check_interval_s,
            "retry_on_timeout": False,  # kombu sends batches only without it, and a repeated send is upkeep's business
            "queue_order_strategy": "priority",
            "priority_steps": sorted(set(MESSAGE_PRIORITY.values())),
            "sep": ":",
        },
    }


def _worker(settings: BrokerSettings) -> dict[str, Any]:
    return {
        "worker_send_task_events": False,  # Flower switches them on while it runs; they cost a slice a millisecond
        "task_send_sent_event": False,  # `received` says the same, and a big job would publish everything twice
        "task_track_started": False,
        "worker_soft_shutdown_timeout": settings.shutdown_timeout_s,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
    }


def _schedule(settings: BrokerSettings) -> dict[str, Any]:
    return {
        "upkeep": {
            "task": RUN_UPKEEP,
            "schedule": settings.upkeep_interval_s,
            "options": {"queue": UPKEEP, "priority": MESSAGE_PRIORITY[UPKEEP], "expires": UPKEEP_EXPIRES_S},
        }
    }


app = Celery("maskmill")
app.add_defaults(lambda: celery_configuration(BrokerSettings()))  # read when first needed, not on import


@setup_logging.connect
def _log_our_way(loglevel: int | None = None, **_: object) -> None:
    """Celery leaves logging alone then: workers and the scheduler write the lines that the API writes."""
    set_up_logging(level=loglevel)


def _choose_log_format(_context: click.Context, _option: click.Parameter, given: str | None) -> None:
    if given is not None:
        os.environ["MASKMILL_LOG_FORMAT"] = given  # before settings are read


_LOG_FORMAT = click.Option(
    ["--log-format"],
    type=click.Choice(["text", "json"]),
    expose_value=False,
    callback=_choose_log_format,
    help="One JSON object a line, or sentences.",
)
for command in ("worker", "beat"):
    app.user_options[command].add(_LOG_FORMAT)
