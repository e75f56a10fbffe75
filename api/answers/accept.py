"""Which of the forms that an answer can have a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def preferred(accept: str | None, offers: Sequence[str]) -> str | None:
    """The media type with the client's highest q, then the first that it names, then ours; None when it wants none."""
    wishes = [_wish(part) for part in (accept or "*/*").split(",") if part.strip()]
    wishes.sort(key=lambda wish: -wish[1])
    for pattern, quality in wishes:
        for offered in offers:
            if quality > 0 and _covers(pattern, offered):
                return offered
    return None


def _wish(part: str) -> tuple[str, float]:
    pattern, *parameters = (each.strip().lower() for each in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return pattern, _quality(value.strip())
    return pattern, 1.0


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _covers(pattern: str, media_type: str) -> bool:
    return pattern in ("*/*", media_type) or pattern == media_type.partition("/")[0] + "/*"
