"""In-memory adapters for unit tests. They pass the same contract suites as the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from broker.wakeups import Tell
from jobs.callers import DEFAULT_TENANT
from jobs.errors import (
    ModelNotFound,
    ObjectNotFound,
    QueueUnavailable,
    TooManyBytes,
    UploadConflict,
)
from jobs.inputs.kept import KeptSources
from jobs.job import ModelIdentity, Priority, Slice, Source, SourceKind
from jobs.keys import sample_mask
from jobs.options import TileOptions
from jobs.ports import (
    ObjectInfo,
    ObjectStore,
    Readable,
)
from jobs.processing.picture_ports import Doubts, Extent, Prediction, Said
from jobs.uploads.ports import SignedPut
from jobs.watching.hints import Hint
from segmentation.errors import ImageTooLarge
from segmentation.label_map import LabelMap
from segmentation.label_spaces import LabelSpaces
from segmentation.model_card import ModelCard
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.picture_rows import PictureRows, RowSource, open_rows
from segmentation.picture_files.pictures import DecodedPicture, Picture, probe, read_picture


@dataclass
class FakeClock:
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class MemoryChannel:
    """Who publishes wakes who listens, in this process; nothing is sent to anybody else."""

    def __init__(self) -> None:
        self._listening: list[tuple[asyncio.AbstractEventLoop, Tell]] = []
        self.is_away = False

    def publish(self, hint: Hint) -> None:
        for loop, tell in () if self.is_away else tuple(self._listening):
            loop.call_soon_threadsafe(tell, hint)

    async def listen(self, tell: Tell) -> None:
        place = (asyncio.get_running_loop(), tell)
        self._listening.append(place)
        try:
            await asyncio.Event().wait()
        finally:
            self._listening.remove(place)


class MemoryObjects:
    """An ObjectStore in a dictionary."""

    def __init__(self) -> None:
        self.contents: dict[str, tuple[bytes, str]] = {}
        self.partial: dict[str, bytes] = {}

    def put(self, key: str, data: bytes | Readable, *, media_type: str) -> int:
        pieces = [data] if isinstance(data, bytes) else iter(lambda: data.read(1 << 16), b"")
        whole = b"".join(pieces)
        self.contents[key] = (whole, media_type)
        return len(whole)

    def expect(self, keys: Iterable[str]) -> None: ...

    def copy(self, key: str, target: str, *, size: int | None = None) -> None:
        found = self._found(key)
        if size not in (None, len(found[0])):
            raise ObjectNotFound(key)
        self.contents[target] = found

    def get(self, key: str) -> bytes:
        return self._found(key)[0]

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self._found(key)[0]
        return iter([data[start : None if length is None else start + length]])

    def info(self, key: str) -> ObjectInfo:
        data, media_type = self._found(key)
        return ObjectInfo(key, len(data), media_type)

    def delete(self, key: str) -> None:
        self.contents.pop(key, None)

    def delete_prefix(self, prefix: str) -> int:
        assert prefix.endswith("/")
        found = list(self.keys(prefix))
        for key in found:
            del self.contents[key]
        return len(found)

    def keys(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.contents if key.startswith(prefix)))

    def presigned_get(self, key: str, *, expires_s: int) -> str | None:
        return None

    def presigned_put(self, key: str, *, size: int, media_type: str, expires_s: int) -> SignedPut | None:
        return None

    def received(self, key: str, *, size: int) -> int:
        return len(self.contents[key][0] if key in self.contents else self.partial.get(key, b""))

    def append(self, key: str, data: Readable, *, offset: int, size: int, media_type: str) -> int:
        there = self.partial.get(key, b"")
        if key in self.contents:
            raise UploadConflict("this file has arrived already")
        if offset not in (0, len(there)):
            raise UploadConflict(f"{len(there)} bytes have arrived, not {offset}")
        self.partial[key] = there[:offset]
        while piece := data.read(1 << 16):
            if len(self.partial[key]) + len(piece) > size:
                raise TooManyBytes("more bytes came than were announced")
            self.partial[key] += piece
        arrived = len(self.partial[key])
        if arrived == size:
            self.contents[key] = (self.partial.pop(key), media_type)
        return arrived

    def abandon(self, key: str) -> None:
        self.partial.pop(key, None)

    def check(self) -> None:
        return None

    def _found(self, key: str) -> tuple[bytes, str]:
        if key not in self.contents:
            raise ObjectNotFound(f"there is no object {key}")
        return self.contents[key]


@dataclass
class FakeDispatcher:
    """Keeps what was sent; `away` makes the queue unavailable, `lose` drops messages silently."""

    sent: list[Slice] = field(default_factory=list)
    away: bool = False
    calls: int = 0  # of the process that sends webhooks

    def dispatch(self, pieces: Iterable[Slice]) -> None:
        if self.away:
            raise QueueUnavailable("the queue is away")
        self.sent.extend(pieces)

    def waiting(self, priority: Priority) -> int:
        if self.away:
            raise QueueUnavailable("the queue is away")
        return sum(piece.priority is priority for piece in self.sent)

    def call_webhooks(self) -> None:
        if self.away:
            raise QueueUnavailable("the queue is away")
        self.calls += 1

    def take(self) -> list[Slice]:
        """What a worker fetches: all messages, gone from the queue."""
        taken, self.sent = self.sent, []
        return taken


@dataclass
class FakeCatalog:
    cards: Sequence[ModelCard]
    spaces: LabelSpaces = field(default_factory=LabelSpaces)

    def label_spaces(self) -> LabelSpaces:
        return self.spaces

    def list(self) -> Sequence[ModelCard]:
        return self.cards

    def card(self, name: str) -> ModelCard:
        for card in self.cards:
            if card.name == name:
                return card
        raise ModelNotFound(f"unknown model {name!r}; there are {', '.join(card.name for card in self.cards)}")


class MemoryBuckets:
    """Buckets in a dictionary: `contents` by `bucket/key`. `photos` gives inputs to all, `results` takes outputs."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.tenants = frozenset({DEFAULT_TENANT})

    def allows(self, bucket: str, tenant: str, *, output: bool = False) -> bool:
        return bucket == ("results" if output else "photos") and tenant in self.tenants

    def names(self, bucket: str, prefix: str) -> Iterator[str]:
        places = (location.partition("/") for location in sorted(self.contents))
        return iter([key for name, _, key in places if name == bucket and key.startswith(prefix)])

    def stream(self, location: str, *, most: int) -> Iterator[bytes]:
        if location not in self.contents:
            raise ObjectNotFound("there is no such object")
        if len(self.contents[location]) > most:
            raise TooManyBytes(f"the object is larger than {most} bytes")
        yield self.contents[location]

    def put(self, location: str, data: bytes | Readable, *, media_type: str) -> None:
        self.contents[location] = data if isinstance(data, bytes) else b"".join(iter(lambda: data.read(1 << 16), b""))


