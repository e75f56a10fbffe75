"""A Mask2Former's prediction is explained by its strongest queries: class, score, region and box."""

import json
import shutil

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from typer.testing import CliRunner

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED
from segmentation.formats.coco import counts_from_text
from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from tests.tiny_architectures import TINY_OPTIONS, build
from training.explain.picture import draw
from training.explain.queries import Explainable, HasNoQueries, OtherClasses, explain, open_explainable, to_document
from training.lineage import RECIPE as RECIPE_FILE
from training.models.mask2former import Queries, configuration
from training.models.parts.errors import UnsafeWeights
from training.runs import CHECKPOINT, RunFacts, RunNotFound

SPACE = get_label_space("camvid-11")
SURE = 9.0  # a logit of almost 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    config = configuration("tiny", 11, points=64)
    folder = tmp_path_factory.mktemp("mask2former")
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    return folder


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 80, 3), dtype=np.uint8)).save(path)
    return path


class Told:
    """Stands where a network would: says what it was given to say."""

    def __init__(self, queries):
        self._queries = queries

    def queries(self, images):
        return self._queries


def two_regions():
    """Of four queries: sky above (sure), car in a corner (less sure), one without a region, one that is "none"."""
    classes = torch.zeros(1, 4, 12)
    masks = torch.full((1, 4, 8, 16), -SURE)
    classes[0, 0, 8] = 4.0
    masks[0, 0, 4:, 12:] = SURE
    classes[0, 1, 0] = SURE
    masks[0, 1, :4] = SURE
    classes[0, 2, 3] = SURE
    classes[0, 3, 11] = SURE
    masks[0, 3, 4:, :4] = SURE
    subject = Explainable("told", Told(Queries(classes, masks)), SPACE, Preprocessing(long_side=64))
    return explain(subject, np.zeros((32, 64, 3), np.uint8), top=4), subject


def test_queries_come_by_score_with_the_box_of_their_region():
    found, _ = two_regions()
    assert [(each.query, each.class_name) for each in found[:2]] == [(1, "sky"), (0, "car")]
    assert found[0].box == (0, 0, 64, 16)
    assert found[1].box == (48, 16, 16, 16)
    assert found[0].score == pytest.approx(found[0].class_probability * found[0].mask_confidence)
    assert 2 not in [each.query for each in found]  # it has no region
    assert found[-1].score < 0.01  # its best class is hardly more than nothing


def test_the_document_holds_each_region_as_run_lengths():
    found, subject = two_regions()
    document = json.loads(json.dumps(to_document(subject, "a.png", np.zeros((32, 64, 3), np.uint8), found)))
    for told, each in zip(document["queries"], found, strict=True):
        counts = counts_from_text(told["region"]["counts"])
        inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(64, 32).T
        assert np.array_equal(inside, each.region)
    assert document["queries"][0]["box"] == {"left": 0, "top": 0, "width": 64, "height": 16}


def test_the_drawing_names_the_queries_below_the_picture():
    found, _ = two_regions()
    rgb = np.full((32, 64, 3), 100, np.uint8)
    drawn = np.asarray(draw(rgb, found[:2], SPACE))
    nothing = np.asarray(draw(rgb, [], SPACE))
    assert drawn.shape[1] == nothing.shape[1] == 64
    assert drawn.shape[0] > nothing.shape[0] > 32
    assert (nothing[:32] == 100).all()
    assert (drawn[8:12, 30:40] != 100).any()


def test_the_command_writes_json_and_a_picture(folder, picture, tmp_path):
    out = tmp_path / "explained"
    options = ["--out", str(out), "--top", "3", "--label-space", "camvid-11", "--json"]
    done = CliRunner().invoke(app, ["explain", str(folder), str(picture), *options])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert json.loads((out / "street.json").read_text())["queries"] == told["queries"]
    assert (told["size"], told["label_space"]) == ([48, 80], "camvid-11")
    assert 1 <= len(told["queries"]) <= 3
    with Image.open(out / "street.png") as drawn:
        assert drawn.width == 80
    assert sorted(path.name for path in out.iterdir()) == ["street.json", "street.png"]


