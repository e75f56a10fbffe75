"""What `jobs.uploads.ports.UploadRepository` promises, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.errors import UploadNotFound
from jobs.uploads.upload import Upload, UploadKind
from tests.job_steps import Units
from tests.upload_steps import SOON, add_job_of, add_uploads, make_upload


def purge(open_unit: Units, job_id: str) -> None:
    with open_unit() as unit:
        unit.jobs.purge(job_id)
        unit.commit()


def get(open_unit: Units, upload: Upload) -> Upload:
    with open_unit() as unit:
        return unit.uploads.get(upload.id)


def test_an_upload_comes_back_as_it_was_added(open_unit: Units):
    one, other = make_upload(1), make_upload(2, kind=UploadKind.ARCHIVE, secret=None, stored=True)
    add_uploads(open_unit, one, other)
    with open_unit("default") as unit:
        assert unit.uploads.several([other.id, one.id, "upl_x"]) == {one.id: one.known(), other.id: other.known()}
        assert unit.uploads.several([]) == {}
        assert unit.uploads.mark_stored(one.id)
        assert not unit.uploads.mark_stored("upl_x")
        unit.commit()
    assert get(open_unit, one) == replace(one, stored=True)


def test_another_tenants_upload_is_not_there(open_unit: Units):
    one = make_upload()
    add_uploads(open_unit, one)
    with open_unit("acme") as unit:
        with pytest.raises(UploadNotFound):
            unit.uploads.get(one.id)
        assert unit.uploads.several([one.id]) == {}
        assert unit.uploads.use([one.id]) == 0
        unit.uploads.remove(one.id)
        assert not unit.uploads.mark_stored(one.id)
        assert list(unit.uploads.expired(for_s=-3600, limit=9)) == []
        unit.commit()
    assert get(open_unit, one) == one
    with open_unit("acme") as unit, pytest.raises(ValueError, match=r"owner|tenant"):
        unit.uploads.add([one])


def test_what_expired_can_no_more_be_used(open_unit: Units):
    one = make_upload()
    add_uploads(open_unit, one)
    with open_unit.at(SOON) as unit:
        assert unit.uploads.several([one.id]) == {}
        assert unit.uploads.use([one.id]) == 0
        assert unit.uploads.get(one.id) == one


def test_an_upload_stays_until_the_last_job_that_needs_it_is_gone(open_unit: Units):
    one = make_upload()
    add_uploads(open_unit, one)
    add_job_of(open_unit, "job_1", one)
    add_job_of(open_unit, "job_2", one, masks=True)
    assert get(open_unit, one) == replace(one, uses=2, expires_at=None)
    with open_unit.at(SOON + timedelta(hours=9)) as unit:
        assert list(unit.uploads.expired(for_s=0, limit=9)) == []
        unit.uploads.remove(one.id)
        unit.commit()
    purge(open_unit, "job_1")
    assert get(open_unit, one) == replace(one, uses=1, expires_at=None)
    purge(open_unit, "job_2")
    purge(open_unit, "job_2")
    assert get(open_unit, one) == replace(one, uses=0, expires_at=open_unit.clock.now)


def test_a_job_that_names_an_upload_twice_needs_it_once(open_unit: Units):
    one, other = make_upload(1), make_upload(2)
    add_uploads(open_unit, one, other)
    add_job_of(open_unit, "job_1", one, one)
    assert get(open_unit, one).uses == 1
    purge(open_unit, "job_1")
    assert (get(open_unit, one).uses, get(open_unit, other)) == (0, other)


def test_what_nobody_used_in_time_is_found_and_removed(open_unit: Units):
    uploads = [make_upload(number) for number in (1, 2, 3)]
    add_uploads(open_unit, *uploads)
    with open_unit.at(SOON + timedelta(seconds=10)) as unit:
        assert list(unit.uploads.expired(for_s=10, limit=9)) == []
        assert list(unit.uploads.expired(for_s=9, limit=2)) == uploads[:2]
        assert list(unit.uploads.expired(for_s=9, limit=9, after=uploads[1].id)) == uploads[2:]
        unit.uploads.remove(uploads[0].id)
        unit.uploads.remove("upl_x")
        unit.commit()
    with open_unit() as unit, pytest.raises(UploadNotFound):
        unit.uploads.get(uploads[0].id)


def test_bytes_that_wait_are_those_of_a_tenants_unused_uploads(open_unit: Units):
    used, *others = (make_upload(number) for number in range(3))
    add_uploads(open_unit, used, *others)
    add_job_of(open_unit, "job_1", used)
    with open_unit("default") as unit:
        assert unit.uploads.waiting_bytes("default") == sum(each.size for each in others) > 0
        assert unit.uploads.waiting_bytes("acme") == 0
    with open_unit.at(SOON) as unit:
        assert unit.uploads.waiting_bytes("default") == 0
