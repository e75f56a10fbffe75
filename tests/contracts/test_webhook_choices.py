"""A tenant's secrets and default receiver, on every database; and that no other tenant sees them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.deliveries.delivery import Backlog
from jobs.deliveries.endpoint import EVENTS, Endpoint
from jobs.deliveries.message import ping
from jobs.deliveries.ports import AtOnce
from jobs.deliveries.signing import new_secret
from jobs.errors import DeliveryNotFound, JobNotFound
from tests.contracts.test_deliveries import URL, done_job, page
from tests.factories import NOON
from tests.job_steps import Units


def test_a_secret_is_made_when_it_is_first_needed(open_unit: Units):
    with open_unit() as unit:
        assert unit.webhooks.find("acme") is None
        made = unit.webhooks.lock("acme")
        unit.commit()
    assert made.secrets.current.startswith("whsec_")
    with open_unit() as unit:
        assert unit.webhooks.find("acme") == unit.webhooks.lock("acme") == made
        assert unit.webhooks.lock("zeta").secrets != made.secrets


def test_what_was_chosen_is_kept(open_unit: Units):
    with open_unit() as unit:
        made = unit.webhooks.lock("acme")
        secrets = made.secrets.rotated(new_secret(), now=NOON)
        chosen = replace(made, secrets=secrets, endpoint=Endpoint(url=URL, events=EVENTS), gone_at=NOON)
        unit.webhooks.put("acme", chosen)
        unit.commit()
    with open_unit() as unit:
        assert unit.webhooks.find("acme") == chosen
        unit.webhooks.put("acme", made)
        unit.commit()
    with open_unit() as unit:
        assert unit.webhooks.find("acme") == made


def test_another_tenants_webhooks_are_neither_seen_nor_changed(open_unit: Units):
    with open_unit("acme") as unit:
        made = unit.webhooks.lock("acme")
        unit.commit()
    with open_unit("zeta") as unit:
        assert unit.webhooks.find("acme") is None
        unit.webhooks.put("acme", replace(made, gone_at=NOON))
        unit.commit()
    with open_unit("zeta") as unit, pytest.raises(ValueError, match="another"):
        unit.webhooks.lock("acme")
    with open_unit("acme") as unit:
        assert unit.webhooks.find("acme") == made


def test_another_tenants_deliveries_are_neither_seen_nor_changed(open_unit: Units):
    done_job(open_unit)
    first, _ = before = page(open_unit)
    with open_unit.at(NOON + timedelta(hours=1)) as unit:
        pass
    with open_unit("zeta") as unit:
        assert list(unit.deliveries.claim(limit=9, at_once=AtOnce(), lease_s=9)) == []
        assert unit.deliveries.backlog() == Backlog()
        assert not unit.deliveries.end_try(first)
        unit.deliveries.remove(first.id)
        for call in (unit.deliveries.get, unit.deliveries.redeliver):
            with pytest.raises(DeliveryNotFound):
                call(first.id)
        with pytest.raises(JobNotFound):
            unit.deliveries.page("job_1", limit=9)
        unit.commit()
    with open_unit("zeta") as unit, pytest.raises(ValueError, match="another"):
        unit.deliveries.add(ping("acme", Endpoint(url=URL), now=NOON))
    assert page(open_unit) == before