@dataclass
class StoredSamples:
    """Samples that lie in an object store under their ids."""

    objects: ObjectStore

    def picture(self, sample_id: str, /) -> bytes:
        return self.objects.get(sample_id)

    def mask(self, sample_id: str, /) -> bytes:
        return self.objects.get(sample_mask(sample_id))


@dataclass
class StoredSources:
    """Sources that finds in an object store what lies on the web."""

    kept: KeptSources

    def read(self, source: Source, *, tenant: str, check: Callable[[], None] = lambda: None) -> bytes:
        if source.kind is SourceKind.URL:
            return self.kept.objects.get(source.location)
        return b"".join(self.kept.pieces(source, tenant=tenant))


@dataclass
class FakeDecoder:
    """Decodes what is really there. `before` runs first and may raise or wait."""

    before: Callable[[FileData], None] = lambda data: None
    decoded: int = 0
    max_pixels: int = 10**6

    def size(self, data: FileData, *, tiled: bool) -> Extent:
        header = probe(data)
        if not tiled and header.width * header.height > self.max_pixels:
            raise ImageTooLarge("too many pixels without tiles")
        return Extent(header.width, header.height, header.scans, header.weight)

    def decode(self, data: FileData, *, bit_depth: int | None) -> DecodedPicture:
        self.before(data)
        self.decoded += 1
        return read_picture(data, max_pixels=10**6, bit_depth=bit_depth)

    def open_rows(self, data: FileData, *, bit_depth: int | None) -> RowSource:
        self.before(data)
        self.decoded += 1
        return open_rows(data, bit_depth=bit_depth)


DOUBTS = Doubts(mean_entropy=0.25)


@dataclass
class FakeSegmenter:
    """Says class 0 left of the middle and class 1 right of it; the model `other` the other way round.

    `before` runs first and may raise or wait. most_pixels: over all models, of one picture. runs: forwards so far.
    """

    label_space: str = "camvid-11"
    spaces: LabelSpaces = field(default_factory=LabelSpaces)
    before: Callable[[Picture], None] = lambda picture: None
    most_pixels: int = 10**6
    version: str = "1"
    weights: str = "ab" * 32
    runs: int = 0

    def check_budget(self, width: int, height: int, *, models: Sequence[str], tile: TileOptions | None) -> None:
        if width * height * len(models) > self.most_pixels:
            raise ImageTooLarge("too many pixels for these models")

    def identity(self, model: str) -> ModelIdentity:
        bundle = f"{self.label_space}, {model == 'other'}"
        return ModelIdentity(model, self.version, self.weights, "fp32", "fake", device="fake", bundle=bundle)

    def segment(
        self, picture: Picture, *, model: str, tile: TileOptions | None, check: Callable[[], None]
    ) -> Prediction:
        self.before(picture)
        self.runs += 1
        check()
        ids = np.zeros(picture.shape[:2], np.uint8)
        ids[:, picture.shape[1] // 2 :] = 1
        if model == "other":
            ids = 1 - ids
        confidence = np.full(ids.shape, 204, np.uint8)
        return Prediction(
            label_map=LabelMap(ids, self.spaces.get(self.label_space)),
            certainty=lambda: (confidence, DOUBTS),
            timings_ms={"infer": 1.0},
            identity=self.identity(model),
        )

    def segment_rows(
        self,
        picture: PictureRows,
        *,
        model: str,
        tile: TileOptions,
        check: Callable[[], None],
        take: Callable[[LabelMap], None],
    ) -> Said:
        """`before` runs with each tile's rows."""
        for top in range(0, picture.height, tile.size):
            rows = picture.rows(top, min(picture.height, top + tile.size))
            said = self.segment(rows, model=model, tile=tile, check=check)
            take(replace(said.label_map, confidence=said.certainty()[0]))
        return Said(doubts=DOUBTS, timings_ms={"infer": 1.0}, identity=self.identity(model))
