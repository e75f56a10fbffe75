"""A film as a bundle of images: what its frames are called and when each is shown, and how they are had.

The film itself is decoded by a process of its own, `segmentation/picture_files/film.py`, which a film cannot make take
more time or memory than it may, and whose end is not ours.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from posixpath import splitext
from typing import IO, NamedTuple

from jobs.errors import FilmUnreadable, FilmUnsupported, JobsError, TooManyBytes, TooManyImages
from jobs.submitting.names import base_name
from segmentation.picture_files import film as decoder
from segmentation.picture_files.film import FRAME, FilmLimits

EVERY_S = 1.0  # where nobody says how often
_WORDS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0}
_EVERY = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(s|ms|m|min)?")
_SHOWN = re.compile(r"(?:^|/)(\d{2,})-(\d\d)-(\d\d)\.(\d{3})(?:_[0-9_]+)?\.jpg$")
_ERRORS: dict[str, type[JobsError]] = {
    "too_large": TooManyBytes,
    "too_many_images": TooManyImages,
    "film_unsupported": FilmUnsupported,
}
_PATIENCE = 4  # times the processor's time: a machine may be busy, and the store slow
_SAID_BYTES = 4096
_PYTHON = (sys.executable,)
_KEPT = frozenset({"PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR"})


class FilmFrame(NamedTuple):
    """path: by which the image is called, with the time in it."""

    path: str
    jpeg: bytes


@cache
def are_films_read() -> bool:
    """Whether the extra `video` is installed: without it, films beside pictures in an archive are passed over."""
    return find_spec("av") is not None


def read_every(text: str) -> float | None:
    """Seconds, of `2`, `0.5`, `1s`, `500ms` or `2min`. None for anything else."""
    found = _EVERY.fullmatch(text.strip().lower())
    return None if found is None else float(found[1]) * _WORDS[found[2] or ""]


def frame_path(film: str, at_ms: int) -> str:
    """`film/00-01-02.500.jpg` of `film.mp4`."""
    minutes, ms = divmod(at_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{splitext(film)[0]}/{hours:02}-{minutes:02}-{ms // 1000:02}.{ms % 1000:03}.jpg"


def shown_at_s(name: str) -> float | None:
    """When the frame of this name is shown, in seconds from its film's beginning; None for what is no frame."""
    found = _SHOWN.search(name)
    if found is None:
        return None
    hours, minutes, seconds, ms = map(int, found.groups())
    return hours * 3600 + minutes * 60 + seconds + ms / 1000


def frames_of_film(
    film: IO[bytes], name: str, *, every_s: float, limits: FilmLimits
) -> Generator[FilmFrame, None, None]:
    """film: a file of the system, read from its beginning. One frame is held at a time.

    Raises FilmUnreadable, FilmUnsupported, TooManyImages, TooManyBytes.
    """
    film.seek(0)
    command = [*_PYTHON, "-m", decoder.__name__, *decoder.arguments(every_s, limits)]
    with subprocess.Popen(
        command, stdin=film, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(), close_fds=True
    ) as process:
        guard = threading.Timer(_PATIENCE * limits.cpu_s, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            while (frame := _next(process.stdout)) is not None:
                at_ms, jpeg = frame
                yield FilmFrame(frame_path(name, at_ms), jpeg)
            _check_end(process, name)
        finally:
            guard.cancel()
            process.kill()


def _environment() -> dict[str, str]:
    """What a decoder needs, and none of our secrets."""
    kept = {key: value for key, value in os.environ.items() if key in _KEPT}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}


def _next(pipe: IO[bytes]) -> tuple[int, bytes] | None:
    head = pipe.read(FRAME.size)
    if len(head) < FRAME.size or head == decoder.END:
        return None
    at_ms, size = FRAME.unpack(head)
    jpeg = pipe.read(size)
    return (at_ms, jpeg) if len(jpeg) == size else None


def _check_end(process: subprocess.Popen[bytes], name: str) -> None:
    """Raises what ended it early."""
    assert process.stderr is not None
    said = process.stderr.read(_SAID_BYTES)
    if process.wait() == 0:
        return
    film = repr(base_name(name))
    try:
        told = json.loads(said.splitlines()[-1])
        code, detail = str(told["code"]), str(told["detail"])
    except (ValueError, LookupError, TypeError):
        raise FilmUnreadable(f"{film} takes more time or memory than a film may, or is damaged") from None
    raise _ERRORS.get(code, FilmUnreadable)(detail if code == "film_unsupported" else f"{film} {detail}")


def spooled(pieces: Iterable[bytes], folder: Path | None) -> IO[bytes]:
    """A copy that outlives the request's own file: how often frames are taken may be said behind the film.

    It stands at its end. Raises what the pieces raise.
    """
    copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the draft
    try:
        copy.writelines(pieces)
    except BaseException:
        copy.close()
        raise
    return copy
