"""`/docs`: the OpenAPI document as a page, with scripts and styles of our own, so that it works without internet.

The files come with the package `fastapi-offline`; of its code nothing is used.
"""

from __future__ import annotations

from importlib.resources import files

from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from api.access import OPEN
from api.router import Router

router = Router(include_in_schema=False, dependencies=[OPEN])

_START = "start.js"
_MEDIA_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_SCRIPT = """window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#page",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
    validatorUrl: null,
  });
});
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Maskmill: the HTTP interface</title>
<link rel="icon" href="docs/assets/favicon.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</head>
<body><div id="page"></div></body>
</html>
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}


@router.get("/docs")
def get_docs() -> Response:
    """The page."""
    return HTMLResponse(_PAGE, headers=HEADERS)


@router.get("/docs/assets/{name}")
def get_asset(name: str) -> Response:
    """What the page loads."""
    kept = {**HEADERS, "Cache-Control": "max-age=3600"}
    if name == _START:
        return Response(_SCRIPT, headers=kept, media_type="text/javascript")
    if name not in _MEDIA_TYPES:
        raise HTTPException(404, "there is no such file")
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, headers=kept, media_type=_MEDIA_TYPES[name])
