"""The published spaces say what their publishers say."""

from dataclasses import replace

import numpy as np
import pytest

from segmentation.errors import InvalidLabelSpace, NoRemapping
from segmentation.label_spaces import LABEL_SPACES, LabelSpaces, get_label_space, is_published
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8

# cityscapesScripts, helpers/labels.py: (name, id, trainId, catId) of every label with an id of 0 or more.
OFFICIAL = [
    ("unlabeled", 0, 255, 0), ("ego vehicle", 1, 255, 0), ("rectification border", 2, 255, 0),
    ("out of roi", 3, 255, 0), ("static", 4, 255, 0), ("dynamic", 5, 255, 0), ("ground", 6, 255, 0),
    ("road", 7, 0, 1), ("sidewalk", 8, 1, 1), ("parking", 9, 255, 1), ("rail track", 10, 255, 1),
    ("building", 11, 2, 2), ("wall", 12, 3, 2), ("fence", 13, 4, 2), ("guard rail", 14, 255, 2),
    ("bridge", 15, 255, 2), ("tunnel", 16, 255, 2), ("pole", 17, 5, 3), ("polegroup", 18, 255, 3),
    ("traffic light", 19, 6, 3), ("traffic sign", 20, 7, 3), ("vegetation", 21, 8, 4), ("terrain", 22, 9, 4),
    ("sky", 23, 10, 5), ("person", 24, 11, 6), ("rider", 25, 12, 6), ("car", 26, 13, 7), ("truck", 27, 14, 7),
    ("bus", 28, 15, 7), ("caravan", 29, 255, 7), ("trailer", 30, 255, 7), ("train", 31, 16, 7),
    ("motorcycle", 32, 17, 7), ("bicycle", 33, 18, 7),
]  # fmt: skip


@pytest.mark.parametrize(("name", "label_id", "train_id", "category"), OFFICIAL)
def test_cityscapes_ids_are_the_official_ones(name: str, label_id: int, train_id: int, category: int) -> None:
    labels, trained = get_label_space("cityscapes-34"), get_label_space("cityscapes-19")
    categories = get_label_space("cityscapes-8")
    assert labels.by_id[label_id].name == name
    assert labels.remapping_to(trained)[label_id] == train_id
    assert labels.remapping_to(categories)[label_id] == category
    if train_id != 255:
        assert trained.by_id[train_id].name == name
        assert trained.remapping_to(labels)[train_id] == label_id
        assert trained.remapping_to(categories)[train_id] == category


def test_the_licence_plate_is_minus_one_in_a_byte_and_a_vehicle() -> None:
    labels = get_label_space("cityscapes-34")
    minus_one = np.array([-1], dtype=np.int8).view(np.uint8)
    assert labels.remapping_to(get_label_space("cityscapes-8"))[minus_one].tolist() == [7]
    assert labels.remapping_to(get_label_space("cityscapes-19"))[minus_one].tolist() == [255]


def test_cityscapes_8_has_the_official_categories_in_their_order_and_our_colours() -> None:
    assert [(each.id, each.name, each.colour) for each in get_label_space("cityscapes-8").classes] == [
        (0, "void", (0, 0, 0)),
        (1, "flat", (128, 64, 128)),
        (2, "construction", (70, 70, 70)),
        (3, "object", (255, 165, 0)),
        (4, "nature", (107, 142, 35)),
        (5, "sky", (70, 130, 180)),
        (6, "human", (220, 20, 60)),
        (7, "vehicle", (0, 0, 142)),
    ]


def test_each_category_of_cityscapes_is_the_group_of_its_labels() -> None:
    labels, categories = get_label_space("cityscapes-34"), get_label_space("cityscapes-8")
    table = labels.remapping_to(categories)
    assert {each.name: categories.by_id[int(table[each.id])].name for each in labels.classes} == {
        each.name: each.group for each in labels.classes
    }


