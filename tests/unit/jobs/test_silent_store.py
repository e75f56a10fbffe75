"""A store that does not even answer, while a request is being received."""

from __future__ import annotations

from io import BytesIO

import pytest

from jobs.errors import StorageSilent
from tests.factories import picture
from tests.unit.jobs.conftest import Service


def test_a_store_that_says_nothing_is_not_asked_again_and_upkeep_knows_what_is_left(
    service: Service, monkeypatch: pytest.MonkeyPatch
):
    def put(*_: object, **__: object) -> int:
        raise StorageSilent("the object store does not answer")

    def delete_prefix(prefix: str) -> int:
        raise AssertionError(f"{prefix} would be waited for once more")

    monkeypatch.setattr(service.objects, "put", put)
    monkeypatch.setattr(service.objects, "delete_prefix", delete_prefix)
    with pytest.raises(StorageSilent), service.submitting.open_draft("key") as draft:
        draft.add_file("a.jpg", BytesIO(picture()), media_type=None)
    service.clock.advance(1)
    with service.database.unit() as unit:
        assert [each.job_id for each in unit.drafts.stale(older_than_s=0, limit=9)] == [draft.job_id]
    with service.submitting.open_draft("key") as again:
        assert again.earlier is None
