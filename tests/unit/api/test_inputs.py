"""What the inputs of the JSON form name."""

from __future__ import annotations

from typing import Any

import pytest

from api.bodies.inputs import InputReader, Manifest, _usual
from jobs.errors import InvalidOptions, TooManyImages
from jobs.job import NewImage, Source, SourceKind
from jobs.submitting.references import Given, Prefix

SAMPLES = frozenset({"crossing"})
UPLOAD = "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY"


def read_inputs(items: list[Any], samples: frozenset[str], *, limit: int = 1000) -> list[Given | Manifest]:
    reader = InputReader(samples, limit=limit)
    for item in items:
        reader.take(item)
    return reader.inputs()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/a/b.jpg", "b.jpg"),
        ("http://example.org:8080/a/b.jpg?x=/c.png#d/e", "b.jpg"),
        ("https://example.org/z%C3%BCrich.jpg", "zürich.jpg"),
        ("https://example.org/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://example.org/a%00b", "image-000000"),
        ("https://example.org/", "image-000000"),
        ("https://example.org", "image-000000"),
        ("https://[2001:db8::1]/a.jpg", "a.jpg"),
        ("https://exämple.org/a.jpg", "a.jpg"),
        ("https://example.org/a.jpg#b?c/d", "a.jpg"),
        ("https://example.org/a?b/" + "c" * 300, "a"),
        ("https://example.org/a//" + "c" * 300, "c" * 255),
    ],
)
def test_an_address_gives_the_image_its_name(url: str, name: str) -> None:
    assert read_inputs([{"url": url}], SAMPLES) == [NewImage(Source(SourceKind.URL, url), name)]


@pytest.mark.parametrize(
    "item",
    [
        {"url": "https://example.org/a/b.jpg"},
        {"url": "https://example.org/a.jpg?b=1", "name": "c.jpg", "ref": "r"},
        {"url": "https://example.org/a%20b.jpg", "name": None, "ref": None},
        {"upload": UPLOAD},
        {"upload": UPLOAD, "name": "a/b.jpg", "ref": "r"},
        {"object": "photos/cam/a.jpg", "ref": "r"},
    ],
)
def test_the_short_way_and_the_long_way_read_the_same(item: dict[str, Any]) -> None:
    assert _usual(item, 3) == InputReader(SAMPLES, limit=9)._any(item, 3) is not None


@pytest.mark.parametrize(
    "item",
    [
        {"url": "https://user@example.org/a.jpg"},
        {"url": "ftp://example.org/a.jpg"},
        {"url": "https://example.org:99999/a.jpg"},
        {"url": "https://example.org:0/a.jpg"},
        {"url": "https://[::1/a.jpg"},
        {"url": "https://"},
        {"url": "https://example.org/" + "a" * 2048},
        {"url": "https://example.org/a.jpg\n"},
        {"url": 7},
        {"upload": "upl_1"},
        {"upload": UPLOAD, "name": "\n"},
        {"upload": UPLOAD, "url": "https://example.org/a.jpg"},
        {"url": "https://example.org/a.jpg", "name": ""},
        {"url": "https://example.org/a.jpg", "name": "x" * 256},
        {"url": "https://example.org/a.jpg", "ref": "a\u0000"},
        {"url": "https://example.org/a.jpg", "ref": 7},
        {"url": "https://example.org/a.jpg", "ref": "\ud800"},
        "https://example.org/a.jpg",
        None,
    ],
)
def test_what_is_wrong_the_long_way_is_not_right_the_short_way(item: Any) -> None:
    assert _usual(item, 0) is None
    with pytest.raises(InvalidOptions):
        read_inputs([item], SAMPLES)


def test_the_first_faults_are_named_and_not_all_of_a_hundred_thousand() -> None:
    with pytest.raises(InvalidOptions) as caught:
        read_inputs([{"sample": "none"}] * 1000, SAMPLES)
    assert [fault.field for fault in caught.value.faults] == [f"inputs.{index}.sample" for index in range(20)]


def test_more_inputs_than_a_job_may_hold_are_not_read() -> None:
    with pytest.raises(TooManyImages, match="at most 3"):
        read_inputs([{"sample": "crossing"}] * 4, SAMPLES, limit=3)


@pytest.mark.parametrize(
    ("item", "read"),
    [
        ({"object": "photos/cam/a b.jpg"}, NewImage(Source(SourceKind.BUCKET, "photos/cam/a b.jpg"), "a b.jpg")),
        ({"prefix": "photos/cam/", "ref": "r"}, Prefix("photos/cam/", "r")),
        ({"prefix": "photos/", "mask": {"prefix": "photos/m/"}}, Prefix("photos/", None, "photos/m/")),
        ({"manifest": UPLOAD}, Manifest(UPLOAD, "inputs.0.manifest")),
        (
            {"upload": UPLOAD, "mask": {"object": "photos/a.png"}},
            NewImage(Source(SourceKind.UPLOAD, UPLOAD), "", None, Source(SourceKind.BUCKET, "photos/a.png")),
        ),
        (
            {"sample": "crossing", "mask": {"sample": "crossing"}},
            NewImage(
                Source(SourceKind.SAMPLE, "crossing"), "crossing.jpg", None, Source(SourceKind.SAMPLE, "crossing#mask")
            ),
        ),
    ],
)
def test_what_an_input_names(item: dict[str, Any], read: Given | Manifest) -> None:
    assert read_inputs([item], SAMPLES) == [read]


@pytest.mark.parametrize(
    "item",
    [
        {"object": "photos"},
        {"object": "../a"},
        {"object": "a/b.jpg"},
        {"prefix": "photos"},
        {"prefix": "photos/", "name": "a"},
        {"prefix": "photos/", "mask": {"url": "https://example.org/a.png"}},
        {"manifest": UPLOAD, "ref": "r"},
        {"manifest": UPLOAD, "mask": {"upload": UPLOAD}},
        {"upload": UPLOAD, "mask": {"prefix": "photos/"}},
        {"upload": UPLOAD, "mask": {}},
        {"object": "photos/a.jpg", "prefix": "photos/"},
        {},
    ],
)
def test_what_names_nothing_or_too_much_is_refused(item: Any) -> None:
    with pytest.raises(InvalidOptions):
        read_inputs([item], SAMPLES)


@pytest.mark.parametrize("item", ["https://example.org/a.jpg", 3, None])
def test_an_input_that_is_no_object_is_told_what_one_looks_like(item: Any) -> None:
    with pytest.raises(InvalidOptions) as caught:
        read_inputs([item], frozenset())
    (fault,) = caught.value.faults
    assert fault.field == "inputs.0"
    assert '{"url": "https://…"}' in fault.message
