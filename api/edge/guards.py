"""Who may be answered at all, decided before any route: hosts by name, and pages of other sites.

A page that somebody opens may send requests to a service on their own machine. It cannot read the answers, unless it
gets its own name to point here (DNS rebinding): so a `Host` that nobody configured is refused. It could still change
things: so whatever changes something is refused when the browser says that it comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.answers.problems import error_response
from api.errors import CrossSiteRequest, UnknownHost

ANY = "*"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE = frozenset({"same-origin", "none"})  # of Sec-Fetch-Site; none: typed in, or a bookmark


class Guards:
    """Middleware. The hosts are those of the settings: `*.example.org` is all below a domain, `*` any."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = _objection(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await error_response(error, scope["state"]["request_id"])(scope, receive, send)


def _objection(scope: Scope) -> UnknownHost | CrossSiteRequest | None:
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    known = scope["app"].state.services.settings.allowed_hosts
    if scope["path"] != "/health" and not is_among(host_name(host), known):
        said = f"this service does not know itself as {host[:100]!r}"
        return UnknownHost(f"{said}; MASKMILL_API_ALLOWED_HOSTS lists its names")
    if scope["method"] not in SAFE_METHODS and not _is_own_site(headers, host):
        return CrossSiteRequest("a page of another site may change nothing here")
    return None


def is_among(name: str, patterns: Iterable[str]) -> bool:
    return any(
        pattern in (ANY, name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in map(str.lower, patterns)
    )


def host_name(host: str) -> str:
    """Of a `Host` header: without port, in lower case; an IPv6 address keeps its brackets."""
    name, bracket, _ = host.strip().lower().partition("]")
    return name + bracket if bracket else name.partition(":")[0].rstrip(".")


def _is_own_site(headers: Headers, host: str) -> bool:
    """Programs send neither header; browsers send one of them with whatever may change something."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in OWN_SITE:
        return False
    return origin is None or _is_same(origin, host)


def _is_same(origin: str, host: str) -> bool:
    """By name and port alone: behind a proxy the scheme is another. `null` is nobody's."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if not parts.netloc:
        return False
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    named = host.lower().rpartition(":")[2]
    wanted = int(named) if named.isdecimal() and named.isascii() and len(named) < 6 else usual
    return host_name(parts.netloc) == host_name(host) and (port or usual) == wanted
