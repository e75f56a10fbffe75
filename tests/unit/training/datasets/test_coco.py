"""COCO documents as tools write them: what each annotation becomes, and what is refused lest it be a wrong number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycocotools

from segmentation.label_space import LabelClass, LabelSpace
from training.datasets import DATASETS
from training.datasets.checking import check_pictures
from training.datasets.pairs import DatasetError, PairDataset

HEIGHT, WIDTH = 6, 8
SOIL, WEED, CROP, VOID = 0, 1, 2, 255
CATEGORIES = [{"id": 3, "name": "Weed", "supercategory": ""}, {"id": 7, "name": "crop"}]
LEFT = [[0, 0, 4, 0, 4, 6, 0, 6]]  # the left half of a picture
TOP = [[0, 0, 8, 0, 8, 3, 0, 3]]


def region(shape: Any, category: object = 3, image: object = 1, **more: Any) -> dict[str, Any]:
    return {"id": 5, "image_id": image, "category_id": category, "segmentation": shape, "iscrowd": 0, **more}


class Fields:
    """A folder with a document, pictures and the classes soil, weed and crop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        classes = [
            LabelClass(number, name, (number, 9, 9), "field") for number, name in enumerate(("soil", "weed", "crop"))
        ]
        space = LabelSpace("field", tuple(classes), ignore_id=VOID)
        (root / "label_space.json").write_text(json.dumps(space.to_dict()))

    def picture(self, name: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)

    def write(self, *regions: Any, name: str = "annotations/instances_default.json", **more: Any) -> None:
        images = [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}]
        document = {"images": images, "categories": CATEGORIES, "annotations": list(regions), **more}
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(json.dumps(document))

    def open(self, split: str = "all", **options: Any) -> PairDataset:
        return DATASETS["coco"](self.root, split, **{"background": "soil", **options})

    def mask(self, *regions: Any, **options: Any) -> np.ndarray:
        self.write(*regions)
        return self.open(**options)[0][1]


@pytest.fixture
def fields(tmp_path):
    made = Fields(tmp_path)
    made.picture("images/default/a.png")
    return made


def halves(left: int, right: int) -> np.ndarray:
    return np.repeat([[left, right]], WIDTH // 2, axis=1).repeat(HEIGHT, axis=0).astype(np.uint8)


COMPRESSED = pycocotools.encode(np.asfortranarray(halves(1, 0)))["counts"]

# --- what annotations become ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        LEFT,
        [[0, 0, 2, 0, 2, 6, 0, 6], [2, 0, 4, 0, 4, 6, 2, 6]],  # of several polygons
        [[0, 0, 4, 0, 4, 6, 0, 6], [1, 1, 3, 3]],  # one of which is a line: four numbers are no outline
        [[-3, -5, 4, -5, 4, 99, -3, 99]],  # drawn over the border
        [[-1e12, 0, 4, 0, 4, 1e12, -1e12, 1e12]],
        {"size": [HEIGHT, WIDTH], "counts": [0, 24, 24]},
        {"size": [HEIGHT, WIDTH], "counts": [0, 12, 0, 12, 24]},
        {"size": [HEIGHT, WIDTH], "counts": COMPRESSED.decode()},
    ],
)
def test_polygons_and_run_lengths_are_drawn_and_crowds_too(fields, shape):
    """CVAT writes what was drawn with a brush as a crowd: who leaves crowds out loses all of it."""
    for crowd in (0, 1):
        assert np.array_equal(fields.mask(region(shape, iscrowd=crowd)), halves(WEED, SOIL))


def test_later_annotations_lie_over_earlier_ones_or_smaller_over_larger(fields):
    small = region([[0, 0, 2, 0, 2, 2, 0, 2]], 7)
    later = fields.mask(small, region(LEFT))
    assert np.array_equal(later, halves(WEED, SOIL))
    by_area = fields.mask(small, region(LEFT), order="area")
    assert (by_area[:2, :2] == CROP).all()
    assert (by_area == WEED).sum() == 20


