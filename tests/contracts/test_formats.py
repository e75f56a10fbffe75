"""What every artifact format must do; a new one is tested by being listed in FORMATS."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch
from segmentation.formats import FORMATS, Format, FormatOptions, ReadableFormat
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import LABEL_SPACES, get_label_space
from segmentation.media_types import accepted_as, is_shown, suffix_of

RANDOM = np.random.default_rng(20)


def blobs(height: int, width: int, ids: list[int], size: int) -> NDArray[np.uint8]:
    coarse = RANDOM.choice(np.array(ids, np.uint8), (height // size + 1, width // size + 1))
    return np.ascontiguousarray(coarse.repeat(size, axis=0).repeat(size, axis=1)[:height, :width])


MAPS = {
    "one pixel of id 0": np.zeros((1, 1), np.uint8),
    "one pixel of id 255": np.full((1, 1), 255, np.uint8),
    "one class": np.full((5, 8), 3, np.uint8),
    "one class of id 255": np.full((4, 4), 255, np.uint8),
    "two classes": blobs(16, 16, [0, 255], size=4),
    "a row": blobs(1, 37, [1, 2, 255], size=3),
    "a column": blobs(41, 1, [0, 2, 11], size=3),
    "odd sides": blobs(33, 47, [0, 1, 5, 8, 11], size=5),
    "single pixels": blobs(31, 29, [0, 1, 2], size=1),
    "a chequerboard": np.indices((6, 7)).sum(axis=0).astype(np.uint8) % np.uint8(2),
    "every id": np.arange(256, dtype=np.uint8).reshape(8, 32),
    "a view": blobs(40, 40, [0, 7, 255], size=6)[::-2, 1::3],
}
READABLE = {name: each for name, each in FORMATS.items() if isinstance(each, ReadableFormat)}


@pytest.fixture(params=FORMATS.values(), ids=list(FORMATS))
def artifact(request: pytest.FixtureRequest) -> Format:
    found: Format = request.param
    return found


@pytest.fixture(params=MAPS.values(), ids=list(MAPS))
def ids(request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = request.param
    return found


def picture_for(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (*ids.shape, 3)).astype(np.uint8)


def label_map_of(ids: NDArray[np.uint8], space: LabelSpace | None = None) -> LabelMap:
    return LabelMap(ids, space or get_label_space("camvid-11"), confidence=np.full(ids.shape, 200, np.uint8))


def test_a_format_is_listed_under_its_name(artifact: Format) -> None:
    assert FORMATS[artifact.name] is artifact
    assert re.fullmatch(r"[a-z]+", artifact.name)


def test_any_map_can_be_encoded(artifact: Format, ids: NDArray[np.uint8]) -> None:
    encoded = artifact.encode(label_map_of(ids), picture_for(ids), FormatOptions())
    assert encoded.data
    assert encoded.media_type in artifact.files


def test_a_format_tells_its_files_and_how_it_is_asked_for(artifact: Format) -> None:
    for media_type, suffix in artifact.files.items():
        assert re.fullmatch(r"[a-z]+/[a-z+]+", media_type)
        assert re.fullmatch(r"\.[a-z]+", suffix)
        assert suffix_of(media_type) == suffix
        assert is_shown(media_type) == artifact.shown
    assert not artifact.accept or accepted_as()[artifact.accept] == artifact.name


@pytest.mark.parametrize("name", LABEL_SPACES)
@pytest.mark.parametrize("safe", [False, True])
def test_every_label_space_and_palette_can_be_encoded(artifact: Format, name: str, safe: bool) -> None:
    ids = MAPS["every id"]
    options = FormatOptions(colour_blind_safe=safe)
    assert artifact.encode(label_map_of(ids, get_label_space(name)), picture_for(ids), options).data


def test_the_same_map_gives_the_same_bytes(artifact: Format) -> None:
    ids, options = MAPS["odd sides"], FormatOptions(file_name="a.jpg")
    rgb = picture_for(ids)
    first = artifact.encode(label_map_of(ids), rgb, options)
    assert artifact.encode(label_map_of(ids.copy()), rgb.copy(), options) == first


def test_encoding_changes_neither_the_map_nor_the_picture(artifact: Format) -> None:
    ids = MAPS["odd sides"].copy()
    rgb = picture_for(ids)
    before = ids.copy(), rgb.copy()
    artifact.encode(label_map_of(ids), rgb, FormatOptions())
    assert np.array_equal(ids, before[0])
    assert np.array_equal(rgb, before[1])


def test_arrays_that_may_not_be_written_to_can_be_encoded(artifact: Format) -> None:
    ids = MAPS["odd sides"].copy()
    rgb = picture_for(ids)
    ids.flags.writeable = rgb.flags.writeable = False
    assert artifact.encode(label_map_of(ids), rgb, FormatOptions()).data


def test_a_picture_of_another_size_is_refused(artifact: Format) -> None:
    ids = MAPS["odd sides"]
    with pytest.raises(MaskMismatch):
        artifact.encode(label_map_of(ids), picture_for(ids[1:]), FormatOptions())


@pytest.mark.parametrize("name", LABEL_SPACES)
@pytest.mark.parametrize("readable", READABLE.values(), ids=READABLE)
def test_what_was_encoded_is_read_back_to_the_last_pixel(
    readable: ReadableFormat, ids: NDArray[np.uint8], name: str
) -> None:
    space = get_label_space(name)
    encoded = readable.encode(label_map_of(ids, space), picture_for(ids), FormatOptions())
    decoded = readable.decode(encoded.data, space)
    assert decoded.space is space
    assert decoded.ids.dtype == np.uint8
    assert np.array_equal(decoded.ids, ids)


def test_the_formats_for_programs_can_be_read_back() -> None:
    assert READABLE.keys() >= {"mask", "polygons", "coco"}
