"""File names in forms, as browsers and HTTP libraries write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.bodies.forms import FormRules, read_form
from api.bodies.part_headers import file_name, parse_disposition
from jobs.errors import TooManyBytes
from tests.factories import mask, picture, zip_of
from tests.unit.api.house import House

TOKYO = "東京.jpg"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"filename*=UTF-8''%E6%9D%B1%E4%BA%AC.jpg", TOKYO),
        (b"filename=\"__.jpg\"; filename*=UTF-8''%E6%9D%B1%E4%BA%AC.jpg", TOKYO),
        (b"filename*=utf-8'ja'%E6%9D%B1%E4%BA%AC.jpg; filename=__.jpg", TOKYO),
        (b"filename*=iso-8859-1''Z%FCrich.jpg", "Zürich.jpg"),
        (b"filename=\"=?utf-8?B?5p2x5LqsLmpwZw==?=\"; filename*=utf-8''%E6%9D%B1%E4%BA%AC.jpg", TOKYO),
        (b'filename="=?utf-8?B?5p2x5LqsLmpwZw==?="', TOKYO),
        (b'filename="=?iso-8859-1?Q?Z=FCrich?= =?utf-8?Q?.jpg?="', "Zürich.jpg"),
        (b'filename="=?nonsense?B?5p2x?="', "=?nonsense?B?5p2x?="),
        (b"filename*0*=UTF-8''%E6%9D%B1; filename*1*=%E4%BA%AC; filename*2=\".jpg\"", TOKYO),
        (b'filename*0="long "; filename*1="name.jpg"', "long name.jpg"),
        (b'filename="a%22b.jpg"', 'a"b.jpg'),
        (b'filename="100%25.jpg"', "100%25.jpg"),
        (b'filename="a\\"b.jpg"', 'a"b.jpg'),
        (b'filename="set\\one\\a.jpg"', "set\\one\\a.jpg"),
        (b'filename="C:\\\\set\\\\a.jpg"', "C:\\set\\a.jpg"),
        (b'filename="z\xc3\xbcrich; x.jpg"', "zürich; x.jpg"),
        (b'filename="z\xfcrich.jpg"', "zürich.jpg"),
        (b"filename=plain.jpg ; x=y", "plain.jpg"),
        (b"FileName = a.jpg", "a.jpg"),
        (b"filename=\"a.jpg\"; filename*=UTF-8''%FF", "a.jpg"),
        (b"filename=a.jpg; filename*=mars''%41", "a.jpg"),
        (b"filename*=damaged", ""),
        (b'filename=""', ""),
        (b'other="x"', None),
    ],
)
def test_a_file_name_is_understood_however_it_was_written(disposition: bytes, name: str | None) -> None:
    kind, parameters = parse_disposition(b'form-data; name="files"; ' + disposition)
    assert (kind, parameters["name"], file_name(parameters)) == ("form-data", b"files", name)


def test_a_header_without_a_kind_has_no_parameters() -> None:
    assert parse_disposition(b"") == ("", {})


def post(client: TestClient, *parts: tuple[bytes, bytes]) -> dict[str, object]:
    body = b"".join(
        b"--XX\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    answer = client.post("/jobs", content=body + b"--XX--\r\n", headers=headers)
    assert answer.status_code == 202, answer.text
    job: dict[str, object] = answer.json()
    return job


def names_of(client: TestClient, job: dict[str, object]) -> list[str]:
    return [row["name"] for row in client.get(f"/jobs/{job['id']}/images").json()["items"]]


def test_the_name_of_a_part_is_the_name_of_the_image(client: TestClient) -> None:
    head = b'name="files"; filename="__.jpg"; filename*=UTF-8\'\''
    job = post(client, (head + b"cam_a%2F%E6%9D%B1%E4%BA%AC.jpg", picture()), (head + b"%E4%BA%AC.jpg", picture()))
    assert names_of(client, job) == ["cam_a/東京.jpg", "京.jpg"]


def test_options_that_are_lists_may_come_several_times(client: TestClient) -> None:
    job = post(
        client,
        (b'name="artifacts"', b"mask"),
        (b'name="files"; filename="a.jpg"', picture()),
        (b'name="artifacts"', b"overlay, coco"),
    )
    options = job["options"]
    assert isinstance(options, dict)
    assert options["artifacts"] == ["mask", "overlay", "coco"]


def test_a_part_is_spooled_no_further_than_its_kind_may_be_long(tmp_path: Path) -> None:
    head = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    sent: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield head
        for _ in range(1000):
            sent.append(1 << 10)
            yield bytes(1 << 10)

    limit = lambda part, first: 10_000 if len(first) == 512 else 0  # noqa: E731
    rules = FormRules(boundary=b"B", spool=tmp_path, held_bytes=1, part_limit=limit)
    with pytest.raises(TooManyBytes, match=r"'a\.jpg' is larger than the 10000 bytes"):
        read_form(pieces(), rules, take=lambda part, data: None)
    assert sum(sent) <= 12_000


def test_a_picture_may_be_shorter_than_a_bundle_of_them(
    house: House, open_client: Callable[[House], TestClient]
) -> None:
    house.settings = house.settings.model_copy(update={"max_request_bytes": 50_000, "max_image_bytes": 5_000})
    client = open_client(house)
    bundle = zip_of({f"{number}.jpg": picture() for number in range(8)})
    assert 5_000 < len(bundle) < 50_000
    assert client.post("/jobs", files={"files": ("a.zip", bundle)}).status_code == 202
    answer = client.post("/jobs", files={"files": ("a.jpg", picture(200, 100))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_masks_are_matched_by_the_folders_of_their_names(client: TestClient, house: House) -> None:
    truth = {name: mask(np.full((24, 32), number, np.uint8)) for number, name in enumerate(("a", "b"))}
    job = post(
        client,
        (b'name="files"; filename="cam_a/1.jpg"', picture(seed=0)),
        (b'name="files"; filename="cam_b/1.jpg"', picture(seed=1)),
        (b'name="masks"; filename="cam_b/1.png"', truth["b"]),
        (b'name="masks"; filename="cam_a/1.png"', truth["a"]),
    )
    with house.database.unit() as unit:
        found = [unit.images.get(str(job["id"]), index).mask for index in range(2)]
    assert [house.objects.get(each.location) for each in found if each is not None] == [truth["a"], truth["b"]]
