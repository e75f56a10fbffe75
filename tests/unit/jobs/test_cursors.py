"""The cursor of a page."""

from __future__ import annotations

import pytest

from jobs.cursors import cursor_of, read_cursor


def test_a_cursor_gives_back_what_it_was_made_of() -> None:
    assert read_cursor(cursor_of("index", None, 7), count=3) == ["index", None, 7]


@pytest.mark.parametrize("cursor", ["", "=", "bm9wZQ", cursor_of("index", 7), cursor_of("index", None, 7, 8)])
def test_a_cursor_of_something_else_is_none_of_ours(cursor: str) -> None:
    with pytest.raises(ValueError, match="not made here"):
        read_cursor(cursor, count=3)
