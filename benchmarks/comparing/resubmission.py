"""What does it cost to send known pictures again with some new ones, and does each job outlive the other?

Through `Processing` on SQLite and a directory: forwards and decoded pictures are counted, the ZIP files of both jobs
are laid side by side byte for byte, and after each deletion the store is audited: what rows name is there, and nothing
else is.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from api.answers.zip_stream import ZipStream
from benchmarks.comparison import Bench, Pictures, open_bench
from benchmarks.pipeline import NoQueue
from benchmarks.record import record
from data.sample_library import open_samples
from jobs.change import Changing
from jobs.inputs.inputs import Inputs
from jobs.job import Job, JobImage, SourceKind
from jobs.reporting.archive import METRICS_CSV, Archives
from storage.catalog import open_catalog
from storage.settings import StorageSettings

QUESTION = "known pictures with some new ones: forwards, equal files of both archives, and a store without strangers"
MODEL = "street-fast"
TIMES = frozenset({"total_ms"})  # columns that tell how long it took


@dataclass(frozen=True, slots=True)
class Found:
    """Of both jobs and their deletion. equal_files: artifacts of the old pictures in both ZIP files.

    faults: as sentences; empty when all is as it must be.
    """

    deleted_first: str
    forwards_of_old: int
    forwards_of_all: int
    decoded_again: int
    reused: int
    equal_files: int
    equal_rows: int
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class Resubmission:
    """storage: of the bench, with nothing in it yet. folder: for the ZIP files."""

    bench: Bench
    storage: StorageSettings
    folder: Path

    def run(self, old: Pictures, new: Pictures, *models: str, older_goes_first: bool) -> Found:
        counted, decoder = self.bench.segmenter, self.bench.decoder
        older = self.bench.run(old, *models, reuse=True)
        of_old, decoded = counted.forwards, decoder.decoded
        newer = self.bench.run([*old, *new], *models, reuse=True)
        of_all, decoded_again = counted.forwards - of_old, decoder.decoded - decoded
        files, rows, faults = self._compared(older, newer)
        faults += self.audit("with both jobs", older, newer)
        faults += self._deleted(*((older, newer) if older_goes_first else (newer, older)))
        return Found(
            deleted_first="older" if older_goes_first else "newer",
            forwards_of_old=of_old,
            forwards_of_all=of_all,
            decoded_again=decoded_again,
            reused=newer.reused,
            equal_files=files,
            equal_rows=rows,
            faults=faults,
        )

    def _compared(self, older: Job, newer: Job) -> tuple[int, int, list[str]]:
        """How many files and rows of the older job the newer one has too, and what differs."""
        with self._zipped(older) as one, self._zipped(newer) as other:
            files = [name for name in one.namelist() if "/" in name]
            faults = [f"{name} differs" for name in files if one.read(name) != other.read(name)]
            rows, more = (list(_rows(each.read(METRICS_CSV))) for each in (one, other))
        different = [mine for mine, yours in zip(rows, more, strict=False) if mine != yours]
        faults += [f"the row of {row['name']} differs" for row in different]
        return len(files) - len(faults) + len(different), len(rows) - len(different), faults

    def _deleted(self, first: Job, second: Job) -> Iterator[str]:
        """One after the other; the second has to be whole until it is its turn."""
        before = self._digest(second)
        self._delete(first)
        yield from self.audit("after the first was deleted", second)
        if self._digest(second) != before:
            yield "the other job's archive is another after the first was deleted"
        self._delete(second)
        yield from self.audit("after both were deleted")

    def _delete(self, job: Job) -> None:
        """With what is left to upkeep of a large one."""
        Changing(self.bench.database.unit, self.bench.objects, NoQueue()).delete(job.id)
        self.bench.objects.delete_prefix(job.prefix)
        with self.bench.database.unit() as unit:
            unit.jobs.purge(job.id)
            unit.commit()

    def audit(self, when: str, *jobs: Job) -> Iterator[str]:
        """What is not as it must be when these jobs are all that there is: keys without a row, rows without a key."""
        named = {key for job in jobs for image in self.bench.images(job) for key in _keys(image)}
        stored = set(self.bench.objects.keys(""))
        yield from (f"{when}: the store lacks {key}" for key in sorted(named - stored))
        yield from (f"{when}: no row names {key}" for key in sorted(stored - named))

    def _digest(self, job: Job) -> str:
        return hashlib.sha256(b"".join(self._pieces(job))).hexdigest()

    def _zipped(self, job: Job) -> zipfile.ZipFile:
        path = self.folder / f"{job.id}.zip"
        with path.open("wb") as file:
            file.writelines(self._pieces(job))
        return zipfile.ZipFile(path)

    def _pieces(self, job: Job) -> Iterator[bytes]:
        catalog = open_catalog(self.storage)
        archive = Archives(self.bench.database.unit, Inputs(self.bench.kept), catalog, "maskmill").open(job.id)
        zipped = ZipStream(archive.entries, archive.read, job.finished_at or job.created_at)
        return zipped.iterate(0, zipped.length)


def _keys(image: JobImage) -> Iterator[str]:
    sources = [image.source] if image.mask is None else [image.source, image.mask]
    yield from (each.location for each in sources if each.kind is SourceKind.OBJECT)
    for result in image.results:
        yield from (each.key for each in result.artifacts)
    if image.comparison is not None:
        yield from (each.key for each in image.comparison.artifacts)


def _rows(table: bytes) -> Iterator[Mapping[str, str]]:
    for row in csv.DictReader(io.StringIO(table.decode())):
        yield {name: value for name, value in row.items() if name not in TIMES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=int, default=2000)
    parser.add_argument("--new", type=int, default=20)
    given = parser.parse_args()
    pictures = _pictures(given.old + given.new)
    found = [_in_a_home_of_its_own(pictures[: given.old], pictures[given.old :], first) for first in (True, False)]
    record("comparing/resubmission", QUESTION, {"old": given.old, "new": given.new, "model": MODEL, "orders": found})


def _in_a_home_of_its_own(old: Pictures, new: Pictures, older_goes_first: bool) -> Mapping[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        storage = StorageSettings(home=Path(folder) / "home")
        with open_bench(storage) as bench:
            return asdict(
                Resubmission(bench, storage, Path(folder)).run(old, new, MODEL, older_goes_first=older_goes_first)
            )


def _pictures(count: int) -> list[tuple[bytes, bytes | None]]:
    """No two alike: samples, each with another grain; every fourth with a ground truth."""
    samples = open_samples()
    scenes = [_small(samples.picture(each)) for each in samples.ids()]
    grain = np.random.default_rng(11)
    found: list[tuple[bytes, bytes | None]] = []
    for index in range(count):
        scene = scenes[index % len(scenes)]
        noise = grain.integers(0, 24, scene.shape, np.uint8)
        truth = grain.integers(0, 8, scene.shape[:2], np.uint8)
        found.append((_png(np.minimum(scene, 231) + noise), None if index % 4 else _png(truth)))
    return found


def _small(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((192, 96)))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
