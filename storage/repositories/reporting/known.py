"""Rows of what is known of pictures: `jobs.reuse.known.KnownRepository`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select
from sqlalchemy.sql import Executable

from jobs.job import Job
from jobs.ports import Outcome
from jobs.reuse.known import Known
from jobs.reuse.recipe import kinds_of
from storage.repositories.upsert import insert_for
from storage.rows import to_image
from storage.scope import Prepared
from storage.tables import IMAGE, IMAGES, JOB, JOBS, KNOWN, KNOWN_RESULTS, KnownRow
from storage.transaction import Transaction

_COLUMNS = 4  # that come before the image's own
_ASKED = and_(
    KNOWN.tenant == bindparam("tenant"),
    KNOWN.recipe.in_(bindparam("recipes", expanding=True)),
)
_ANY = Prepared(select(KNOWN.job_id).where(_ASKED).order_by(KNOWN.recipe, KNOWN.input_sha256).limit(1))
_NEWEST = (
    select(KNOWN.tenant, KNOWN.recipe, KNOWN.input_sha256, KNOWN.kinds, func.max(KNOWN.job_id).label("job_id"))
    .join(JOBS, and_(JOB.id == KNOWN.job_id, JOB.is_deleted.is_(False)))
    .where(_ASKED, KNOWN.input_sha256.in_(bindparam("inputs", expanding=True)))
    .group_by(KNOWN.tenant, KNOWN.recipe, KNOWN.input_sha256, KNOWN.kinds)
    .subquery()
)
_FIND = Prepared(
    select(KNOWN.recipe, KNOWN.input_sha256, KNOWN.kinds, KNOWN.model, *IMAGE)
    .select_from(_NEWEST)
    .join(KNOWN_RESULTS, and_(*(KNOWN[name] == column for name, column in _NEWEST.c.items())))
    .join(IMAGES, and_(IMAGE.job_id == KNOWN.job_id, IMAGE["index"] == KNOWN["index"]))
)


class SqlKnown:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def is_any(self, tenant: str, recipes: Collection[bytes]) -> bool:
        return self._transaction.look_up(_ANY, tenant=tenant, recipes=sorted(recipes)).first() is not None

    def find(self, tenant: str, recipes: Collection[bytes], inputs: Collection[str]) -> Sequence[Known]:
        asked = {"tenant": tenant, "recipes": sorted(recipes), "inputs": sorted(inputs)}
        return [_to_known(row) for row in self._transaction.look_up(_FIND, **asked)]


def remember(transaction: Transaction, job: Job, outcomes: Collection[Outcome]) -> None:
    """The results of these outcomes, which count. Of a picture that a job has twice, one is enough."""
    kinds = ",".join(sorted(kinds_of(job.options).values()))
    rows = [row for outcome in outcomes for row in _rows(job, outcome, kinds)]
    if rows:
        transaction.write(_remembering(transaction.dialect), rows)


@lru_cache(maxsize=2)  # to build it takes longer than to run it
def _remembering(dialect: str) -> Executable:
    return insert_for(dialect, KnownRow).on_conflict_do_nothing()


def forget_known(transaction: Transaction, job_id: str) -> None:
    transaction.write(delete(KNOWN_RESULTS).where(KNOWN.job_id == job_id))


def _rows(job: Job, outcome: Outcome, kinds: str) -> Iterator[dict[str, Any]]:
    if outcome.input_sha256 is None:
        return
    for model, recipe in enumerate(outcome.recipes):
        yield {
            "tenant": job.tenant,
            "recipe": recipe,
            "input_sha256": outcome.input_sha256,
            "kinds": kinds,
            "job_id": job.id,
            "index": outcome.index,
            "model": model,
        }


def _to_known(row: Any) -> Known:
    recipe, input_sha256, kinds, model = row[:_COLUMNS]
    return Known(
        recipe=bytes(recipe),
        input_sha256=input_sha256,
        kinds=frozenset(kinds.split(",")),
        image=to_image(row[_COLUMNS:]),
        model=model,
    )
