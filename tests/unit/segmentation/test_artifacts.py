"""The pictures among the artifacts: overlay, mask, confidence; and the options that shape them."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import InvalidFormatOptions, MaskMismatch, MissingConfidence, UnreadableArtifact
from segmentation.formats import FORMATS, OVERLAY_FORMATS, FormatOptions, ReadableFormat
from segmentation.formats.mask import Mask
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from segmentation.picture_files.pictures import decode_picture, sniff_media_type

SPACE = get_label_space("cityscapes-8")
IDS = np.repeat(np.arange(8, dtype=np.uint8), 4)[None].repeat(8, axis=0)
RGB = np.full((8, 32, 3), (100, 150, 200), dtype=np.uint8)
CONFIDENCE = (IDS * 30).astype(np.uint8)
LABEL_MAP = LabelMap(IDS, SPACE, CONFIDENCE)


def overlay(options: FormatOptions) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return decode_picture(FORMATS["overlay"].encode(LABEL_MAP, RGB, options).data, max_pixels=1000)


@pytest.mark.parametrize("opacity", [0.0, 0.25, 0.5, 1.0])
def test_the_overlay_mixes_colours_and_picture_by_opacity(opacity: float) -> None:
    mixed = palette(SPACE)[IDS] * opacity + RGB * (1 - opacity)
    assert np.abs(overlay(FormatOptions(opacity=opacity, overlay_format="png")) - mixed).max() <= 1


def test_only_those_classes_are_drawn_that_were_named() -> None:
    shown, drawn = overlay(FormatOptions(opacity=1, overlay_format="png", classes=("sky",))), IDS == 5
    assert (shown[~drawn] == RGB[~drawn]).all()
    assert (shown[drawn] == palette(SPACE)[5]).all()


def test_void_is_drawn_where_it_is_named() -> None:
    named = FormatOptions(opacity=1, overlay_format="png", classes=("void",), shows_void=False)
    assert ((overlay(named) == palette(SPACE)[0]).all(axis=-1) == (IDS == 0)).all()
    documents = [json.loads(FORMATS[name].encode(LABEL_MAP, RGB, named).data) for name in ("polygons", "coco")]
    assert [each["properties"]["class"] for each in documents[0]["features"]] == ["void"]
    assert [each["category_id"] for each in documents[1]["annotations"]] == [0]
    assert [each["name"] for each in documents[1]["categories"]] == ["void"]


@pytest.mark.parametrize("name", ["polygons", "coco"])
def test_what_holds_some_classes_alone_says_so_and_is_not_read_as_a_whole(name: str) -> None:
    artifact = FORMATS[name]
    assert isinstance(artifact, ReadableFormat)
    data = artifact.encode(LABEL_MAP, RGB, FormatOptions(classes=("sky", "human"))).data
    document = json.loads(data)
    features = [each["properties"]["class_id"] for each in document.get("features", ())]
    assert features + [each["category_id"] for each in document.get("annotations", ())] == [5, 6]
    with pytest.raises(UnreadableArtifact, match="some classes"):
        artifact.decode(data, SPACE)


@pytest.mark.parametrize(
    ("kind", "media_type", "suffix"),
    [("jpeg", "image/jpeg", ".jpg"), ("png", "image/png", ".png"), ("webp", "image/webp", ".webp")],
)
def test_the_overlay_comes_in_the_format_that_was_asked_for(kind: str, media_type: str, suffix: str) -> None:
    encoded = FORMATS["overlay"].encode(LABEL_MAP, RGB, FormatOptions(overlay_format=kind))
    assert encoded.media_type == media_type
    assert FORMATS["overlay"].files[media_type] == suffix
    assert sniff_media_type(encoded.data[:16]) == media_type
    assert decode_picture(encoded.data, max_pixels=1000).shape == RGB.shape
    assert kind in OVERLAY_FORMATS


def test_the_overlay_can_use_colours_for_every_eye() -> None:
    safe = palette(SPACE, colour_blind_safe=True)[IDS]
    options = FormatOptions(opacity=1, overlay_format="png", colour_blind_safe=True)
    assert np.array_equal(overlay(options), safe)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_picture_too_long_for_the_overlays_format_is_told_so(kind: str) -> None:
    longest = OVERLAY_FORMATS[kind].longest
    label_map = LabelMap(np.zeros((1, longest + 1), np.uint8), SPACE)
    rgb = np.zeros((1, longest + 1, 3), np.uint8)
    with pytest.raises(InvalidFormatOptions, match=f"{kind} holds at most {longest} pixels a side"):
        FORMATS["overlay"].encode(label_map, rgb, FormatOptions(overlay_format=kind))
    fitting = LabelMap(label_map.ids[:, 1:], SPACE)
    assert FORMATS["overlay"].encode(fitting, rgb[:, 1:], FormatOptions(overlay_format=kind)).data


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_the_opacity_is_a_share(opacity: float) -> None:
    with pytest.raises(InvalidFormatOptions, match=r"opacity must be 0\.\.1"):
        FormatOptions(opacity=opacity)


def test_an_unknown_overlay_format_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidFormatOptions, match="one of jpeg, png, webp, got 'gif'"):
        FormatOptions(overlay_format="gif")


@pytest.mark.parametrize("safe", [False, True])
def test_the_masks_palette_is_that_of_its_label_space(safe: bool) -> None:
    options = FormatOptions(colour_blind_safe=safe)
    picture = Image.open(io.BytesIO(FORMATS["mask"].encode(LABEL_MAP, RGB, options).data))
    assert picture.mode == "P"
    assert picture.getpalette() == palette(SPACE, colour_blind_safe=safe).ravel().tolist()
    assert np.array_equal(np.asarray(picture), IDS)


def test_a_mask_that_is_none_cannot_be_read_back() -> None:
    with pytest.raises(UnreadableArtifact, match="no mask: the file is empty"):
        Mask().decode(b"", SPACE)


def test_the_confidence_is_a_grey_picture_of_it() -> None:
    encoded = FORMATS["confidence"].encode(LABEL_MAP, RGB, FormatOptions())
    picture = Image.open(io.BytesIO(encoded.data))
    assert (picture.format, picture.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(picture), CONFIDENCE)


def test_without_confidence_there_is_no_picture_of_it() -> None:
    with pytest.raises(MissingConfidence, match="this label map has no confidence"):
        FORMATS["confidence"].encode(LabelMap(IDS, SPACE), RGB, FormatOptions())


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(MaskMismatch, match=r"the label map is 32×8 pixels, the picture's array \(32, 8, 3\)"):
        FORMATS["mask"].encode(LABEL_MAP, RGB.transpose(1, 0, 2), FormatOptions())