def test_where_background_was_drawn_what_was_not_is_something_else(fields):
    """A job's own documents draw every class, `background` too, and leave void alone."""
    classes = tuple(LabelClass(number, name, (number, 9, 9), "") for number, name in enumerate(("background", "weed")))
    space = LabelSpace("field", classes, ignore_id=VOID)
    (fields.root / "label_space.json").write_text(json.dumps(space.to_dict()))
    for name, options in (("Background", {}), ("background (0)", {"classes": {"background (0)": "background"}})):
        named = [{"id": 3, "name": "weed"}, {"id": 7, "name": name}]
        fields.write(region(LEFT), categories=named)
        assert np.array_equal(fields.open(background="")[0][1], halves(1, 0)), "none of them is drawn"
        fields.write(region(LEFT, 7), categories=named)
        with pytest.raises(DatasetError, match=r"50\.0 % of its pixels are in no annotation: say with the option"):
            fields.open(background="", **options)[0]
        assert np.array_equal(fields.open(background="void", **options)[0][1], halves(0, VOID))


def test_categories_are_known_by_name_and_may_be_given_another_class(fields):
    fields.write(region(LEFT, 3), region(TOP, 7))
    assert np.array_equal(np.unique(fields.open()[0][1]), [SOIL, WEED, CROP])
    assert np.array_equal(np.unique(fields.open(classes={"Weed": "void", "crop": "weed"})[0][1]), [SOIL, WEED, VOID])
    assert np.array_equal(np.unique(fields.open(classes={"*": "void"})[0][1]), [SOIL, WEED, CROP])


def test_categories_that_are_no_class_are_named_where_annotations_are_of_them(fields):
    known = [*CATEGORIES, {"id": 0, "name": "plants"}]  # Roboflow lists its project as a category
    fields.write(region(LEFT), categories=known)
    assert len(fields.open()) == 1
    fields.write(region(LEFT), region(LEFT, 0), region(LEFT, 9), categories=[*known, {"id": 9, "name": "Stone"}])
    with pytest.raises(
        DatasetError, match=r"instances_default\.json: field has no class called 'plants', 'Stone', but"
    ):
        fields.open()
    others = fields.open(classes={"*": "soil"})
    assert np.array_equal(others[0][1], halves(SOIL, SOIL))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": {"Wed": "weed"}}, "no label is called 'Wed'; there are 'Weed', 'crop'"),
        ({"classes": {"crop": "wheat"}}, "no class called 'wheat'"),
        ({"classes": "crop"}, "expected a table"),
        ({"background": "earth"}, "no class called 'earth'"),
        ({"order": "z"}, "order: got 'z'; allowed: 'file', 'area'"),
        ({"boxes": "yes"}, "boxes: got 'yes'"),
        ({"unannotated": "keep"}, "unannotated: got 'keep'"),
        ({"annotations": "none.json"}, r"there is neither .*none\.json"),
    ],
)
def test_an_option_that_names_nothing_is_refused(fields, options, said):
    fields.write(region(LEFT))
    with pytest.raises(DatasetError, match=said):
        fields.open(**options)


# --- pixels in no annotation ------------------------------------------------------------------------------------------


def test_what_pixels_in_no_annotation_are_must_be_said_where_there_are_some(fields):
    fields.write(region(LEFT))
    with pytest.raises(
        DatasetError, match=r"a\.png cannot be used: 50\.0 % of its pixels are in no annotation: say with"
    ):
        check_pictures([fields.open(background="")])
    assert np.array_equal(fields.open(background="void")[0][1], halves(WEED, VOID))
    right = [[4, 0, 8, 0, 8, 6, 4, 6]]
    assert np.array_equal(fields.mask(region(LEFT), region(right, 7), background=""), halves(WEED, CROP))


