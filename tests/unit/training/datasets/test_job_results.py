"""A job's own results as a data set: which pictures, whose masks, and what is refused."""

import json

import numpy as np
import pytest
from PIL import ExifTags, Image

from segmentation.formats import FORMATS, FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from training.datasets import DATASETS
from training.datasets.checking import check_pictures
from training.datasets.pairs import DatasetError

SIZE = (6, 8)  # height, width
GREY = np.full((*SIZE, 3), 99, dtype=np.uint8)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)


def stripes(left, right):
    return np.tile(np.repeat([left, right], SIZE[1] // 2), (SIZE[0], 1)).astype(np.uint8)


def same(mask, *values):
    return np.array_equal(mask, stripes(*values))


@pytest.fixture
def job(tmp_path):
    root = tmp_path / "job_1"
    for name in ("a b", "c"):
        write(root / "pictures" / f"{name}.jpg", GREY)
        write(root / "mask" / f"{name}.png", stripes(0, 3))
    write(root / "pictures" / "unlabelled.jpg", GREY)
    (root / "manifest.json").write_text(json.dumps({"job": "job_1", "label_space": "camvid-11"}))
    return root


def test_results_of_a_job_are_pictures_with_masks_in_its_label_space(job):
    pictures = DATASETS["job_results"](job, "all")
    assert (pictures.names(), pictures.space.name) == (["a b.jpg", "c.jpg"], "camvid-11")
    assert same(pictures[0][1], 0, 3)


def test_results_of_pictures_in_folders_are_found_by_their_paths(job):
    for folder, values in (("cam_a", (0, 3)), ("cam_b", (0, 4))):
        write(job / "pictures" / folder / "1.jpg", GREY)
        write(job / "corrected" / folder / "1.png", stripes(*values))
    pictures = DATASETS["job_results"](job, "all")
    assert [picture.parent.name for picture, _ in pictures.pairs] == ["cam_a", "cam_b"]
    assert same(pictures[1][1], 0, 4)


def test_only_what_was_corrected_is_learnt_from(job):
    write(job / "corrected" / "c.png", stripes(0, 4))
    pictures = DATASETS["job_results"](job, "all")
    assert pictures.names() == ["c.jpg"]
    assert same(pictures[0][1], 0, 4)


def test_a_mask_whose_palette_was_put_in_another_order_is_refused(job):
    mask = Image.fromarray(stripes(0, 1))
    mask.putpalette(palette(get_label_space("camvid-11"))[[3, 0]].tobytes())  # the same colours, at other indices
    mask.save(job / "mask" / "c.png")
    with pytest.raises(DatasetError, match=r"c\.png cannot be used: pixels of 0, .* have the colour of road"):
        check_pictures([DATASETS["job_results"](job, "all")])


def test_masks_of_pictures_that_exif_turns_are_known_to_be_upright(job):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.fromarray(GREY).save(job / "pictures" / "c.jpg", exif=exif)
    assert check_pictures([DATASETS["job_results"](job, "all").reduced(1, seed=1)]) == []
    assert check_pictures([DATASETS["job_results"](job, "all")]) == []


@pytest.mark.parametrize(("name", "suffix"), [("polygons", ".geojson"), ("coco", ".json")])
def test_corrections_may_be_polygons_or_runs(job, name, suffix):
    space = get_label_space("camvid-11")
    encoded = FORMATS[name].encode(LabelMap(stripes(0, 9), space), GREY, FormatOptions())
    (job / "corrected").mkdir()
    (job / "corrected" / f"c{suffix}").write_bytes(encoded.data)
    assert same(DATASETS["job_results"](job, "all")[0][1], 0, 9)


def test_two_files_of_labels_of_one_picture_are_refused(job):
    write(job / "corrected" / "c.png", stripes(0, 4))
    (job / "corrected" / "c.b.png").write_bytes((job / "corrected" / "c.png").read_bytes())
    write(job / "pictures" / "c.b.jpg", GREY)
    (job / "corrected" / "c.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"corrected/c\.json and c\.png are labels of one picture"):
        DATASETS["job_results"](job, "all")


def test_whose_masks_they_are_and_whether_somebody_looked_at_them_is_told(job):
    made = {"model": {"name": "street-fast", "versions": ["3"]}}
    (job / "manifest.json").write_text(json.dumps({"job": "job_1", "label_space": "camvid-11", **made}))
    about = DATASETS["job_results"](job, "all").about
    assert about.title == "results of job_1 by street-fast (version 3), not corrected"
    assert "the masks are street-fast (version 3)'s, whose terms count too" in about.licence
    write(job / "corrected" / "c.png", stripes(0, 4))
    about = DATASETS["job_results"](job, "all").about
    assert about.title == "results of job_1 by street-fast (version 3), corrected by hand"


def test_pictures_of_a_job_may_lie_elsewhere(job, tmp_path):
    (job / "pictures").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="an archive has none"):
        DATASETS["job_results"](job, "all")
    assert len(DATASETS["job_results"](job, "all", pictures=str(tmp_path / "elsewhere"))) == 2


def test_a_mask_without_its_picture_is_named(job):
    (job / "pictures" / "c.jpg").unlink()
    with pytest.raises(DatasetError, match=r"the first is c\.png"):
        DATASETS["job_results"](job, "all")


def test_pictures_of_one_stem_cannot_be_told_apart(job):
    write(job / "pictures" / "c.png", GREY)
    with pytest.raises(DatasetError, match=r"c\.jpg and c\.png"):
        DATASETS["job_results"](job, "all")


def test_a_job_of_own_classes_is_read_with_their_file(job):
    own = get_label_space("camvid-11").to_dict() | {"name": "towns", "mappings": {}}
    (job / "manifest.json").write_text(json.dumps({"job": "job_1", "label_space": "towns"}))
    (job / "label_space.json").write_text(json.dumps(own))
    assert DATASETS["job_results"](job, "all").space.name == "towns"
    assert DATASETS["job_results"](job, "all", label_space=str(job / "label_space.json")).space.name == "towns"
    shifted = [{**each, "name": f"{each['name']} (new)"} for each in own["classes"]]
    (job / "new.json").write_text(json.dumps({**own, "classes": shifted}))
    with pytest.raises(DatasetError, match=r"of towns as .*label_space\.json has it, whose ids are others in .*new"):
        DATASETS["job_results"](job, "all", label_space=str(job / "new.json"))
    (job / "label_space.json").rename(job / "elsewhere.json")
    with pytest.raises(DatasetError, match=r"put their label_space\.json beside the manifest\.json, or name"):
        DATASETS["job_results"](job, "all")
    with pytest.raises(DatasetError, match=r"the job's labels are of towns, not of camvid-11"):
        DATASETS["job_results"](job, "all", label_space="camvid-11")


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_a_manifest_that_is_none_is_refused(job, content):
    (job / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match="no manifest of a job"):
        DATASETS["job_results"](job, "all")


def test_a_job_without_labels_is_refused(job):
    (job / "mask").rename(job / "overlay")
    with pytest.raises(DatasetError, match="holds no labels"):
        DATASETS["job_results"](job, "all")
    (job / "mask").mkdir()
    with pytest.raises(DatasetError, match="no labels in"):
        DATASETS["job_results"](job, "all")
