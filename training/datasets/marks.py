"""Marks by which a picture is known again, whatever its file is called and wherever it lies."""

import hashlib
import re
from pathlib import Path

PART_BYTES = 16 << 10
_GENERATED = re.compile(r"(?:train|val|test)-\d+x\d+/images/\d+\.png")
_SIZE = re.compile(r"-\d+x\d+(?=/)")


def mark_of(path: Path) -> str:
    """20 hexadecimal digits of size, beginning, middle and end of the file: of large files not every byte is read."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in sorted({0, max(0, size // 2 - PART_BYTES // 2), max(0, size - PART_BYTES)}):
            file.seek(start)
            digest.update(file.read(PART_BYTES))
    return digest.hexdigest()[:20]


def mark_of_generated(folder: str, name: str) -> str:
    """`train-640x480`, `100000.png` → train/100000.png: in whatever size it is rendered it shows the same scene."""
    return without_size(f"{folder}/{name}")


def mark_as_generated(path: Path) -> str:
    """Of a file that lies as generated ones do, whoever reads it; empty for any other."""
    place = path.resolve().parts[-3:]
    return mark_of_generated(place[0], path.name) if _GENERATED.fullmatch("/".join(place)) else ""


def without_size(mark: str) -> str:
    """Marks of generated pictures held the size once; those of files hold none."""
    return _SIZE.sub("", mark)
