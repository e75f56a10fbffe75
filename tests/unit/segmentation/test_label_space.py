"""What a label space checks, derives, and reads from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmentation.errors import InvalidLabelSpace, NoRemapping, UnknownLabelSpace
from segmentation.label_space import LabelClass, LabelSpace, load_label_space
from segmentation.label_spaces import LABEL_SPACES, get_label_space

ROAD = LabelClass(0, "road", (10, 20, 30), "flat")
CAR = LabelClass(3, "car", (40, 50, 60), "vehicle")
DIRT = LabelClass(4, "dirt", (0, 0, 0), "void")
NOTHING = LabelClass(9, "nothing", (0, 0, 0), "void")
WHITE = LabelClass(255, "white", (255, 255, 255), "flat")  # as in masks of two values


def valid_file() -> dict[str, Any]:
    return {
        "name": "farm-2",
        "ignore_id": 255,
        "classes": [
            {"id": 0, "name": "field", "colour": [1, 2, 3], "group": "flat"},
            {"id": 1, "name": "cow", "colour": [4, 5, 6], "group": "animal"},
        ],
        "mappings": {"cityscapes-8": {"0": 1}},
    }


def write(folder: Path, value: object) -> Path:
    path = folder / "space.json"
    path.write_text(json.dumps(value), "utf-8")
    return path


def test_the_class_count_reaches_up_to_the_highest_id_that_is_not_ignored() -> None:
    space = LabelSpace("s", (ROAD, CAR, NOTHING), ignore_id=9)
    assert space.class_count == 4
    assert space.class_ids == (0, 3)
    assert space.names() == ("road", "id 1", "id 2", "car")


def test_void_is_the_ignored_id_the_void_group_and_every_id_without_a_class() -> None:
    space = LabelSpace("s", (ROAD, CAR, DIRT), ignore_id=0)
    assert frozenset(range(256)) - space.void_ids == {3}


@pytest.mark.parametrize(
    ("classes", "ignore_id", "void_id"),
    [((ROAD, CAR), 200, 200), ((ROAD, DIRT), None, 4), ((ROAD, CAR), None, 255), ((ROAD, WHITE), None, 254)],
)
def test_unknown_pixels_become_the_ignored_id_or_the_void_class_or_an_id_of_no_class(
    classes: tuple[LabelClass, ...], ignore_id: int | None, void_id: int
) -> None:
    assert LabelSpace("s", classes, ignore_id=ignore_id).void_id == void_id


def test_remapping_to_itself_changes_nothing() -> None:
    space = LabelSpace("s", (ROAD, CAR))
    assert space.remapping_to(space).tolist() == list(range(256))


def test_remapping_follows_the_mapping_and_makes_the_rest_void() -> None:
    target = LabelSpace("t", (ROAD, CAR), ignore_id=77)
    table = LabelSpace("s", (ROAD, CAR), mappings={"t": {0: 3}}).remapping_to(target)
    assert table.dtype == np.uint8
    assert table[0] == 3
    assert set(table[1:].tolist()) == {77}


def test_a_mapping_to_ids_that_the_target_does_not_have_is_refused() -> None:
    target = LabelSpace("t", (ROAD, CAR), ignore_id=77)
    wrong = LabelSpace("s", (ROAD, CAR), mappings={"t": {0: 4, 3: 3}})
    with pytest.raises(NoRemapping, match="the mapping from s to t leads to ids that are none there: 4"):
        wrong.remapping_to(target)
    assert target.missing_from(wrong) == (ROAD,)


@pytest.mark.parametrize("void", [77, 255])
def test_a_mapping_may_lead_to_nothing_known(void: int) -> None:
    target = LabelSpace("t", (ROAD, CAR), ignore_id=77)
    table = LabelSpace("s", (ROAD, CAR), mappings={"t": {0: void, 3: 3}}).remapping_to(target)
    assert table[0] in target.void_ids


def test_a_remapping_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(NoRemapping, match=r"from camvid-11 to oxford-pets-3; from it there are \['cityscapes-19'"):
        get_label_space("camvid-11").remapping_to(get_label_space("oxford-pets-3"))
    with pytest.raises(NoRemapping, match="from it there are none"):
        get_label_space("oxford-pets-3").remapping_to(get_label_space("camvid-11"))


@pytest.mark.parametrize(
    ("classes", "ignore_id", "message"),
    [
        ((ROAD, ROAD), None, "class ids must be unique"),
        ((ROAD, LabelClass(1, "road", (0, 0, 0), "flat")), None, "class names must be unique"),
        ((ROAD,), 0, "needs a class that is not ignored"),
        ((), None, "needs a class that is not ignored"),
        ((LabelClass(256, "x", (0, 0, 0), "flat"),), None, r"ids must be 0\.\.255, got 256"),
        ((LabelClass(1, "", (0, 0, 0), "flat"),), None, "class 1 needs a name"),
        ((LabelClass(1, "x", (0, 0, 300), "flat"),), None, "colours must be three numbers"),
        ((ROAD,), -1, r"ignore_id must be 0\.\.255 or null, got -1"),
    ],
)
def test_a_space_that_contradicts_itself_is_refused(
    classes: tuple[LabelClass, ...], ignore_id: int | None, message: str
) -> None:
    with pytest.raises(InvalidLabelSpace, match=message):
        LabelSpace("s", classes, ignore_id=ignore_id)


def test_a_mapping_to_an_id_that_does_not_fit_a_byte_is_refused() -> None:
    with pytest.raises(InvalidLabelSpace, match=r"mapping to t must hold ids 0\.\.255, got \[\(0, 256\)\]"):
        LabelSpace("s", (ROAD,), mappings={"t": {0: 256}})


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownLabelSpace, match="'mars'; there are cityscapes-34, cityscapes-19") as caught:
        get_label_space("mars")
    assert caught.value.code == "label_space_not_found"


def test_a_space_of_the_users_own_is_read_from_a_file(tmp_path: Path) -> None:
    space = load_label_space(write(tmp_path, valid_file()))
    assert space.names() == ("field", "cow")
    assert space.by_id[1] == LabelClass(1, "cow", (4, 5, 6), "animal")
    assert space.remapping_to(get_label_space("cityscapes-8"))[:2].tolist() == [1, 0]


@pytest.mark.parametrize("name", LABEL_SPACES)
def test_a_space_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    space = get_label_space(name)
    assert load_label_space(write(tmp_path, space.to_dict())) == space


@pytest.mark.parametrize(
    "broken",
    [
        [],
        "text",
        {**valid_file(), "name": 7},
        {**valid_file(), "name": ""},
        {**valid_file(), "classes": [{"id": 0}]},
        {**valid_file(), "classes": [{"id": True, "name": "x", "colour": [1, 2, 3], "group": "g"}]},
        {**valid_file(), "classes": [{"id": 0, "name": "x", "colour": [1, 2], "group": "g"}]},
        {**valid_file(), "classes": [{"id": 0, "name": "x", "colour": [1, 2, "3"], "group": "g"}]},
        {**valid_file(), "mappings": {"cityscapes-8": {"zero": 1}}},
        {**valid_file(), "mappings": [1]},
        {**valid_file(), "ignore_id": "255"},
    ],
)
def test_a_file_with_a_wrong_field_is_refused(broken: object, tmp_path: Path) -> None:
    with pytest.raises(InvalidLabelSpace):
        load_label_space(write(tmp_path, broken))


def test_a_file_without_an_id_for_nothing_known_is_refused(tmp_path: Path) -> None:
    """Such pixels would be of a class: those that are not sure enough, and those that have no counterpart."""
    full = [{"id": each, "name": f"c{each}", "colour": [0, 0, each], "group": "flat"} for each in range(256)]
    with pytest.raises(InvalidLabelSpace, match="all 256 ids are classes that count; one has to stay"):
        load_label_space(write(tmp_path, {"name": "full", "classes": full}))
    for left in (
        {"ignore_id": 9, "classes": full},
        {"classes": full[1:]},
        {"classes": [*full[1:], {**full[0], "group": "void"}]},
    ):
        space = load_label_space(write(tmp_path, {"name": "full", **left}))
        assert space.void_id in space.void_ids


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidLabelSpace, match=r"space\.json cannot be read"):
        load_label_space(tmp_path / "space.json")
    (tmp_path / "space.json").write_text("{", "utf-8")
    with pytest.raises(InvalidLabelSpace, match=r"space\.json cannot be read"):
        load_label_space(tmp_path / "space.json")
