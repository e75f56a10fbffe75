"""`maskmill evaluate` on a model that tells three colours apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.exits import REFUSED, USAGE
from tests.tiny_models import GREEN, RED, tiny_bundle
from training.datasets import DATASETS
from training.evaluate.evaluation import Evaluation
from training.lineage import DataRecord, Learnt

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`maskmill evaluate …` in a folder with the bundle `tiny` and the data set `flags` of two pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    tiny_bundle(tmp_path / "home" / "models")
    for name, right in (("a", GREEN), ("b", RED)):
        picture = np.zeros((64, 96, 3), dtype=np.uint8)
        picture[:, :48], picture[:, 48:] = RED, right
        mask = np.zeros((64, 96), dtype=np.uint8)  # sky
        mask[:, 48:] = 1  # building
        for folder, pixels in (("images", picture), ("masks", mask)):
            (tmp_path / "flags" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "flags" / folder / f"{name}.png")
    words = ("evaluate", "tiny", "folder", "--root", "folder=flags", "--option", "label_space=camvid-11")
    return lambda *more: CliRunner().invoke(app, [*words, *map(str, more)], catch_exceptions=False)


def test_pictures_without_masks_are_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    words = ("--root", f"unlabelled={tmp_path / 'flags' / 'images'}", "--json")
    for command in (("evaluate", "tiny", "unlabelled"), ("compare", "tiny", "tiny", "--data", "unlabelled")):
        result = CliRunner().invoke(app, [*command, *words], catch_exceptions=False)
        error = json.loads(result.stdout)["error"]
        assert (result.exit_code, error["code"]) == (REFUSED, "dataset_error")
        assert error["message"] == "folder images, without masks: a model can be scored on pictures with masks alone"


def test_scores_classes_and_speed_are_shown(run: Run) -> None:
    result = run("--threads", "1")
    assert result.exit_code == 0
    assert "on 2 pictures of folder flags (val), scored in camvid-11" in result.stdout
    assert "pixel accuracy" in result.stdout
    assert "75.0 %" in result.stdout
    assert "onnxruntime (cpu)" in result.stdout


def test_json_stands_alone_on_stdout_and_knows_no_nan(run: Run) -> None:
    report = json.loads(run("--json", "--no-speed").stdout)
    assert report["scores"]["pixel_accuracy"] == pytest.approx(0.75, abs=0.02)
    assert {each["name"]: each["iou"] for each in report["classes"]}["car"] is None
    assert report["latency"] == []


def test_everything_can_be_written_to_a_file(run: Run, tmp_path: Path) -> None:
    assert run("--no-speed", "--out", tmp_path / "new" / "report.json").exit_code == 0
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert report["pictures"] == ["a.png", "b.png"]
    assert Evaluation.from_json(json.dumps(report["evaluation"])).picture_count == 2


def test_a_page_shows_the_same_scores(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    report = json.loads(run("--json", "--threads", "1", "--html", page).stdout)
    assert report["scores"] == json.loads(run("--json", "--no-speed").stdout)["scores"]
    said = page.read_text("utf-8")
    for each in report["classes"]:
        if each["auc"] is not None:
            assert f"ROC curve of {each['name']}" in said
    assert "tiny has an mIoU of" in said
    assert "One inference takes" in said
    assert run("--no-speed", "--html", page).exit_code == 0
    assert "One inference takes" not in page.read_text("utf-8")


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "flags" / "masks" / "a.png").write_bytes(b"what is looked at later is broken")
    for place in (tmp_path / "flags", tmp_path / "flags" / "masks" / "a.png" / "page.html"):
        result = run("--no-speed", "--json", option, place)
        assert result.exit_code == REFUSED
        assert str(place) in json.loads(result.stdout)["error"]["message"]


def test_a_bundle_that_is_scored_instead_of_a_run_of_its_name_is_told(run: Run, tmp_path: Path) -> None:
    assert "the bundle" not in run("--no-speed").stderr
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "checkpoint.pt").write_bytes(b"weights that went on")
    (tmp_path / "tiny").mkdir()  # no bundle, but its pictures, as it may be
    told = " ".join(run("--no-speed").stderr.split())
    assert "Warning: tiny is the bundle (version 1); the run of this name is runs/tiny" in told


def test_classes_that_no_mask_can_show_are_told(run: Run) -> None:
    assert "cannot show" not in run("--no-speed").stderr
    classes = [{"id": i, "name": name, "colour": [i, 0, 0], "group": name} for i, name in enumerate(("air", "wall"))]
    mappings = {"camvid-11": {"0": 0, "1": 1}}
    Path("own.json").write_text(json.dumps({"name": "own", "classes": classes, "mappings": mappings}))
    told = " ".join(run("--no-speed", "--option", "label_space=own.json").stderr.split())
    assert "Warning: masks in own cannot show pole, road, pavement, " in told
    assert "cannot show" not in run("--no-speed", "--label-space", "cityscapes-19").stderr  # nor can the model say it


def test_classes_that_no_mask_can_show_are_left_out_of_the_means(run: Run, tmp_path: Path) -> None:
    """The model says building in half of one picture; masks of `up` know the sky alone."""
    for name in ("a", "b"):
        Image.fromarray(np.zeros((64, 96), np.uint8)).save(tmp_path / "flags" / "masks" / f"{name}.png")
    sky = {"id": 0, "name": "air", "colour": [1, 2, 3], "group": "sky"}
    Path("up.json").write_text(json.dumps({"name": "up", "classes": [sky], "mappings": {"camvid-11": {"0": 0}}}))
    words = ("--json", "--no-speed", "--label-space", "camvid-11", "--option", "label_space=up.json")
    report = json.loads(run(*words, "--html", "page.html", "--out", "all.json").stdout)
    iou = {each["name"]: each["iou"] for each in report["classes"]}
    assert (iou["sky"], iou["building"]) == (pytest.approx(0.75, abs=0.02), 0)
    assert report["scores"]["miou"] == iou["sky"] == report["scores"]["pixel_accuracy"]
    assert "building" in report["unmarked_classes"]
    kept = Evaluation.from_json(json.dumps(json.loads(Path("all.json").read_text())["evaluation"]))
    assert kept.scores()["miou"] == iou["sky"]
    assert "The masks have no way to show building: who says so errs" in Path("page.html").read_text("utf-8")


def test_page_and_report_are_two_files(run: Run) -> None:
    result = run("--no-speed", "--out", "both", "--html", "./both")
    assert result.exit_code == REFUSED
    assert "two files" in result.stderr


def test_one_engine_can_be_scored_alone(run: Run) -> None:
    report = json.loads(run("--json", "--threads", "1", "--engine", "openvino").stdout)
    assert report["model"]["engine"] == "openvino"
    assert [each["engine"] for each in report["latency"]] == ["openvino"]


def test_a_subset_and_another_label_space_can_be_asked_for(run: Run) -> None:
    report = json.loads(run("--json", "--no-speed", "--count", 1, "--label-space", "cityscapes-8").stdout)
    assert (report["data"]["pictures"], report["label_space"]) == (1, "cityscapes-8")


def test_classes_that_the_model_cannot_give_are_named_and_left_out_of_the_means(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        mask = np.full((64, 96), 23, dtype=np.uint8)  # sky of cityscapes-34
        mask[:, 48:], mask[:8] = 11, 32  # building, motorcycle
        Image.fromarray(mask).save(tmp_path / "flags" / "masks" / f"{name}.png")
    spaces = ("--option", "label_space=cityscapes-34", "--label-space", "cityscapes-19")
    report = json.loads(run("--json", "--no-speed", *spaces).stdout)
    iou = {each["name"]: each["iou"] for each in report["classes"]}
    given = [value for name, value in iou.items() if value is not None and name not in report["impossible_classes"]]
    for mean, each in (("mean_auc", "auc"), ("mean_ap", "ap")):
        known = {one["name"]: one[each] for one in report["classes"] if one[each] is not None}
        possible = [value for name, value in known.items() if name not in report["impossible_classes"]]
        assert report["scores"][mean] == pytest.approx(sum(possible) / len(possible))
    assert "motorcycle" in report["impossible_classes"]
    assert iou["motorcycle"] == 0
    assert report["scores"]["miou"] == pytest.approx(np.mean(given))
    assert "camvid-11 has no" in " ".join(run("--no-speed", *spaces).stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--label-space", "oxford-pets-3"), "no remapping from camvid-11"),
        (("--label-space", "mars"), "no label space is called 'mars'"),
        (("--option", "colour=true"), "colours"),
        (("--root", "folder=nowhere"), "there is no folder nowhere: --root folder=FOLDER"),
        (("--share", "2"), "a share in"),
        (("--engine", "abacus"), "only in onnxruntime"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run("--no-speed", *words)
    assert result.exit_code == REFUSED
    assert said in result.stderr


def test_ids_without_a_meaning_end_the_command_unless_they_are_to_be_ignored(run: Run, tmp_path: Path) -> None:
    mask = np.zeros((64, 96), dtype=np.uint8)
    mask[:, 48:] = 255
    Image.fromarray(mask).save(tmp_path / "flags" / "masks" / "a.png")
    result = run("--no-speed")
    assert result.exit_code == REFUSED
    assert "masks/a.png holds ids that camvid-11" in result.stderr
    assert "id 255 (50.0 %)" in result.stderr
    ignoring = run("--no-speed", "--unknown-ids", "ignore")
    assert ignoring.exit_code == 0
    assert "masks with ids that camvid-11 does not know: 1 of 2" in ignoring.stderr
    assert run("--unknown-ids", "perhaps").exit_code == USAGE


def test_pictures_that_a_bundle_learnt_from_are_marked(run: Run, tmp_path: Path) -> None:
    learnt = DATASETS["folder"](tmp_path / "flags", "train", label_space="camvid-11").reduced(1, seed=0)
    told = Learnt.of(learnt, dataset="folder", split="train")
    record = DataRecord(train=(), validation=(), learnt=(told,))
    record.write_learnt(tmp_path / "home" / "models" / "tiny" / "learnt.json")
    shown = run("--no-speed").stdout
    assert "(val, 1 of them learnt from)" in shown
    assert "Warning: tiny learnt from 1 of these 2 pictures: its scores here say nothing about other pictures" in shown
    assert json.loads(run("--no-speed", "--json").stdout)["data"]["learnt_pictures"] == 1


def test_pictures_that_a_card_says_were_learnt_from_are_marked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "home" / "models" / "tiny" / "card.json"
    said = "Trained on 9 pictures of folder flags (train). Scores are of 2 pictures of folder flags (val)."
    path.write_text(json.dumps({**json.loads(path.read_text()), "dataset": said}))
    assert "Warning" not in run("--no-speed").stdout
    assert json.loads(run("--no-speed", "--json").stdout)["data"]["learnt_pictures"] is None
    assert "tiny learnt from folder flags (train), as its card says" in run("--no-speed", "--split", "train").stdout


def test_a_models_own_answers_are_told_where_they_are_the_truth(run: Run, tmp_path: Path) -> None:
    job = tmp_path / "flags"
    manifest = {"job": "job_1", "label_space": "camvid-11", "model": {"name": "tiny", "versions": ["1"]}}
    (job / "manifest.json").write_text(json.dumps(manifest))
    (job / "masks").rename(job / "mask")
    words = ("tiny", "job", "--root", f"job={job}", "--split", "all", "--no-speed", "--json")
    data = json.loads(CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False).stdout)["data"]
    said = "the masks are answers of tiny (version 1) where nobody corrected them: scores tell who agrees with it"
    assert data["warning"] == said
    (job / "mask").rename(job / "corrected")
    data = json.loads(CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False).stdout)["data"]
    assert data["warning"] is None


def test_an_option_without_a_value_is_wrong_usage(run: Run) -> None:
    assert run("--option", "colours").exit_code == USAGE


def test_an_unknown_model_is_told_as_json_with_its_code(run: Run) -> None:
    result = CliRunner().invoke(app, ["evaluate", "nobody", "scenes", "--json"], catch_exceptions=False)
    assert (result.exit_code, json.loads(result.stdout)["error"]["code"]) == (REFUSED, "subject_not_found")


def test_the_help_names_every_data_set() -> None:
    text = CliRunner().invoke(app, ["evaluate", "--help"]).stdout
    assert [name for name in DATASETS if name not in text] == ["unlabelled"]  # there is nothing to score on
