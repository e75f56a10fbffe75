"""What a listener is told: everything once and in order, from whatever place it comes back to."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from jobs.errors import JobNotFound
from jobs.job import JobImage
from jobs.reporting import events
from jobs.reporting.events import Place, Telling, tell
from tests.factories import make_image, make_job, picture
from tests.unit.jobs.conftest import Service


@pytest.mark.parametrize("place", [Place(), Place(12), Place(12, 0), Place(3, 99_999)])
def test_a_place_is_read_as_it_was_written(place: Place):
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "x", "1.", ".1", "-1", "1.2.3", "1e3", "²", "9" * 10, "1." + "9" * 10])
def test_what_is_no_id_of_an_event_is_refused(text: str):
    with pytest.raises(ValueError, match="no id"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("place", "has_all"), [(Place(4), False), (Place(5, 7), False), (Place(5), True), (Place(6), True)]
)
def test_a_listener_has_everything_when_it_was_told_the_version(place: Place, has_all: bool):
    assert place.has_all_of(replace(make_job(), version=5)) is has_all


def test_images_come_before_the_job_that_counts_them():
    job = replace(make_job(2), version=4)
    told = tell(job, [ended(0, 3), ended(1, 4)], more=False)
    assert [str(place) for place, _ in told.images] == ["3.0", "4.1"]
    assert (told.job, told.place) == (job, Place(4))


def test_a_full_page_is_told_without_the_job():
    told = tell(replace(make_job(2), version=9), [ended(0, 3), ended(1, 3)], more=True)
    assert (told.job, told.place) == (None, Place(3, 1))


def test_what_the_job_does_not_count_yet_is_told_later():
    job = replace(make_job(3), version=3)
    told = tell(job, [ended(0, 3), ended(1, 4)], more=True)
    assert [image.index for _, image in told.images] == [0]
    assert (told.job, told.place) == (job, Place(3))


def test_whoever_is_cut_off_again_and_again_sees_every_image_once(service: Service, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "PAGE", 3)
    telling, chance = Telling(service.database.unit), random.Random(7)
    job = service.submit(*[picture(seed=seed) for seed in range(20)])
    worker, pieces = service.worker(), list(service.dispatcher.take())
    seen: list[int] = []
    place = Place()
    while not (job.is_finished and place.has_all_of(job)):
        if pieces:
            worker.run(pieces.pop())
        job = service.reading.job(job.id)
        while not place.has_all_of(job):
            told = telling.after(place, job)
            for after, image in told.images:
                seen.append(image.index)
                place = Place.parse(str(after))
                if chance.random() < 0.5:  # the connection ends here, and the next one begins behind this event
                    break
            else:
                place = told.place
    assert sorted(seen) == list(range(20))


def test_a_job_that_is_gone_has_no_events(service: Service):
    job = service.submit(picture())
    with service.database.unit() as unit:
        unit.jobs.purge(job.id)
        unit.commit()
    with pytest.raises(JobNotFound):
        Telling(service.database.unit).after(Place(), job)


def ended(index: int, version: int) -> JobImage:
    return replace(make_image(index), version=version)
