"""What routes ask for by type. `async`, since FastAPI would run each plain function in a thread of its own."""

from __future__ import annotations

import re
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from api.services import Services, UseCases
from jobs.callers import Caller
from jobs.errors import JobNotFound
from jobs.keys import ULID

JOB_ID = f"^job_{ULID}$"
_JOB_ID = re.compile(JOB_ID)


async def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _caller(request: Request) -> Caller:
    """Whoever asks, as the route's declaration found out (`access.py`)."""
    return cast(Caller, request.state.caller)


async def _use_cases(
    services: Annotated[Services, Depends(_services)], caller: Annotated[Caller, Depends(_caller)]
) -> UseCases:
    return services.use_cases(caller)


async def _job_id(
    job_id: Annotated[str, Path(description="as `POST /jobs` gave it", examples=["job_01JD3T1M4Z8Q5R6S7T8V9WAXBY"])],
) -> str:
    """What cannot be an id never reaches the database."""
    if not is_job_id(job_id):
        raise JobNotFound(f"there is no job {job_id[:100]!r}; ids look like job_01JD3T1M4Z8Q5R6S7T8V9WAXBY")
    return job_id


def is_job_id(text: str) -> bool:
    return _JOB_ID.fullmatch(text) is not None


ServicesDep = Annotated[Services, Depends(_services)]
CallerDep = Annotated[Caller, Depends(_caller)]
UseCasesDep = Annotated[UseCases, Depends(_use_cases)]
JobId = Annotated[str, Depends(_job_id)]
ImageIndex = Annotated[int, Path(ge=0, le=2**31 - 1, description="position of the image in its job, from 0")]
