"""The inputs of a job as those of another, on every database and store."""

from __future__ import annotations

import io

from jobs.change import Changing
from jobs.inputs.inputs import Inputs
from jobs.inputs.kept import KeptSources
from jobs.inputs.of_job import OfJob
from jobs.job import Job
from jobs.options import JobOptions
from jobs.ports import ObjectStore
from jobs.submitting.references import References
from jobs.submitting.submit import SubmitRules, Submitting
from tests.factories import make_card
from tests.fakes import FakeCatalog, FakeDispatcher, MemoryBuckets, StoredSamples
from tests.job_steps import Units, every_image


def test_what_was_copied_is_the_same_when_the_first_job_is_gone(open_unit: Units, store: ObjectStore) -> None:
    submitting = Submitting(
        open_unit, store, FakeDispatcher(), FakeCatalog([make_card()]), SubmitRules(default_model="tiny")
    )
    options = JobOptions()
    with submitting.open_draft() as draft:
        for name in ("a", "b", "c"):
            draft.add_file(f"cam/{name}.jpg", io.BytesIO(name.encode()), media_type="image/jpeg")
        draft.add_mask("cam/b_mask.png", io.BytesIO(b"\x89PNG\r\n\x1a\n mask"))
        first = submitting.submit(draft, options)
    with submitting.open_draft() as draft:
        references = References(open_unit, store, MemoryBuckets(), "default")
        references.add(draft, [OfJob(first.id, indices=[1, 2])], [])
        second = submitting.submit(draft, options)
    _delete(open_unit, store, first)
    inputs = Inputs(KeptSources(store, MemoryBuckets(), StoredSamples(store), 10**6))
    with open_unit() as unit:
        images = every_image(unit, second.id)
    assert [(image.name, inputs.picture(second, image)) for image in images] == [
        ("cam/b.jpg", b"b"),
        ("cam/c.jpg", b"c"),
    ]
    assert inputs.mask(second, images[0]) == b"\x89PNG\r\n\x1a\n mask"
    assert images[1].mask is None
    assert {*store.keys("default/jobs/")} == {image.source.location for image in images} | {
        images[0].mask.location if images[0].mask else ""
    }


def _delete(open_unit: Units, store: ObjectStore, job: Job) -> None:
    changing = Changing(open_unit, store, FakeDispatcher())
    changing.cancel(job.id)
    changing.delete(job.id)
    store.delete_prefix(job.prefix)
