"""Inputs as real clients send them, from the request to the numbers and the archive."""

from __future__ import annotations

import io
import json
import struct
import unicodedata
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.factories import mask, picture, tar_of, zip_of
from tests.unit.api.house import House

# The fake model says class 0 left of the middle and class 1 right of it.
RIGHT = mask(np.repeat(np.array([0, 1], np.uint8), 16)[None].repeat(24, 0))
WRONG = mask(np.repeat(np.array([1, 0], np.uint8), 16)[None].repeat(24, 0))
LABEL_IDS = mask(np.repeat(np.array([23, 11], np.uint8), 16)[None].repeat(24, 0))  # sky and building in Cityscapes
TRAIN_IDS = mask(np.repeat(np.array([10, 2], np.uint8), 16)[None].repeat(24, 0))
NAME = "東京.jpg"

Files = list[tuple[str, bytes]]


def send(client: TestClient, house: House, files: Files, masks: Files = [], **options: str) -> Any:  # noqa: B006 - read only
    """The answer to the request; the job that it made has ended."""
    parts = [("files", file) for file in files] + [("masks", file) for file in masks]
    answer = client.post("/jobs", files=parts, data=options)
    house.work()
    return answer


def rows(client: TestClient, answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    items: list[dict[str, Any]] = client.get(answer.json()["links"]["images"]).json()["items"]
    return items


def accuracies(client: TestClient, answer: Any) -> dict[str, float]:
    return {
        row["name"]: row["metrics"]["ground_truth"]["pixel_accuracy"]
        for row in rows(client, answer)
        if row["metrics"].get("ground_truth")
    }


CAMS = zip_of({"cam_a/0001.jpg": picture(seed=0), "cam_b/0001.jpg": picture(seed=1)})


def test_the_same_name_in_several_folders_is_paired_by_folder(client: TestClient, house: House) -> None:
    swapped = zip_of({"cam_b/0001.png": WRONG, "cam_a/0001.png": RIGHT})
    answer = send(client, house, [("cams.zip", CAMS)], [("masks.zip", swapped)])
    assert accuracies(client, answer) == {"cam_a/0001.jpg": 1.0, "cam_b/0001.jpg": 0.0}


def test_what_cannot_be_paired_for_certain_is_refused_by_name(client: TestClient, house: House) -> None:
    masks = [("x.zip", zip_of({"one/0001.png": WRONG, "two/0001.png": RIGHT}))]
    answer = send(client, house, [("cams.zip", CAMS)], masks)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
    assert "one/0001.png, two/0001.png" in answer.text


def test_names_are_paths_in_rows_tables_and_archives(client: TestClient, house: House) -> None:
    answer = send(client, house, [("cams.zip", CAMS)], artifacts="mask,coco")
    names = ["cam_a/0001.jpg", "cam_b/0001.jpg"]
    assert [row["name"] for row in rows(client, answer)] == names
    with zipfile.ZipFile(io.BytesIO(client.get(answer.json()["links"]["archive"]).content)) as archive:
        assert {"mask/cam_a/0001.png", "mask/cam_b/0001.png"} < set(archive.namelist())
        table = archive.read("metrics.csv").decode().splitlines()
        assert [line.split(",")[1] for line in table[1:]] == names
        assert [each["file_name"] for each in json.loads(archive.read("coco.json"))["images"]] == names


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_pictures_of_any_name_are_read_and_the_rest_is_told(client: TestClient, house: House, pack: Any) -> None:
    photoshop, inner = b"8BPS" + bytes(60), zip_of({"a.jpg": picture()})
    files = {"a.jpg": picture(), "b.jfif": picture(), "c.JPE": picture(), "d": picture()}
    others = {"e.psd": photoshop, "inner.zip": inner, "notes.txt": b"x", "__MACOSX/._a.jpg": b"\0", ".DS_Store": b"x"}
    answer = send(client, house, [("mixed.tar.gz", pack({**files, **others}))])
    found = {row["name"]: (row["error"] or {}).get("code") for row in rows(client, answer)}
    assert found == {**dict.fromkeys(files), "e.psd": "unsupported_image"}
    assert answer.json()["skipped"] == {"count": 2, "examples": ["inner.zip", "notes.txt"]}


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a"])
def test_a_single_picture_of_any_name_is_read(client: TestClient, house: House, name: str) -> None:
    parts = [("files", (name, picture(), "application/octet-stream"))]
    assert client.post("/jobs", files=parts).status_code == 202


STEM = "val/aachen/aachen_000000_000019"


@pytest.mark.parametrize(
    ("options", "chosen", "space"),
    [
        ({}, LABEL_IDS, "cityscapes-34"),
        ({"mask_label_space": "cityscapes-34"}, LABEL_IDS, "cityscapes-34"),
        ({"mask_label_space": "cityscapes-19"}, TRAIN_IDS, "cityscapes-19"),
    ],
    ids=["names alone", "label ids", "train ids"],
)
def test_a_whole_cityscapes_folder_is_understood(
    client: TestClient, house: House, options: dict[str, str], chosen: bytes, space: str
) -> None:
    pictures = zip_of({f"leftImg8bit/{STEM}_leftImg8bit.png": picture(form="PNG")})
    kinds = {"labelIds.png": LABEL_IDS, "labelTrainIds.png": TRAIN_IDS, "color.png": picture(form="PNG", seed=1)}
    masks = zip_of({f"gtFine/{STEM}_gtFine_{kind}": data for kind, data in {**kinds, "polygons.json": b"{}"}.items()})
    answer = send(client, house, [("pictures.zip", pictures)], [("masks.zip", masks)], **options)
    assert list(accuracies(client, answer).values()) == [1.0]
    assert answer.json()["options"]["mask_label_space"] == space
    assert answer.json()["skipped"]["count"] == 3


@pytest.mark.parametrize("ending", ["gtFine_labelTrainIds", "L", "truth_v2"])
def test_masks_may_end_in_many_ways(client: TestClient, house: House, ending: str) -> None:
    options = {"mask_suffix": "_truth_v2"} if ending == "truth_v2" else {}
    truth = TRAIN_IDS if ending == "gtFine_labelTrainIds" else RIGHT
    answer = send(client, house, [("a.jpg", picture())], [(f"a_{ending}.png", truth)], **options)
    assert accuracies(client, answer) == {"a.jpg": 1.0}


def test_a_name_written_by_macos_matches_its_mask(client: TestClient, house: House) -> None:
    name = "Ocaña_é.jpg"
    pictures = [("nfd.zip", zip_of({unicodedata.normalize("NFD", name): picture()}))]
    answer = send(client, house, pictures, [("masks.zip", zip_of({"Ocaña_é.png": RIGHT}))])
    assert accuracies(client, answer) == {name: 1.0}


def test_label_ids_by_their_names_need_no_option(client: TestClient, house: House) -> None:
    answer = send(client, house, [("a.jpg", picture())], [("a_gtFine_labelIds.png", LABEL_IDS)])
    assert accuracies(client, answer) == {"a.jpg": 1.0}


def test_names_that_contradict_the_options_are_refused(client: TestClient, house: House) -> None:
    masks = [("a_gtFine_labelTrainIds.png", TRAIN_IDS)]
    answer = send(client, house, [("a.jpg", picture())], masks, mask_label_space="cityscapes-34")
    assert answer.status_code == 422
    assert "a_gtFine_labelTrainIds.png" in answer.text


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"filename*=UTF-8''%E6%9D%B1%E4%BA%AC.jpg", NAME),
        (b"filename=\"__.jpg\"; filename*=UTF-8''%E6%9D%B1%E4%BA%AC.jpg", NAME),
        (b"filename=\"=?utf-8?B?5p2x5LqsLmpwZw==?=\"; filename*=utf-8''%E6%9D%B1%E4%BA%AC.jpg", NAME),
        (b'filename="=?utf-8?B?5p2x5LqsLmpwZw==?="', NAME),
        (b'filename="a%22b.jpg"', 'a"b.jpg'),
        (b'filename="cam_a/1.jpg"', "cam_a/1.jpg"),
    ],
)
def test_file_names_in_forms_are_read_as_they_were_meant(client: TestClient, disposition: bytes, name: str) -> None:
    head = b'--XX\r\nContent-Disposition: form-data; name="files"; ' + disposition + b"\r\n\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    answer = client.post("/jobs", content=head + picture() + b"\r\n--XX--\r\n", headers=headers)
    assert [row["name"] for row in rows(client, answer)] == [name]


