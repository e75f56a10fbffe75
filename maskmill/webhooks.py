"""Webhooks from a client's side: `verify` what arrives, and ask a server about its own. `verify` needs no library.

Source of the form: standardwebhooks.com, specification 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from maskmill.errors import MaskmillError

if TYPE_CHECKING:
    from maskmill.transport import Transport

PREFIX = "whsec_"
TOLERANCE_S = 300.0


class WebhookInvalid(MaskmillError):
    """What arrived was not sent by who holds the secret, or not just now."""


def verify(
    headers: Mapping[str, str], body: bytes | str, secret: str, *, tolerance_s: float = TOLERANCE_S
) -> dict[str, Any]:
    """What a webhook says: `{"type": "job.completed", "timestamp": …, "data": {…}}`. Raises WebhookInvalid.

    headers: of the request, their names in any case. body: as it arrived, byte for byte. secret: `whsec_…` of
    `GET /webhook-secret`. tolerance_s: how old, or how early, it may be. The same `webhook-id` may arrive twice.
    """
    known = {name.lower(): value for name, value in headers.items()}
    try:
        name, timestamp, signatures = (known[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise WebhookInvalid(f"the header {missing} is missing") from None
    _check_time(timestamp, tolerance_s)
    raw = body.encode() if isinstance(body, str) else body
    expected = hmac.new(_key(secret), b".".join((name.encode(), timestamp.encode(), raw)), hashlib.sha256).digest()
    if not any(hmac.compare_digest(expected, given) for given in _given(signatures)):
        raise WebhookInvalid("no signature fits: another secret, or another body than was sent")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise WebhookInvalid("the body is no JSON object")
    return said


def _check_time(timestamp: str, tolerance_s: float) -> None:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 13):
        raise WebhookInvalid(f"webhook-timestamp is no time in seconds: {timestamp[:40]!r}")
    if abs(time.time() - int(timestamp)) > tolerance_s:
        raise WebhookInvalid(f"it was sent more than {tolerance_s:g} s ago, or the clocks differ")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise WebhookInvalid("the secret is none: it begins with whsec_ and is base64 behind that")
    return key


def _given(signatures: str) -> Iterator[bytes]:
    """Those in the only form that there is; several while a new secret replaces an old one."""
    for each in signatures.split():
        version, _, text = each.partition(",")
        if version == "v1":
            try:
                yield base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue


class Webhooks:
    """What a server is told and asked about the caller's webhooks: `Maskmill(…).webhooks`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def secret(self) -> str:
        """`whsec_…`, which signs everything; made when it is first asked for."""
        return str(self._ask("GET", "/webhook-secret", holds=("secret",))["secret"])

    def rotate(self) -> str:
        """A new secret; for a day the old one signs too."""
        return str(self._ask("POST", "/webhook-secret/rotate", repeatable=False, holds=("secret",))["secret"])

    def test(self, url: str) -> dict[str, Any]:
        """Has a signed ping sent and tells what came back: `delivered`, `status_code`, `error`, `response`."""
        return self._ask("POST", "/webhooks/test", {"url": url}, repeatable=False)

    def default(self) -> dict[str, Any]:
        """Where jobs report that name no receiver. Raises NotFound when there is none."""
        return self._ask("GET", "/webhook")

    def set_default(self, url: str, *, events: Sequence[str] | None = None) -> dict[str, Any]:
        """Of jobs that are submitted from now on."""
        return self._ask("PUT", "/webhook", {"url": url} | ({} if events is None else {"events": list(events)}))

    def remove_default(self) -> None:
        self._ask("DELETE", "/webhook")

    def redeliver(self, delivery_id: str) -> dict[str, Any]:
        """Once more, or at once if it waits. Raises NotFound."""
        from maskmill.transport import segment

        return self._ask("POST", f"/deliveries/{segment(delivery_id)}/redeliver")

    def _ask(
        self, method: str, path: str, body: Any = None, *, repeatable: bool = True, holds: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        from maskmill.transport import Call, json_of

        call = Call(method=method, path=path, json=body, repeatable=repeatable)
        answer = self._transport.send(call)
        return {} if answer.status_code == 204 and not holds else json_of(answer, holds)
