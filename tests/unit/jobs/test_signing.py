"""Signatures as the public library of Standard Webhooks verifies them, with one secret and with two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from jobs.deliveries.signing import SECRET_BYTES, Secrets, new_secret, signed_headers

BODY = '{"type":"job.completed","data":{"name":"größe"}}'


def test_the_public_library_verifies_what_is_signed():
    secret = new_secret()
    headers = signed_headers("dlv_1", BODY, (secret,), now=datetime.now(UTC))
    found = Webhook(secret).verify(BODY.encode(), dict(headers))
    assert found["data"] == {"name": "größe"}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace("data", "date").encode(), dict(headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY.encode(), dict(headers))


def test_a_secret_is_long_and_another_each_time():
    assert len(new_secret()) == len("whsec_") + 4 * ((SECRET_BYTES + 2) // 3)
    assert new_secret() != new_secret()


def test_for_a_day_the_old_secret_signs_too():
    now = datetime.now(UTC)
    first = Secrets(current=new_secret(), made_at=now)
    assert first.valid(now) == (first.current,)
    second = first.rotated(new_secret(), now=now)
    signing = second.valid(now + timedelta(hours=23.9))
    assert signing == (second.current, first.current)
    headers = signed_headers("dlv_1", BODY, signing, now=now)
    for secret in signing:
        Webhook(secret).verify(BODY.encode(), dict(headers))
    assert second.valid(now + timedelta(hours=24)) == (second.current,)


def test_never_more_than_two_secrets_sign():
    now = datetime.now(UTC)
    first = Secrets(current="a", made_at=now)
    assert first.rotated("b", now=now).rotated("c", now=now).valid(now) == ("c", "b")