def unicode_path_zip() -> bytes:
    """A ZIP entry named in cp932 with the Unicode path field, as WinZip and Info-ZIP write it."""
    data, raw = picture(), NAME.encode("cp932")
    field = b"\1" + struct.pack("<I", zlib.crc32(raw)) + NAME.encode()
    extra, crc, size = struct.pack("<HH", 0x7075, len(field)) + field, zlib.crc32(data), len(data)
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0x21, crc, size, size, len(raw), len(extra))
    numbers = (20, 20, 0, 0, 0, 0x21, crc, size, size, len(raw), len(extra), 0, 0, 0, 0, 0)
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", *numbers) + raw + extra
    entry = local + raw + extra + data
    return entry + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(entry), 0)


def test_the_unicode_path_of_a_zip_entry_is_read(client: TestClient, house: House) -> None:
    answer = send(client, house, [("u.zip", unicode_path_zip())])
    assert [row["name"] for row in rows(client, answer)] == [NAME]


def test_a_list_may_come_as_several_fields(client: TestClient) -> None:
    parts: Any = [("files", ("a.jpg", picture())), ("artifacts", (None, "mask")), ("artifacts", (None, "coco"))]
    assert client.post("/jobs", files=parts).json()["options"]["artifacts"] == ["mask", "coco"]


def test_messages_about_damage_are_in_words_of_ours(client: TestClient) -> None:
    data = bytearray(zip_of({"a.jpg": b"A"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    answer = client.post("/jobs", files={"files": ("x.zip", bytes(data))})
    assert answer.json()["code"] == "archive_unreadable"
    assert "encrypted" in answer.text
    assert "ZipInfo" not in answer.text


def test_the_checksum_at_the_end_of_a_compressed_tar_is_checked(client: TestClient) -> None:
    data = bytearray(tar_of({"a.jpg": picture()}))
    data[-6] ^= 1
    answer = client.post("/jobs", files={"files": ("x.tar.gz", bytes(data))})
    assert (answer.status_code, answer.json()["code"]) == (400, "archive_unreadable")


def test_a_length_of_thousands_of_digits_is_a_bad_request(client: TestClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "9" * 4401}
    assert client.post("/jobs", content=b"{}", headers=headers).status_code == 400
