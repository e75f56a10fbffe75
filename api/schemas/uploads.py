"""The shapes of uploads: what a client announces, and what it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.requests import Plain
from jobs.uploads.upload import UploadState

FILES = 10_000

_UPLOAD = "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY"
UPLOADS_EXAMPLE: dict[str, Any] = {
    "uploads": [
        {
            "upload": "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
            "method": "PUT",
            "url": "http://localhost:8008/uploads/upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY/content?expires=1764374400&signature=9f…",
            "headers": {"Content-Type": "image/jpeg"},
            "expires_at": "2026-11-29T08:00:00Z",
        }
    ]
}


class AnnouncedFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[Plain, StringConstraints(min_length=1, max_length=1024)] = Field(
        description="the relative path by which the image is called, unless the input gives it another `name`"
    )
    size: int = Field(description="in bytes; so many have to come", ge=0, le=2**53)
    content_type: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None,
        description="`image/…`, an archive's (`application/zip`, `application/x-tar`, `application/gzip`), or "
        "`application/x-ndjson` for a manifest; without it the name's suffix tells",
    )


class UploadRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"files": [{"name": "a.jpg", "size": 123, "content_type": "image/jpeg"}]}},
    )

    files: list[AnnouncedFile] = Field(min_length=1, max_length=FILES)


class UploadTicket(BaseModel):
    """Where one file goes. The address is signed: it takes a file of this size and type alone, and needs no key."""

    upload: str = Field(description="to be named as an input of `POST /jobs`")
    method: str
    url: str
    headers: dict[str, str] = Field(description="to be sent as they are")
    expires_at: datetime = Field(description="by then it has to be there, and be used by a job")


class UploadTickets(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": UPLOADS_EXAMPLE})

    uploads: list[UploadTicket] = Field(description="in the order of `files`")


class UploadView(BaseModel):
    """One upload as it stands. `url` and `headers` are there while bytes are missing, for who may submit: they go on
    behind `received`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "upload": _UPLOAD,
                "name": "a.jpg",
                "size": 123,
                "content_type": "image/jpeg",
                "state": "stored",
                "received": 123,
                "expires_at": "2026-11-29T08:00:00Z",
            }
        }
    )

    upload: str
    name: str
    size: int
    content_type: str
    state: UploadState
    received: int = Field(description="bytes that have arrived")
    method: str | None = None
    url: str | None = None
    headers: dict[str, str] | None = None
    expires_at: datetime | None = Field(description="none while a job needs it")


class UploadProgress(BaseModel):
    upload: str = Field(examples=[_UPLOAD])
    state: UploadState
    received: int