def test_a_class_called_background_is_what_nobody_annotated(fields):
    fields.write(region(LEFT))
    space = json.loads((fields.root / "label_space.json").read_text())
    space["classes"][0]["name"] = "Background"
    (fields.root / "label_space.json").write_text(json.dumps(space))
    assert np.array_equal(fields.open(background="")[0][1], halves(WEED, SOIL))
    space["ignore_id"] = None
    (fields.root / "label_space.json").write_text(json.dumps(space))
    with pytest.raises(DatasetError, match="field has no id for what is void: give it an ignore_id"):
        fields.open(background="void")


def test_whether_a_picture_without_annotations_is_background_must_be_said(fields, caplog):
    for number in (2, 3):
        fields.picture(f"images/default/{number}.png")
    images = [{"id": n, "file_name": f"{n}.png", "width": 0, "height": None} for n in (2, 3)]
    first = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}
    fields.write(region(LEFT), images=[first, *images])
    with pytest.raises(DatasetError, match=r"2 of 3 pictures in .* without annotations, the first is 2\.png: say with"):
        fields.open()
    shown = fields.open(unannotated="background")
    assert (len(shown), np.unique(shown[2][1]).tolist()) == (3, [SOIL])
    assert fields.open(unannotated="leave_out").names() == fields.open(background="void").names() == ["a.png"]
    assert "they are left out" in caplog.text
    fields.write()
    with pytest.raises(DatasetError, match=r"has no annotations, of 1 picture$"):
        fields.open(background="void")


# --- what would be a wrong number -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[], [[]], None, [[1, 1, 3, 3]]])
def test_a_box_without_an_outline_is_refused_or_counts_nowhere(fields, shape):
    box = region(shape, bbox=[0, 0, 4, 6])
    with pytest.raises(DatasetError, match=r"annotation 5 \(Weed\): it is a box without an outline"):
        fields.mask(box)
    assert np.array_equal(fields.mask(box, boxes="void"), halves(VOID, SOIL))
    with pytest.raises(DatasetError, match="neither an outline nor a box"):
        fields.mask(region(shape), boxes="void")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ([[9, 0, 12, 0, 12, 4]], "it lies beyond the picture, which has 8×6 pixels there"),
        ([[0, 0, 0.5, 0, 0.5, 1, 0, 1]], "coordinates are pixels, not shares"),
        ({"size": [HEIGHT, WIDTH], "counts": [48]}, "cover nothing beyond its first pixel"),
        ({"size": [WIDTH, HEIGHT], "counts": [0, 24, 24]}, "of another size than the picture's 8×6"),
        ({"size": [HEIGHT, WIDTH], "counts": [0, 24]}, "of another size"),
        ({"size": [HEIGHT, WIDTH], "counts": "0h"}, "end within a number"),
        ([[0, 0, 4, 0, 4, 6, 0]], "neither polygons nor run lengths"),
        ([0, 0, 4, 0, 4, 6, 0, 6], "neither polygons nor run lengths"),
        ([[0, 0, 4, 0, float("nan"), 6]], "finite"),
        ("polygon", "neither polygons nor run lengths"),
    ],
)
def test_what_cannot_be_drawn_names_picture_and_annotation(fields, shape, said):
    fields.write(region(shape))
    with pytest.raises(DatasetError, match=rf"a\.png cannot be used: .*{said}"):
        check_pictures([fields.open()])


def test_an_annotation_too_small_for_the_centre_of_a_pixel_covers_nothing_and_is_no_error(fields):
    tiny = region([[3.6, 2.6, 3.9, 2.6, 3.9, 2.9]])
    assert np.array_equal(fields.mask(tiny), halves(SOIL, SOIL))


@pytest.mark.parametrize("x", [0, WIDTH])
def test_a_line_along_a_border_covers_nothing_and_is_no_error(fields, x):
    line = region([[x, 1, x, 2, x, 3, x, 2]])
    assert np.array_equal(fields.mask(region(LEFT), line), fields.mask(region(LEFT)))


