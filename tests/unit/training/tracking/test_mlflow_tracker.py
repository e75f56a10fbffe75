"""The tracker of MLflow: what a run leaves there, how it goes on after a stop, and that it never stops a training."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from segmentation.label_spaces import get_label_space
from tests.tiny_runs import tiny_order
from training.fit.launch import Order, run_order
from training.fit.loop import TrainingDiverged
from training.fit.progress import NullWatcher
from training.recipe.recipe import RecipeError
from training.settings import TrainingSettings
from training.tracking import JsonlTracker, NullTracker, open_mlflow
from training.tracking.mlflow_tracker import MlflowTracker, flattened
from training.tracking.note import run_of, write_note
from training.tracking.pictures import side_by_side

PARAMETERS = {"name": "toy", "model": {"architecture": "fpn", "options": {"size": 4}}, "data": ({"dataset": "scenes"},)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "toy"
    run.mkdir(parents=True)
    for name in ("recipe.toml", "data.json", "facts.json"):
        (run / name).write_text("{}")
    return run


def tracker_of(folder: Path, uri: str, *, pause_s: float = 0.0) -> MlflowTracker:
    return MlflowTracker(folder=folder, name="toy", uri=uri, experiment="trials", pause_s=pause_s)


def the_run(folder: Path, uri: str) -> str:
    run = run_of(folder, uri)
    assert run is not None
    return run


def status_of(folder: Path, uri: str) -> str:
    return str(MlflowClient(uri, uri).get_run(the_run(folder, uri)).info.status)


def steps(uri: str, run: str, name: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in MlflowClient(uri, uri).get_metric_history(run, name)}


def test_a_run_leaves_parameters_curves_pictures_and_files(folder: Path, mlflow_uri: str):
    tracker = tracker_of(folder, mlflow_uri)
    tracker.start(PARAMETERS)
    tracker.log(1, {"train_loss": 2.0, "iou/road": 0.5, "iou/sign": float("nan")})
    tracker.log(2, {"train_loss": 1.0})
    tracker.picture(2, "zurich_001.jpg", np.zeros((4, 6, 3), np.uint8))
    tracker.finish()
    client, run = MlflowClient(mlflow_uri, mlflow_uri), the_run(folder, mlflow_uri)
    kept = client.get_run(run)
    assert kept.data.params["model.options.size"] == "4"
    assert kept.info.status == "FINISHED"
    assert kept.data.tags["torch"]
    assert "iou/sign" not in kept.data.metrics
    assert steps(mlflow_uri, run, "train_loss") == {1: 2.0, 2: 1.0}
    stored = {entry.path for entry in client.list_artifacts(run)}
    assert stored >= {"recipe.toml", "data.json", "facts.json", "environment.txt", "predictions"}
    assert [each.path for each in client.list_artifacts(run, "predictions/epoch-0002")] == [
        "predictions/epoch-0002/zurich_001.png"
    ]


def test_classes_that_mlflow_refuses_by_name_cost_no_epoch_its_numbers(folder: Path, mlflow_uri: str):
    """The two that would become one stay two, also where one of them has no number for once."""
    tracker = tracker_of(folder, mlflow_uri)
    tracker.start(PARAMETERS)
    names = ("train_loss", "iou/tree (dead)", "iou/tree [dead]", "iou/tree _dead_", "iou/../sky")
    tracker.log(1, dict(zip(names, (2.0, 0.25, float("nan"), 0.5, 0.1), strict=True)))
    tracker.log(2, dict(zip(names, (1.0, float("nan"), 0.75, 0.5, 0.1), strict=True)))
    tracker.finish()
    run = the_run(folder, mlflow_uri)
    assert steps(mlflow_uri, run, "train_loss") == {1: 2.0, 2: 1.0}
    assert steps(mlflow_uri, run, "iou/tree _dead_") == {1: 0.5, 2: 0.5}
    assert steps(mlflow_uri, run, "iou/tree _dead__2") == {1: 0.25}
    assert steps(mlflow_uri, run, "iou/tree _dead__3") == {2: 0.75}
    assert steps(mlflow_uri, run, "iou/_/sky") == {1: 0.1, 2: 0.1}


def test_a_full_disk_is_told_with_the_name_of_the_log(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as told:
        JsonlTracker(tmp_path / "log.jsonl").log(1, {})
    assert told.value.filename == str(tmp_path / "log.jsonl")


def test_a_resumed_training_continues_its_run_and_sends_what_was_missed(folder: Path, mlflow_uri: str):
    first = tracker_of(folder, mlflow_uri)
    first.start(PARAMETERS)
    first.log(1, {"train_loss": 2.0})
    lines = JsonlTracker(folder / "log.jsonl")
    lines.start(PARAMETERS)
    for epoch in (1, 2):
        lines.log(epoch, {"train_loss": 3.0 - epoch})
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "train_l')  # killed here
    again = tracker_of(folder, mlflow_uri)
    again.start({**PARAMETERS, "name": "longer"})
    again.finish()
    run = the_run(folder, mlflow_uri)
    kept = MlflowClient(mlflow_uri, mlflow_uri).get_run(run)
    assert steps(mlflow_uri, run, "train_loss") == {1: 2.0, 2: 1.0}
    assert (kept.data.params["name"], kept.data.tags["changed.name"]) == ("toy", "longer")
    assert len(MlflowClient(mlflow_uri, mlflow_uri).search_runs([kept.info.experiment_id])) == 1


@pytest.mark.parametrize(
    ("setting", "outcome", "status"),
    [
        ("optimiser.learning_rate=1e20", TrainingDiverged, "FAILED"),
        ("optimiser.learning_rate=0.001", KeyboardInterrupt, "KILLED"),
    ],
)
def test_a_training_that_ended_early_is_not_said_to_run(
    tmp_path: Path, rendered: Path, mlflow_uri: str, setting: str, outcome: type[BaseException], status: str
):
    class Interrupting(NullWatcher):
        def epoch_ends(self, epoch: int, numbers: dict[str, float]) -> None:
            raise KeyboardInterrupt

    order = tiny_order(tmp_path / "runs", {"scenes": rendered}, [setting, "stages[0].epochs=3"])
    with pytest.raises(outcome):
        run_order(order, settings=TrainingSettings(tracking_uri=mlflow_uri), watcher=Interrupting())
    assert status_of(order.folder, mlflow_uri) == status


def finished_run(tmp_path: Path, rendered: Path, uri: str) -> tuple[Order, TrainingSettings]:
    settings = TrainingSettings(tracking_uri=uri)
    order = tiny_order(tmp_path / "runs", {"scenes": rendered}, ["stages[0].epochs=1"])
    run_order(order, settings=settings)
    return order, settings


def left_running(folder: Path, uri: str) -> None:
    """As a process leaves it that is killed."""
    MlflowClient(uri, uri).update_run(the_run(folder, uri), status="RUNNING")
    assert status_of(folder, uri) == "RUNNING"


def test_a_killed_run_that_cannot_go_on_is_not_said_to_run(tmp_path: Path, rendered: Path, mlflow_uri: str):
    order, settings = finished_run(tmp_path, rendered, mlflow_uri)
    left_running(order.folder, mlflow_uri)
    other = tiny_order(tmp_path / "runs", {}, ["stages[0].epochs=1", "optimiser.learning_rate=0.002"])
    with pytest.raises(RecipeError, match="begun with another recipe"):
        run_order(other, settings=settings)
    assert status_of(order.folder, mlflow_uri) == "KILLED"


def test_of_a_run_that_was_killed_at_its_end_mlflow_learns_what_it_missed(
    tmp_path: Path, rendered: Path, mlflow_uri: str
):
    order, settings = finished_run(tmp_path, rendered, mlflow_uri)
    left_running(order.folder, mlflow_uri)
    run_order(order, settings=settings)
    assert status_of(order.folder, mlflow_uri) == "FINISHED"


def test_what_ended_stays_as_it_ended_when_it_is_asked_for_wrongly(tmp_path: Path, rendered: Path, mlflow_uri: str):
    order, settings = finished_run(tmp_path, rendered, mlflow_uri)
    with pytest.raises(RecipeError):
        run_order(tiny_order(tmp_path / "runs", {}, ["optimiser.learning_rate=0.002"]), settings=settings)
    assert status_of(order.folder, mlflow_uri) == "FINISHED"


def test_a_server_that_is_away_is_no_reason_to_end_otherwise(folder: Path, caplog):
    uri = "http://127.0.0.1:9"
    write_note(folder, uri, "0" * 32)
    with caplog.at_level(logging.WARNING):
        assert not tracker_of(folder, uri).is_said_to_run()
    assert "may take the run in" in caplog.text
    assert not tracker_of(folder, "http://127.0.0.1:10").is_said_to_run()


def test_a_deleted_run_is_begun_anew(folder: Path, mlflow_uri: str):
    tracker_of(folder, mlflow_uri).start(PARAMETERS)
    gone = the_run(folder, mlflow_uri)
    MlflowClient(mlflow_uri, mlflow_uri).delete_run(gone)
    tracker_of(folder, mlflow_uri).start(PARAMETERS)
    assert the_run(folder, mlflow_uri) != gone


def test_a_deleted_run_is_none_that_has_to_be_ended(tmp_path: Path, rendered: Path, mlflow_uri: str):
    order, settings = finished_run(tmp_path, rendered, mlflow_uri)
    left_running(order.folder, mlflow_uri)
    gone = the_run(order.folder, mlflow_uri)
    MlflowClient(mlflow_uri, mlflow_uri).delete_run(gone)
    run_order(order, settings=settings)
    with pytest.raises(RecipeError):
        run_order(tiny_order(tmp_path / "runs", {}, ["optimiser.learning_rate=0.002"]), settings=settings)
    assert the_run(order.folder, mlflow_uri) == gone  # and no other one was made


def test_a_store_that_is_away_gets_everything_when_it_is_back(folder: Path, mlflow_uri: str, tmp_path: Path, caplog):
    place = tmp_path / "away"
    place.write_text("a file where the folder of the store should be")
    uri = f"sqlite:///{place / 'mlflow.db'}"
    tracker = tracker_of(folder, uri)
    tracker.start(PARAMETERS)
    tracker.log(1, {"train_loss": 2.0})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    place.unlink()
    place.mkdir()
    (tmp_path / "mlflow.db").rename(place / "mlflow.db")
    tracker.log(2, {"train_loss": 1.0})
    assert steps(uri, the_run(folder, uri), "train_loss") == {1: 2.0, 2: 1.0}
    assert "got everything" in caplog.text


def test_a_server_that_stays_away_costs_a_warning_that_names_what_is_missing(folder: Path, caplog):
    tracker = tracker_of(folder, "http://user:secret@127.0.0.1:9", pause_s=60)
    tracker.start(PARAMETERS)
    tracker.log(7, {"train_loss": 2.0})
    tracker.finish()
    assert "MLflow lacks of this run: the parameters" in caplog.text
    assert "epoch 7" in caplog.text
    assert "secret" not in caplog.text
    assert not (folder / "mlflow.json").exists()


def test_what_mlflow_refuses_does_not_hold_up_the_rest(folder: Path, mlflow_uri: str, caplog):
    tracker = tracker_of(folder, mlflow_uri)
    tracker.start({"loss of #1?": 1.0})
    tracker.log(2, {"train_loss": 1.0})
    assert "MLflow refuses the parameters" in caplog.text
    assert steps(mlflow_uri, the_run(folder, mlflow_uri), "train_loss") == {2: 1.0}


def test_the_note_in_the_run_holds_no_credentials(folder: Path):
    (folder / "mlflow.json").write_text(json.dumps({"uri": "http://host:5000", "run_id": "abc"}))
    assert run_of(folder, "http://user:secret@host:5000") == "abc"
    assert run_of(folder, "http://other:5000") is None


def test_parameters_are_flattened_with_numbered_tables():
    assert flattened(PARAMETERS) == {
        "name": "toy",
        "model.architecture": "fpn",
        "model.options.size": "4",
        "data.0.dataset": "scenes",
    }


def test_a_thumbnail_shows_picture_truth_and_prediction():
    space = get_label_space("camvid-11")
    picture = np.full((40, 60, 3), 7, np.uint8)
    truth, predicted = np.zeros((40, 60), np.uint8), np.full((40, 60), 3, np.uint8)
    shown = side_by_side(picture, truth, predicted, space, width=30)
    assert shown.shape == (20, 90, 3)
    panels = [tuple(shown[10, column]) for column in (15, 45, 75)]
    assert panels == [(7, 7, 7), space.by_id[0].colour, space.by_id[3].colour]


def test_tracking_can_be_switched_off(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MASKMILL_TRAINING_TRACKING_URI", "none")
    assert isinstance(open_mlflow(folder=folder, name="toy", settings=TrainingSettings()), NullTracker)


def test_without_settings_runs_are_tracked_in_the_home_folder(folder: Path, tmp_path: Path):
    settings = TrainingSettings(home=tmp_path)
    assert settings.resolved_tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert isinstance(open_mlflow(folder=folder, name="toy", settings=settings), MlflowTracker)
