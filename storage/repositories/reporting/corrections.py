"""Rows of corrections: `jobs.corrections.ports.CorrectionRepository`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select

from jobs.corrections.correction import Correction, CorrectionFile
from jobs.errors import JobNotFound
from storage.ledger import lock_job
from storage.tables import CORRECTION, CORRECTIONS, JOB
from storage.transaction import Transaction


class SqlCorrections:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, job_id: str, index: int, file: CorrectionFile, *, made_by: str | None) -> Correction:
        if lock_job(self._transaction, job_id) is None:
            raise JobNotFound(f"there is no job {job_id!r}")
        highest = select(func.max(CORRECTION.version)).where(CORRECTION.job_id == job_id, CORRECTION["index"] == index)
        correction = Correction(
            job_id=job_id,
            index=index,
            version=1 + (self._transaction.write(highest).scalar() or 0),
            file=file,
            made_at=self._transaction.now,
            made_by=made_by,
        )
        self._transaction.write(insert(CORRECTIONS), [_values(correction)])
        return correction

    def versions(self, job_id: str, index: int) -> Sequence[Correction]:
        wanted = (CORRECTION.job_id == job_id, CORRECTION["index"] == index)
        return _all(self._transaction.read(select(CORRECTIONS).where(*wanted).order_by(CORRECTION.version.desc())))

    def newest(self, job_id: str, *, after: int = -1, limit: int | None = None) -> Sequence[Correction]:
        other = CORRECTIONS.alias().c
        highest = (
            select(func.max(other.version))
            .where(other.job_id == CORRECTION.job_id, other["index"] == CORRECTION["index"])
            .scalar_subquery()
        )
        wanted = (CORRECTION.job_id == job_id, CORRECTION["index"] > after, CORRECTION.version == highest)
        return _all(
            self._transaction.read(select(CORRECTIONS).where(*wanted).order_by(CORRECTION["index"]).limit(limit))
        )

    def jobs_since(self, moment: datetime) -> frozenset[str]:
        lately = select(CORRECTION.job_id).where(CORRECTION.made_at >= moment)
        wanted = select(JOB.id).where(JOB.id.in_(lately), JOB.is_deleted.is_(False))
        return frozenset(self._transaction.read(wanted).scalars())


def _values(correction: Correction) -> dict[str, Any]:
    file = correction.file
    return {
        "job_id": correction.job_id,
        "index": correction.index,
        "version": correction.version,
        "key": file.key,
        "size": file.size,
        "crc32": file.crc32,
        "sha256": file.sha256,
        "made_at": correction.made_at,
        "made_by": correction.made_by,
    }


def _all(rows: Iterable[Row[Any]]) -> list[Correction]:
    return [_to_correction(row) for row in rows]


def _to_correction(row: Sequence[Any]) -> Correction:
    """row: every column in the table's order."""
    job_id, index, version, key, size, crc32, sha256, made_at, made_by = row
    file = CorrectionFile(key=key, size=size, crc32=crc32, sha256=sha256)
    return Correction(job_id=job_id, index=index, version=version, file=file, made_at=made_at, made_by=made_by)
