"""The label spaces: which classes there are, in which colours, and how ids of other spaces map to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from api.access import READ
from api.answers.openapi import problems
from api.dependencies import JobId, ServicesDep, UseCasesDep
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.catalogue import LabelSpaceList, LabelSpaceView, label_space_view
from jobs.errors import JobNotFound
from segmentation.errors import UnknownLabelSpace
from segmentation.label_spaces import LabelSpaces

router = Router(tags=["catalogue"], dependencies=[READ])


@router.get("/label-spaces", dependencies=[KNOWN_QUERY], responses=problems(422))
def list_label_spaces(services: ServicesDep) -> LabelSpaceList:
    """Every published label space, and those that models bring along."""
    spaces = services.adapters.catalog.label_spaces()
    return LabelSpaceList(items=[label_space_view(space, spaces) for space in spaces.all()])


@router.get("/label-spaces/{name}", responses=problems(UnknownLabelSpace))
def get_one_label_space(name: Annotated[str, Path(max_length=200)], services: ServicesDep) -> LabelSpaceView:
    """One label space."""
    spaces = services.adapters.catalog.label_spaces()
    return label_space_view(spaces.get(name), spaces)


@router.get("/jobs/{job_id}/label-space", dependencies=[KNOWN_QUERY], responses=problems(JobNotFound, 422))
def get_label_space_of_job(job_id: JobId, use_cases: UseCasesDep) -> LabelSpaceView:
    """What the ids of a job's results mean: as when it was submitted, whatever models have brought since."""
    job = use_cases.reading.job(job_id)
    return label_space_view(job.space, LabelSpaces(job.spaces.own))
