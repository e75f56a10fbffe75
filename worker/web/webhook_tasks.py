"""The process that sends webhooks: `celery -A worker.web.webhook_tasks worker -Q webhooks`. It holds no model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery.signals import worker_ready, worker_shutdown

from broker.app import DELIVER_WEBHOOKS, WEBHOOKS, app
from broker.settings import BrokerSettings
from broker.wakeups import OWED, listen
from jobs.deliveries.delivering import Delivering, DeliveryRules
from jobs.deliveries.ports import AtOnce
from storage.settings import StorageSettings
from storage.unit_of_work import Database, open_database
from telemetry import trail
from telemetry.exposition import Port, process_registry
from telemetry.traces import begin_tracing, end_tracing
from worker.beats import sign_of_life
from worker.metrics_port import open_metrics_port
from worker.settings import WorkerSettings
from worker.web.courier import Courier, Hearing
from worker.web.safe_http import Guard
from worker.web.webhook_metrics import WebhookMetrics, traced
from worker.web.webhooks import WebhookSender

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What the process holds."""

    database: Database
    courier: Courier
    hearing: Hearing
    port: Port | None

    def start(self) -> None:
        self.courier.start()
        self.hearing.start()

    def close(self) -> None:
        self.hearing.close()
        self.courier.close()
        self.database.close()
        if self.port is not None:
            self.port.close()
        end_tracing()


class _Process:
    office: Office | None = None


def open_office(name: str, settings: WorkerSettings, storage: StorageSettings) -> Office:
    """name: of this process among all."""
    database = open_database(storage)
    rules = DeliveryRules(
        lease_s=settings.webhook_lease_s,
        at_once=AtOnce(per_host=settings.webhooks_per_host, per_tenant=settings.webhooks_per_tenant),
        pauses_s=tuple(settings.webhook_pauses_s),
    )
    sender = WebhookSender(Guard(timeout_s=settings.webhook_timeout_s, allowed=settings.allowed_addresses))
    sign = sign_of_life(storage.home, name)
    trail.of_process({"worker": name})
    begin_tracing("webhooks")
    metrics = WebhookMetrics(process_registry("webhooks"))
    port = open_metrics_port(metrics.registry, settings, storage, name)
    delivering = Delivering(database.unit, sender, rules, observe=metrics.observe, around=traced)
    courier = Courier(delivering, sign, threads=settings.webhook_threads)
    hearing = Hearing(partial(listen, BrokerSettings().broker_url(), channel=OWED), courier.wake)
    return Office(database=database, courier=courier, hearing=hearing, port=port)


@app.task(name=DELIVER_WEBHOOKS)
def deliver_webhooks() -> None:
    if _Process.office is not None:
        _Process.office.courier.wake()


@worker_ready.connect
def _open(sender: Any, **_: object) -> None:
    if WEBHOOKS not in sender.app.amqp.queues.consume_from:
        return
    _Process.office = open_office(str(sender.hostname), WorkerSettings(), StorageSettings())
    _Process.office.start()
    logger.info("webhooks are sent by %s", sender.hostname, extra={"action": "webhooks_started"})


@worker_shutdown.connect
def _close(**_: object) -> None:
    closing, _Process.office = _Process.office, None
    if closing is not None:
        closing.close()


__all__ = ["app", "deliver_webhooks"]
