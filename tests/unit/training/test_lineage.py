"""What a model learnt from, also by the weights that it began with: written down by runs, told by cards."""

import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

import training.recipes
from segmentation.errors import InvalidModelCard
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import RECIPE, tiny_order, tiny_training
from training.datasets import DATASETS
from training.datasets.folder import folder
from training.datasets.pairs import DatasetError
from training.evaluate.held_out import Overlap, overlap
from training.evaluate.subjects import open_subject
from training.export.card import FinishedRun, Release, card_of
from training.fit.launch import run_order
from training.fit.train import prepare_data, with_what_was_learnt
from training.lineage import DataRecord, Learnt, learnt_by
from training.runs import Run, write_json
from training.settings import TrainingSettings
from training.spaces import find_label_space

UNTRACKED = TrainingSettings(tracking_uri="none")
FIELD = 'dataset="folder", options={label_space="camvid-11"}'


@pytest.fixture(scope="module")
def roots(tmp_path_factory, rendered):
    """`folder` holds a field: four pictures with masks of camvid-11."""
    field = tmp_path_factory.mktemp("field")
    for kind in ("images", "masks"):
        (field / kind).mkdir()
        for number in range(4):
            picture = (
                Image.new("L", (64, 64), number) if kind == "masks" else Image.new("RGB", (64, 64), (number, 9, 9))
            )
            picture.save(field / kind / f"{number}.png")
    return {"scenes": rendered, "folder": field}


@pytest.fixture(scope="module")
def runs(roots, tmp_path_factory):
    """`first` learns from the field, `second` begins with its weights and learns from scenes."""
    place = tmp_path_factory.mktemp("runs")
    tiny_training(place, roots, ["name=first", "stages[0].epochs=1", f"data=[{{{FIELD}}}]"])
    tiny_training(place, roots, ["name=second", "start.from=first", "stages[0].epochs=1"])
    return place


