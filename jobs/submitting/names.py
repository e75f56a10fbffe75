"""What an image is called: a relative path as the client gave it, that means the same on every system."""

from __future__ import annotations

import re
import unicodedata

NAME_LENGTH = 255
_PLAIN = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_DRIVE = re.compile(r"[A-Za-z]:")
_SUFFIX_LENGTH = 16


def relative_path(name: str) -> str:
    """`/` between folders, letters composed (NFC), no drive, no `.` or `..`, no control characters; perhaps empty.

    Of any length: masks are matched by it. `shortened` makes it an image's name.
    """
    if _PLAIN.fullmatch(name):
        return name  # nearly every name, at a tenth of the cost
    text = unicodedata.normalize("NFC", name.replace("\\", "/"))
    text = "".join(letter for letter in text if _is_kept(letter)).strip()
    text = _DRIVE.sub("", text, count=1) if _DRIVE.match(text) else text
    return "/".join(part for part in text.split("/") if part not in ("", ".", ".."))


def is_hidden(path: str) -> bool:
    """Of what desktops leave beside files, and nobody means: in archives, below prefixes, in folders of data sets. The
    client's `maskmill.inputs.is_hidden` is the same.

    path: as `relative_path` gives it.
    """
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def shortened(path: str) -> str:
    """At most NAME_LENGTH characters: the first folders go first, then the end of the stem, never the suffix."""
    while len(path) > NAME_LENGTH and "/" in path:
        path = path.partition("/")[2]
    return _cut(path, NAME_LENGTH)


def base_name(name: str) -> str:
    """The last part of a path of either kind."""
    return relative_path(name).rpartition("/")[2]


class UniqueNames:
    """Names of the images of one job: the second of one name gets its position."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, path: str, index: int) -> str:
        """path: as `relative_path` gives it."""
        name = first = shortened(path) or f"image-{index:06d}"
        tries = 0
        while name in self._taken:
            name = _with_number(first, f"_{index:06d}" + (f"_{tries}" if tries else ""))
            tries += 1
        self._taken.add(name)
        return name


def _with_number(path: str, number: str) -> str:
    path = _cut(path, NAME_LENGTH - len(number))
    stem, suffix = _split(path)
    return stem + number + suffix


def _cut(path: str, length: int) -> str:
    if len(path) <= length:
        return path
    stem, suffix = _split(path)
    return stem[: length - len(suffix)] + suffix


def _split(path: str) -> tuple[str, str]:
    """Stem (with its folders) and suffix."""
    stem, dot, suffix = path.rpartition(".")
    if not dot or "/" in suffix or not stem or stem.endswith("/") or len(suffix) >= _SUFFIX_LENGTH:
        return path, ""
    return stem, dot + suffix


def _is_kept(letter: str) -> bool:
    """Spaces of every kind are part of a name (macOS writes a narrow one); what cannot be seen is not."""
    return letter.isprintable() or unicodedata.category(letter) == "Zs"
