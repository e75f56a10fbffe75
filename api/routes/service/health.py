"""Whether the process is up, whether everything it needs is there, and what a caller may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from api.access import OPEN, READ
from api.answers.openapi import problems
from api.bodies.submissions import JSON_BYTES
from api.dependencies import CallerDep, ServicesDep
from api.errors import NotReady
from api.router import Router
from api.schemas.catalogue import Health, Limits, Readiness, caller_view, followed_view
from api.schemas.choices import choices
from api.services import Services
from jobs.callers import Caller
from jobs.job import Priority
from jobs.tenants.quotas import standings
from jobs.tenants.standing import Standing
from jobs.watching.workers import WorkerBeat
from telemetry.version import version

router = Router(tags=["service"])

IDEMPOTENCY_HOURS = 24


@router.head("/health", include_in_schema=False, dependencies=[OPEN])  # as many a load balancer asks
@router.get("/health", dependencies=[OPEN])
async def get_health() -> Health:
    """200 while the process serves. Asks nothing of anybody, so that a full thread pool does not look like death."""
    return Health(version=version())


@router.head("/ready", include_in_schema=False, dependencies=[OPEN])
@router.get("/ready", dependencies=[OPEN], responses=problems(NotReady))
async def get_ready(services: ServicesDep) -> Readiness:
    """200 when database, broker and store answer and a worker is alive; else 503 within 3 s, which names what is
    missing."""
    answers = await services.readiness.ask(checks(services))
    missing = {part: answer.fault for part, answer in answers.items() if answer.fault is not None}
    beats: Sequence[WorkerBeat] = answers["database"].value or ()
    if not beats and "database" not in missing:
        missing["worker"] = f"no worker gave a sign of life within {services.settings.worker_silence_s:g} s"
    if missing:
        raise NotReady(missing)
    return Readiness(
        workers=[beat.name for beat in beats],
        followed=[followed_view(beat.name, each) for beat in beats for each in beat.followed],
    )


@router.get("/limits", dependencies=[READ], responses=problems())
def get_limits(services: ServicesDep, caller: CallerDep) -> Limits:
    """What one request may ask for, what may be chosen, who asks, and how much of what the key may have is used."""
    settings, rules = services.settings, services.submit_rules
    return Limits(
        request_bytes=rules.max_request_bytes,
        image_bytes=rules.max_image_bytes,
        image_pixels=settings.max_pixels,
        images_per_job=rules.max_images,
        film_seconds=rules.films.longest_s,
        film_frames=min(rules.max_images, rules.films.frames),
        film_bytes=rules.max_request_bytes,
        json_bytes=min(JSON_BYTES, rules.max_request_bytes),
        wait_seconds=settings.wait_limit_s,
        predict_wait_seconds=settings.predict_wait_s,
        retention_seconds=rules.retention_s,
        idempotency_hours=IDEMPOTENCY_HOURS,
        choices=choices(),
        caller=caller_view(caller, _standings(services, caller)),
    )


def _standings(services: Services, caller: Caller) -> Sequence[Standing]:
    if caller.credential is None:
        return ()
    with services.adapters.open_unit(caller.tenant) as unit:
        return standings(unit, caller)


def checks(services: Services) -> Mapping[str, Callable[[], object]]:
    """By part; they give back what `/ready` and `/metrics` tell. Each raises Transient."""

    def look_into_database() -> Sequence[WorkerBeat]:
        services.adapters.check_database()
        return _live_workers(services)

    return {
        "database": look_into_database,
        "broker": lambda: {each.value: services.adapters.dispatcher.waiting(each) for each in Priority},
        "store": services.adapters.objects.check,
    }


def _live_workers(services: Services) -> Sequence[WorkerBeat]:
    with services.adapters.open_unit() as unit:
        return unit.workers.alive(within_s=services.settings.worker_silence_s)