def card(folder: Path, roots: dict[str, Path], tmp_path: Path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    return card_of(FinishedRun.read(folder, roots), Release(name="tiny"), {"onnx": file}, {}, [])


def test_a_card_names_data_and_licence_of_the_weights_that_were_begun_with(runs, roots, tmp_path):
    made = card(runs / "second", roots, tmp_path)
    assert "Trained on 5 pictures of generated street scenes (train)." in made.dataset
    assert "It began with weights of first, " in made.dataset
    assert "which learnt from 4 pictures of folder " in made.dataset
    assert "unknown: the owner of the folder knows" in made.licence


def test_what_was_learnt_before_is_kept_when_a_run_goes_on_and_is_begun_with(runs, roots):
    tiny_training(runs, roots, ["name=second", "start.from=first", "stages[0].epochs=2"])
    tiny_training(runs, roots, ["name=third", "start.from=second", "stages[0].epochs=1"])
    told = [(each.dataset, each.run.partition(" ")[0]) for each in DataRecord.read(runs / "third").learnt]
    assert told == [("scenes", ""), ("scenes", "second"), ("folder", "first")]


def test_a_card_tells_of_a_chain_of_runs_what_they_learnt_from_once(runs, roots, tmp_path):
    last = shutil.copytree(runs / "second", tmp_path / "last")
    record = DataRecord.read(last)
    own, first = (each for each in record.learnt if each.run in ("", "first"))
    chain = [replace(own, run=name, licence="those of its card") for name in ("link-2", "link-1")]
    (last / "data.json").write_text(json.dumps(replace(record, learnt=(own, *chain, first)).to_dict()))
    told = card(last, roots, tmp_path).dataset.partition(" Scores are of ")[0]
    assert told == (
        "Trained on 5 pictures of generated street scenes (train)."
        " It began with weights of link-2 and link-1, which learnt from the same."
        f" It began with weights of first, which learnt from 4 pictures of folder {roots['folder'].name} (train)."
    )


@pytest.fixture
def divided(tmp_path):
    """Three pictures to learn from and two for validation."""
    root = tmp_path / "divided"
    for split, numbers in (("train", range(3)), ("val", range(3, 5))):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
            for number in numbers:
                colour = (number, 40, 9)
                picture = Image.new("L", (64, 64), 1) if kind == "masks" else Image.new("RGB", (64, 64), colour)
                picture.save(root / split / kind / f"{number}.png")
    return root


def trained_on(divided: Path, runs: Path, epochs: int) -> Path:
    validation = f'validation={{split="val", {FIELD}}}'
    settings = [f"data=[{{{FIELD}}}]", validation, f"stages[0].epochs={epochs}"]
    return tiny_training(runs, {"folder": divided}, settings)


def hold_back(divided: Path) -> None:
    """A picture that was learnt from becomes one to validate on."""
    for kind in ("images", "masks"):
        (divided / "train" / kind / "0.png").rename(divided / "val" / kind / "0.png")


def test_a_card_tells_what_was_learnt_from_and_not_what_lies_in_the_folder_now(divided, tmp_path):
    run = trained_on(divided, tmp_path / "runs", epochs=1)
    hold_back(divided)
    finished = FinishedRun.read(run, {"folder": divided})
    assert finished.validation_learnt == 1
    assert finished.data.learnt == DataRecord.read(run).learnt
    told = card(run, {"folder": divided}, tmp_path).dataset
    assert "Trained on 3 pictures of folder train (train)." in told
    assert "Scores are of 3 pictures of folder val (val), 1 of them learnt from, at their own size." in told


def test_a_run_that_goes_on_with_other_pictures_has_learnt_from_those_of_before_too(divided, tmp_path, caplog):
    before = DataRecord.read(trained_on(divided, tmp_path / "runs", epochs=1))
    hold_back(divided)
    for epochs in (2, 3):
        record = DataRecord.read(trained_on(divided, tmp_path / "runs", epochs=epochs))
        assert [(each.count, len(each.marks), each.run) for each in record.learnt] == [(2, 2, ""), (1, 1, "")]
        assert {mark for each in record.learnt for mark in each.marks} == set(before.learnt[0].marks)
        assert set(record.train) == set(before.train)
        assert record.learnt_among(folder(divided, "val", label_space="camvid-11")) == 1
    assert "have changed" in caplog.text


def test_a_run_that_goes_on_with_the_same_pictures_tells_the_same(divided, tmp_path, caplog):
    first = DataRecord.read(trained_on(divided, tmp_path / "runs", epochs=1))
    assert DataRecord.read(trained_on(divided, tmp_path / "runs", epochs=2)) == first
    assert "have changed" not in caplog.text


def test_a_run_that_goes_on_in_a_changed_label_space_of_its_data_is_told(divided, tmp_path, caplog):
    space = find_label_space("camvid-11").to_dict() | {"name": "mine"}
    text = 'data=[{dataset="folder"}]\nvalidation={dataset="folder", split="val"}\nlabel_space="LABELS"'
    labels, settings = divided / "label_space.json", text.replace("LABELS", str(divided / "label_space.json"))
    (tmp_path / "checkpoint.pt").touch()
    told = []
    for name in ("road", "road", "lane"):
        classes = [{**each, "name": name} if each["name"] == "road" else each for each in space["classes"]]
        labels.write_text(json.dumps({**space, "classes": classes}))
        recipe = tiny_order(tmp_path, {}, settings.splitlines()).recipe()
        data = prepare_data(recipe, {"folder": divided}, find_label_space(str(labels)))
        record = with_what_was_learnt(data.record(()), tmp_path)
        write_json(tmp_path / "data.json", record.to_dict())
        told.append("label spaces" in caplog.text)
    assert told == [False, False, True]


def test_weights_of_an_old_run_are_told_with_what_its_recipe_says(tmp_path, roots):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "recipe.toml").write_text(RECIPE)
    (told,) = learnt_by(tmp_path / "old", "old (epoch 7)")
    assert (told.dataset, told.split, told.run, told.marks) == ("scenes", "train", "old (epoch 7)", ())
    (nothing,) = learnt_by(tmp_path, "weights.pt")
    assert nothing.title == "data that nothing tells of"


def test_a_run_of_an_old_version_that_began_with_others_says_that_nothing_tells_of_it(runs, roots, tmp_path):
    run = tiny_training(tmp_path, roots, ["stages[0].epochs=1", "start.from=" + str(runs / "first")])
    told = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps({name: told[name] for name in ("train", "validation")}))
    made = card(run, roots, tmp_path)
    assert "It began with weights of first, which learnt from data that nothing tells of." in made.dataset
    assert "data that nothing tells of: licence not told" in made.licence


def test_pictures_are_known_again_under_another_name(runs, roots, tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "copy.png").write_bytes((roots["folder"] / kind / "2.png").read_bytes())
        Image.new("L" if kind == "masks" else "RGB", (64, 64), 5).save(tmp_path / kind / "new.png")
    pictures = folder(tmp_path, "val", label_space="camvid-11")
    for run in ("first", "second"):
        assert DataRecord.read(runs / run).learnt_among(pictures) == 1


@pytest.mark.parametrize("mark", ["train/100000.png", "train-640x480/100000.png"])
def test_a_scene_is_known_again_at_another_size(tmp_path, mark):
    """The same seed shows the same scene; runs of before wrote the size into its mark."""
    scenes = partial(DATASETS["scenes"], tmp_path, scene_count=2, width=64, height=32)
    told = {"dataset": "scenes", "split": "train", "title": "scenes", "licence": "", "marks": [mark]}
    record = DataRecord(train=(), validation=(), learnt=(Learnt.from_dict(told),))
    assert record.learnt_among(scenes("train")) == 1
    assert record.learnt_among(scenes("val")) == 0
    assert Learnt.of(scenes("train"), dataset="scenes", split="train").marks == ("train/100000.png", "train/100001.png")


