"""How a training begins: with weights of another run or of a bundle, with other classes."""

import copy
import json
import shutil
from dataclasses import replace
from hashlib import sha256

import onnxruntime
import pytest
import torch

from segmentation.preprocessing import Preprocessing
from storage.catalog import Catalog
from tests.factories import make_card
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import RECIPE, tiny_order, tiny_training
from training.datasets.pairs import DatasetError
from training.export.files import export_onnx
from training.fit.launch import run_order
from training.fit.progress import NullWatcher
from training.fit.strategies import encoder_names
from training.fit.train import Places
from training.lineage import DataRecord
from training.recipe.building import build_model
from training.recipe.edit import with_settings
from training.recipe.file import read_recipe
from training.recipe.recipe import RecipeError
from training.settings import TrainingSettings
from training.spaces import find_label_space
from training.start.beginning import begin_with

OTHER_CLASSES = "label_space=cityscapes-19"


def recipe_with(*settings):
    return read_recipe(with_settings(RECIPE, settings), name="tiny.toml")


def fresh(recipe, *, seed):
    torch.manual_seed(seed)
    return build_model(recipe.model, find_label_space(recipe.label_space))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of runs with one in it, `old`, whose weights are those of seed 1."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "old").mkdir()
    (folder / "old" / "recipe.toml").write_text(RECIPE)
    weights = fresh(recipe_with(), seed=1).state_dict()
    torch.save({"epoch": 7, "average": weights}, folder / "old" / "checkpoint.pt")
    return folder


@pytest.fixture(scope="module")
def old(runs):
    return torch.load(runs / "old" / "checkpoint.pt", weights_only=True)["average"]


def taken(model, old):
    """Names of what is the same as in the old run; a fresh batch norm is always the same."""
    return {name for name, tensor in model.state_dict().items() if torch.equal(tensor, old[name])}


def test_a_run_is_continued_with_all_of_its_weights(runs, old):
    recipe = recipe_with("start.from=old")
    model = fresh(recipe, seed=2)
    note = begin_with(model, recipe, runs=runs).note
    assert taken(model, old) == set(old)
    assert note.startswith("old (epoch 7, sha256 ")
    assert note.endswith(f"; {len(old)} of {len(old)} tensors taken")


def test_the_encoder_alone_can_be_taken(runs, old):
    recipe = recipe_with(f"start.from={runs / 'old'}", "start.encoder_only=true")
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, runs=runs / "elsewhere")
    assert encoder_names(model) <= taken(model, old)
    assert "segmentation_head.0.weight" not in taken(model, old)


def test_other_classes_begin_with_another_head(runs, old):
    recipe = recipe_with("start.from=old", OTHER_CLASSES)
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, runs=runs)
    assert set(old) - taken(model, old) == {"segmentation_head.0.weight", "segmentation_head.0.bias"}


def test_as_many_classes_of_another_kind_begin_with_another_head(runs, old, tmp_path):
    space = find_label_space("camvid-11").to_dict()
    space = json.loads(json.dumps(space).replace('"sky"', '"heaven"')) | {"name": "mine"}
    (tmp_path / "mine.json").write_text(json.dumps(space))
    recipe = recipe_with("start.from=old", f"label_space={tmp_path / 'mine.json'}")
    model = fresh(recipe, seed=2)
    begin_with(model, recipe, runs=runs)
    assert set(old) - taken(model, old) == {"segmentation_head.0.weight"}  # a bias begins with zeros anyway


