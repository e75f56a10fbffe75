"""What every published label space must hold; a new one is tested by being listed in LABEL_SPACES."""

import re
from itertools import combinations

import numpy as np
import pytest

from segmentation.label_space import VOID_GROUP, LabelSpace
from segmentation.label_spaces import LABEL_SPACES
from segmentation.palette import SIGHTS, palette, perceived

# Official colours that repeat themselves.
SHARED_COLOURS = {"cityscapes-34": {("pole", "polegroup")}}

# The least CIE 1976 colour difference between two classes, for every sight. 2.3 is just noticeable.
NOTICEABLE = 7.0
# The least difference in lightness (L*, 0..100) between classes with neighbouring ids, for an eye without green.
LIGHTER_OR_DARKER = 8.0


@pytest.fixture(params=LABEL_SPACES.values(), ids=list(LABEL_SPACES))
def space(request: pytest.FixtureRequest) -> LabelSpace:
    found: LabelSpace = request.param
    return found


def test_a_space_is_listed_under_its_name(space: LabelSpace) -> None:
    assert LABEL_SPACES[space.name] is space
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", space.name)
    assert space.description


def test_ids_count_from_zero_and_leave_no_gap(space: LabelSpace) -> None:
    below = {each.id for each in space.classes if each.id < space.class_count}
    assert below == set(range(space.class_count))


def test_names_are_given_for_every_row_of_a_confusion_matrix(space: LabelSpace) -> None:
    assert len(space.names()) == space.class_count
    assert all(space.by_id[index].name == name for index, name in enumerate(space.names()))


def test_every_class_that_counts_has_a_colour_of_its_own(space: LabelSpace) -> None:
    counted = [each for each in space.classes if each.group != VOID_GROUP]
    same = {(one.name, other.name) for one, other in combinations(counted, 2) if one.colour == other.colour}
    assert same == SHARED_COLOURS.get(space.name, set())


def test_no_class_that_counts_is_black_like_void(space: LabelSpace) -> None:
    assert all(any(each.colour) for each in space.classes if each.group != VOID_GROUP)


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_safe_palette_tells_all_classes_apart(space: LabelSpace, sight: str) -> None:
    colours = perceived(palette(space, colour_blind_safe=True)[[each.id for each in space.classes]], sight)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert apart[np.triu_indices(len(colours), k=1)].min() >= NOTICEABLE


def test_neighbours_in_the_safe_palette_differ_in_lightness(space: LabelSpace) -> None:
    ids = sorted(each.id for each in space.classes)
    lightness = perceived(palette(space, colour_blind_safe=True)[ids], "deuteranopia")[:, 0]
    assert np.abs(np.diff(lightness)).min() >= LIGHTER_OR_DARKER


def test_every_mapping_leads_to_a_published_space(space: LabelSpace) -> None:
    assert space.mappings.keys() <= LABEL_SPACES.keys()
    assert space.name not in space.mappings


def test_a_remapping_gives_every_id_a_class_of_the_target_or_void(space: LabelSpace) -> None:
    for name in space.mappings:
        target = LABEL_SPACES[name]
        table = space.remapping_to(target)
        assert table.shape == (256,)
        assert set(table.tolist()) <= {*target.by_id, target.void_id}


def test_a_mapping_says_what_becomes_of_every_class_that_counts_or_leaves_it_to_void(space: LabelSpace) -> None:
    for name, mapping in space.mappings.items():
        target = LABEL_SPACES[name]
        lost = {each.name for each in space.classes if each.id not in mapping and each.group != VOID_GROUP}
        allowed = {"parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup", "caravan", "trailer"}
        assert lost <= (allowed if (space.name, target.name) == ("cityscapes-34", "cityscapes-19") else set())


def test_what_is_void_stays_void_unless_a_mapping_knows_better(space: LabelSpace) -> None:
    for name, mapping in space.mappings.items():
        target = LABEL_SPACES[name]
        table = space.remapping_to(target)
        assert all(int(table[each]) in target.void_ids for each in space.void_ids - mapping.keys())


def test_the_way_to_a_finer_space_and_back_changes_no_class(space: LabelSpace) -> None:
    for name in space.mappings:
        target = LABEL_SPACES[name]
        if space.name in target.mappings and space.class_count < target.class_count:
            counted = [each.id for each in space.classes if each.id not in space.void_ids]
            finer = space.remapping_to(target)[counted]
            assert target.remapping_to(space)[finer].tolist() == counted


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("cityscapes-34", "cityscapes-19"),
        ("cityscapes-34", "cityscapes-8"),
        ("cityscapes-34", "camvid-11"),
        ("cityscapes-19", "cityscapes-34"),
        ("cityscapes-19", "cityscapes-8"),
        ("cityscapes-19", "camvid-11"),
        ("camvid-11", "cityscapes-34"),
        ("camvid-11", "cityscapes-19"),
        ("camvid-11", "cityscapes-8"),
    ],
)
def test_the_ways_that_users_need_exist(source: str, target: str) -> None:
    assert target in LABEL_SPACES[source].mappings
