"""The layouts of the data sets, pixel by pixel, on small files that the tests write."""

import json

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import InvalidLabelSpace, UnknownLabelSpace
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from training.datasets import DATASETS, pairs
from training.datasets.pairs import NO_CHANNEL, DatasetError, InChannels, InSpace, channel_table
from training.recipe.building import open_dataset
from training.recipe.recipe import DataChoice

SIZE = (6, 8)  # height, width
GREY = np.full((*SIZE, 3), 99, dtype=np.uint8)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)


def stripes(*values):
    """A mask of SIZE, one value in each group of columns."""
    columns = np.repeat(values, SIZE[1] // len(values))
    return np.tile(columns, (SIZE[0], 1)).astype(np.uint8)


def same(mask, *values):
    return np.array_equal(mask, stripes(*values))


# --- a plain folder ---------------------------------------------------------------------------------------------------


def test_pictures_beside_their_masks_are_found_and_others_left_out(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path / name, GREY)
    write(tmp_path / "a_mask.png", stripes(7, 8))
    pictures = DATASETS["folder"](tmp_path, "train", label_space="cityscapes-34")
    assert pictures.names() == ["a.jpg"]
    assert same(pictures[0][1], 7, 8)


@pytest.mark.parametrize(("space", "ids"), [("", (7, 8)), ("cityscapes-34", (7, 8)), ("cityscapes-19", (0, 1))])
@pytest.mark.parametrize("layout", ["beside", "apart"])
def test_of_several_kinds_of_one_truth_the_label_space_chooses(tmp_path, layout, space, ids):
    pictures, masks = ("images/", "masks/") if layout == "apart" else ("", "")
    write(tmp_path / f"{pictures}a_leftImg8bit.png", GREY)
    write(tmp_path / f"{masks}a_gtFine_labelIds.png", stripes(7, 8))
    write(tmp_path / f"{masks}a_gtFine_labelTrainIds.png", stripes(0, 1))
    write(tmp_path / f"{masks}a_gtFine_color.png", GREY)
    found = DATASETS["folder"](tmp_path, "train", label_space=space)
    assert found.names() == ["a_leftImg8bit.png"]
    assert same(found[0][1], *ids)


def test_a_split_that_has_no_folder_is_told_beside_those_that_have(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / split / "images" / "a.png", GREY)
        write(tmp_path / split / "masks" / "a.png", stripes(7, 8))
    with pytest.raises(DatasetError, match=r"has no folder 'vla', but train, val: which split is meant\?$"):
        DATASETS["folder"](tmp_path, "vla", label_space="cityscapes-34")


def test_two_masks_of_one_picture_are_refused(tmp_path):
    write(tmp_path / "a.jpg", GREY)
    for name in ("a_mask.png", "a_label.png"):
        write(tmp_path / name, stripes(7, 8))
    with pytest.raises(DatasetError, match=r"a_label\.png and a_mask\.png .* of one picture"):
        DATASETS["folder"](tmp_path, "train")


@pytest.mark.parametrize(
    ("masks", "space"),
    [
        ({"a_gtFine_labelIds.png": (7, 8)}, "cityscapes-34"),
        ({"a_mask.png": (7, 11, 26, 33)}, "cityscapes-34"),
    ],
)
def test_what_leaves_no_doubt_is_read_so_and_told(tmp_path, caplog, masks, space):
    for name, values in masks.items():
        write(tmp_path / "a.jpg", GREY)
        write(tmp_path / name, stripes(*values))
    assert DATASETS["folder"](tmp_path, "train").space.name == space
    assert f"are read as {space}" in caplog.text


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 1, 2, 3)])
def test_masks_that_could_mean_several_things_are_not_guessed(tmp_path, values):
    """Before, they were read as cityscapes-34, where 0 and 1 count nowhere."""
    write(tmp_path / "a.jpg", GREY)
    write(tmp_path / "a_mask.png", stripes(*values))
    said = "their ids are " + ", ".join(map(str, values))
    with pytest.raises(DatasetError, match=said):
        DATASETS["folder"](tmp_path, "train")
    (tmp_path / "a_mask.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"a_mask\.png cannot be used"):
        DATASETS["folder"](tmp_path, "train")


def test_a_missing_mask_is_named(tmp_path):
    write(tmp_path / "images" / "a.png", GREY)
    with pytest.raises(DatasetError, match=r"a.png"):
        DATASETS["folder"](tmp_path, "train")


def test_a_mask_of_another_size_is_refused(tmp_path):
    write(tmp_path / "images" / "a.png", GREY)
    write(tmp_path / "masks" / "a.png", np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(DatasetError, match=r"a.png"):
        DATASETS["folder"](tmp_path, "train", label_space="cityscapes-34")[0]


@pytest.fixture
def own_folder(tmp_path):
    """Two pictures, and a label space of the user's own that leads to camvid-11."""
    space = {
        "name": "weeds",
        "ignore_id": None,
        "classes": [
            {"id": 0, "name": "soil", "colour": [90, 60, 30], "group": "ground"},
            {"id": 1, "name": "weed", "colour": [0, 200, 0], "group": "plants"},
        ],
        "mappings": {"camvid-11": {"0": 3, "1": 5}},
    }
    (tmp_path / "label_space.json").write_text(json.dumps(space))
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.png", GREY)
        write(tmp_path / "masks" / f"{name}.png", stripes(0, 1))
    return tmp_path


def test_a_folder_may_bring_its_own_label_space(own_folder):
    pictures = DATASETS["folder"](own_folder, "train")
    assert pictures.space.names() == ("soil", "weed")
    assert same(InSpace(pictures, get_label_space("camvid-11"))[0][1], 3, 5)


def test_a_label_space_can_be_named_or_read_from_a_file(own_folder):
    assert DATASETS["folder"](own_folder, "train", label_space="camvid-11").space.name == "camvid-11"
    named = DATASETS["folder"](own_folder, "train", label_space=str(own_folder / "label_space.json"))
    assert named.space.name == "weeds"


def test_a_label_space_that_does_not_exist_is_refused(own_folder):
    with pytest.raises(UnknownLabelSpace, match="camvid-11"):
        DATASETS["folder"](own_folder, "train", label_space="wheat")
    with pytest.raises(InvalidLabelSpace, match=r"wheat\.json"):
        DATASETS["folder"](own_folder, "train", label_space="wheat.json")


def test_masks_may_show_colours_instead_of_ids(own_folder):
    colours = np.array([[90, 60, 30], [0, 200, 0]], dtype=np.uint8)
    write(own_folder / "masks" / "a.png", colours[stripes(1, 0)])
    assert same(DATASETS["folder"](own_folder, "train", colours=True)[0][1], 1, 0)


def test_a_colour_of_no_class_is_refused(own_folder):
    write(own_folder / "masks" / "a.png", GREY)
    with pytest.raises(
        DatasetError, match=r"a.png cannot be used: it has 1 colour that weeds has not, the first is \(99, 99, 99\)"
    ):
        DATASETS["folder"](own_folder, "train", colours=True)[0]


def test_a_transparent_pixel_is_no_white_one(own_folder):
    """Drawing programs leave the ground transparent, and pictures are laid on white."""
    path = own_folder / "label_space.json"
    path.write_text(path.read_text().replace("[0, 200, 0]", "[255, 255, 255]"))
    colours = np.array([[90, 60, 30, 255], [255, 255, 255, 255], [255, 255, 255, 0]], dtype=np.uint8)
    write(own_folder / "masks" / "a.png", colours[stripes(1, 0)])
    write(own_folder / "masks" / "b.png", colours[stripes(1, 2)])
    pictures = DATASETS["folder"](own_folder, "train", colours=True)
    assert same(pictures[0][1], 1, 0)
    with pytest.raises(DatasetError, match=r"b\.png cannot be used: 50\.0% of its pixels are transparent"):
        pictures[1]


def test_of_classes_that_share_a_colour_the_lowest_id_is_meant(tmp_path, caplog):
    write(tmp_path / "a.png", GREY)
    colours = palette(get_label_space("cityscapes-34"))
    write(tmp_path / "a_mask.png", colours[stripes(18, 3)])
    with caplog.at_level("WARNING"):
        assert same(DATASETS["folder"](tmp_path, "train", colours=True)[0][1], 17, 0)
    assert "in cityscapes-34 polegroup has the colour of pole: it is read so" in caplog.text


@pytest.mark.parametrize("group", ["ground", "void"])
def test_colours_that_two_classes_have_are_refused_where_one_of_them_counts(own_folder, group):
    space = json.loads((own_folder / "label_space.json").read_text())
    space["classes"].append({"id": 2, "name": "peat", "colour": space["classes"][0]["colour"], "group": group})
    (own_folder / "label_space.json").write_text(json.dumps(space))
    with pytest.raises(DatasetError, match="in weeds peat has the colour of soil: give each class a colour of its own"):
        DATASETS["folder"](own_folder, "train", colours=True)
    assert len(DATASETS["folder"](own_folder, "train"))


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def twenty(tmp_path):
    for number in range(20):
        write(tmp_path / "images" / f"{number:02}.png", GREY)
        write(tmp_path / "masks" / f"{number:02}.png", stripes(7))
    (tmp_path / "label_space.json").write_text(json.dumps(get_label_space("cityscapes-34").to_dict()))
    return tmp_path


def test_a_share_held_back_is_never_trained_on(twenty):
    parts = {
        split: set(DATASETS["folder"](twenty, split, validation_share=0.2).names()) for split in ("train", "val", "all")
    }
    assert len(parts["val"]) == 4
    assert not parts["train"] & parts["val"]
    assert parts["train"] | parts["val"] == parts["all"]


def test_who_is_held_back_does_not_depend_on_the_other_pictures(twenty):
    before = set(DATASETS["folder"](twenty, "val", validation_share=0.2).names())
    for folder in ("images", "masks"):
        (twenty / folder / "00.png").unlink()
    after = set(DATASETS["folder"](twenty, "val", validation_share=4 / 19).names())
    assert len(before - {"00.png"} - after) == 0


def test_a_split_that_would_be_empty_is_refused(twenty):
    with pytest.raises(DatasetError, match="'train' is empty"):
        DATASETS["folder"](twenty, "train", validation_share=1.0)


def test_an_unknown_split_names_those_there_are(twenty):
    with pytest.raises(DatasetError, match="train, val, all"):
        DATASETS["folder"](twenty, "test", validation_share=0.2)


# --- Oxford-IIIT Pet --------------------------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path):
    for stem in ("Bengal_1", "pug_2", "pug_3", "pug_4", "pug_5"):
        write(tmp_path / "images" / f"{stem}.jpg", GREY)
        write(tmp_path / "annotations" / "trimaps" / f"{stem}.png", stripes(1, 2, 3, 2))
    (tmp_path / "annotations" / "trainval.txt").write_text(
        "Bengal_1 6 1 2\npug_2 30 2 20\npug_3 30 2 20\npug_4 30 2 20\n"
    )
    (tmp_path / "annotations" / "test.txt").write_text("pug_5 30 2 20\n")
    return tmp_path


def test_trimaps_are_counted_from_zero(pets):
    pictures = DATASETS["oxford_pets"](pets, "test")
    assert pictures.names() == ["pug_5.jpg"]
    assert same(pictures[0][1], 0, 1, 2, 1)


def test_a_value_that_no_trimap_has_counts_nowhere(pets):
    write(pets / "annotations" / "trimaps" / "pug_5.png", stripes(0, 4))
    mask = DATASETS["oxford_pets"](pets, "test")[0][1]
    assert set(np.unique(mask).tolist()) <= get_label_space("oxford-pets-3").void_ids


def test_training_and_validation_share_the_official_part(pets):
    names = {split: DATASETS["oxford_pets"](pets, split, validation_share=0.25).names() for split in ("train", "val")}
    assert (len(names["train"]), len(names["val"])) == (3, 1)
    assert sorted(names["train"] + names["val"]) == sorted(DATASETS["oxford_pets"](pets, "trainval").names())


def test_a_listed_pet_without_its_file_is_named(pets):
    (pets / "annotations" / "trimaps" / "pug_5.png").unlink()
    with pytest.raises(DatasetError, match=r"1 file that cannot be found, the first is .*pug_5\.png"):
        DATASETS["oxford_pets"](pets, "test")


def test_an_empty_list_of_pets_is_refused(pets):
    (pets / "annotations" / "test.txt").write_text("\n")
    with pytest.raises(DatasetError, match="is empty"):
        DATASETS["oxford_pets"](pets, "test")


def test_a_list_that_is_not_there_is_named(pets):
    (pets / "annotations" / "test.txt").unlink()
    with pytest.raises(DatasetError, match=r"test\.txt"):
        DATASETS["oxford_pets"](pets, "test")


# --- CamVid and Cityscapes --------------------------------------------------------------------------------------------


def test_what_has_no_counterpart_is_not_taught_where_void_is_a_class(tmp_path):
    """Poles of the one data set were taught as void, and those of the other as poles."""
    void, road, pole = (LabelClass(i, name, (i, 9, 9), name) for i, name in enumerate(("void", "road", "pole")))
    both = LabelSpace("poles", (void, road, pole))
    write(tmp_path / "images" / "a.png", GREY)
    write(tmp_path / "masks" / "a.png", stripes(0, 1, 2, 2))
    (tmp_path / "label_space.json").write_text(
        json.dumps(LabelSpace("all", (void, road, pole), mappings={"poles": {1: 1}}).to_dict())
    )
    other = DATASETS["folder"](tmp_path, "train")
    assert InChannels([other], both)[0][1][0, ::2].tolist() == [NO_CHANNEL, 1, NO_CHANNEL, NO_CHANNEL]
    assert channel_table(both)[:4].tolist() == [NO_CHANNEL, 1, 2, NO_CHANNEL]


def test_unlabelled_pixels_of_camvid_stay_ignored(tmp_path):
    write(tmp_path / "train" / "a.png", GREY)
    write(tmp_path / "trainannot" / "a.png", stripes(0, 11))
    pictures = DATASETS["camvid"](tmp_path, "train")
    assert same(pictures[0][1], 0, 11)
    assert same(InSpace(pictures, get_label_space("cityscapes-19"))[0][1], 10, 255)


@pytest.fixture
def city(tmp_path):
    write(tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000000_000019_leftImg8bit.png", GREY)
    write(tmp_path / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png", stripes(7, 26, 3, 24))
    return tmp_path


@pytest.mark.parametrize(
    ("space", "expected"),
    [("cityscapes-34", (7, 26, 3, 24)), ("cityscapes-19", (0, 13, 255, 11)), ("cityscapes-8", (1, 7, 0, 6))],
)
def test_cityscapes_can_be_had_in_each_of_its_spaces(city, space, expected):
    pictures = DATASETS["cityscapes"](city, "val")
    assert same(InSpace(pictures, get_label_space(space))[0][1], *expected)


def test_a_split_that_was_not_downloaded_is_told_with_those_that_were(city):
    with pytest.raises(DatasetError, match="splits there: val"):
        DATASETS["cityscapes"](city, "train")


def test_a_city_without_masks_is_told(city):
    (city / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DatasetError, match="missing: 1 mask, the first"):
        DATASETS["cityscapes"](city, "val")


# --- memory -----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_into_memory_is_read_again(twenty, monkeypatch):
    monkeypatch.setattr(pairs, "KEPT_BYTES", 3 * SIZE[0] * SIZE[1] * 4)
    pictures = DATASETS["folder"](twenty, "train")
    first = [pictures[index] for index in range(len(pictures))]
    again = [pictures[index] for index in range(len(pictures))]
    assert sum(one[0] is other[0] for one, other in zip(first, again, strict=True)) == 3
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(first, again, strict=True))


# --- another one than was named ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "named", "files"),
    [
        ("camvid", "folder", ("val/a.png", "valannot/a.png")),
        ("cityscapes", "folder", ("leftImg8bit/val/ulm/u_leftImg8bit.png", "gtFine/val/ulm/u_gtFine_labelIds.png")),
        ("coco", "folder", ("annotations/instances_val.json", "val/a.png")),
        ("coco", "camvid", ("valid/_annotations.coco.json", "valid/a.png")),
        ("folder", "camvid", ("val/images/a.png", "val/masks/a.png")),
        ("job", "folder", ("manifest.json", "mask/a.png")),
        ("oxford_pets", "folder", ("annotations/trimaps/a.png", "images/a.png")),
        ("voc", "folder", ("SegmentationClass/a.png", "JPEGImages/a.png")),
    ],
)
def test_who_names_another_data_set_than_lies_there_is_told(tmp_path, dataset, named, files):
    for file in map(tmp_path.joinpath, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"looked for, and not at")
    with pytest.raises(DatasetError, match=rf"; the folders in .* are as those of the data set {dataset}$"):
        open_dataset(DataChoice(dataset=named, split="val"), {named: tmp_path}, seed=0)


def test_of_its_own_layout_nothing_else_is_said(tmp_path):
    write(tmp_path / "trainannot" / "a.png", stripes(7, 8))
    with pytest.raises(DatasetError, match=r"there is no folder .*val$"):
        open_dataset(DataChoice(dataset="camvid", split="val"), {"camvid": tmp_path}, seed=0)


# --- how often classes are true -------------------------------------------------------------------------------------


def test_to_count_pixels_no_picture_is_read(tmp_path):
    write(tmp_path / "images" / "a.png", GREY)
    write(tmp_path / "masks" / "a.png", stripes(0, 11))
    pictures = DATASETS["folder"](tmp_path, "train", label_space="camvid-11")
    (tmp_path / "images" / "a.png").write_bytes(b"not looked at")
    counts = InChannels([pictures, pictures], pictures.space).pixel_counts
    assert (counts[0], counts[NO_CHANNEL], counts.sum()) == (48, 48, 96)
    (tmp_path / "masks" / "a.png").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match=r"masks/a\.png cannot be used"):
        InChannels([pictures], pictures.space).pixel_counts  # noqa: B018
