"""A job's row while its images change: locked first, then written once, so that its counters never drift.

Lock order: whoever changes images of a job holds the job's row before the images' rows. Two jobs are only locked
together by upkeep, in the order of their ids. What changes how, `jobs.transitions` says; here it is carried out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import Enum
from functools import lru_cache
from itertools import product
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Update, bindparam, literal, null, or_, select, update

from jobs.job import ImageStatus, Job, Slice
from jobs.transitions import Move, Transition
from storage.outbox import owe
from storage.rows import Values, moved_values, progress_values, to_job, totals_values
from storage.scope import Prepared
from storage.tables import IMAGE, IMAGES, JOB, JOBS
from storage.transaction import Answer, Transaction

_LOCK = Prepared(
    select(JOBS)
    .where(JOB.id.in_(bindparam("ids", expanding=True)), JOB.is_deleted.is_(False))
    .order_by(JOB.id)
    .with_for_update()  # SQLite has no row locks and needs none: its writers come one at a time
)
_LOCK_ONE = Prepared(
    select(JOBS)
    .where(JOB.id == bindparam("id"), JOB.is_deleted.is_(False))
    .with_for_update()  # half the work of a list
)
_WRITE = Prepared(update(JOBS).where(JOB.id == bindparam("job")))  # whatever columns come with it
_WRITE_UNCHANGED = Prepared(
    update(JOBS).where(JOB.id == bindparam("job"), JOB.version == bindparam("seen"), JOB.is_deleted.is_(False))
)


def lock_jobs(transaction: Transaction, job_ids: Iterable[str]) -> list[Job]:
    """The visible ones of these jobs, in the order of their ids, with nobody else changing them until the end."""
    return [to_job(row) for row in transaction.carry_out(_LOCK, ids=sorted(set(job_ids)))]


def lock_job(transaction: Transaction, job_id: str) -> Job | None:
    row = transaction.carry_out(_LOCK_ONE, id=job_id).first()
    return None if row is None else to_job(row)


def carry_out(transaction: Transaction, before: Job, step: Transition) -> Job:
    """Images of a locked job, then the job. One statement for all that go the same way, and one for all of which each
    goes its own. Returns the job after."""
    _move_all(transaction, before, step)
    write_job(transaction, before, step)
    return step.job


def carry_out_unchanged(transaction: Transaction, before: Job, step: Transition) -> bool:
    """As `carry_out`, of a job that was read earlier and is not locked. False, and nothing is done, when anything has
    happened to it since: that takes it one version further. Else its images are as they were, but for when their
    leases end."""
    found = transaction.carry_out(_WRITE_UNCHANGED, job=before.id, seen=before.version, **_changed(before, step.job))
    if not found.rowcount:
        return False
    _move_all(transaction, before, step)
    _note(transaction, step)
    return True


def _move_all(transaction: Transaction, before: Job, step: Transition) -> None:
    alone = [(move, index) for move, indices in step.moves if indices and len(indices) == 1 for index in indices]
    if len(alone) == len(step.moves):
        _move_each(transaction, before.id, alone)
    else:
        for move, indices in step.moves:
            move_images(transaction, before.id, move, indices)


def move_images(transaction: Transaction, job_id: str, move: Move, indices: Collection[int] | None) -> None:
    """All images of the job that are where the move begins, or these of them."""
    values = {} if indices is None else {"indices": sorted(indices)}
    _move(transaction, job_id, move, _Which.ALL if indices is None else _Which.THESE, values)


def move_due(transaction: Transaction, piece: Slice, move: Move, *, now: datetime) -> Answer:
    """Those of a slice of which it is time. Gives their rows as they are after."""
    values = {"first": piece.first, "last": piece.last, "now": now}
    return _move(transaction, piece.job_id, move, _Which.DUE, values)


class _Which(Enum):
    """Images of a job that are moved by one statement."""

    ALL = "all"
    THESE = "these"
    DUE = "due"


def _move(transaction: Transaction, job_id: str, move: Move, which: _Which, values: Values) -> Answer:
    put = moved_values(move)
    way = _way(move.source, tuple(put), tuple(move.add.items()), tuple(move.copy.items()), which)
    return transaction.carry_out(way, job=job_id, **{f"to_{name}": value for name, value in put.items()}, **values)


@lru_cache(maxsize=128)  # as many as there are ways to go, which are a dozen
def _way(
    source: ImageStatus,
    put: tuple[str, ...],
    add: tuple[tuple[str, int], ...],
    copy: tuple[tuple[str, str], ...],
    which: _Which,
) -> Prepared:
    statement = update(IMAGES).where(IMAGE.job_id == bindparam("job"), is_in(source))
    if which is _Which.THESE:
        statement = statement.where(IMAGE["index"].in_(bindparam("indices", expanding=True)))
    if which is _Which.DUE:
        of_slice = IMAGE["index"].between(bindparam("first"), bindparam("last"))
        statement = statement.where(of_slice, is_due(bindparam("now", type_=IMAGE.retry_at.type)))
    new: Values = {name: bindparam(f"to_{name}") for name in put}
    new.update((name, IMAGE[name] + by) for name, by in add)
    new.update((name, IMAGE[other]) for name, other in copy)
    moved = statement.values(new)
    return Prepared(moved.returning(*IMAGE) if which is _Which.DUE else moved)


def _move_each(transaction: Transaction, job_id: str, moves: Iterable[tuple[Move, int]]) -> None:
    """One statement for moves of the same fields, run for each image: that is many times as fast as one for each."""
    alike: dict[Any, list[Values]] = defaultdict(list)
    for move, index in moves:
        put, add = moved_values(move), move.add
        row = {"job": job_id, "at": index, **{f"to_{name}": value for name, value in put.items()}}
        alike[move.source, tuple(put), tuple(add)].append(row | {f"by_{name}": by for name, by in add.items()})
    for (source, put, add), rows in alike.items():
        empty = frozenset(name for name in put if all(row[f"to_{name}"] is None for row in rows))
        grown = tuple(name for name in add if any(row[f"by_{name}"] for row in rows))
        left_out = [*(f"to_{name}" for name in empty), *(f"by_{name}" for name in add if name not in grown)]
        for row, name in product(rows, left_out):
            del row[name]
        transaction.write(_own_way(source, put, grown, empty), rows)


@lru_cache(maxsize=128)
def _own_way(source: ImageStatus, put: tuple[str, ...], add: tuple[str, ...], empty: frozenset[str]) -> Update:
    """empty: columns of which no image has a value: they are written out, since each value that is bound takes longer
    than the database needs for it."""
    own = update(IMAGES).where(
        IMAGE.job_id == bindparam("job"), IMAGE["index"] == bindparam("at"), IMAGE.status == source.value
    )
    placed: Values = {name: null() if name in empty else bindparam(f"to_{name}") for name in put}
    grown: Values = {name: IMAGE[name] + bindparam(f"by_{name}") for name in add}
    return own.values(**placed, **grown)


def write_job(transaction: Transaction, before: Job, step: Transition) -> None:
    """Write what may change of a locked job, and what is owed for it."""
    transaction.carry_out(_WRITE, job=before.id, **_changed(before, step.job))
    _note(transaction, step)


def _changed(before: Job, after: Job) -> Values:
    """The totals, which are long, and what an index is kept of, when they did."""
    values: Values = progress_values(after)
    if after.expires_at != before.expires_at:
        values["expires_at"] = after.expires_at
    if after.totals is not before.totals:
        values.update(totals_values(after))
    return values


def _note(transaction: Transaction, step: Transition) -> None:
    owes = step.owes is not None and owe(transaction, step.owes)
    transaction.note_change(step.job.id, ended=step.job.is_finished, owes=owes)


def is_due(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Of images that wait."""
    return or_(IMAGE.retry_at.is_(None), IMAGE.retry_at <= now)


def is_in(status: ImageStatus) -> ColumnElement[bool]:
    """Written out instead of bound: with a parameter no partial index would be found to fit."""
    return IMAGE.status == literal(status.value, literal_execute=True)
