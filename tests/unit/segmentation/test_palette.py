"""Colours for drawing: the published ones, and those that do not need red-green vision."""

import numpy as np
import pytest
from numpy.typing import NDArray

from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.palette import OKABE_ITO, SIGHTS, palette, perceived


def space_of(groups: list[str]) -> LabelSpace:
    classes = tuple(LabelClass(index, f"c{index}", (1, 2, 3), group) for index, group in enumerate(groups))
    return LabelSpace(f"own-{len(groups)}-{groups[0]}", classes)


def test_the_palette_holds_the_published_colours_and_black_elsewhere() -> None:
    colours = palette(get_label_space("camvid-11"))
    assert colours.shape == (256, 3)
    assert colours.dtype == np.uint8
    assert colours[8].tolist() == [64, 0, 128]
    assert not colours[11:].any()


def test_a_palette_is_shared_and_cannot_be_written_to() -> None:
    colours = palette(get_label_space("camvid-11"))
    assert palette(get_label_space("camvid-11")) is colours
    with pytest.raises(ValueError, match="read-only"):
        colours[0] = 1


def test_the_safe_colours_of_the_eight_categories_are_those_of_okabe_and_ito() -> None:
    space = get_label_space("cityscapes-8")
    colours = palette(space, colour_blind_safe=True)
    assert {each.name: tuple(colours[each.id].tolist()) for each in space.classes} == OKABE_ITO


def test_classes_of_a_group_are_shades_and_tints_of_one_colour() -> None:
    space = get_label_space("cityscapes-19")
    colours = palette(space, colour_blind_safe=True)
    hues = {}
    for name in ("car", "truck", "bus"):
        class_id = next(each.id for each in space.classes if each.name == name)
        red, green, blue = colours[class_id].tolist()
        hues[name] = red <= green <= blue
    assert hues == {"car": True, "truck": True, "bus": True}


def test_a_ramp_is_worked_out_once_a_group_however_many_classes_choose_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    space, asked = space_of(["lane"] * 12 + ["wall"] * 12), []

    def counted(colours: NDArray[np.uint8], sight: str = "normal") -> NDArray[np.float64]:
        asked.append(len(colours))
        return perceived(colours, sight)

    monkeypatch.setattr("segmentation.palette.perceived", counted)
    palette(space, colour_blind_safe=True)
    assert len([count for count in asked if count > 1]) == 2 * len(SIGHTS)


def test_groups_that_okabe_and_ito_do_not_know_borrow_what_is_free() -> None:
    space = space_of(["flat", "crop", "animal"])
    colours = palette(space, colour_blind_safe=True)[:3].tolist()
    assert colours[0] == list(OKABE_ITO["flat"])
    assert all(tuple(colour) in OKABE_ITO.values() for colour in colours)
    assert len({tuple(colour) for colour in colours}) == 3


@pytest.mark.parametrize("groups", [[f"g{index}" for index in range(12)], [*OKABE_ITO, "crop", "animal"]])
def test_more_groups_than_colours_still_get_distinct_ones(groups: list[str]) -> None:
    colours = palette(space_of(groups), colour_blind_safe=True)[: len(groups)]
    assert len({tuple(colour) for colour in colours.tolist()}) == len(groups)


@pytest.mark.parametrize(
    ("colour", "lab"),
    [((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (53.2, 80.1, 67.2))],
)
def test_perceived_colours_are_cielab(colour: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert perceived(np.array([colour], dtype=np.uint8))[0] == pytest.approx(lab, abs=0.1)


def test_red_and_green_look_much_more_alike_to_a_colour_blind_eye() -> None:
    pair = np.array([[200, 60, 40], [110, 120, 30]], dtype=np.uint8)

    def distance(sight: str) -> float:
        first, second = perceived(pair, sight)
        return float(np.linalg.norm(first - second))

    assert distance("deuteranopia") < distance("normal") / 2
