"""What a client may choose, and how a wrong choice is told."""

import json

import pytest

from jobs.errors import InvalidOptions
from jobs.options import JobOptions, OverlayOptions, TileOptions, parse_option_fields, parse_options
from segmentation.formats.outlines import Outlines


def test_no_options_are_the_defaults():
    assert parse_options({}) == JobOptions()


def test_options_survive_a_round_trip():
    options = JobOptions(
        model="m",
        label_space="cityscapes-8",
        mask_label_space="cityscapes-34",
        mask_suffix="_L",
        artifacts=("mask", "coco"),
        bit_depth=12,
        min_confidence=0.25,
        polygons=Outlines(1.5, 50),
        classes=("sky", "car"),
        overlay=OverlayOptions(opacity=0.25, format="png", palette="colour_blind"),
        tile=TileOptions(size=512, overlap=64),
        priority="bulk",
        expires_in=3600,
        metadata={"run": 7},
    )
    assert parse_options(json.loads(json.dumps(options.to_dict()))) == options
    assert parse_options(JobOptions().to_dict()) == JobOptions()


def test_options_that_came_later_are_written_only_where_they_were_chosen():
    told = JobOptions().to_dict()
    assert not {"bit_depth", "min_confidence", "polygons", "classes"} & told.keys()
    assert told["overlay"] == {"opacity": 0.5, "format": "jpeg"}


@pytest.mark.parametrize(("text", "depth"), [("auto", None), ("12", 12), ("8", 8)])
def test_a_bit_depth_comes_as_text_in_a_form(text, depth):
    assert parse_option_fields({"bit_depth": text}, options=None).bit_depth == depth


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"modle": "x"}, "modle", "unknown option; known are model"),
        ({"model": 3}, "model", "must be a string, got int"),
        ({"label_space": 8}, "label_space", "must be a string, got int"),
        ({"mask_suffix": ""}, "mask_suffix", "1 to 64 letters"),
        ({"mask_suffix": "a/b"}, "mask_suffix", "1 to 64 letters"),
        ({"mask_suffix": "\n"}, "mask_suffix", "1 to 64 letters"),
        ({"artifacts": []}, "artifacts", "at least one of overlay"),
        ({"artifacts": "mask"}, "artifacts", "must be a list"),
        ({"artifacts": ["mask", "gif"]}, "artifacts", "unknown artifact 'gif'; known are overlay"),
        ({"overlay": 5}, "overlay", "must be an object, got int"),
        ({"overlay": {"opacity": 2}}, "overlay.opacity", "a number from 0 to 1"),
        ({"overlay": {"opacity": True}}, "overlay.opacity", "a number from 0 to 1"),
        ({"overlay": {"format": "gif"}}, "overlay.format", "one of jpeg, png, webp"),
        ({"overlay": {"format": {}}}, "overlay.format", "one of jpeg, png, webp"),
        ({"overlay": {"palette": []}}, "overlay.palette", "must be one of published, colour_blind"),
        ({"bit_depth": {}}, "bit_depth", "must be auto or one of"),
        ({"priority": []}, "priority", "must be a string"),
        ({"overlay": {"colour": 1}}, "overlay.colour", "unknown option"),
        ({"overlay": {"palette": "grey"}}, "overlay.palette", "must be one of published, colour_blind, got 'grey'"),
        ({"min_confidence": 1.01}, "min_confidence", "must be a number from 0 to 1, got 1.01"),
        ({"min_confidence": -0.1}, "min_confidence", "a number from 0 to 1"),
        ({"min_confidence": float("nan")}, "min_confidence", "a number from 0 to 1"),
        ({"min_confidence": "0.5"}, "min_confidence", "a number from 0 to 1, got '0.5'"),
        ({"min_confidence": True}, "min_confidence", "a number from 0 to 1"),
        ({"polygons": {"tolerance": -1}}, "polygons.tolerance", "must be a number from 0 to 100, got -1"),
        ({"polygons": {"tolerance": None}}, "polygons.tolerance", "must be a number from 0 to 100"),
        ({"polygons": {"min_area": 1.5}}, "polygons.min_area", "must be a whole number from 0 to 1000000000, got 1.5"),
        ({"polygons": {"epsilon": 1}}, "polygons.epsilon", "unknown option; known are tolerance, min_area"),
        ({"polygons": 2}, "polygons", "must be an object, got int"),
        ({"artifacts": ["overlay"], "export": "yolo"}, "export", "needs one of the artifacts coco, geotiff, mask"),
        (
            {"artifacts": ["polygons"], "export": "yolo", "polygons": {"min_area": 9}},
            "export",
            "what is simplified, or of some classes, does not do",
        ),
        ({"classes": []}, "classes", "a list of 1 to 256 names"),
        ({"classes": "car"}, "classes", "a list of 1 to 256 names"),
        ({"classes": ["car", 3]}, "classes", "a list of 1 to 256 names"),
        ({"bit_depth": 9}, "bit_depth", "must be auto or one of 8, 10, 12, 14, 16, got 9"),
        ({"bit_depth": True}, "bit_depth", "must be auto or one of"),
        ({"bit_depth": "12"}, "bit_depth", "must be auto or one of"),
        ({"tile": {"size": 8}}, "tile.size", "from 64 to 4096"),
        ({"tile": {"size": 512, "overlap": 300}}, "tile.overlap", "from 0 to 256"),
        ({"priority": "urgent"}, "priority", "one of interactive, bulk"),
        ({"expires_in": 1}, "expires_in", "from 60 to"),
        ({"expires_in": "soon"}, "expires_in", "a whole number"),
        ({"expires_in": True}, "expires_in", "a whole number"),
        ({"metadata": []}, "metadata", "must be an object"),
        ({"metadata": {"x": "y" * 5000}}, "metadata", "at most 4096 bytes"),
        ({"artifacts": [["mask"]]}, "artifacts", "unknown artifact"),
        ({"metadata": {"x": float("nan")}}, "metadata", "what JSON can say"),
        ({"metadata": {"x": ["\ud800"]}}, "metadata", "what JSON can say"),
        ({"metadata": {"x": [{"y\0": 1}]}}, "metadata", "NUL"),
        ({"metadata": {"x": json.loads("[" * 40 + "]" * 40)}}, "metadata", "32 levels"),
    ],
)
def test_a_wrong_option_names_the_field_and_what_was_expected(values, field, message):
    with pytest.raises(InvalidOptions) as caught:
        parse_options(values)
    assert caught.value.faults[0].field == field
    assert message in caught.value.faults[0].message


