"""The sample scenes with their ground truth, to try the service with."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import Path, Query, Response

from api.access import READ
from api.answers.openapi import binary, problems
from api.dependencies import ServicesDep
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.catalogue import SampleLinks, SampleList, SampleView
from data.sample_library import LABEL_SPACE, SampleNotFound
from jobs.errors import InvalidOptions
from segmentation.errors import NoRemapping, UnknownLabelSpace
from segmentation.formats import FORMATS
from segmentation.formats.format import FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.picture_files.pictures import decode_mask

router = Router(prefix="/samples", tags=["catalogue"], dependencies=[READ])

_CACHED = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}

_SPACES = [LABEL_SPACE, *get_label_space(LABEL_SPACE).mappings]

SampleId = Annotated[str, Path(max_length=200)]


@router.get("", dependencies=[KNOWN_QUERY], responses=problems(422))
def list_samples(services: ServicesDep) -> SampleList:
    """Every sample; its id can be an input of `POST /jobs`."""
    return SampleList(
        items=[
            SampleView(
                id=each,
                label_spaces=_SPACES,
                links=SampleLinks(image=f"/samples/{each}/image", mask=f"/samples/{each}/mask"),
            )
            for each in services.adapters.samples.ids()
        ]
    )


@router.get(
    "/{sample_id}/image",
    response_class=Response,
    responses={200: {"content": binary("image/jpeg"), "description": "the picture"}, **problems(SampleNotFound)},
)
def get_sample_image(sample_id: SampleId, services: ServicesDep) -> Response:
    """The picture."""
    return Response(services.adapters.samples.picture(sample_id), media_type="image/jpeg", headers=_CACHED)


@router.get(
    "/{sample_id}/mask",
    dependencies=[KNOWN_QUERY],
    response_class=Response,
    responses={
        200: {"content": binary("image/png"), "description": "palette PNG, pixel = class id"},
        **problems(SampleNotFound, UnknownLabelSpace, InvalidOptions, NoRemapping),
    },
)
def get_sample_mask(
    sample_id: SampleId,
    services: ServicesDep,
    label_space: Annotated[str, Query(max_length=200, examples=_SPACES)] = LABEL_SPACE,
) -> Response:
    """The ground truth, in the label space that is asked for."""
    ids = decode_mask(services.adapters.samples.mask(sample_id), max_pixels=services.settings.max_pixels)
    spaces = services.adapters.catalog.label_spaces()
    label_map = LabelMap(ids, get_label_space(LABEL_SPACE)).remapped(spaces.get(label_space))
    blank = np.zeros((*ids.shape, 3), np.uint8)  # a mask shows nothing of the picture
    encoded = FORMATS["mask"].encode(label_map, blank, FormatOptions())
    return Response(encoded.data, media_type=encoded.media_type, headers=_CACHED)
