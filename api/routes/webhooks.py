"""Webhooks: where they go, their secret, what was sent, a ping, and sending once more."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from api.access import ADMIN, READ, SUBMIT
from api.answers.openapi import problems, refer
from api.dependencies import CallerDep, JobId, ServicesDep, UseCasesDep
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.webhooks import (
    DeliveryPage,
    DeliveryView,
    EndpointShape,
    EndpointView,
    PingShape,
    PingView,
    SecretView,
    WebhookMessage,
    delivery_view,
    endpoint_view,
    ping_view,
    secret_view,
)
from jobs.deliveries.delivery import Delivery, DeliveryStatus
from jobs.deliveries.endpoint import COMPLETED, EVENTS, PROGRESS, STARTED, parse_endpoint
from jobs.deliveries.webhooks import Webhooks
from jobs.errors import DeliveryNotFound, FieldFault, InvalidOptions, JobNotFound, SenderUnavailable, WebhookNotFound
from jobs.keys import ULID

router = Router(tags=["webhooks"])

LOOK_EVERY_S = 0.1
WORDS = {STARTED: "has begun", PROGRESS: "goes on; at most each 5 s", COMPLETED: "has ended"}
SIGNED = (
    "Signed in the form of Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`. A 2xx within "
    "10 s ends it; anything else is tried again for about three days, and a 410 stops it for good."
)
_DELIVERY_ID = re.compile(f"dlv_{ULID}")


DeliveryCursor = Annotated[
    str | None,
    Query(
        max_length=20,
        json_schema_extra={"pattern": "^[0-9]{1,9}$"},
        description="`next_cursor` of the page before",
    ),
]


async def _delivery_id(
    delivery_id: Annotated[str, Path(description="of `GET /jobs/{id}/deliveries`")],
) -> str:
    """What cannot be an id never reaches the database."""
    if _DELIVERY_ID.fullmatch(delivery_id) is None:
        raise DeliveryNotFound("there is no such delivery")
    return delivery_id


@router.get("/webhook", dependencies=[ADMIN], responses=problems(WebhookNotFound))
def get_default_webhook(use_cases: UseCasesDep) -> EndpointView:
    """Where the webhooks of jobs go that name no receiver."""
    found = use_cases.webhooks.default()
    assert found.endpoint is not None
    return endpoint_view(found, found.endpoint)


@router.put("/webhook", dependencies=[ADMIN], responses=problems(400, 415, 422))
def set_default_webhook(shape: EndpointShape, use_cases: UseCasesDep) -> EndpointView:
    """For jobs that are submitted from now on."""
    endpoint = parse_endpoint(shape.url, shape.events)
    return endpoint_view(use_cases.webhooks.set_default(endpoint), endpoint)


@router.delete("/webhook", dependencies=[ADMIN], status_code=204, responses=problems())
def remove_default_webhook(use_cases: UseCasesDep) -> None:
    """Jobs that are submitted from now on, and name no receiver, tell nobody."""
    use_cases.webhooks.remove_default()


@router.get("/webhook-secret", dependencies=[ADMIN], responses=problems())
def get_webhook_secret(response: Response, use_cases: UseCasesDep) -> SecretView:
    """What signs all webhooks of the caller; made when it is first needed."""
    response.headers["Cache-Control"] = "no-store"
    return secret_view(use_cases.webhooks.secrets())


@router.post("/webhook-secret/rotate", dependencies=[ADMIN], responses=problems())
def rotate_webhook_secret(response: Response, use_cases: UseCasesDep) -> SecretView:
    """A new secret. The one before it signs too for 24 hours."""
    response.headers["Cache-Control"] = "no-store"
    return secret_view(use_cases.webhooks.rotate())


@router.post("/webhooks/test", dependencies=[ADMIN], responses=problems(400, 415, 422, SenderUnavailable))
async def ping_webhook(shape: PingShape, services: ServicesDep, use_cases: UseCasesDep) -> PingView:
    """Sends a signed `ping` once, the way that all webhooks go, and tells what came back."""
    webhooks, endpoint = use_cases.webhooks, parse_endpoint(shape.url)
    sent = await run_in_threadpool(webhooks.ping, endpoint)
    try:
        return ping_view(await _ended(webhooks, sent, patience_s=services.settings.webhook_wait_s))
    finally:
        await run_in_threadpool(webhooks.forget, sent.id)


async def _ended(webhooks: Webhooks, delivery: Delivery, *, patience_s: float) -> Delivery:
    """Raises SenderUnavailable."""
    give_up = time.monotonic() + patience_s
    while delivery.status is DeliveryStatus.PENDING:
        if time.monotonic() >= give_up:
            said = "it is being sent, and did not end" if delivery.claims else "no process that sends webhooks took it"
            raise SenderUnavailable(f"{said} within {patience_s:g} s")
        await asyncio.sleep(LOOK_EVERY_S)
        delivery = await run_in_threadpool(webhooks.delivery, delivery.id)
    return delivery


@router.get("/jobs/{job_id}/deliveries", dependencies=[READ, KNOWN_QUERY], responses=problems(JobNotFound, 422))
def list_deliveries(
    job_id: JobId,
    use_cases: UseCasesDep,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: DeliveryCursor = None,
) -> DeliveryPage:
    """What was sent of a job and what is owed still, with every attempt."""
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise InvalidOptions([FieldFault("cursor", "is none that this list gave out")])
    found = use_cases.webhooks.deliveries(job_id, limit=limit + 1, after=int(cursor or 0))
    page = found[:limit]
    more = len(found) > limit
    items = [delivery_view(each, in_full=caller.may("admin")) for each in page]
    return DeliveryPage(items=items, next_cursor=str(page[-1].version) if more else None)


@router.post(
    "/deliveries/{delivery_id}/redeliver", dependencies=[SUBMIT], status_code=202, responses=problems(DeliveryNotFound)
)
def redeliver(
    delivery_id: Annotated[str, Depends(_delivery_id)], use_cases: UseCasesDep, caller: CallerDep
) -> DeliveryView:
    """Sends once more what was sent, under the same `webhook-id`; or at once what waits for its next attempt. What is
    owed of the same job before it goes first, at once too."""
    return delivery_view(use_cases.webhooks.redeliver(delivery_id), in_full=caller.may("admin"))


def describe(document: dict[str, Any]) -> None:
    """What goes out, for the OpenAPI document."""
    content = {"application/json": {"schema": refer(WebhookMessage)}}
    taken = {"2XX": {"description": "the receiver has it"}, "410": {"description": "it wants no more of them"}}
    document["webhooks"] = {
        event: {
            "post": {
                "operationId": event.replace(".", "_"),
                "tags": router.tags,
                "summary": f"Tells that a job {WORDS[event]}",
                "description": SIGNED,
                "requestBody": {"required": True, "content": dict(content)},
                "responses": taken,
            }
        }
        for event in EVENTS
    }
