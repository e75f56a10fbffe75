"""`/`: a greeting for programs, and the way to the pages for browsers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from api.access import OPEN
from api.answers.accept import preferred
from api.answers.openapi import problems
from api.router import Router

router = Router(tags=["service"], dependencies=[OPEN])

PAGES = "docs"  # relative, so that it is found behind a proxy with a path of its own
_JSON, _HTML = "application/json", "text/html"


class Greeting(BaseModel):
    message: str = Field(examples=["Maskmill turns street images into masks; see /docs"])


@router.get(
    "/",
    response_model=Greeting,
    responses={307: {"description": "the client wants a page, which is at `Location`"}, **problems()},
)
async def get_home(accept: Annotated[str | None, Header(max_length=1000, include_in_schema=False)] = None) -> Response:
    """JSON for programs; browsers are sent to the pages."""
    if preferred(accept, (_JSON, _HTML)) == _HTML:
        return RedirectResponse(PAGES, 307)
    return JSONResponse({"message": "Maskmill turns street images into masks; see /docs"})
