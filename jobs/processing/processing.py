"""What a worker does with one slice of images. Called by the Celery task, and by nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from jobs.errors import DatabaseUnavailable, DownloadFailed, ImageFailure, OutOfMemory, StorageUnavailable, TimedOut
from jobs.job import Job, JobImage, Priority, Slice
from jobs.keys import attempt_keys
from jobs.ports import Claim, Finished, OpenUnit, Outcome
from jobs.processing.attempt import Attempt, AttemptCanceled, AttemptLost
from jobs.processing.image_work import ImageWork
from jobs.processing.lease import Lease
from jobs.processing.retry import RetryPolicy, failure_of, left_to_newer, part_away
from jobs.reuse.recalling import Recalling, Recollection
from jobs.reuse.recipe import Recipes
from jobs.tenants.turns import Turns
from jobs.watching.observing import Observer, Unobserved
from segmentation.errors import SegmentationError

logger = logging.getLogger(__name__)

HELD_BYTES = 64 * 2**20  # of pictures that were read for their hashes; what is beyond is read again
_OF_THE_IMAGE = (SegmentationError, DownloadFailed, TimedOut)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRules:
    """worker: this process's name. Results are written in groups of `flush_images`, or after `flush_s`.

    image_limit_s: how long the steps of one attempt may take together. outage_pause_s: before images are taken again
    while the object store is away.
    """

    worker: str
    lease_s: float = 30.0
    heartbeat_s: float = 8.0
    flush_s: float = 0.5
    flush_images: int = 32
    image_limit_s: float = 600.0
    outage_pause_s: float = 5.0


class PictureThreads(Protocol):
    def submit(self, fn: Callable[[Attempt], Outcome | None], attempt: Attempt, /) -> Future[Outcome | None]: ...

    def submit_first(self, fn: Callable[[Attempt], Outcome | None], attempt: Attempt, /) -> Future[Outcome | None]:
        """Before all that was submitted by `submit`."""

    def leave_behind(self, answer: Future[Any], /) -> None:
        """The call is waited for no more; another thread takes the place of the one that it holds."""


class Flight:
    """Attempts at work in other threads. Whoever waits for them is woken once for many: to be woken costs a thread, and
    those that it takes the processor from, more than a small picture does.

    fetching: these only read their pictures, whose memory has to be looked after one by one.
    """

    def __init__(self, *, fetching: bool = False) -> None:
        self._attempts: dict[Future[Outcome | None], Attempt] = {}
        self._ended: list[Future[Outcome | None]] = []
        self._changed = threading.Condition()
        self._wanted = 1
        self._fetching = fetching

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, future: Future[Outcome | None], attempt: Attempt) -> None:
        self._attempts[future] = attempt
        future.add_done_callback(self._note)

    def all(self) -> Sequence[tuple[Future[Outcome | None], Attempt]]:
        return list(self._attempts.items())

    def leave(self, future: Future[Outcome | None]) -> None:
        """It is waited for no more."""
        del self._attempts[future]

    def ended(self, wanted: int, *, timeout: float) -> Sequence[tuple[Future[Outcome | None], Attempt]]:
        """Waits until so many have ended, or all, or for `timeout` seconds. Gives each once."""
        with self._changed:
            self._wanted = 1 if self._fetching else max(1, min(wanted, len(self._attempts)))
            self._changed.wait_for(lambda: len(self._ended) >= self._wanted, timeout)
            ended, self._ended = self._ended, []
        return [(future, self._attempts.pop(future)) for future in ended if future in self._attempts]

    def _note(self, future: Future[Outcome | None]) -> None:
        with self._changed:
            self._ended.append(future)
            if len(self._ended) >= self._wanted:
                self._changed.notify()


@dataclass(frozen=True, slots=True)
class Processing:
    """The threads each take whole pictures; the segmenter joins them into device batches."""

    open_unit: OpenUnit
    work: ImageWork
    threads: PictureThreads
    policy: RetryPolicy
    rules: ProcessingRules
    turns: Turns
    observer: Observer = field(default_factory=Unobserved)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _store_is_away: threading.Event = field(default_factory=threading.Event)
    _identified: set[str] = field(default_factory=set)  # models that were loaded once

    def run(self, piece: Slice) -> Claim | None:
        """A turn: claim the slice, or another that comes before it, and end every image of it: succeeded, failed,
        canceled, or queued again.

        Returns what was claimed; None when others were first, and when the slice has to wait.
        """
        self.work.leftovers.remove(())
        if self._stopping.is_set():
            self._hand_on(piece)
            return None
        if not self._store_answers():
            self._hand_on(piece, waiting_for="storage")
            return None
        claim = self._claim(piece)
        if claim is None:
            return None
        lease = Lease(self.open_unit, self.rules, claim)
        try:
            if left := left_to_newer(claim, self.policy):
                self._finish(claim, left, lease)
            else:
                self._run_images(claim, lease)
        finally:
            lease.end()
        return claim

    def stop(self) -> None:
        """No further image begins; what was claimed but not begun goes back to the queue."""
        self._stopping.set()

    def _store_answers(self) -> bool:
        """Once it did not, it is asked before images are taken: nothing is begun that cannot be stored."""
        if not self._store_is_away.is_set():
            return True
        try:
            self.work.objects.check()
        except StorageUnavailable:
            self._stopping.wait(self.rules.outage_pause_s)
            return False
        self._store_is_away.clear()
        return True

    def _hand_on(self, piece: Slice, *, waiting_for: str | None = None) -> None:
        """Its message is used up: upkeep has to send it again. A job behind others waits for them before all."""
        with self.open_unit() as unit:
            unit.images.unsend([piece])
            if waiting_for is not None and unit.jobs.ahead_of([piece.job_id]).get(piece.job_id) == 0:
                unit.jobs.hold_up(piece.job_id, waiting_for)
            unit.commit()

    def _claim(self, piece: Slice) -> Claim | None:
        """A database that is away, or that others are all the while writing to, is asked again for as long as it takes:
        the message is used up, and upkeep would miss it only after a while. Raises DatabaseUnavailable when asked to
        stop."""
        while True:
            try:
                return self._claimed(piece)
            except DatabaseUnavailable as error:
                extra = {"action": "claim_postponed", "job_id": piece.job_id, "reason": str(error)}
                logger.warning("a slice waits for the database", extra=extra)
                if self._stopping.wait(min(1.0, self.rules.flush_s)):
                    raise

    def _claimed(self, piece: Slice) -> Claim | None:
        with self.open_unit() as unit:
            take = partial(unit.images.claim, worker=self.rules.worker, lease_s=self.rules.lease_s)
            claim = self.turns.take(unit, piece, take)
            unit.commit()
        return claim

    def _run_images(self, claim: Claim, lease: Lease) -> None:
        recipes, limit_s = Recipes(claim.job), self.rules.image_limit_s
        attempts = [Attempt(claim.job, each, lease, limit_s=limit_s, recipes=recipes) for each in claim.images]
        memory = self._memory(claim.job, lease)
        unread = [each for each in attempts if each.sha256 is None]
        unread = unread if unread and _is_any(memory) else []
        running = Flight(fetching=bool(unread))
        for each in unread:
            running.add(self._submitted(self._fetch, each), each)
        ready = [each for each in attempts if each not in unread]
        self._finish_all(claim, lease, running, ready, memory)

    def _memory(self, job: Job, lease: Lease) -> Recollection | None:
        """The heartbeat begins meanwhile where a model has to be loaded first, which takes longer than a picture."""
        recalling = Recalling(self.open_unit, self.work.segmenter.identity)
        if not job.options.reuse or self._identified.issuperset(job.models):
            return recalling.begin(job)
        late = threading.Timer(self.rules.flush_s, lease.begin)
        late.start()
        try:
            memory = recalling.begin(job)
        finally:
            late.cancel()
            late.join()
        self._identified.update(job.models if memory is not None else ())
        return memory

    def _begun(self, claim: Claim, attempts: Sequence[Attempt], memory: Recollection | None) -> Flight:
        """One question for all of them, whatever is known of their pictures."""
        asked = {each.image.index: (each.image, each.sha256) for each in attempts if each.sha256 is not None}
        if memory is not None and asked:
            with suppress(DatabaseUnavailable):  # then they are done anew
                found = memory.find(asked)
                for each in attempts:
                    each.recalled = found.get(each.image.index, ())
        running, step = Flight(), self._try if len(claim.images) > 1 else partial(self._try_alone, claim)
        for each in attempts:
            running.add(self._submitted(step, each), each)
        return running

    def _finish_all(
        self,
        claim: Claim,
        lease: Lease,
        running: Flight,
        ready: Sequence[Attempt] = (),
        memory: Recollection | None = None,
    ) -> None:
        """ready: attempts that begin when all that runs now, which is reading pictures, has ended."""
        done: list[Outcome] = []
        read = list(ready)
        began = flushed = looked = time.monotonic()
        while running or read:
            if not running:
                running, read = self._begun(claim, read, memory), []
            for future, attempt in running.ended(self._worth_waking(done, flushed), timeout=self.rules.flush_s):
                outcome = self._outcome(future, attempt)
                if outcome is not None and attempt.finished is not None:
                    self._settle(claim, [outcome], attempt.finished, lease)
                elif outcome is not None:
                    done.append(outcome)
                else:
                    read.append(attempt)
                    attempt.hold(HELD_BYTES - sum(each.held_bytes for each in read))
            now, looked_before = time.monotonic(), looked
            looked = now
            if now - began >= self.rules.flush_s:  # a lone picture is done before it would be renewed
                lease.begin()
            done += self._given_up(running, now - looked_before)
            due = now - flushed >= self.rules.flush_s or len(done) >= self.rules.flush_images
            if done and (due or not (running or read)):
                self._finish(claim, done, lease)
                done, flushed = [], time.monotonic()

    def _submitted(self, step: Callable[[Attempt], Outcome | None], attempt: Attempt) -> Future[Outcome | None]:
        is_urgent = attempt.job.priority is Priority.INTERACTIVE
        return (self.threads.submit_first if is_urgent else self.threads.submit)(step, attempt)

    def _worth_waking(self, done: Sequence[Outcome], flushed: float) -> int:
        """How many attempts have to end before there is something to write."""
        due = time.monotonic() - flushed >= self.rules.flush_s
        return 1 if due else self.rules.flush_images - len(done)

    def _fetch(self, attempt: Attempt) -> None:
        """Whatever it raises becomes the image's failure or its next try."""
        if self._stopping.is_set():
            raise AttemptLost
        self.work.fetch(attempt)

    def _try(self, attempt: Attempt) -> Outcome | None:
        """Whatever it raises becomes the image's failure or its next try."""
        if self._stopping.is_set():
            raise AttemptLost
        try:
            with self.observer.attempt(attempt.job, attempt.image):
                return self.work.run(attempt)
        except MemoryError as error:
            raise OutOfMemory("the worker ran out of memory with this image") from error

    def _try_alone(self, claim: Claim, attempt: Attempt) -> Outcome | None:
        """Also writes the outcome: who waits for the slice need not be woken first. Not where the database is away."""
        outcome = self._try(attempt)
        attempt.finished = None if outcome is None else self._write(claim, [outcome])
        self.work.objects.expect(())  # while the client is answered
        return outcome

    def _given_up(self, running: Flight, seconds: float) -> Iterator[Outcome]:
        """Those that took too long. A process that slept through these seconds did not work through them."""
        for future, attempt in running.all():
            error = attempt.spend(min(seconds, 2 * self.rules.flush_s))
            if error is not None and attempt.give_up():
                running.leave(future)
                self.threads.leave_behind(future)
                yield self._ended(error, attempt.image)

    def _outcome(self, future: Future[Outcome | None], attempt: Attempt) -> Outcome | None:
        """None: the picture was read, and its attempt goes on."""
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, Exception):
            raise error
        return self._ended(error, attempt.image)

    def _ended(self, error: Exception, image: JobImage) -> Outcome:
        ended = partial(Outcome, index=image.index, attempt=image.attempt)
        if isinstance(error, AttemptCanceled):
            return ended(canceled=True)
        if isinstance(error, AttemptLost):
            return ended(retry_in_s=0.0)
        part = part_away(error)
        if part is not None and not (part == "storage" and self._is_of_the_image(image)):
            return ended(waiting_for=part, retry_in_s=self._wait_for(part, image, error))
        delay_s = self.policy.retry_after_s(error, attempt=image.attempts)
        self._log(error, image, delay_s)
        return ended(failure=failure_of(error), retry_in_s=delay_s)

    def _is_of_the_image(self, image: JobImage) -> bool:
        """Whether the store answers all the while that it fails with this image: a damaged disk, one lost object."""
        if not self.policy.is_doubtful(image.excused):
            return False
        try:
            self.work.objects.check()
        except StorageUnavailable:
            return False
        return True

    def _wait_for(self, part: str, image: JobImage, error: Exception) -> float:
        if part == "storage":
            self._store_is_away.set()
        delay_s = self.policy.wait_for_part_s(image.excused)
        extra = {"action": "image_waits", "job_id": image.job_id, "image": image.index, "waiting_for": part}
        logger.warning("an image waits for the %s: %s", part, error, extra={**extra, "retry_in_s": delay_s})
        return delay_s

    def _log(self, error: Exception, image: JobImage, delay_s: float | None) -> None:
        """What is known of a bad picture needs no stack."""
        known = isinstance(error, _OF_THE_IMAGE) or (isinstance(error, ImageFailure) and error.__cause__ is None)
        where = {"job_id": image.job_id, "image": image.index, "attempt": image.attempt}
        extra = {"action": "image_failed", **where, "retry_in_s": delay_s}
        logger.warning("image failed: %s", error, exc_info=None if known else error, extra=extra)

    def _finish(self, claim: Claim, outcomes: Sequence[Outcome], lease: Lease) -> None:
        """Write outcomes. A database that is away is asked again for as long as it takes: an attempt whose lease ran
        out still counts until somebody else has the image."""
        give_up = time.monotonic() + self.rules.lease_s
        finished = self._write(claim, outcomes)
        while finished is None:
            lease.begin()
            if self._stopping.is_set() and time.monotonic() >= give_up:
                raise DatabaseUnavailable("the results of a slice could not be written")
            time.sleep(min(1.0, self.rules.flush_s))
            finished = self._write(claim, outcomes)
        self._settle(claim, outcomes, finished, lease)

    def _settle(self, claim: Claim, outcomes: Sequence[Outcome], finished: Finished, lease: Lease) -> None:
        """After they were written."""
        lease.release(outcome.index for outcome in outcomes)
        self.observer.ended(claim.job, outcomes, finished)
        self.work.leftovers.remove(_unwanted(claim.job, outcomes, finished))

    def _write(self, claim: Claim, outcomes: Sequence[Outcome]) -> Finished | None:
        try:
            with self.open_unit() as unit:
                finished = unit.images.finish(claim.job.id, outcomes, claim=claim)
                unit.commit()
        except DatabaseUnavailable:
            return None
        return finished


def _unwanted(job: Job, outcomes: Iterable[Outcome], finished: Finished) -> Iterator[str]:
    """Keys of what came too late, and, of an image that has ended, of all that earlier attempts may have left: their
    workers may have vanished with them, or before a store that was away could forget what they had stored."""
    for outcome in outcomes:
        if outcome.index in finished.lost:
            yield from (artifact.key for result in outcome.results for artifact in result.artifacts)
            yield from () if outcome.comparison is None else (each.key for each in outcome.comparison.artifacts)
        elif outcome.retry_in_s is None:
            for attempt in range(1, outcome.attempt):
                yield from attempt_keys(job, outcome.index, attempt=attempt)


def _is_any(memory: Recollection | None) -> bool:
    """Whether pictures are to be read before they are begun."""
    if memory is None:
        return False
    try:
        return memory.is_any()
    except DatabaseUnavailable:
        return False
