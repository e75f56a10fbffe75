"""Uploads as use cases: where the store takes files itself, and when it does not answer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count

import pytest

from jobs.callers import Caller
from jobs.errors import (
    InvalidOptions,
    QuotaExceeded,
    StorageUnavailable,
    TooManyBytes,
    TooManyImages,
    UploadConflict,
    UploadNotFound,
)
from jobs.job import NewImage, Source, SourceKind
from jobs.submitting.drafts import Draft
from jobs.submitting.references import Prefix, References
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.uploads.announcing import Announced, UploadLimits, announced
from jobs.uploads.ports import SignedPut
from jobs.uploads.stored_file import open_stored
from jobs.uploads.sweeping import GRACE_S, STORE_IS_AWAY, sweep_uploads
from jobs.uploads.upload import UploadKind, UploadState
from jobs.uploads.uploading import Receiving, Uploading
from tests.factories import picture
from tests.fakes import MemoryObjects
from tests.memory_service import MemoryService

JPEG = Announced(name="a.jpg", size=5, media_type="image/jpeg")


class PublicObjects(MemoryObjects):
    """Takes files at addresses of its own; `away` answers nothing."""

    away = False

    def presigned_put(self, key: str, *, size: int, media_type: str, expires_s: int) -> SignedPut | None:
        return SignedPut(f"http://store/{key}?for={expires_s}", {"Content-Type": media_type})

    def delete(self, key: str) -> None:
        if self.away:
            raise StorageUnavailable("away")
        super().delete(key)


@pytest.fixture
def objects() -> PublicObjects:
    return PublicObjects()


@pytest.fixture
def service(objects: PublicObjects) -> MemoryService:
    return MemoryService(objects=objects)


def uploading(service: MemoryService) -> Uploading:
    return Uploading(service.database.unit, service.objects, UploadLimits())


def references(service: MemoryService) -> References:
    return References(service.database.unit, service.objects, service.buckets, "default")


def open_draft(service: MemoryService, max_images: int = 100) -> AbstractContextManager[Draft]:
    submitting = Submitting(
        service.database.unit,
        service.objects,
        service.dispatcher,
        service.catalog,
        SubmitRules(default_model="tiny", max_images=max_images),
    )
    return submitting.open_draft()


def test_a_store_with_addresses_takes_files_itself(service: MemoryService) -> None:
    (ticket,) = uploading(service).begin([JPEG])
    assert ticket.direct is not None
    assert ticket.direct.url.endswith("?for=86400")
    service.clock.advance(400)
    again = uploading(service).look(ticket.upload.id)
    assert again.direct is not None
    assert (again.state, again.direct.url.endswith("?for=86000")) == (UploadState.OPEN, True)
    with pytest.raises(UploadNotFound):
        Receiving(service.database.unit, service.objects).find(ticket.upload.id, expires=2**40, signature="0" * 64)
    with pytest.raises(ValueError, match="straight to the store"):
        ticket.upload.signature(1)
    service.objects.put(ticket.upload.key, b"bytes", media_type="image/jpeg")
    assert uploading(service).look(ticket.upload.id).state is UploadState.STORED


def test_an_empty_picture_needs_no_address_of_the_store(service: MemoryService) -> None:
    empty, other = uploading(service).begin([replace(JPEG, size=0), JPEG])
    assert (empty.direct, empty.state, other.state) == (None, UploadState.STORED, UploadState.OPEN)
    assert service.objects.get(empty.upload.key) == b""


def test_what_is_told_to_be_stored_can_be_used() -> None:
    service = MemoryService()
    (ticket,) = uploading(service).begin([JPEG])
    service.objects.put(ticket.upload.key, b"bytes", media_type="image/jpeg")  # by a process that died just then
    given = NewImage(Source(SourceKind.UPLOAD, ticket.upload.id), "")
    with pytest.raises(InvalidOptions, match="has not arrived yet"), open_draft(service) as draft:
        references(service).add(draft, [given], [])
    assert uploading(service).look(ticket.upload.id).state is UploadState.STORED
    with open_draft(service) as draft:
        references(service).add(draft, [given], [])


def test_what_arrived_while_another_waited_stays_and_can_be_used() -> None:
    service = MemoryService()
    (ticket,) = uploading(service).begin([JPEG])
    receiving = Receiving(service.database.unit, service.objects)
    service.objects.put(ticket.upload.key, b"bytes", media_type="image/jpeg")  # between a look and its lock
    with pytest.raises(UploadConflict, match="has arrived already"):
        receiving.receive(ticket.upload, io.BytesIO(b"other"), offset=0)
    assert service.objects.get(ticket.upload.key) == b"bytes"
    with service.database.unit() as unit:
        assert unit.uploads.get(ticket.upload.id).stored


def test_an_upload_that_a_job_needs_is_used(service: MemoryService) -> None:
    (ticket,) = uploading(service).begin([JPEG])
    with service.database.unit() as unit:
        unit.uploads.use([ticket.upload.id])
        unit.commit()
    assert uploading(service).look(ticket.upload.id).state is UploadState.USED


def test_whether_a_file_of_the_store_is_there_the_workers_find_out(service: MemoryService) -> None:
    (ticket,) = uploading(service).begin([JPEG])
    assert ticket.upload.known().arrived is None
    given = NewImage(Source(SourceKind.UPLOAD, ticket.upload.id), "")
    with open_draft(service) as draft:
        references(service).add(draft, [given], [])
        assert draft.received().images[0].source.location == ticket.upload.key


@pytest.mark.parametrize(
    ("stored", "said"), [(None, "has not arrived"), (b"short", "has not the 9 bytes that were announced")]
)
def test_an_archive_of_the_store_has_to_be_there_and_whole(
    service: MemoryService, stored: bytes | None, said: str
) -> None:
    (ticket,) = uploading(service).begin([Announced(name="a.zip", size=9, media_type="application/zip")])
    if stored is not None:
        service.objects.put(ticket.upload.key, stored, media_type="application/zip")
    with pytest.raises(InvalidOptions, match=said):
        references(service)._open(ticket.upload.known(), "inputs.0.upload")


def test_one_mask_for_a_packed_upload_is_refused_and_not_forgotten(service: MemoryService) -> None:
    archive = Announced(name="a.zip", size=9, media_type="application/zip")
    packed, mask = (ticket.upload.id for ticket in uploading(service).begin([archive, JPEG]))
    source = Source(SourceKind.UPLOAD, packed)
    given = NewImage(source, "", None, Source(SourceKind.UPLOAD, mask))
    with open_draft(service) as draft, pytest.raises(InvalidOptions, match="its masks in `masks`"):
        references(service).add(draft, [given], [])


def test_no_more_of_a_bucket_is_read_than_a_job_may_hold(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def names(bucket: str, prefix: str) -> Iterator[str]:
        for number in count():
            read.append(f"a/{number}.jpg")
            yield read[-1]

    monkeypatch.setattr(service.buckets, "names", names)
    monkeypatch.setattr(service.buckets, "allows", lambda bucket, tenant: True)
    with open_draft(service, max_images=3) as draft, pytest.raises(TooManyImages):
        references(service).add(draft, [Prefix("photos/a/")], [])
    assert len(read) == 4


def test_a_bucket_that_is_gone_is_a_fault(service: MemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.errors import ObjectNotFound

    def gone(bucket: str, prefix: str) -> object:
        raise ObjectNotFound("gone")

    monkeypatch.setattr(service.buckets, "names", gone)
    with pytest.raises(InvalidOptions, match="there is no bucket 'photos'"):
        references(service)._listed(Prefix("photos/a/").location, "inputs.0.prefix", most=5)


def test_what_cannot_be_deleted_is_tried_again_and_stands_in_nobodys_way(
    service: MemoryService, objects: PublicObjects
) -> None:
    tickets = uploading(service).begin([JPEG] * (STORE_IS_AWAY + 1))
    service.clock.advance(24 * 3600 + GRACE_S + 1)
    objects.away = True
    assert sweep_uploads(service.database.unit, objects, after="") == (0, tickets[STORE_IS_AWAY - 1].upload.id)
    objects.away = False
    assert sweep_uploads(service.database.unit, objects, after=tickets[STORE_IS_AWAY - 1].upload.id) == (1, "")
    assert sweep_uploads(service.database.unit, objects, after="") == (STORE_IS_AWAY, "")


@pytest.mark.parametrize(
    ("name", "content_type", "kind"),
    [
        ("a.jpg", None, UploadKind.IMAGE),
        ("a.tar.gz", None, UploadKind.ARCHIVE),
        ("a.ndjson", "application/octet-stream", UploadKind.MANIFEST),
        ("a", "image/jpeg; q=1", UploadKind.IMAGE),
        ("a.jpg", "application/x-zip-compressed", UploadKind.ARCHIVE),
        ("a.jpg", "text/plain", None),
        ("a.txt", None, None),
    ],
)
def test_what_a_file_is_its_type_says_and_else_its_name(
    name: str, content_type: str | None, kind: UploadKind | None
) -> None:
    assert announced(name, 5, content_type).kind is kind


def test_a_stored_file_is_read_from_anywhere(service: MemoryService) -> None:
    data = picture()
    service.objects.put("k", data, media_type="image/jpeg")
    with open_stored(service.objects, "k") as file:
        assert file.seek(-4, io.SEEK_END) == len(data) - 4
        assert file.read() == data[-4:]
        assert file.read() == b""
        file.seek(2)
        file.seek(3, io.SEEK_CUR)
        assert file.read(4) == data[5:9]
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(-1)


@pytest.mark.parametrize("count", [0, 3])
def test_none_and_too_many_files_are_refused(service: MemoryService, count: int) -> None:
    few = Uploading(service.database.unit, service.objects, UploadLimits(files=2))
    with pytest.raises(InvalidOptions, match="must be 1 to 2 files"):
        few.begin([JPEG] * count)


def test_a_tenants_uploads_that_no_job_needs_have_only_so_many_bytes(service: MemoryService) -> None:
    limits = UploadLimits(waiting_bytes=2 * JPEG.size)
    own = Uploading(service.database.unit, service.objects, limits)
    own.begin([JPEG])
    with pytest.raises(QuotaExceeded, match=f"there are {JPEG.size}, and {2 * JPEG.size} more come") as caught:
        own.begin([JPEG, JPEG])
    assert (caught.value.standing.remaining, caught.value.standing.retry_after_s) == (JPEG.size, 10)
    with pytest.raises(TooManyBytes, match=f"{3 * JPEG.size} come: announce fewer"):  # never, however long one waits
        own.begin([JPEG] * 3)
    own.begin([JPEG])
    Uploading(service.database.unit, service.objects, limits, Caller("acme", "submit")).begin([JPEG, JPEG])