def test_what_looks_like_markup_is_part_of_a_runs_name(picture):
    done = CliRunner().invoke(app, ["explain", "runs [/b]", str(picture)])
    assert done.exit_code == REFUSED, done.output
    assert "runs [/b]" in done.stderr


def test_a_folder_of_transformers_has_no_checkpoint_to_choose(folder, tmp_path):
    with pytest.raises(RunNotFound, match="is no run"):
        open_explainable(str(folder), runs=tmp_path, label_space="camvid-11", checkpoint="last")


def test_a_folder_of_transformers_keeps_its_weights(folder):
    ours = build("mask2former", 11, folder=str(folder)).eval()
    theirs = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(pixel_values=image)
        got = ours.queries(image)
    assert torch.allclose(got.masks, expected.masks_queries_logits, atol=1e-4)
    assert torch.allclose(got.classes, expected.class_queries_logits, atol=1e-4)


def test_the_classifier_begins_anew_for_other_classes(folder):
    assert build("mask2former", 4, folder=str(folder)).network.class_predictor.out_features == 5


def test_a_model_is_not_explained_in_words_that_are_not_its_own(folder, tmp_path):
    for label_space in (None, "cityscapes-19"):
        with pytest.raises(OtherClasses, match=r"has 11 classes .*, cityscapes-19 has 19"):
            open_explainable(str(folder), runs=tmp_path, label_space=label_space)
    config = json.loads((folder / "config.json").read_text())
    named = tmp_path / "named"
    shutil.copytree(folder, named)
    (named / "config.json").write_text(json.dumps(config | {"id2label": {f"{i}": f"thing {i}" for i in range(11)}}))
    assert open_explainable(str(named), runs=tmp_path, label_space="camvid-11").space == SPACE


def test_what_a_checkpoint_calls_its_classes_counts_where_nobody_says_what_they_are(tmp_path):
    names = [get_label_space("cityscapes-19").name_of(each) for each in range(19)]
    config = configuration("tiny", 19, points=64)
    for folder, labels in ((tmp_path / "right", names), (tmp_path / "shifted", [*names[1:], names[0]])):
        config.id2label = dict(enumerate(labels))
        transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    assert open_explainable(str(tmp_path / "right"), runs=tmp_path).space.name == "cityscapes-19"
    with pytest.raises(OtherClasses, match=r"has 19 classes \(sidewalk, "):
        open_explainable(str(tmp_path / "shifted"), runs=tmp_path)


RECIPE = """
name = "tiny"
long_side = 64
[model]
architecture = "{name}"
options = {options}
[[data]]
dataset = "scenes"
[validation]
dataset = "scenes"
[[stages]]
epochs = 1
batch_size = 2
crop = [32, 64]
scale = [0.5, 1.0]
"""


def a_run(folder, name, options):
    """As a training leaves it after one epoch in which nothing was learnt."""
    folder.mkdir()
    model = build(name, 11, **options)
    told = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    (folder / RECIPE_FILE).write_text(RECIPE.format(name=name, options=f"{{ {told} }}"))
    torch.save({"epoch": 1, "average": model.state_dict()}, folder / CHECKPOINT)
    RunFacts.current().write(folder)
    return model


def test_a_run_is_explained_by_its_averaged_weights(tmp_path):
    model = a_run(tmp_path / "mine", "mask2former", TINY_OPTIONS["mask2former"])
    subject = open_explainable("mine", runs=tmp_path)
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(subject.model.queries(image).masks, model.eval().queries(image).masks)
    assert (subject.name, subject.space.name, subject.preprocessing.long_side) == ("mine", "camvid-11", 64)


def test_a_run_without_queries_is_refused(tmp_path):
    a_run(tmp_path / "mine", "linknet", TINY_OPTIONS["linknet"])
    with pytest.raises(HasNoQueries, match="is a model of linknet; only a mask2former"):
        open_explainable(str(tmp_path / "mine"), runs=tmp_path)


def test_a_folder_of_pickles_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mask2former"}')
    with pytest.raises(UnsafeWeights):
        open_explainable(str(tmp_path), runs=tmp_path)
