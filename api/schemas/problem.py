"""The shape of every error (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    field: str = Field(description="a dotted path such as `tile.size`")
    message: str


class Problem(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:maskmill:error:job_not_found",
                "title": "Job not found",
                "status": 404,
                "detail": "there is no job job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
                "code": "job_not_found",
                "request_id": "7f6c1a5e0b0f4c0e8a4d5c3b2a190807",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable; for programs")
    request_id: str
    errors: list[FieldProblem] | None = Field(None, description="the fields at fault, where there are any")


class TrackingProblem(Problem):
    """With the two fields that MLflow's own clients look for."""

    error_code: str
    message: str
