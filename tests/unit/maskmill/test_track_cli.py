"""What is found out of a model later goes to its run in MLflow, and a server that is away costs a warning."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from maskmill.cli.training.evaluate import DataOptions
from maskmill.cli.training.tracking import measured_on
from tests.tiny_comparison import SPACE, flags, right, subject
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import tiny_training
from training.datasets.pairs import PairDataset
from training.evaluate.evaluation import Evaluation
from training.promote.registry import Registry
from training.settings import TrainingSettings
from training.tracking.mlflow_tracker import MlflowTracker
from training.tracking.note import run_of
from training.tracking.results import Results, send_results

AWAY = "http://someone:secret@127.0.0.1:9"


@pytest.fixture(scope="module")
def trained(mlflow_template: Path, rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run's folder, and the MLflow in a file where it was tracked."""
    place = tmp_path_factory.mktemp("tracked")
    uri = f"sqlite:///{shutil.copyfile(mlflow_template, place / 'mlflow.db')}"
    tracker = MlflowTracker(folder=place / "runs/tiny", name="tiny", uri=uri, experiment="trials")
    roots = {"scenes": rendered}
    return tiny_training(place / "runs", roots, ["stages[0].epochs=1"], trackers=[tracker]), uri


@pytest.fixture
def tracked(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str, MlflowClient]:
    """A run's folder, its id in MLflow, and a client there."""
    uri = f"sqlite:///{shutil.copyfile(trained[1].removeprefix('sqlite:///'), tmp_path / 'mlflow.db')}"
    folder = shutil.copytree(trained[0], tmp_path / "runs/tiny")
    noted = json.loads((folder / "mlflow.json").read_text())
    (folder / "mlflow.json").write_text(json.dumps({**noted, "uri": uri}))
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", uri)
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    run = run_of(folder, uri)
    assert run is not None
    return folder, run, MlflowClient(uri, uri)


def call(tmp_path: Path, *words: object) -> Result:
    more = ("--root", f"scenes={tmp_path / 'scenes'}")
    return CliRunner().invoke(app, [*map(str, words), *more], catch_exceptions=False)


def series(names: Iterable[str]) -> set[str]:
    """What metrics are of, without the digests of data that an option names."""
    return {re.sub("-data-[0-9a-f]{8}", "-data", name.partition("/")[0]) for name in names if name.endswith("/miou")}


def reports(client: MlflowClient, run: str, kind: str) -> list[str]:
    return [each.path for each in client.list_artifacts(run, "reports") if each.path.startswith(f"reports/{kind}")]


SMALL = ("--option", "scene_count=2", "--option", "width=64", "--option", "height=64", "--threads", "1")


def test_an_evaluation_goes_to_the_run(tracked: tuple[Path, str, MlflowClient], tmp_path: Path):
    folder, run, client = tracked
    page = ("--html", tmp_path / "page.html")
    done = call(tmp_path, "evaluate", folder, "scenes", *SMALL, *page, "--track", "--json")
    assert (done.exit_code, "Warning" in done.stderr) == (0, False)
    metrics, report = client.get_run(run).data.metrics, json.loads(done.stdout)
    (of,) = (name.partition("/")[0] for name in metrics if name.endswith("/miou"))
    assert series(metrics) == {"scenes-val-data"}
    assert metrics[f"{of}/miou"] == pytest.approx(report["scores"]["miou"])
    assert metrics["inference_ms/torch"] == pytest.approx(report["latency"][0]["median_ms"])
    assert {f"{of}/iou/road", "inference_imgs_per_sec/torch", "miou"} <= set(metrics)
    stored = reports(client, run, "evaluation")
    assert stored == [f"reports/evaluation-{of}.html", f"reports/evaluation-{of}.json"]
    kept = client.download_artifacts(run, stored[1], str(tmp_path))
    assert json.loads(Path(kept).read_text())["evaluation"]["picture_count"] == 2


def test_what_was_measured_otherwise_has_another_name(tracked: tuple[Path, str, MlflowClient], tmp_path: Path):
    """An mIoU over few pictures, or over few classes, took the place of the one over all."""
    folder, run, client = tracked
    plain = ("evaluate", folder, "scenes", *SMALL, "--no-speed", "--track")
    drawn, coarse = ("--count", 1, "--seed", 3), ("--label-space", "cityscapes-8", "--engine", "torch")
    for more in ((), drawn, coarse):
        assert call(tmp_path, *plain, *more).exit_code == 0
    names = series(client.get_run(run).data.metrics)
    drawn_few, in_other_classes = "scenes-val-1-pictures-of-seed-3-data", "scenes-val-data-in-cityscapes-8-torch"
    assert names == {"scenes-val-data", drawn_few, in_other_classes}