def test_a_picture_of_another_size_than_the_document_says_is_named(fields):
    fields.write(region(LEFT))
    fields.picture("images/default/a.png", (3, 4))
    with pytest.raises(DatasetError, match=r"a\.png is 4×3 pixels, its annotations are of 8×6"):
        check_pictures([fields.open()])
    fields.write(region(LEFT), images=[{"id": 1, "file_name": "a.png"}])
    with pytest.raises(DatasetError, match=r"a\.png cannot be used: .* do not say of what size"):
        check_pictures([fields.open()])


IMAGE = {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"annotations": [region(LEFT, image="1")]}, r"1 annotation of images .*image_id '1', category_id 3"),
        ({"annotations": [region(LEFT, 8)]}, "category_id 8"),
        ({"images": [IMAGE, IMAGE | {"file_name": "b.png"}]}, "two of its images have the id 1"),
        ({"images": [IMAGE, IMAGE | {"id": 2}]}, r"lists a\.png twice"),
        ({"images": [IMAGE | {"file_name": "./a.png"}, IMAGE | {"id": 2}]}, r"\./a\.png and a\.png are both"),
        ({"images": [IMAGE | {"file_name": None}]}, "file_name is None"),
        ({"categories": [*CATEGORIES, {"id": 3, "name": "crop"}]}, "two of its categories have the id 3"),
        ({"images": []}, "annotations? of images"),
        ({"annotations": None}, "holds no COCO annotations: TypeError"),
        ({"annotations": [{"id": 1, "image_id": 1, "caption": "a field"}]}, "'category_id'"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(fields, content, said):
    fields.write(region(LEFT), **content)
    with pytest.raises(DatasetError, match=said):
        fields.open(unannotated="background")


# --- where documents and pictures lie ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "split", "picture", "name"),
    [
        ("annotations/instances_val2017.json", "val", "val2017/a.png", "a.png"),  # COCO
        ("annotations/instances_Validation.json", "val", "images/Validation/cam/a.png", "cam/a.png"),  # CVAT
        ("valid/_annotations.coco.json", "val", "valid/a.png", "a.png"),  # Roboflow
        ("result.json", "all", "images/1f-a.png", "images\\1f-a.png"),  # Label Studio on Windows
        ("result.json", "all", "images/1f-a.png", "../../label-studio/data/media/upload/1/1f-a.png"),
        ("result.json", "all", "images/cam/a.png", "/data/local-files/?d=cam%2Fa.png"),
        ("labels.json", "all", "data/a.png", "a.png"),  # FiftyOne
        ("labels.json", "all", "photos/a.png", "https://example.com/2024/a.png"),
    ],
)
def test_documents_and_pictures_are_found_as_tools_lay_them_out(tmp_path, document, split, picture, name):
    fields = Fields(tmp_path)
    fields.picture(picture)
    fields.write(region(LEFT), name=document, images=[IMAGE | {"file_name": name}])
    if split != "all":
        fields.write(name=document.replace("alid", "train").replace("val", "train"))
        fields.write(name="annotations/captions_val2017.json")
    options = {"pictures": "photos"} if picture.startswith("photos") else {}
    assert [each for each, _ in fields.open(split, **options).pairs] == [tmp_path / picture]


def test_pictures_that_lie_without_their_folders_are_told(fields, caplog):
    fields.write(region(LEFT), images=[IMAGE | {"file_name": "./a.png"}])
    assert (len(fields.open()), caplog.text) == (1, "")
    fields.write(region(LEFT), images=[IMAGE | {"file_name": "cam/a.png"}])
    assert fields.open().names() == ["a.png"]
    assert "1 picture known by the last part of the name alone, the first is" in caplog.text
    assert caplog.text.rstrip().endswith("images/default/a.png for cam/a.png")


