"""What the ids in masks mean: guessed when it is certain, and only then."""

from __future__ import annotations

import pytest

from segmentation.errors import UnclearMaskSpace
from segmentation.label_spaces import LABEL_SPACES
from segmentation.masks.mask_names import ENDINGS, MaskKind, folded, read_mask_name
from segmentation.masks.mask_space import space_of_ids, space_of_names


@pytest.mark.parametrize(
    ("names", "space"),
    [
        (["a_gtFine_labelIds.png", "b/C_LABELIDS.PNG", "a_gtFine_color.png"], "cityscapes-34"),
        (["a_gtFine_labelTrainIds.png", "b_train_id.png"], "cityscapes-19"),
        (["a.png", "a_mask.png"], None),
        ([], None),
    ],
)
def test_names_tell_the_label_space(names: list[str], space: str | None) -> None:
    assert space_of_names(names) == space


@pytest.mark.parametrize("names", [["a_labelIds.png", "b_labelTrainIds.png"], ["a_labelIds.png", "b.png"]])
def test_names_that_contradict_one_another_are_unclear(names: list[str]) -> None:
    with pytest.raises(UnclearMaskSpace, match="cityscapes-34"):
        space_of_names(names)


@pytest.mark.parametrize(
    ("ids", "space"),
    [
        ({0, 7, 33}, "cityscapes-34"),
        ({7, 8, 26, 255}, "cityscapes-34"),  # 255 is a licence plate
        ({0, 5, 18, 255}, None),  # also road, pole group and so on of cityscapes-34
        (set(range(12)), "camvid-11"),
        (set(range(19)) | {255}, "cityscapes-19"),
        ({0, 3, 11}, None),
        ({0, 1}, None),
        ({0, 1, 2}, None),
        ({0, 255}, None),
        ({0, 33}, None),
        ({0, 1, 2, 255}, None),
        ({0, 200}, None),
        (set(), None),
    ],
)
def test_ids_tell_the_label_space_only_when_no_other_could_hold_them(ids: set[int], space: str | None) -> None:
    assert space_of_ids(ids) == space


def test_every_label_space_that_a_name_tells_exists() -> None:
    assert {kind.space for kind in MaskKind} - {None} <= set(LABEL_SPACES)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_read_whatever_separates_it(ending: str) -> None:
    for name in (f"Zürich_1_{ending}.png", f"Zürich_1-{ending.upper()}.png", f"Zürich_1.{ending}.png"):
        found = read_mask_name(name)
        assert found is not None
        assert (found.stem, found.kind, found.named) == (folded("Zürich_1"), ENDINGS[ending], True)