def test_other_data_under_the_same_name_have_another_one_and_the_same_data_elsewhere_have_not(tmp_path: Path):
    def named(pictures: PairDataset, **changed: list[str]) -> str:
        choices = DataOptions(**changed)  # type: ignore[arg-type]
        found = Evaluation.nothing(SPACE)
        return measured_on("folder", choices, pictures, subject=subject("m", right), found=found)

    one, elsewhere, other = flags(tmp_path / "a", 2), flags(tmp_path / "b", 2), flags(tmp_path / "c", 3)
    assert named(one) == "folder-val"
    assert named(one, root=["folder=a"]) == named(elsewhere, option=["split=x"]) != "folder-val"
    assert named(other, root=["folder=a"]) != named(one, root=["folder=a"])
    masks = Evaluation.nothing(SPACE)
    masks.confusion[0, 0] = 5
    of_other_masks = measured_on("folder", DataOptions(root=["a=b"]), one, subject=subject("m", right), found=masks)
    assert of_other_masks != named(one, root=["folder=a"])


def test_a_class_that_mlflow_refuses_by_name_costs_no_result(tracked: tuple[Path, str, MlflowClient]):
    folder, run, client = tracked
    found = Results(metrics={"yard-val/iou/tree (dead)": 0.25, "yard-val/miou": 0.5}, reports={"a.json": "{}"})
    assert send_results(folder, found, TrainingSettings()) == ""
    metrics = client.get_run(run).data.metrics
    assert (metrics["yard-val/iou/tree _dead_"], metrics["yard-val/miou"]) == (0.25, 0.5)
    assert reports(client, run, "a") == ["reports/a.json"]


def test_a_comparison_goes_to_the_run_of_each_model(tracked: tuple[Path, str, MlflowClient], tmp_path: Path):
    folder, run, client = tracked
    bundle = tiny_bundle(tmp_path / "models")
    Registry(str(TrainingSettings().tracking_uri)).register(bundle.folder, "of-flags")
    models = (folder, "models:/of-flags/1", bundle.folder)
    out = ("--out", tmp_path / "comparison.html", "--runs", tmp_path / "runs")
    done = call(tmp_path, "compare", *models, *SMALL, *out, "--track")
    assert done.exit_code == 0
    assert done.stderr.count("Warning: not sent") == 1
    assert "tiny is a bundle, which does not say whose it is" in done.stderr
    for each in (run, client.get_model_version("of-flags", "1").run_id):
        found = client.get_run(each).data.metrics
        (of,) = (name.partition("/")[0] for name in found if name.endswith("/miou"))
        assert series(found) == {"scenes-val-data"}
        assert any(name.startswith("inference_ms/") for name in found)
        stored = reports(client, each, "comparison")
        assert stored == [f"reports/comparison-{of}.html", f"reports/comparison-{of}.json"]


def test_an_export_says_how_long_inference_takes(tracked: tuple[Path, str, MlflowClient], tmp_path: Path):
    folder, run, client = tracked
    done = call(tmp_path, "export", folder, "--name", "small", "--models", tmp_path / "models")
    assert done.exit_code == 0
    assert "inference_ms/onnxruntime fp32" in client.get_run(run).data.metrics


def test_a_server_that_is_away_is_one_warning(
    tracked: tuple[Path, str, MlflowClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, run, _ = tracked
    (folder / "mlflow.json").write_text(json.dumps({"uri": "http://127.0.0.1:9", "run_id": run}))
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", AWAY)
    evaluate = ("evaluate", folder, "scenes", *SMALL, "--no-speed", "--track")
    export = ("export", folder, "--name", "small", "--models", tmp_path / "models")
    for words in (evaluate, export):
        done = call(tmp_path, *words)
        assert (done.exit_code, done.stderr.count("Warning: ")) == (0, 1)
        assert "not sent to MLflow: MLflow at http://127.0.0.1:9 does not take it" in done.stderr
        assert "secret" not in done.stderr


def test_what_has_no_run_there_says_so(tmp_path: Path, mlflow_uri: str):
    nothing, here = Results(metrics={"miou": float("nan")}), TrainingSettings(tracking_uri=mlflow_uri)
    for uri, said in (("none", "tracking is switched off"), (mlflow_uri, "was not tracked at sqlite")):
        assert said in send_results(tmp_path, nothing, TrainingSettings(tracking_uri=uri))
    assert "does not take it" in send_results("models:/nobody@champion", nothing, here)
