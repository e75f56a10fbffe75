"""A run learns the classes of the user's own file, and keeps them when the file goes or changes."""

import json
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from segmentation.errors import NoRemapping
from storage.catalog import Catalog
from tests.tiny_runs import tiny_order
from training.compare import Choices, examine
from training.datasets import DATASETS
from training.evaluate.subjects import open_subject
from training.export.export import Release, export_run
from training.fit.launch import run_order
from training.promote.promote import Wish, promote
from training.promote.registry import fetch_bundle, open_registry
from training.recipe.recipe import RecipeError
from training.runs import Run
from training.settings import TrainingSettings

UNTRACKED = TrainingSettings(tracking_uri="none")
WEEDS: dict[str, Any] = {
    "name": "weeds",
    "ignore_id": None,
    "classes": [
        {"id": 0, "name": "soil", "colour": [90, 60, 30], "group": "ground"},
        {"id": 1, "name": "weed", "colour": [0, 200, 0], "group": "plants"},
    ],
    "mappings": {},
}
FIELD = 'dataset="folder"'


@pytest.fixture
def order(tmp_path):
    """Two pictures of a field."""
    field = tmp_path / "field"
    half = np.array([[0, 1]], np.uint8).repeat(32, axis=1).repeat(64, axis=0)
    for name in ("a", "b"):
        for kind, pixels in (("images", np.dstack([half * 200] * 3)), ("masks", half)):
            (field / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(field / kind / f"{name}.png"), pixels)
    (field / "label_space.json").write_text(json.dumps(WEEDS))
    settings = [f"data=[{{{FIELD}}}]", f"validation={{{FIELD}}}", "stages[0].epochs=1"]
    settings.append(f"label_space={field / 'label_space.json'}")
    return tiny_order(tmp_path, {"folder": field}, settings)


def test_a_run_keeps_its_own_classes(order):
    run = run_order(order, settings=UNTRACKED)
    file = order.roots["folder"] / "label_space.json"
    file.unlink()
    again = Run.open(run.folder)
    assert again.space.names() == ("soil", "weed")
    assert again.snapshot().model(torch.zeros(1, 3, 64, 64)).shape[1] == 2


def test_a_run_does_not_go_on_with_other_classes(order):
    folder = run_order(order, settings=UNTRACKED).folder
    file = order.roots["folder"] / "label_space.json"
    file.write_text(
        json.dumps(WEEDS | {"classes": [*WEEDS["classes"], {**WEEDS["classes"][1], "id": 2, "name": "crop"}]})
    )
    with pytest.raises(RecipeError, match=r"label_space\.json has changed since"):
        run_order(order, settings=UNTRACKED)
    assert len(Run.open(folder).space.class_ids) == 2


def test_a_label_space_may_not_take_the_name_of_a_published_one(order):
    file = order.roots["folder"] / "label_space.json"
    file.write_text(json.dumps(WEEDS | {"name": "camvid-11"}))
    with pytest.raises(RecipeError, match=r"another label space called 'camvid-11'"):
        order.recipe()


@pytest.mark.slow
def test_a_model_of_own_classes_is_exported_compared_promoted_and_fetched(order, tmp_path):
    run = run_order(order, settings=UNTRACKED)
    file = order.roots["folder"] / "label_space.json"
    done = export_run(run.folder, Release(name="weeder"), roots={}, models=Catalog([tmp_path / "models"]))
    bundle = Catalog([tmp_path / "models"]).get("weeder")
    assert (done.card.label_space, done.card.label_space_file) == ("weeds", "label_space.json")
    assert bundle.space() == run.space
    assert {"label_space.json", "learnt.json"} <= set(done.card.sha256)
    assert str(tmp_path) not in done.card.to_json()

    subjects = [open_subject(str(each), models=[], runs=tmp_path) for each in (run.folder, bundle.folder)]
    pictures = DATASETS["folder"](order.roots["folder"], "val")
    found = examine(subjects, pictures, choices=Choices())
    assert found.space == run.space
    assert [entry.learnt for entry in found.entries] == [2, 2]

    registry = open_registry(TrainingSettings(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"))
    promote(str(run.folder), Wish(runs=tmp_path), registry)
    bundle_folder = fetch_bundle("models:/tiny@champion", tmp_path / "fetched", registry=registry)
    fetched = open_subject(str(bundle_folder), models=[], runs=tmp_path)
    assert fetched.space.names() == ("soil", "weed")
    file.write_text(json.dumps(WEEDS | {"classes": WEEDS["classes"][::-1]}))
    with pytest.raises(NoRemapping, match="there are two label spaces called weeds"):
        examine(subjects, DATASETS["folder"](order.roots["folder"], "val"), choices=Choices())
