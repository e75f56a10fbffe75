"""Changing one's mind: cancel, try again, delete. Called by the API."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from jobs.callers import DEFAULT, Caller
from jobs.job import Job
from jobs.ports import Dispatcher, ObjectStore, OpenUnit, UnitOfWork
from jobs.submitting.sending import send
from jobs.tenants.quotas import admit

DELETED_AT_ONCE = 1000  # images: the objects of more take seconds, or minutes, for which no client waits
_WITH_LESS = "try them again with a key that may have as many, or submit the failed ones anew in smaller jobs"


@dataclass(frozen=True, slots=True)
class Changing:
    open_unit: OpenUnit
    objects: ObjectStore
    dispatcher: Dispatcher
    caller: Caller = DEFAULT

    def cancel(self, job_id: str) -> Job:
        """Queued images are canceled at once; workers stop the running ones. Raises JobNotFound."""
        with self._unit() as unit:
            job = unit.jobs.request_cancel(job_id)
            unit.commit()
        return job

    def retry(self, job_id: str) -> Job:
        """Failed images alone go back to the queue, and count as if they were submitted now.

        Raises JobNotFound, JobNotFinished, NotAllowed, QuotaExceeded, TooManyImages.
        """
        with self._unit() as unit:
            job = unit.jobs.requeue_failed(job_id)
            others = job.credential != self.caller.credential
            admit(unit, self.caller, job.counts.queued, others=others, way_out=_WITH_LESS)
            waiting = unit.images.waiting(job_id)
            unit.commit()
        send(job, self.dispatcher, self.open_unit, images=waiting)
        return job

    def delete(self, job_id: str) -> None:
        """The job is gone for everybody, and so are its rows and objects; of more images than DELETED_AT_ONCE these
        are left to upkeep, as is what a crash leaves half done. Raises JobNotFound, JobRunning."""
        with self._unit() as unit:
            job = unit.jobs.get(job_id)
            unit.jobs.mark_deleted(job_id)
            unit.commit()
        if job.counts.total > DELETED_AT_ONCE:
            return
        self.objects.delete_prefix(job.prefix)
        with self._unit() as unit:
            unit.jobs.purge(job_id)
            unit.commit()

    def _unit(self) -> AbstractContextManager[UnitOfWork]:
        return self.open_unit(self.caller.tenant)
