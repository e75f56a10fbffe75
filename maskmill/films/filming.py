"""A film of a job's results: fetched image by image, a few ahead, and written as they come. Memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from maskmill.download import check_place, part_of
from maskmill.errors import Conflict, InvalidInput, NotFound, Unprocessable
from maskmill.films.frames import Film, Frame, chosen, films_of, named, numbered, read_rate, shown_at_ms
from maskmill.films.writer import (
    CONTAINERS,
    FilmWriter,
    NoPicture,
    codec_here,
    container,
    even,
    opened,
    require_libraries,
)

if TYPE_CHECKING:
    import PIL.Image

    from maskmill.handle import JobHandle
    from maskmill.image import Image

OVERLAY, INPUT = "overlay", "input"
PICTURE, NEIGHBOUR = "picture", "neighbour"
LOST = ("object_not_found", "unknown")  # the service's word for it; a store that is asked itself has none of ours
AT_ONCE = 4
_NAME_BYTES = 120  # of a part of a path; file systems hold 255, with all that comes behind it
AHEAD = 6  # pictures that are held, decoded, before their turn
OnFrame = Callable[[int, int], None]  # frames written so far, and those of all films


class Found(NamedTuple):
    """picture: of a frame; None: there is none. is_result: it is what was asked for."""

    picture: PIL.Image.Image | None
    is_result: bool


Fetch = Callable[[Frame], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """See `JobHandle.film`. Raises InvalidInput, before anything is waited for, where nothing could come of it."""

    out: Path
    of: str | None = None
    artifact: str = OVERLAY
    model: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        require_libraries()
        if not self.is_folder and self.out.suffix.lower() not in CONTAINERS:
            raise InvalidInput(f"{self.out}: films are written as {', '.join(CONTAINERS)}; or name a folder")
        check_place(self.out if self.is_folder else self.out.parent)
        if self.fps is not None:
            read_rate(self.fps)

    @property
    def is_folder(self) -> bool:
        return self.out.is_dir() or not self.out.suffix


@dataclass(frozen=True, slots=True)
class Missing:
    """A frame without a result, or whose result is lost. number: in the film, from 0. index, name: of its image. shows:
    `picture`, the plain one, or `neighbour`, the frame before it (of the first ones the next that can be shown)."""

    number: int
    index: int
    name: str
    shows: str


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A film that was written. name: `drive` of drive.mp4, of other pictures their folder. codec: `h264`, or `mpeg4`
    where the library has none, which browsers do not play."""

    path: Path
    name: str
    frames: int
    seconds: float
    width: int
    height: int
    codec: str
    missing: Sequence[Missing]


def write_films(job: JobHandle, asked: Asked, on_frame: OnFrame) -> list[FilmFile]:
    """job: one that has ended. Raises as `JobHandle.film` does."""
    source = _Source(job, asked)
    films = source.films()
    places = _places(job, asked, films)
    total, done, written = sum(len(film.frames) for film in films), 0, list[FilmFile]()
    for film, place in zip(films, places, strict=True):
        written.append(_write(film, place, source.picture, partial(_told, on_frame, done, total)))
        done += len(film.frames)
    return written


def _told(on_frame: OnFrame, before: int, total: int, count: int) -> None:
    on_frame(before + count, total)


