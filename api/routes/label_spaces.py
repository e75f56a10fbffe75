"""The label spaces: which classes there are, in which colours, and how ids of other spaces map to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.openapi import problems
from api.schemas.catalogue import LabelSpaceList, LabelSpaceView, label_space_view
from segmentation.label_spaces import LABEL_SPACES, get_label_space

router = APIRouter(prefix="/label-spaces", tags=["catalogue"])


@router.get("", responses=problems())
def list_label_spaces() -> LabelSpaceList:
    """Every published label space."""
    return LabelSpaceList(items=[label_space_view(space) for space in LABEL_SPACES.values()])


@router.get("/{name}", responses=problems(404))
def get_one_label_space(name: Annotated[str, Path(max_length=200)]) -> LabelSpaceView:
    """One label space."""
    return label_space_view(get_label_space(name))