def test_camvid_has_its_eleven_classes_and_ignores_the_twelfth() -> None:
    space = get_label_space("camvid-11")
    assert space.names() == (
        *("sky", "building", "pole", "road", "pavement", "tree"),
        *("sign", "fence", "car", "pedestrian", "bicyclist"),
    )
    assert space.ignore_id == 11


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("sky", "sky"), ("building", "building"), ("bridge", "building"), ("tunnel", "building"), ("wall", "building"),
        ("fence", "fence"), ("guard rail", "fence"), ("pole", "pole"), ("polegroup", "pole"), ("road", "road"),
        ("parking", "road"), ("rail track", "road"), ("sidewalk", "pavement"), ("ground", "pavement"),
        ("vegetation", "tree"), ("terrain", "tree"), ("traffic light", "sign"), ("traffic sign", "sign"),
        ("car", "car"), ("truck", "car"), ("bus", "car"), ("caravan", "car"), ("trailer", "car"), ("train", "car"),
        ("person", "pedestrian"), ("rider", "bicyclist"), ("bicycle", "bicyclist"), ("motorcycle", "bicyclist"),
        ("ego vehicle", "unlabelled"), ("static", "unlabelled"), ("dynamic", "unlabelled"),
        ("unlabeled", "unlabelled"), ("rectification border", "unlabelled"), ("out of roi", "unlabelled"),
    ],
)  # fmt: skip
def test_cityscapes_labels_become_what_camvid_would_call_them(label: str, expected: str) -> None:
    labels, camvid = get_label_space("cityscapes-34"), get_label_space("camvid-11")
    label_id = next(each.id for each in labels.classes if each.name == label)
    assert camvid.by_id[int(labels.remapping_to(camvid)[label_id])].name == expected


def test_train_ids_and_label_ids_agree_on_camvid() -> None:
    labels, trained, camvid = (get_label_space(name) for name in ("cityscapes-34", "cityscapes-19", "camvid-11"))
    direct, by_label = trained.remapping_to(camvid), labels.remapping_to(camvid)[trained.remapping_to(labels)]
    assert direct.tolist() == by_label.tolist()


@pytest.mark.parametrize("through", ["cityscapes-19", "cityscapes-34"])
def test_camvid_reaches_the_categories_on_every_way(through: str) -> None:
    camvid, middle, categories = (get_label_space(name) for name in ("camvid-11", through, "cityscapes-8"))
    by_middle = middle.remapping_to(categories)[camvid.remapping_to(middle)]
    assert camvid.remapping_to(categories).tolist() == by_middle.tolist()


def test_own_spaces_stand_beside_the_published_ones() -> None:
    mine = replace(CITYSCAPES_8, name="mine")
    spaces = LabelSpaces().with_own(mine, CITYSCAPES_8, mine)
    assert spaces.own == (mine,)
    assert spaces.get("mine") is mine
    assert spaces.names() == [*LABEL_SPACES, "mine"]
    assert is_published(CITYSCAPES_8)
    assert not is_published(mine)


def test_two_spaces_of_one_name_that_differ_are_refused() -> None:
    with pytest.raises(InvalidLabelSpace, match="another label space called 'cityscapes-8'"):
        LabelSpaces().with_own(replace(CITYSCAPES_8, ignore_id=None))


def test_ids_of_another_space_of_the_same_name_are_not_taken_for_ours() -> None:
    with pytest.raises(NoRemapping, match="two label spaces called cityscapes-8"):
        CITYSCAPES_8.remapping_to(replace(CITYSCAPES_8, ignore_id=None))


def test_a_space_tells_which_classes_a_model_of_another_cannot_give() -> None:
    missing = get_label_space("cityscapes-19").missing_from(get_label_space("camvid-11"))
    names = ("wall", "traffic light", "terrain", "truck", "bus", "train", "motorcycle", "bicycle")
    assert tuple(each.name for each in missing) == names
    assert CITYSCAPES_8.missing_from(CITYSCAPES_8) == ()
    assert CITYSCAPES_8.missing_from(get_label_space("camvid-11")) == ()
