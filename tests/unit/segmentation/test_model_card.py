"""The contract between training and serving is checked to the letter."""

import json
from dataclasses import replace
from typing import Any

import pytest

from segmentation.errors import InvalidModelCard
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from segmentation.variant import Variant

VARIANT = Variant(
    precision="int8",
    engine="onnxruntime",
    file="model.int8.onnx",
    bytes=1_900_000,
    median_ms=8.5,
    images_per_s=117,
    miou=0.607,
    machine="a processor, 2 threads",
)
CARD = ModelCard(
    name="deeplabv3plus-mobilenetv2",
    version="1",
    architecture="deeplabv3plus",
    label_space="camvid-11",
    preprocessing=Preprocessing(long_side=960),
    files={"onnx": "model.onnx"},
    sha256={"model.onnx": "0a" * 32},
    output_stride=4,
    parameters=4_400_000,
    description="Straßen",
    scores={"miou": 0.61, "epochs": 30},
)


def test_a_card_survives_being_written_and_read() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD
    assert ModelCard.from_json(CARD.to_json().encode()) == CARD


def test_a_card_keeps_what_its_variants_were_measured_to_cost() -> None:
    card = replace(
        CARD,
        files={"onnx": "model.onnx", "onnx_int8": "model.int8.onnx"},
        sha256={"model.onnx": "0a" * 32, "model.int8.onnx": "0b" * 32},
        variants=(VARIANT, replace(VARIANT, precision="bf16", file="model.onnx", median_ms=None, images_per_s=None)),
    )
    assert ModelCard.from_json(card.to_json()) == card


def test_a_card_from_before_variants_were_measured_has_none() -> None:
    value = json.loads(CARD.to_json())
    del value["variants"]
    assert ModelCard.from_json(json.dumps(value)).variants == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"precision": "int4"}, "precision"),
        ({"engine": ""}, "engine"),
        ({"file": "model.onnx2"}, "file"),
        ({"file": 4}, "file"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 1.5}, "bytes"),
        ({"median_ms": 0}, "median_ms"),
        ({"images_per_s": True}, "images_per_s"),
        ({"images_per_s": "fast"}, "images_per_s"),
        ({"miou": 1.01}, "miou"),
        ({"miou": float("nan")}, "miou"),
        ({"machine": None}, "machine"),
    ],
)
def test_a_wrong_figure_of_a_variant_is_named(change: dict[str, Any], field: str) -> None:
    value = {**json.loads(CARD.to_json()), "variants": [{**VARIANT.to_dict(), "file": "model.onnx", **change}]}
    with pytest.raises(InvalidModelCard) as caught:
        ModelCard.from_json(json.dumps(value))
    assert caught.value.field == f"variants.{field}"


@pytest.mark.parametrize("variants", [{}, [3], [{"precision": "fp32"}], [{**VARIANT.to_dict(), "colour": "red"}]])
def test_variants_that_are_no_list_of_variants_are_refused(variants: object) -> None:
    with pytest.raises(InvalidModelCard, match="variants"):
        ModelCard.from_json(json.dumps({**json.loads(CARD.to_json()), "variants": variants}))


def test_a_card_is_written_for_people_too() -> None:
    text = CARD.to_json()
    assert text.startswith('{\n  "name": "deeplabv3plus-mobilenetv2",')
    assert "Straßen" in text
    assert text.endswith("}\n")


def test_what_only_describes_may_be_left_out() -> None:
    value = json.loads(CARD.to_json())
    for name in ("description", "dataset", "recipe", "commit", "scores", "source", "licence"):
        del value[name]
    assert ModelCard.from_json(json.dumps(value)) == replace(CARD, description="", scores={})


@pytest.mark.parametrize(
    "name",
    [
        *("name", "version", "architecture", "label_space", "preprocessing"),
        *("files", "sha256", "output_stride", "parameters"),
    ],
)
def test_a_missing_field_is_named(name: str) -> None:
    value = json.loads(CARD.to_json())
    del value[name]
    with pytest.raises(InvalidModelCard, match=f"model card: {name} must be given, got None"):
        ModelCard.from_json(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Big Model"}, "name"),
        ({"name": "../escape"}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"version": ""}, "version"),
        ({"version": 1}, "version"),
        ({"licence": None}, "licence"),
        ({"preprocessing": 7}, "preprocessing"),
        ({"output_stride": 0}, "output_stride"),
        ({"output_stride": 4.0}, "output_stride"),
        ({"parameters": True}, "parameters"),
        ({"files": {}}, "files"),
        ({"files": []}, "files"),
        ({"files": {"tensorrt": "model.onnx"}}, "files"),
        ({"files": {"onnx": "../model.onnx"}}, "files.onnx"),
        ({"files": {"onnx": 3}}, "files.onnx"),
        ({"sha256": []}, "sha256"),
        ({"sha256": {}}, "sha256.model.onnx"),
        ({"sha256": {"model.onnx": "0A" * 32}}, "sha256.model.onnx"),
        ({"sha256": {"model.onnx": 1}}, "sha256.model.onnx"),
        ({"scores": []}, "scores"),
        ({"scores": {"miou": "0.6"}}, "scores.miou"),
        ({"scores": {"miou": True}}, "scores.miou"),
        ({"scores": {"miou": float("nan")}}, "scores.miou"),
    ],
)
def test_a_wrong_field_is_named_with_what_came(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidModelCard) as caught:
        ModelCard.from_json(json.dumps({**json.loads(CARD.to_json()), **change}))
    assert caught.value.field == field
    assert caught.value.code == "invalid_model_card"


def test_a_card_that_is_built_wrongly_is_refused_too() -> None:
    with pytest.raises(InvalidModelCard, match="preprocessing must be an object, got None"):
        replace(CARD, preprocessing=None)  # type: ignore[arg-type]
    with pytest.raises(InvalidModelCard, match="variants must be a tuple of Variant"):
        replace(CARD, variants=[VARIANT])  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00", '{"name": "x", "flavour": 1}'])
def test_what_is_no_card_at_all_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidModelCard, match="model card: the file must be"):
        ModelCard.from_json(text)


def test_a_card_names_the_file_of_its_own_label_space() -> None:
    card = replace(
        CARD,
        label_space="blob",
        label_space_file="label_space.json",
        sha256={**CARD.sha256, "label_space.json": "0c" * 32},
        max_batch=1,
        activation="sigmoid",
        temperature=1.4,
    )
    assert ModelCard.from_json(card.to_json()) == card


def test_fields_that_came_later_are_written_only_where_they_tell_something() -> None:
    assert json.loads(CARD.to_json()).keys().isdisjoint({"label_space_file", "max_batch", "activation", "temperature"})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"label_space_file": "label_space.json"}, r"sha256\.label_space\.json"),
        ({"label_space_file": "../label_space.json"}, "label_space_file"),
        ({"label_space_file": 7}, "label_space_file"),
        ({"max_batch": 0}, "max_batch"),
        ({"max_batch": True}, "max_batch"),
        ({"activation": "relu"}, "activation"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_the_later_fields_are_checked_too(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidModelCard, match=field):
        replace(CARD, **changes)
