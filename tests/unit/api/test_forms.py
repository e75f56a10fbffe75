"""Reading a form: in pieces of any size, whole or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from api.bodies.forms import TEXT_BYTES, FilePart, FormRules, boundary_of, read_form
from api.errors import BadRequest
from jobs.errors import InvalidOptions, TooManyBytes

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\ntiny\r\n'
    b'--B\r\nContent-Disposition: form-data; name="files"; filename="z\xc3\xbcrich.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\nfirst\r\nfile\r\n"
    b'--B\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
    b'--B\r\nContent-Disposition: form-data; name="masks"; filename="m.png"\r\n\r\nsecond\r\n--B--\r\n'
)


def parse(pieces: list[bytes], spool: Path) -> tuple[dict[str, str], list[tuple[FilePart, bytes]]]:
    files: list[tuple[FilePart, bytes]] = []

    def take(part: FilePart, data: BinaryIO) -> None:
        files.append((part, data.read()))

    return read_form(pieces, form_rules(spool), take=take), files


def form_rules(spool: Path, limit: int = 1 << 30) -> FormRules:
    return FormRules(boundary=b"B", spool=spool, held_bytes=1, part_limit=lambda part, head: limit)


@pytest.mark.parametrize("size", [1, 3, 17, 10_000])
def test_a_form_reads_the_same_in_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    fields, files = parse([FORM[start : start + size] for start in range(0, len(FORM), size)], tmp_path)
    assert fields == {"model": "tiny"}
    assert [(part.field, part.name, part.media_type, data) for part, data in files] == [
        ("files", "zürich.jpg", "image/jpeg", b"first\r\nfile"),
        ("masks", "m.png", None, b"second"),
    ]


@pytest.mark.parametrize("cut", [0, 10, 100, 200, len(FORM) - 9])
def test_a_form_that_ends_too_early_is_a_bad_request(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BadRequest):
        parse([FORM[:cut]], tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"--B\r\n\r\nno headers\r\n--B--",
        b"--B\r\nContent-Disposition: attachment; name=x\r\n\r\nx\r\n--B--",
        b"--B\r\n" + b"X: 1\r\n" * 50 + b"\r\nx\r\n--B--",
        b"--B\r\nX: " + b"1" * 10_000 + b"\r\n\r\nx\r\n--B--",
    ],
)
def test_a_malformed_form_is_a_bad_request(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse([body], tmp_path)


def test_text_fields_have_a_limit(tmp_path: Path) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * (TEXT_BYTES + 1)
    with pytest.raises(TooManyBytes):
        parse([body], tmp_path)


def test_names_of_text_fields_count_too(tmp_path: Path) -> None:
    fields = (b'--B\r\nContent-Disposition: form-data; name="%0999d"\r\n\r\n\r\n' % number for number in range(300))
    with pytest.raises(TooManyBytes):
        parse([*fields, b"--B--"], tmp_path)


def test_a_text_field_given_twice_is_a_fault(tmp_path: Path) -> None:
    field = b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    with pytest.raises(InvalidOptions):
        parse([field + field + b"--B--"], tmp_path)


@pytest.mark.parametrize("header", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 201])
def test_a_boundary_is_needed(header: str) -> None:
    with pytest.raises(BadRequest):
        boundary_of(header)


def test_a_spooled_file_is_on_disk_and_gone_afterwards(tmp_path: Path) -> None:
    seen: list[int] = []
    read_form([FORM], form_rules(tmp_path), take=lambda part, data: seen.append(data.fileno()))
    assert seen
    assert list(tmp_path.iterdir()) == []


def test_a_small_file_never_comes_near_the_disk(tmp_path: Path) -> None:
    rules = replace(form_rules(tmp_path / "is not there"), held_bytes=1000)
    sizes: list[int] = []
    read_form([FORM], rules, take=lambda part, data: sizes.append(len(data.read())))
    assert sizes