def test_pictures_of_one_name_in_two_folders_are_told_apart(tmp_path):
    fields = Fields(tmp_path)
    images = [IMAGE | {"id": n, "file_name": f"{folder}/a.png"} for n, folder in enumerate("xy", start=1)]
    fields.write(region(LEFT), region(TOP, image=2), name="all.json", images=images)
    fields.picture("images/x/a.png")
    fields.picture("images/a.png")
    with pytest.raises(DatasetError, match=r"1 of its pictures are missing, the first is y/a\.png"):
        fields.open()
    fields.picture("images/y/a.png")
    pictures = fields.open()
    assert pictures.names() == ["a.png", "a.png"]
    assert not np.array_equal(pictures[0][1], pictures[1][1])


def test_a_document_of_all_is_divided_and_one_of_another_split_is_not(fields):
    images = [IMAGE | {"id": n, "file_name": f"{n}.png"} for n in range(10)]
    for each in images:
        fields.picture(each["file_name"])
    fields.write(*(region(LEFT, image=n) for n in range(10)), images=images)
    parts = {split: set(fields.open(split).names()) for split in ("train", "val", "all")}
    assert (len(parts["train"]), len(parts["val"])) == (8, 2)
    assert parts["train"] | parts["val"] == parts["all"]
    instances = fields.root / "annotations" / "instances_default.json"
    instances.rename(instances.with_name("instances_train.json"))
    assert len(fields.open("train")) == 10
    with pytest.raises(DatasetError, match=r"instances_train\.json: none is clearly of the split 'val'"):
        fields.open("val")
    with pytest.raises(DatasetError, match="is called as another split than 'val'"):
        fields.open("val", annotations="annotations/instances_train.json")
    fields.write(name="annotations/more_train.json")
    fields.write(name="annotations/instances_more_train.json")
    with pytest.raises(DatasetError, match="which of them is meant"):
        fields.open("train")


@pytest.mark.parametrize(
    "licences", [None, "CC0", [None, {"id": 0, "name": ""}, {"name": "CC BY 4.0"}, {"name": "CC BY 4.0"}]]
)
def test_licences_that_the_document_names_are_told(fields, licences):
    fields.write(region(LEFT), licenses=licences)
    assert fields.open().about.licence.endswith("name CC BY 4.0" if isinstance(licences, list) else "knows")


def test_without_a_label_space_nobody_knows_what_names_mean(fields):
    fields.write(region(LEFT))
    (fields.root / "label_space.json").unlink()
    with pytest.raises(DatasetError, match="option label_space"):
        fields.open()


# --- the same pixels as pycocotools -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_polygons_are_those_of_pycocotools_but_for_pixels_on_the_line(tmp_path):
    rng = np.random.default_rng(3)
    fields = Fields(tmp_path)
    height, width = 120, 160
    fields.picture("a.png", (height, width))
    image = IMAGE | {"width": width, "height": height}
    balance = []
    for _ in range(30):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 30)))
        radii = rng.uniform(15, 55, len(angles))
        corners = np.stack([80 + radii * np.cos(angles), 60 + radii * np.sin(angles)], axis=1)
        shape = [corners.ravel().tolist()]
        fields.write(region(shape), name="all.json", images=[image])
        ours = fields.open()[0][1] == WEED
        theirs = pycocotools.decode(pycocotools.merge(pycocotools.frPyObjects(shape, height, width))).astype(bool)
        different = np.argwhere(ours != theirs)[:, ::-1] + 0.5
        assert distances_to_line(different, corners).max(initial=0) <= 0.25
        balance.append((int(ours.sum()) - int(theirs.sum())) / theirs.sum())
    assert abs(np.mean(balance)) < 0.005


def distances_to_line(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    starts, along = corners, np.roll(corners, -1, axis=0) - corners
    offsets = points[:, None] - starts
    shares = np.clip((offsets * along).sum(-1) / (along**2).sum(-1), 0, 1)
    found: np.ndarray = np.linalg.norm(offsets - shares[..., None] * along, axis=-1).min(axis=1)
    return found
