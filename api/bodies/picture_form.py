"""The form that brings one picture: of `POST /predict`, and of the interfaces of before."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from api.bodies.body_pipe import ROOM, read_in_thread
from api.bodies.forms import boundary_of
from api.bodies.submissions import FormSubmission, PictureField
from api.services import Services
from jobs.errors import UnsupportedMedia
from jobs.job import Job
from jobs.submitting.submit import Submitting

FILE = "file"  # what the field is called, where nobody calls it otherwise


async def receive_picture_form(
    request: Request,
    services: Services,
    submitting: Submitting,
    fields: Mapping[str, PictureField],
    *,
    idempotency_key: str | None = None,
    last_wins: bool = False,
) -> tuple[str, Job]:
    """Submit the one picture of a form. Returns which of the fields it was in. last_wins: see FormRules.

    Raises UnsupportedMedia, NoImages, and what reading a form and the fields raise.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMedia(f"the body must be multipart/form-data with a picture in `{FILE}`")
    form = FormSubmission(
        submitting=submitting,
        boundary=boundary_of(content_type),
        spool=services.spool,
        idempotency_key=idempotency_key,
        last_wins=last_wins,
    )
    rules = services.upload_rules.at_most(services.settings.max_image_bytes + 2**20)
    held = ROOM if idempotency_key is None else 0  # a key is taken before the body has come
    return await read_in_thread(request, lambda pieces: form.picture_form(pieces, fields), rules, held=held)
