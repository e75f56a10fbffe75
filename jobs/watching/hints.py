"""What is said after a commit to whoever listens. It may be lost, so it decides nothing: it says where to look."""

from __future__ import annotations

from typing import NamedTuple

NOBODYS: frozenset[str] = frozenset()


class Hint(NamedTuple):
    """jobs: ids of those that changed. ended: those of them of which nothing is left to do. owes: a receiver is to be
    told of something."""

    jobs: frozenset[str] = NOBODYS
    ended: frozenset[str] = NOBODYS
    owes: bool = False
