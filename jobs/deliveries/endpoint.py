"""Where webhooks go, and which events go there: of one job, or of all jobs of a tenant that name none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from jobs.addresses import is_private_by_name
from jobs.errors import FieldFault, InvalidOptions

STARTED, PROGRESS, COMPLETED = "job.started", "job.progress", "job.completed"
EVENTS = (STARTED, PROGRESS, COMPLETED)
PING = "ping"  # asked for by the receiver's owner, of no job

URL_LENGTH = 2048  # bytes; databases keep an index of them, and take no entries of any length there


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """events: some of EVENTS, in their order."""

    url: str
    events: tuple[str, ...] = (COMPLETED,)

    def to_dict(self) -> dict[str, Any]:
        return {"url": self.url, "events": list(self.events)}

    def masked(self) -> Endpoint:
        """For whoever may see jobs, but not where their webhooks go."""
        return replace(self, url=masked(self.url))

    @property
    def is_private(self) -> bool:
        """Whether the address itself says that it is none of the public network. Most private ones are only known
        when their name is resolved, as it is sent."""
        return is_private_by_name(urlsplit(self.url).hostname or "")


def host_of(url: str) -> str:
    """The name and port by which receivers are told apart."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()[:255]


def masked(url: str) -> str:
    """Without what follows the host, which is a secret of many receivers."""
    return f"{urlsplit(url).scheme}://{host_of(url)}/***"


def read_endpoint(value: object, faults: list[FieldFault], *, prefix: str = "") -> Endpoint | None:
    """A JSON object as an endpoint; what is wrong with it is added to the faults, and then there is none."""
    if not isinstance(value, Mapping):
        faults.append(FieldFault(prefix.rstrip(".") or "webhook", f"must be an object, got {type(value).__name__}"))
        return None
    before = len(faults)
    unknown = [f"{prefix}{name}" for name in value if name not in ("url", "events")]
    faults.extend(FieldFault(name, "unknown option; known are url, events") for name in unknown)
    url = _url(value.get("url"), f"{prefix}url", faults)
    events = _events(value.get("events"), f"{prefix}events", faults)
    return None if len(faults) > before else Endpoint(url=url, events=events)


def parse_endpoint(url: object, events: object = None) -> Endpoint:
    """Raises InvalidOptions with every fault at once."""
    faults: list[FieldFault] = []
    endpoint = read_endpoint({"url": url, "events": events}, faults)
    if endpoint is None:
        raise InvalidOptions(faults)
    return endpoint


def refuse_private(endpoint: Endpoint, *, allowed: bool, field: str = "url") -> None:
    """Raises InvalidOptions. allowed: whether private addresses are."""
    if not allowed and endpoint.is_private:
        raise InvalidOptions([FieldFault(field, "addresses in private networks are refused")])


def _url(value: object, name: str, faults: list[FieldFault]) -> str:
    fault = _url_fault(value)
    if fault is not None:
        faults.append(FieldFault(name, fault))
        return ""
    return str(value)


def _url_fault(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be the address to send to, as https://example.org/hook"
    if not value.isprintable() or any(letter.isspace() for letter in value):
        return "must not hold spaces or control characters"
    if len(value.encode()) > URL_LENGTH:
        return f"must have at most {URL_LENGTH} bytes"
    return None if is_web_address(value) else "must be http:// or https:// with a host and without credentials"


def is_web_address(text: str) -> bool:
    """Of http or https, with a host, a port that can be one, and without credentials."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _events(value: object, name: str, faults: list[FieldFault]) -> tuple[str, ...]:
    if value is None:
        return (COMPLETED,)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        faults.append(FieldFault(name, f"must be a list with at least one of {', '.join(EVENTS)}"))
        return ()
    unknown = [each for each in value if each not in EVENTS]
    if unknown:
        faults.append(FieldFault(name, f"must be of {', '.join(EVENTS)}, got {unknown[0]!r:.100}"))
    return tuple(event for event in EVENTS if event in value)