@pytest.mark.parametrize("copied", [False, True], ids=["where they lie", "copied"])
def test_scenes_are_known_again_as_pictures_of_a_folder(tmp_path, copied):
    scenes = DATASETS["scenes"](tmp_path, "train", scene_count=2, width=64, height=32)
    for index in range(len(scenes)):
        assert scenes[index]  # now it is rendered
    place = tmp_path / "train-64x32"
    if copied:
        place = shutil.copytree(place, tmp_path / "copy")
        (place / "images" / "100001.png").rename(place / "images" / "other.png")
        (place / "masks" / "100001.png").rename(place / "masks" / "other.png")
    pictures = folder(place, "val", label_space="cityscapes-34")
    by_scenes, by_folder = (Learnt.of(each, dataset="", split="") for each in (scenes, pictures))
    for learnt, scored in ((by_scenes, pictures), (by_folder, scenes), (by_folder, pictures), (by_scenes, scenes)):
        record = DataRecord(train=(), validation=(), learnt=(Learnt.from_dict(asdict(learnt)),))
        assert record.learnt_among(scored) == 2
    other = DATASETS["scenes"](tmp_path, "val", scene_count=2, width=64, height=32)
    assert DataRecord(train=(), validation=(), learnt=(by_folder, by_scenes)).learnt_among(other) == 0


def test_of_an_old_run_pictures_are_known_by_name(roots):
    record = DataRecord(train=["2.png", "3.png"], validation=[])
    assert record.learnt_among(folder(roots["folder"], "val", label_space="camvid-11")) == 2


def test_one_data_set_named_twice_is_learnt_from_twice(roots):
    scenes = 'dataset="scenes", options={scene_count=3, width=64, height=64}'
    recipe = tiny_order(Path("runs"), roots, [f'data=[{{{scenes}}}, {{{scenes}, split="test"}}]']).recipe()
    data = prepare_data(recipe, roots, find_label_space(recipe.label_space))
    assert len(data.stages[0]) == 6
    assert [(each.split, each.count) for each in data.record([]).learnt] == [("train", 3), ("test", 3)]


def test_where_data_lay_and_what_the_recipe_is_called_is_remembered(roots, tmp_path):
    of_field = [f"data=[{{{FIELD}}}]"]
    run = run_order(tiny_order(tmp_path, roots, [*of_field, "stages[0].epochs=1"]), settings=UNTRACKED)
    assert run.roots == roots
    more = [*of_field, "stages[0].epochs=2"]
    with pytest.raises(DatasetError):
        run_order(tiny_order(tmp_path, {**roots, "folder": tmp_path}, more), settings=UNTRACKED)
    assert run.roots == roots
    run = run_order(tiny_order(tmp_path, {}, more), settings=UNTRACKED)
    assert (run.epochs_done, run.roots) == (2, roots)
    made = card(run.folder, {}, tmp_path)
    assert made.recipe == "tiny.toml"
    assert str(tmp_path) not in made.to_json()


def test_the_card_of_our_own_recipe_names_its_file_where_nothing_was_changed(roots, tmp_path):
    ours = Path(training.recipes.__path__[0]) / "scenes-quick.toml"
    run = run_order(tiny_order(tmp_path, roots, ["stages[0].epochs=1"]), settings=UNTRACKED)
    (run.folder / "order.json").unlink()
    assert card(run.folder, roots, tmp_path).recipe == ""
    (run.folder / "recipe.toml").write_text(ours.read_text())
    finished = FinishedRun(
        run=Run.open(run.folder),
        train_sets=[folder_of(roots)],
        validation=folder_of(roots),
        model=run.snapshot().model,
        epochs_done=1,
        checkpoint="",
    )
    file = tmp_path / "model.onnx"
    assert (
        card_of(finished, Release(name="tiny"), {"onnx": file}, {}, []).recipe == "training/recipes/scenes-quick.toml"
    )


def folder_of(roots):
    return folder(roots["folder"], "val", label_space="camvid-11")