def test_a_file_of_classes_that_was_changed_since_begins_with_another_head(runs, old, tmp_path):
    """The run that is begun with keeps the classes that it learnt; the recipes name the same file."""
    file = tmp_path / "mine.json"
    space = find_label_space("camvid-11").to_dict() | {"name": "mine", "mappings": {}}
    run = runs / "with_own_classes"
    shutil.copytree(runs / "old", run)
    (run / "recipe.toml").write_text(with_settings(RECIPE, [f"label_space={file}"]))
    (run / "label_space.json").write_text(json.dumps(space))
    recipe = recipe_with("start.from=with_own_classes", f"label_space={file}")
    for changed, head in ((False, set()), (True, {"segmentation_head.0.weight"})):
        if changed:
            space["classes"][0]["name"], space["classes"][1]["name"] = "building", "sky"
        file.write_text(json.dumps(space))
        model = fresh(recipe, seed=2)
        begin_with(model, recipe, runs=runs)
        assert set(old) - taken(model, old) == head


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["start.from=nobody"],
            "start.from: 'nobody' is no folder with .* and no name; bundles: cut, scripted, tiny; runs",
        ),
        (["start.from=models:/nobody@champion"], "start.from: the registry has no nobody@champion"),
        (["start.from=models:/No Body"], "start.from: 'models:/No Body' names no model"),
        (["start.from=cut"], "start.from: model card: the file must be JSON"),
        (["start.from=tiny"], r"start.from: tiny \(tiny\) is another network than the recipe's: the file was"),
        (["start.from=scripted"], "start.from: scripted has no ONNX file with its weights"),
        (["start.from=old", "model.options.encoder=tu-test_efficientnet"], "start.from: old .* is another network"),
    ],
)
def test_what_cannot_be_begun_with_is_refused(runs, tmp_path, settings, message, mlflow_uri, monkeypatch):
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", mlflow_uri)
    tiny_bundle(tmp_path)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "card.json").touch()
    published(tmp_path, "scripted", b"", key="torchscript")
    recipe = recipe_with(*settings)
    with pytest.raises(RecipeError, match=message) as raised:
        begin_with(fresh(recipe, seed=2), recipe, runs=runs, models=[tmp_path])
    assert raised.value.where == "start.from"


def published(models, name, content, *, key="onnx", **changes):
    """A bundle with one file, whatever that is."""
    draft = models / f"{name}.draft"
    draft.write_bytes(content)
    card = make_card(name, files={key: "model"}, sha256={"model": sha256(content).hexdigest()}, **changes)
    Catalog([models]).publish(card, {"model": draft})


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    """A folder of bundles with one in it, `served`, of a network that has learnt; and that network."""
    models = tmp_path_factory.mktemp("models")
    model = fresh(recipe_with(), seed=1).train()
    torch.manual_seed(3)
    with torch.no_grad():
        for _ in range(20):  # batch norms see pictures
            model(torch.randn(4, 3, 64, 64) * 2)
    export_onnx(copy.deepcopy(model), models / "draft.onnx")
    preprocessing = Preprocessing(long_side=64)
    published(models, "served", (models / "draft.onnx").read_bytes(), preprocessing=preprocessing, licence="Ask us.")
    return models, model.eval()


def logits_of(model, images):
    with torch.inference_mode():
        return model(images)


def test_a_bundle_is_continued_as_it_is_served(runs, exported):
    models, old = exported
    recipe = recipe_with("start.from=served")
    model = fresh(recipe, seed=2).eval()
    begun = begin_with(model, recipe, runs=runs, models=[models])
    images = torch.randn(2, 3, 64, 96)
    session = onnxruntime.InferenceSession(models / "served" / "model")
    served = torch.from_numpy(session.run(["logits"], {"image": images.numpy()})[0])
    assert torch.allclose(logits_of(model, images), served, atol=1e-4 * float(served.abs().max()))
    count = len(old.state_dict())
    assert begun.note.startswith("served (version 1, sha256 ")
    assert begun.note.endswith(f"; {count} of {count} tensors taken")
    assert begun.folded
    assert [(each.run, each.licence) for each in begun.learnt] == [("served", "Ask us.")]


def test_a_bundle_of_other_classes_gives_all_but_the_head(runs, exported):
    models, _ = exported
    recipe = recipe_with("start.from=served", OTHER_CLASSES)
    model = fresh(recipe, seed=2)
    before = copy.deepcopy(model.state_dict())
    begin_with(model, recipe, runs=runs, models=[models])
    after = model.state_dict()
    head = [name for name in before if name.startswith("segmentation_head.")]
    assert [name for name in head if not torch.equal(before[name], after[name])] == []
    kernels = [name for name in before if name.endswith("weight") and before[name].ndim == 4 and name not in head]
    assert [name for name in kernels if torch.equal(before[name], after[name])] == []


