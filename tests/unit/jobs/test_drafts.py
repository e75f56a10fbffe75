"""What a request comes to: kinds of files by their content, names, masks, and what is passed over."""

from __future__ import annotations

import io
import unicodedata

import numpy as np
import pytest

from jobs.errors import InvalidOptions, NoImages, UnsupportedMedia
from jobs.submitting.drafts import Draft, DraftLimits, Received, is_packed_file
from tests.factories import mask, picture, tar_of, zip_of
from tests.fakes import MemoryObjects

HEIC = b"\0\0\0\x18ftypheic" + bytes(64)
PHOTOSHOP = b"8BPS" + bytes(60)
TRUTH = mask(np.full((24, 32), 7, np.uint8))
OTHER = mask(np.full((24, 32), 8, np.uint8))


@pytest.fixture
def draft() -> Draft:
    limits = DraftLimits(max_images=20, max_bytes=1 << 24, max_image_bytes=1 << 20)
    return Draft("job_1", "jobs/job_1/", MemoryObjects(), limits)


def add(draft: Draft, name: str, data: bytes, media_type: str | None = None) -> None:
    draft.add_file(name, io.BytesIO(data), media_type=media_type)


def names_of(received: Received) -> list[str]:
    return [image.name for image in received.images]


def truths_of(draft: Draft, received: Received) -> dict[str, bytes]:
    return {image.name: draft.objects.get(image.mask.location) for image in received.images if image.mask is not None}


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_pictures_in_a_bundle_are_known_by_their_content_and_the_rest_is_told(
    draft: Draft, pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.submitting.drafts.are_films_read", lambda: False)  # without the extra `video`
    files = {
        "a.jpg": picture(),
        "b.jfif": picture(),
        "c.JPE": picture(),
        "d": picture(),
        "IMG_1.HEIC": HEIC,
        "e.gif": b"GIF89a" + bytes(32),
        "f.psd": PHOTOSHOP,
        "damaged.png": b"nonsense",
        "photos/.DS_Store": b"x",
        ".thumbs/t.jpg": picture(),
        "__MACOSX/photos/._a.jpg": b"\0\5\x16\7",
        "inner.zip": zip_of({"x.jpg": picture()}),
        "notes.txt": b"x",
        "clip.mp4": b"\0\0\0\x18ftypisom" + bytes(64),
    }
    add(draft, "photos", pack(files))
    received = draft.received()
    assert names_of(received) == [*list(files)[:8]]
    assert (received.skipped.count, received.skipped.examples) == (3, ("inner.zip", "notes.txt", "clip.mp4"))


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.txt", picture(), None),
        ("a", HEIC, None),
        ("a.zip", picture(), None),
        ("a.jpg", b"nonsense", None),
        ("blob", b"nonsense", "image/x-mine"),
    ],
)
def test_a_file_is_an_image_by_its_content_or_else_by_what_is_said_of_it(
    draft: Draft, name: str, data: bytes, media_type: str | None
) -> None:
    add(draft, name, data, media_type)
    assert names_of(draft.received()) == [name]


def test_a_stored_image_has_the_media_type_of_its_content(draft: Draft) -> None:
    add(draft, "a.jpg", picture(form="PNG"))
    add(draft, "b.jpg", b"nonsense")
    keys = [image.source.location for image in draft.received().images]
    assert [draft.objects.info(key).media_type for key in keys] == ["image/png", "application/octet-stream"]


def test_what_is_neither_a_picture_nor_a_bundle_is_refused(draft: Draft) -> None:
    with pytest.raises(UnsupportedMedia, match=r"'report\.docx' is no image, film"):
        add(draft, "report.docx", zip_of({"word/media/image1.png": picture()}))
    assert is_packed_file("x.zip", io.BytesIO(b"nonsense"))
    assert not is_packed_file("x.zip", io.BytesIO(picture()))