def test_weights_of_which_nothing_tells_are_never_said_to_be_held_out(runs, roots, tmp_path, rendered):
    unseen = {"scenes": rendered}
    old = tmp_path / "runs" / "old"
    old.mkdir(parents=True)
    (old / "checkpoint.pt").write_bytes((runs / "first" / "checkpoint.pt").read_bytes())
    (old / "recipe.toml").write_bytes((runs / "first" / "recipe.toml").read_bytes())
    tiny_training(tmp_path / "runs", unseen, ["start.from=old", "stages[0].epochs=1"])
    subject = open_subject("tiny", models=[], runs=tmp_path / "runs")
    assert overlap(subject, folder_of(roots), split="val") == Overlap(None)
    known = open_subject("first", models=[], runs=runs)
    assert overlap(known, folder(moved(tmp_path), "val", label_space="camvid-11"), split="val") == Overlap(0)


def moved(place: Path) -> Path:
    """One picture that nobody learnt from."""
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        (place / kind).mkdir()
        Image.new(mode, (64, 64), 5 if mode == "L" else (200, 1, 1)).save(place / kind / "new.png")
    return place


def test_the_card_names_the_file_of_an_encoders_weights_and_not_where_it_lay(roots, tmp_path):
    run = run_order(tiny_order(tmp_path, roots, ["stages[0].epochs=1"]), settings=UNTRACKED)
    recipe = run.folder / "recipe.toml"
    weights = tmp_path / "weights" / "encoder.safetensors"
    recipe.write_text(recipe.read_text().replace('encoder = "', f'encoder_weights = "{weights}", encoder = "'))
    said = card(run.folder, roots, tmp_path).to_json()
    assert "began with the weights encoder.safetensors" in said
    assert str(tmp_path) not in said


def test_a_student_has_learnt_what_its_teacher_learnt_from(runs, roots, tmp_path):
    """Begun with again and again, and gone on with: it stays told, once, and as the teacher's."""
    taught = ["name=student", "distillation.teacher=second"]
    tiny_training(runs, roots, [*taught, "stages[0].epochs=1"])
    tiny_training(runs, roots, [*taught, "stages[0].epochs=2"])
    tiny_training(runs, roots, ["name=heir", "start.from=student", "stages[0].epochs=1"])
    told = [(each.dataset, each.run, each.taught) for each in DataRecord.read(runs / "student").learnt]
    assert told == [("scenes", "", False), ("scenes", "second", True), ("folder", "second", True)]
    (runs / "second").rename(runs / "gone")  # nothing is asked of the teacher again
    made = card(runs / "student", roots, tmp_path)
    (runs / "gone").rename(runs / "second")
    assert "from scratch, taught by second (epoch " in made.description
    assert "Soft labels came from second, which learnt from the same; 4 pictures of folder " in made.dataset
    assert "began with weights" not in made.dataset
    assert "unknown: the owner of the folder knows" in made.licence
    for name in ("student", "heir"):
        subject = open_subject(name, models=[], runs=runs)
        assert overlap(subject, folder_of(roots), split="val").learnt == 4


def test_terms_and_pictures_of_a_bundle_are_those_of_its_student(roots, tmp_path):
    licence = "For research only. Fields may not be shown."
    bundle = tiny_bundle(tmp_path / "models", licence=licence, source="https://fields.example")
    field = Learnt.of(folder_of(roots), dataset="folder", split="train")
    scenes = replace(field, dataset="scenes", title="scenes", licence="For research only.", marks=(), run="older")
    DataRecord(train=(), validation=(), learnt=(field, scenes, replace(field, run="older"))).write_learnt(
        bundle.folder / "learnt.json"
    )
    student = tiny_training(tmp_path, roots, [f"distillation.teacher={bundle.folder}", "stages[0].epochs=1"])
    made = card(student, roots, tmp_path)
    owner = "unknown: the owner of the folder knows"
    assert made.licence == f"Generated scenes: no restriction. {owner} {licence}"
    assert made.source == "https://fields.example"
    assert "taught by tiny (version 1, sha256 " in made.description
    title = f"folder {roots['folder'].name}"
    assert f" Soft labels came from tiny, which learnt from 4 pictures of {title} (train); 4 pict" in made.dataset
    assert DataRecord.read(student).learnt_among(folder_of(roots)) == 4


def test_of_a_bundle_that_tells_of_no_pictures_a_student_says_what_its_card_says(roots, tmp_path):
    bundle = tiny_bundle(tmp_path / "models", licence="Not for sale.", dataset="Trained by its authors on towns.")
    student = tiny_training(tmp_path, roots, [f"distillation.teacher={bundle.folder}", "stages[0].epochs=1"])
    made = card(student, roots, tmp_path)
    assert "from tiny, which learnt from what its card says: Trained by its authors on towns." in made.dataset
    assert made.licence.endswith("Not for sale.")
    assert not DataRecord.read(student).is_whole


def test_a_name_that_no_card_can_have_is_told_before_there_is_one():
    with pytest.raises(InvalidModelCard, match="name must be lower-case letters"):
        Release(name="Street")
