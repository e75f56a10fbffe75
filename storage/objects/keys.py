"""Which keys a store takes: those that mean the same in a bucket and in a directory, and lead nowhere else."""

from __future__ import annotations

import re
import unicodedata

LONGEST_KEY = 1024  # bytes; S3's limit
LONGEST_SEGMENT = 255  # bytes; a file name's
_USUAL = re.compile(r"(?:\w[\w.-]*/)*\w[\w.-]*", re.ASCII)  # of a key that is no longer than one segment may be


def checked_key(key: str) -> str:
    """Raises ValueError for a key that is empty, absolute, too long, or has `.`, `..`, nothing or a control
    character between its slashes."""
    if len(key) <= LONGEST_SEGMENT and _USUAL.fullmatch(key):
        return key
    if not key or len(key.encode(errors="replace")) > LONGEST_KEY:
        raise ValueError(f"a key has 1 to {LONGEST_KEY} bytes")
    if not (key.isascii() and key.isprintable()) and any(  # nearly every key needs no look at each character
        unicodedata.category(character) in ("Cc", "Cs") for character in key
    ):
        raise ValueError("a key has no control characters")
    for segment in key.split("/"):
        if segment in ("", ".", "..") or "\\" in segment or len(segment.encode()) > LONGEST_SEGMENT:
            raise ValueError("a key is made of plain names with one slash between them")
    return key


def checked_prefix(prefix: str) -> str:
    """A key with a slash at its end. Raises ValueError."""
    if not prefix.endswith("/"):
        raise ValueError("a prefix ends with a slash")
    checked_key(prefix[:-1])
    return prefix