def test_all_faults_are_told_at_once():
    with pytest.raises(InvalidOptions, match=r"priority: .*; expires_in: ") as caught:
        parse_options({"priority": "x", "expires_in": 0})
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(("polygons", "readable"), [({}, ("polygons", "mask")), ({"tolerance": 1}, ("mask",))])
def test_what_was_simplified_is_not_read_back(polygons, readable):
    options = parse_options({"artifacts": ["overlay", "polygons", "mask"], "polygons": polygons, "export": "yolo"})
    assert options.readable == readable
    some = parse_options({"artifacts": ["coco", "polygons", "geotiff"], "classes": ["car"]})
    assert some.readable == ("geotiff",)


def test_repeated_artifacts_count_once():
    assert parse_options({"artifacts": ["mask", "mask"]}).artifacts == ("mask",)


def test_a_small_tile_gets_an_overlap_that_fits():
    assert parse_options({"tile": {"size": 128}}).tile == TileOptions(size=128, overlap=64)
    assert parse_options({"tile": {}}).tile == TileOptions()


def test_form_fields_are_read_as_text():
    fields = {"model": "m", "artifacts": "overlay, mask,", "expires_in": "90", "tile": '{"size": 256}'}
    fields |= {"min_confidence": "0.5", "polygons": '{"tolerance": 2}', "classes": "car, sky"}
    assert parse_option_fields(fields, options=None) == JobOptions(
        model="m",
        artifacts=("overlay", "mask"),
        expires_in=90,
        tile=TileOptions(size=256, overlap=128),
        min_confidence=0.5,
        polygons=Outlines(2.0),
        classes=("car", "sky"),
    )


def test_form_fields_add_to_the_options_object():
    assert parse_option_fields({"priority": "bulk"}, options='{"model": "m"}') == JobOptions(model="m", priority="bulk")


@pytest.mark.parametrize(
    ("fields", "options", "field"),
    [
        ({"model": "a"}, '{"model": "b"}', "model"),
        ({}, "[1]", "options"),
        ({"overlay": "{"}, None, "overlay"),
        ({"expires_in": "later"}, None, "expires_in"),
        ({"min_confidence": "half"}, None, "min_confidence"),
        ({"expires_in": "9" * 5000}, None, "expires_in"),
    ],
)
def test_a_form_with_a_clash_or_unreadable_json_is_refused(fields, options, field):
    with pytest.raises(InvalidOptions) as caught:
        parse_option_fields(fields, options=options)
    assert [fault.field for fault in caught.value.faults] == [field]


def test_metadata_may_speak_of_nul_without_holding_it():
    metadata = {"x": "\\u0000", "deep": json.loads("[" * 30 + "]" * 30)}
    assert parse_options({"metadata": metadata}).metadata == metadata


def test_metadata_of_a_form_that_is_nested_beyond_reason_is_a_fault():
    with pytest.raises(InvalidOptions):
        parse_option_fields({"metadata": '{"x":' + "[" * 5000 + "]" * 5000 + "}"}, options=None)


@pytest.mark.parametrize(
    ("size", "picture", "factor"),
    [(512, (1024, 512), 2), (1024, (1024, 512), 1), (4096, (640, 480), 1), (64, (100, 640), 10)],
)
def test_tiles_tell_how_much_larger_things_appear_in_them(size, picture, factor):
    assert TileOptions(size=size).magnification(*picture) == factor
