"""The shapes of webhooks: where they go, with which secret, and what was sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs.deliveries.delivery import Delivery, DeliveryStatus
from jobs.deliveries.endpoint import COMPLETED, EVENTS, URL_LENGTH, Endpoint, masked
from jobs.deliveries.ports import TenantWebhooks
from jobs.deliveries.signing import Secrets


class EndpointShape(BaseModel):
    """Of a job, or of all jobs that name none."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        max_length=URL_LENGTH,
        description="http or https; private addresses are refused unless the server allows them",
        json_schema_extra={"format": "uri", "examples": ["https://example.org/hook"]},
    )
    events: list[str] = Field(
        [COMPLETED],
        min_length=1,
        json_schema_extra=lambda schema: schema.update(items={"type": "string", "enum": [*EVENTS]}),
    )


class PingShape(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        max_length=URL_LENGTH, json_schema_extra={"format": "uri", "examples": ["https://example.org/hook"]}
    )


class EndpointView(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"url": "https://example.org/hook", "events": [COMPLETED], "gone_at": None}}
    )

    url: str
    events: list[str]
    gone_at: datetime | None = Field(description="when it answered 410: it is told nothing since, until it is set anew")


class SecretView(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "made_at": "2026-11-21T08:00:00Z",
                "previous_until": None,
            }
        }
    )

    secret: str = Field(description="`whsec_` and base64, as the libraries of Standard Webhooks take it")
    made_at: datetime
    previous_until: datetime | None = Field(description="until then the secret before it signs too")


class TryView(BaseModel):
    at: datetime
    status_code: int | None = Field(description="null: no answer, and `error` says why")
    duration_ms: float
    error: str | None
    response: str = Field(description="the first KiB of the answer")


class DeliveryView(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "dlv_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
                "event": COMPLETED,
                "url": "https://example.org/hook",
                "status": "pending",
                "created_at": "2026-11-21T08:00:00Z",
                "next_attempt_at": "2026-11-21T08:00:05Z",
                "ended_at": None,
                "attempts": [
                    {
                        "at": "2026-11-21T08:00:00Z",
                        "status_code": 503,
                        "duration_ms": 31.5,
                        "error": None,
                        "response": "busy",
                    }
                ],
                "links": {"redeliver": "/deliveries/dlv_01JD3T1M4Z8Q5R6S7T8V9WAXBY/redeliver"},
            }
        }
    )

    id: str = Field(description="the header `webhook-id`, the same in every attempt")
    event: str
    url: str = Field(description="for a key that may not `admin`, without what follows the host")
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="not before what is owed of the same job before it")
    ended_at: datetime | None
    attempts: list[TryView] = Field(description="the latest 20, oldest first")
    links: dict[str, str]


class DeliveryPage(BaseModel):
    items: list[DeliveryView] = Field(description="in the order in which they happened")
    next_cursor: str | None = Field(description="null on the last page", examples=["12"])


class PingView(BaseModel):
    """What came back."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "delivered": True,
                "status_code": 204,
                "duration_ms": 31.5,
                "error": None,
                "response": "",
                "webhook_id": "dlv_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
            }
        }
    )

    delivered: bool = Field(description="whether the answer was a 2xx")
    status_code: int | None
    duration_ms: float
    error: str | None
    response: str
    webhook_id: str


class WebhookMessage(BaseModel):
    """What a receiver gets. Of a very large job the longest numbers are left out, and `data.left_out` names them."""

    type: str = Field(examples=[COMPLETED], json_schema_extra={"enum": [*EVENTS]})
    timestamp: datetime
    data: dict[str, Any] = Field(
        description="the job, as `GET /jobs/{id}` tells it",
        examples=[{"id": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY", "status": "succeeded"}],
    )


def endpoint_view(webhooks: TenantWebhooks, endpoint: Endpoint) -> EndpointView:
    return EndpointView(url=endpoint.url, events=list(endpoint.events), gone_at=webhooks.gone_at)


def secret_view(secrets: Secrets) -> SecretView:
    return SecretView(secret=secrets.current, made_at=secrets.made_at, previous_until=secrets.previous_until)


def delivery_view(delivery: Delivery, *, in_full: bool) -> DeliveryView:
    """in_full: with all of its address."""
    return DeliveryView(
        id=delivery.id,
        event=delivery.event,
        url=delivery.url if in_full else masked(delivery.url),
        status=delivery.status,
        created_at=delivery.created_at,
        next_attempt_at=delivery.due_at,
        ended_at=delivery.ended_at,
        attempts=[
            TryView(
                at=done.at,
                status_code=done.status_code,
                duration_ms=done.duration_ms,
                error=done.error,
                response=done.response,
            )
            for done in delivery.log
        ],
        links={"redeliver": f"/deliveries/{delivery.id}/redeliver"},
    )


def ping_view(delivery: Delivery) -> PingView:
    """Of one that was tried."""
    done = delivery.log[-1]
    return PingView(
        delivered=delivery.status is DeliveryStatus.DELIVERED,
        status_code=done.status_code,
        duration_ms=done.duration_ms,
        error=done.error,
        response=done.response,
        webhook_id=delivery.id,
    )
