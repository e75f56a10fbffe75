"""Several models in one job: how far they agree, and with ground truth who is right."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.access import READ
from api.answers.openapi import problems
from api.dependencies import JobId, UseCasesDep
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.comparison import ComparisonView
from jobs.errors import JobNotFound, NothingToCompare

router = Router(prefix="/jobs/{job_id}/comparison", tags=["jobs"], dependencies=[READ])


@router.get("", dependencies=[KNOWN_QUERY], responses=problems(JobNotFound, NothingToCompare, 422))
def get_comparison(
    job_id: JobId,
    use_cases: UseCasesDep,
    contested: Annotated[int, Query(ge=0, le=200, description="how many of the most contested images to tell of")] = 20,
) -> ComparisonView:
    """What is known so far of a job with several models; intervals are known once it has ended.

    Shares and scores are of pixels and confusion matrices summed over the images that have succeeded, which all models
    share: an image that fails under one model fails. Pixels for which no model says a class count nowhere.
    """
    return ComparisonView.model_validate(use_cases.comparing.comparison(job_id, contested=contested))