class _Source:
    """The images of a job, of which a film needs to be known little, and fetched one artifact each."""

    def __init__(self, job: JobHandle, asked: Asked) -> None:
        models = job.metrics_by_model
        if asked.model is not None and asked.model not in models:
            raise InvalidInput(f"{job.id} has no results of {asked.model!r}; there are those of {', '.join(models)}")
        self._job, self._asked = job, asked
        self._model = asked.model if len(models) > 1 else None
        self._image: Image | None = None  # any of them: by it others are fetched

    def films(self) -> list[Film]:
        """Those that are asked for. Raises InvalidInput where there are none, or nothing of one can be shown."""
        asked, artifacts = self._asked, set[str]()
        every_s = (self._job.state.get("options") or {}).get("every")
        rate = None if asked.fps is None else read_rate(asked.fps)
        films = films_of(self._frames(artifacts), every_s=every_s, rate=rate)
        if not films:
            raise InvalidInput(
                f"{self._job.id} has no film among its inputs, so nothing says when an image is shown; a rate does, in "
                "frames per second (on the command line, --fps)"
            )
        films = films if asked.of is None else chosen(films, asked.of)
        if empty := [film for film in films if not any(frame.has_result for frame in film.frames)]:
            there = f"there are {', '.join(sorted(artifacts))}" if artifacts else "none of its images succeeded"
            whose = self._job.id if asked.of is None and len(empty) == len(films) else named(empty)
            raise InvalidInput(f"no image of {whose} has the artifact {asked.artifact!r}; {there}")
        return films

    def picture(self, frame: Frame) -> Found:
        """What is asked for, else the plain picture where it may stand for an overlay and is to be had.

        Raises APIError, ServerUnreachable, and InvalidInput for an artifact that is no picture.
        """
        assert self._image is not None
        image, artifact = replace(self._image, row={"index": frame.image}), self._asked.artifact
        if frame.has_result:
            try:
                return Found(opened(image.read(artifact, model=self._model, upright=artifact == INPUT)), True)
            except NoPicture as error:
                raise InvalidInput(f"{artifact} of {frame.name} is no picture for a film: {error}") from error
            except NotFound as error:
                if error.code not in LOST:
                    raise
        if artifact == OVERLAY and frame.has_picture:
            with suppress(NoPicture, NotFound, Conflict, Unprocessable):
                return Found(opened(image.read(INPUT, upright=True)), False)
        return Found(None, False)

    def _frames(self, artifacts: set[str]) -> Iterator[Frame]:
        """artifacts: takes those that there are."""
        for image in self._job.rows():
            self._image = image
            results = image.row.get("results") or {}
            own = image.artifacts if self._model is None else results.get(self._model, {}).get("artifacts", {})
            artifacts.update(set(own) - {INPUT})
            has_picture = INPUT in image.artifacts
            has_result = has_picture if self._asked.artifact == INPUT else self._asked.artifact in own
            yield Frame(image.index, image.name, has_result, has_picture)


def _places(job: JobHandle, asked: Asked, films: Sequence[Film]) -> list[Path]:
    if not asked.is_folder:
        if len(films) > 1:
            raise InvalidInput(
                f"{job.id} makes {len(films)} films ({named(films)}); choose one (on the command line, --input), or "
                "name a folder for them all"
            )
        if asked.out.exists() and _may_be_submitted(asked.out, films[0]):
            raise InvalidInput(f"{asked.out} is there, and may be the film that was submitted; choose another name")
        return [asked.out]
    tail = "-".join(part.replace("/", "-") for part in (asked.model, asked.artifact) if part)
    stems = ["/".join(map(_plain, (film.name or job.id).split("/"))) for film in films]
    stems = numbered(stems, alike=str.casefold)  # some systems know no capitals
    return [asked.out / f"{stem}-{_plain(tail)}.mp4" for stem in stems]


def _may_be_submitted(path: Path, film: Film) -> bool:
    return shown_at_ms(film.frames[0].name) is not None and path.stem == PurePosixPath(film.name).name


def _plain(part: str) -> str:
    """Of a path, as every system can have it: whatever a service calls a film, it stays below the folder."""
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"\\|?*' else "_" for letter in part)
    return kept.strip(" .").encode()[:_NAME_BYTES].decode(errors="ignore") or "_"


def _write(film: Film, place: Path, picture: Fetch, on_frame: Callable[[int], None]) -> FilmFile:
    codec, missing = codec_here(), list[Missing]()
    with (
        part_of(place) as part,
        container(part, CONTAINERS[place.suffix.lower()], title=place.stem) as out,
        closing(_ahead(film.frames, picture)) as pictures,
    ):
        writer, last, due = None, None, list[int]()
        for number, (frame, found) in enumerate(zip(film.frames, pictures, strict=True)):
            if not found.is_result:
                shows = NEIGHBOUR if found.picture is None else PICTURE
                missing.append(Missing(number, frame.image, frame.name, shows))
            last = last if found.picture is None else found.picture
            due.append(number)
            if last is None:
                continue  # of the first ones: the next that there is shows for them too
            writer = writer or FilmWriter(out, codec, size=even(last.size), rate=film.rate, time_base=film.time_base)
            for each in due:
                writer.add(last, film.times[each], film.times[each + 1] - film.times[each])
                on_frame(each + 1)
            due.clear()
        if writer is None:  # some frame has a result
            raise InvalidInput(f"nothing of {named([film])} is to be had: the service has lost it")
        writer.finish()
    return FilmFile(place, film.name, len(film.frames), film.seconds, *writer.size, writer.codec, missing)


def _ahead(frames: Sequence[Frame], picture: Fetch) -> Generator[Found, None, None]:
    """The picture of each frame in turn, while the next ones are on their way."""
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="film") as threads:
        try:
            for frame in frames:
                waiting.append(threads.submit(picture, frame))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
