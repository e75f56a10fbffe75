"""Every error carries a code of its own, for programs."""

import re
from collections.abc import Iterator

from segmentation import errors
from segmentation.errors import InvalidModelCard, SegmentationError


def every_error(of: type[SegmentationError] = SegmentationError) -> Iterator[type[SegmentationError]]:
    yield of
    for child in of.__subclasses__():
        yield from every_error(child)


def test_codes_are_snake_case_and_unique() -> None:
    codes = [each.code for each in every_error()]
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
    assert len(set(codes)) == len(codes)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    assert errors.__doc__ is not None
    assert set(re.findall(r"── (\w+)", errors.__doc__)) == {each.__name__ for each in every_error()} - {
        "SegmentationError"
    }


def test_a_wrong_card_tells_the_field_what_was_expected_and_what_came() -> None:
    error = InvalidModelCard("parameters", expected="a whole number", got="many")
    assert str(error) == "model card: parameters must be a whole number, got 'many'"
