"""Rows of uploads: `jobs.uploads.ports.UploadRepository`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    String,
    Table,
    any_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from jobs.errors import UploadNotFound
from jobs.job import SourceKind
from jobs.uploads.upload import ID_LENGTH, Known, Upload, UploadKind, has_arrived, upload_key
from storage.rows import storable
from storage.scope import Prepared
from storage.tables import IMAGE, UploadRow
from storage.transaction import Transaction

_KINDS = {each.value: each for each in UploadKind}
UPLOADS, UPLOAD = cast(Table, UploadRow.__table__), UploadRow.__table__.c

_ONE = Prepared(select(UPLOADS).where(UPLOAD.id == bindparam("upload_id")))
_STORED = Prepared(update(UPLOADS).where(UPLOAD.id == bindparam("upload_id")).values(stored=True))


class SqlUploads:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def waiting_bytes(self, tenant: str) -> int:
        if self._transaction.dialect == "postgresql":
            place = func.hashtextextended(f"uploads of {tenant}", 0)
            self._transaction.write(select(func.pg_advisory_xact_lock(place)))
        waiting = select(func.coalesce(func.sum(UPLOAD.size), 0)).where(
            UPLOAD.expires_at > self._transaction.now, UPLOAD.uses == 0, UPLOAD.tenant == tenant
        )
        return int(self._transaction.write(waiting).scalar_one())

    def add(self, uploads: Sequence[Upload]) -> None:
        foreign = [each.id for each in uploads if not self._transaction.owns(each.tenant)]
        if foreign:
            raise ValueError(f"upload {foreign[0]} is another tenant's")
        if uploads:
            self._transaction.write(insert(UPLOADS), [_values(each) for each in uploads])

    def get(self, upload_id: str) -> Upload:
        row = self._transaction.look_up(_ONE, upload_id=upload_id).first()
        if row is None:
            raise UploadNotFound("there is no such upload")
        return _to_upload(row)

    def several(self, upload_ids: Collection[str]) -> Mapping[str, Known]:
        columns = (UPLOAD.id, UPLOAD.tenant, UPLOAD.name, UPLOAD.size, UPLOAD.kind, UPLOAD.stored, UPLOAD.secret)
        found = self._transaction.read(select(*columns).where(self._among(upload_ids), self._is_alive())).all()
        return {
            upload_id: Known(
                upload_key(tenant, upload_id, size),
                name,
                _KINDS[kind],
                has_arrived(stored=stored, secret=secret),
            )
            for upload_id, tenant, name, size, kind, stored, secret in found
        }

    def mark_stored(self, upload_id: str) -> bool:
        return self._transaction.carry_out(_STORED, upload_id=upload_id).rowcount > 0

    def use(self, upload_ids: Collection[str]) -> int:
        these = update(UPLOADS).where(self._among(upload_ids), self._is_alive())
        return self._transaction.write(these.values(uses=UPLOAD.uses + 1, expires_at=None)).rowcount

    def expired(self, *, for_s: float, limit: int, after: str = "") -> Sequence[Upload]:
        before = self._transaction.now - timedelta(seconds=for_s)
        gone = select(UPLOADS).where(UPLOAD.expires_at < before, UPLOAD.uses == 0, UPLOAD.id > after)
        return [_to_upload(row) for row in self._transaction.read(gone.order_by(UPLOAD.id).limit(limit))]

    def remove(self, upload_id: str) -> None:
        self._transaction.write(delete(UPLOADS).where(UPLOAD.id == upload_id, UPLOAD.uses == 0))

    def _is_alive(self) -> ColumnElement[bool]:
        return or_(UPLOAD.expires_at.is_(None), UPLOAD.expires_at > self._transaction.now)

    def _among(self, upload_ids: Collection[str]) -> ColumnElement[bool]:
        """As one parameter, however many they are."""
        ids = sorted(set(upload_ids))
        if self._transaction.dialect == "sqlite":
            listed = func.json_each(json.dumps(ids)).table_valued("value")
            return UPLOAD.id.in_(select(listed.c.value))
        return UPLOAD.id == any_(bindparam("upload_ids", ids, type_=ARRAY(String), unique=True))


def release_uploads(transaction: Transaction, job_id: str) -> None:
    """The job needs its uploads no more: those that no other needs expire now. Its images are still there."""
    of_pictures = select(_id_in(IMAGE.source_location)).where(
        IMAGE.job_id == job_id, IMAGE.source_kind == SourceKind.UPLOAD.value
    )
    of_masks = select(_id_in(IMAGE.mask_location)).where(
        IMAGE.job_id == job_id, IMAGE.mask_kind == SourceKind.UPLOAD.value
    )
    used = update(UPLOADS).where(UPLOAD.id.in_(of_pictures.union(of_masks)), UPLOAD.uses > 0)
    transaction.write(used.values(uses=UPLOAD.uses - 1, expires_at=_when_unused(transaction)))


def _when_unused(transaction: Transaction) -> ColumnElement[Any]:
    return case(
        (UPLOAD.uses == 1, bindparam("released_at", transaction.now, type_=UPLOAD.expires_at.type)), else_=null()
    )


def _id_in(location: ColumnElement[Any]) -> ColumnElement[str]:
    """An upload's key ends with its id."""
    return func.substr(location, func.length(location) - (ID_LENGTH - 1))


def _values(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "tenant": upload.tenant,
        "name": storable(upload.name),
        "size": upload.size,
        "media_type": upload.media_type,
        "kind": upload.kind.value,
        "secret": upload.secret,
        "stored": upload.stored,
        "uses": upload.uses,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
    }


def _to_upload(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        size=row.size,
        media_type=row.media_type,
        kind=UploadKind(row.kind),
        secret=row.secret,
        stored=row.stored,
        uses=row.uses,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