def test_names_are_relative_paths_and_two_of_one_path_are_numbered(draft: Draft) -> None:
    add(draft, "set\\one\\a.jpg", picture())
    add(draft, "more.zip", zip_of({"set/one/a.jpg": picture(), "../b.jpg": picture()}))
    add(draft, "", picture())
    assert names_of(draft.received()) == ["set/one/a.jpg", "set/one/a_000001.jpg", "b.jpg", "image-000003"]


def test_masks_of_another_order_and_another_unicode_form_find_their_images(draft: Draft) -> None:
    nfd = unicodedata.normalize("NFD", "cam_a/Ocaña_é.jpg")
    add(draft, "cams.zip", zip_of({nfd: picture(), "cam_b/Ocaña_é.jpg": picture(seed=1)}))
    draft.add_mask("m.zip", io.BytesIO(zip_of({"cam_b/Ocaña_é.png": OTHER, "cam_a/Ocaña_é.png": TRUTH})))
    assert truths_of(draft, draft.received()) == {"cam_a/Ocaña_é.jpg": TRUTH, "cam_b/Ocaña_é.jpg": OTHER}


def test_of_a_whole_city_the_label_space_takes_the_ids_and_the_rest_is_told(draft: Draft) -> None:
    stem = "val/aachen/aachen_000000_000019"
    add(draft, f"leftImg8bit/{stem}_leftImg8bit.png", picture(form="PNG"))
    for kind, data in (("color", picture(form="PNG", seed=1)), ("labelIds", TRUTH), ("labelTrainIds", OTHER)):
        draft.add_mask(f"gtFine/{stem}_gtFine_{kind}.png", io.BytesIO(data))
    draft.add_mask(f"gtFine/{stem}_gtFine_polygons.json", io.BytesIO(b"{}"))
    received = draft.received()
    assert list(truths_of(draft, received).values()) == [TRUTH]
    assert (received.mask_label_space, received.skipped.count) == ("cityscapes-34", 3)
    assert len(list(draft.objects.keys("jobs/job_1/"))) == 2  # nothing is kept of what was passed over


def test_what_the_client_says_of_its_masks_counts(draft: Draft) -> None:
    add(draft, "a.jpg", picture())
    draft.add_mask("a_ids.png", io.BytesIO(TRUTH))
    draft.add_mask("a_preview.png", io.BytesIO(OTHER))
    received = draft.received(mask_label_space="camvid-11", mask_suffix="_ids")
    assert truths_of(draft, received) == {"a.jpg": TRUTH}
    assert (received.mask_label_space, received.skipped.examples) == ("camvid-11", ("a_preview.png",))


def test_masks_that_lie_among_the_pictures_are_no_images(draft: Draft) -> None:
    add(draft, "all.zip", zip_of({"a.png": picture(form="PNG"), "a_mask.png": TRUTH, "b_mask.png": OTHER}))
    add(draft, "a_label.jpg", picture(seed=1))  # no mask is a JPEG
    received = draft.received()
    assert names_of(received) == ["a.png", "b_mask.png", "a_label.jpg"]
    assert received.skipped.examples == ("a_mask.png",)


def test_a_folder_may_be_given_for_pictures_and_masks_alike(draft: Draft) -> None:
    files = {"a.png": picture(form="PNG"), "a_mask.png": TRUTH, "b.png": picture(form="PNG", seed=1)}
    add(draft, "all.zip", zip_of(files))
    draft.add_mask("all.zip", io.BytesIO(zip_of(files)))
    received = draft.received()
    assert names_of(received) == ["a.png", "b.png"]
    assert truths_of(draft, received) == {"a.png": TRUTH}


def test_pictures_are_not_their_own_truth(draft: Draft) -> None:
    add(draft, "a.png", picture(form="PNG"))
    draft.add_mask("a.png", io.BytesIO(picture(form="PNG")))
    with pytest.raises(InvalidOptions, match="the pictures themselves"):
        draft.received()


def test_a_request_of_nothing_but_text_holds_no_image(draft: Draft) -> None:
    add(draft, "x.zip", zip_of({"notes.txt": b"x"}))
    with pytest.raises(NoImages, match=r"no image.*notes\.txt"):
        draft.received()
