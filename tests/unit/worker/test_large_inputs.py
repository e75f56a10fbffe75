"""Inputs that are too large to be held lie on disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from jobs.errors import StorageUnavailable
from jobs.inputs.kept import KeptSources
from jobs.job import Source, SourceKind
from jobs.processing.attempt import AttemptCanceled
from segmentation.picture_files.file_data import FileBytes, collected
from tests.fakes import MemoryBuckets, MemoryObjects
from tests.unit.worker.test_sources import Samples
from worker.sources import WorkerSources
from worker.web.downloads import FetchRules

STORED = Source(SourceKind.OBJECT, "jobs/1/inputs/0")


def sources_of(spool: Path) -> WorkerSources:
    objects = MemoryObjects()
    objects.put(STORED.location, b"stored", media_type="image/jpeg")
    return WorkerSources(KeptSources(objects, MemoryBuckets(), Samples(), 10), FetchRules(), spool)


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.sources.collected", partial(collected, held=3))


def test_a_large_input_lies_on_disk(tmp_path: Path):
    read = sources_of(tmp_path).read(STORED, tenant="any")
    assert isinstance(read, FileBytes)
    assert read[:] == b"stored"
    assert list(tmp_path.iterdir()) == []


def test_it_is_read_no_further_than_it_is_wanted(tmp_path: Path):
    def canceled() -> None:
        raise AttemptCanceled

    with pytest.raises(AttemptCanceled):
        sources_of(tmp_path).read(STORED, tenant="any", check=canceled)


def test_a_disk_that_takes_no_input_is_not_the_images_fault(tmp_path: Path):
    with pytest.raises(StorageUnavailable, match="does not take the input"):
        sources_of(tmp_path / "none").read(STORED, tenant="any")