def test_a_bundles_encoder_alone_can_be_taken(runs, exported):
    models, _ = exported
    recipe = recipe_with("start.from=served", "start.encoder_only=true")
    model = fresh(recipe, seed=2)
    before = copy.deepcopy(model.state_dict())
    begun = begin_with(model, recipe, runs=runs, models=[models])
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert changed <= encoder_names(model)
    assert all(f"{name}.weight" in encoder_names(model) for name in begun.folded)


def test_a_run_of_the_name_comes_before_a_bundle(runs, exported, tmp_path):
    models, _ = exported
    (tmp_path / "old").symlink_to(models / "served")
    recipe = recipe_with("start.from=old")
    assert begin_with(fresh(recipe, seed=2), recipe, runs=runs, models=[tmp_path]).note.startswith("old (epoch 7")


def test_a_training_goes_on_from_a_bundle(runs, exported, tmp_path, rendered):
    """It is noted what was begun with, and its first epoch hardly changes what a low rate lets it change."""
    models, _ = exported
    roots = {"scenes": rendered}
    settings = ["name=on", "start.from=served", "stages[0].epochs=1", "optimiser.learning_rate=1e-9", "ema_decay=0"]
    run = tiny_training(tmp_path, roots, settings, models=[models])
    assert json.loads((run / "facts.json").read_text())["started_from"].startswith("served (version 1, sha256 ")
    assert {each.run for each in DataRecord.read(run).learnt} == {"", "served"}
    model = fresh(recipe_with(), seed=2)
    model.load_state_dict(torch.load(run / "checkpoint.pt", weights_only=True)["average"])
    session = onnxruntime.InferenceSession(models / "served" / "model")
    pictures = torch.rand(4, 3, 64, 64)
    served = torch.from_numpy(session.run(["logits"], {"image": pictures.numpy()})[0])
    now = logits_of(model.eval(), pictures)
    assert float((now - served).abs().mean()) < 0.5 * float(served.std())


def test_pictures_are_looked_at_before_a_bundle_is_unfolded_on_them(runs, exported, tmp_path, tmp_path_factory):
    class Watching(NullWatcher):
        def __init__(self):
            self.told = []

        def checking_begins(self, pictures):
            self.told.append("checking")

        def unfolding_begins(self, batches):
            self.told.append(f"unfolding on {batches}")

        def picture(self):
            self.told.append("one")

        def epoch_begins(self, epoch, *, of, steps):
            self.told.append("epoch")

    roots = {"scenes": tmp_path_factory.mktemp("scenes")}
    settings = ["name=told", "start.from=served", "stages[0].epochs=1"]
    order = replace(tiny_order(tmp_path, roots, settings), models=[exported[0]])
    watcher = Watching()
    run_order(order, settings=TrainingSettings(tracking_uri="none"), watcher=watcher)
    assert watcher.told[:5] == ["checking", "unfolding on 2", "one", "one", "epoch"]

    (next(roots["scenes"].rglob("images/100000.png"))).write_bytes(b"")
    again, watcher = replace(order, runs=tmp_path / "again"), Watching()
    with pytest.raises(DatasetError, match=r"100000\.png cannot be used"):
        run_order(again, settings=TrainingSettings(tracking_uri="none"), watcher=watcher)
    assert watcher.told[0] == "checking"
    assert "unfolding on 2" not in watcher.told


def test_places_know_where_runs_are(tmp_path):
    assert Places(roots={}).runs_beside(tmp_path / "mine") == tmp_path
    assert Places(roots={}, runs=tmp_path / "runs").runs_beside(tmp_path / "mine") == tmp_path / "runs"


def test_a_frozen_encoder_keeps_its_weights_and_its_statistics(tmp_path, rendered):
    """Through the real training: the second stage thaws, and what was begun with is noted."""
    roots = {"scenes": rendered}
    first = tiny_training(tmp_path, roots, ["name=first", "stages[0].epochs=1"])
    settings = ["name=second", "start.from=first", "stages[0].epochs=1", "stages[0].freeze_encoder=true"]
    second = tiny_training(tmp_path, roots, settings)
    before, after = (torch.load(run / "checkpoint.pt", weights_only=True)["average"] for run in (first, second))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if name.startswith("encoder.")]
    assert json.loads((second / "facts.json").read_text())["started_from"].startswith("first (epoch 1, sha256 ")
