"""Curves of training runs: read from MLflow, told in words, and a page that says why there is nothing to see."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.training import curves
from dashboard.training.runs import Runs, RunsUnavailable
from training.tracking.mlflow_client import Metric, connect, experiment_id

FALLING = [(1, 2.0), (2, 1.0), (3, 1.25)]
RISING = [(1, 0.25), (2, 0.5)]


def test_the_reading_tells_direction_and_best_of_each_run() -> None:
    told = curves.reading("train_loss", {"a": FALLING, "b": [(1, 3.0)]})
    assert told == (
        "a falls from 2 to 1.25 in epochs 1 to 3, with its best, 1, at epoch 2. b has one value, 3 at epoch 1. "
        "The best value is a's."
    )


def test_more_is_better_unless_it_is_a_loss() -> None:
    assert curves.reading("miou", {"a": RISING, "b": [(1, 0.75)]}).endswith("The best value is b's.")


def test_less_time_is_better_no_rate_is_and_equal_values_share_the_first_place() -> None:
    assert curves.reading("train_time_sec", {"a": FALLING, "b": RISING}).endswith("The best value is b's.")
    told = curves.reading("lr", {"a": FALLING, "b": RISING})
    assert "best" not in told
    assert "with its highest, 2, at epoch 1" in told
    assert curves.reading("miou", {"a": RISING, "b": RISING}).endswith("The best value is a and b's.")


@pytest.mark.parametrize("metric", ["inference_ms/onnxruntime fp32", "camvid-test/ece"])
def test_the_fastest_and_the_best_calibrated_are_called_the_best(metric: str) -> None:
    assert curves.reading(metric, {"slow": [(3, 9.0)], "fast": [(3, 2.0)]}).endswith("The best value is fast's.")
    assert ("one inference by onnxruntime fp32" in curves.meaning(metric)) == metric.startswith("inference")


def test_a_metric_that_no_run_logged_is_told_so() -> None:
    assert curves.reading("lr", {"a": []}) == "None of these runs logged lr."


@pytest.mark.parametrize(("metric", "word"), [("miou", "union"), ("iou/sky", "class sky"), ("odd", "once an epoch")])
def test_each_metric_has_a_meaning(metric: str, word: str) -> None:
    assert word in curves.meaning(metric)


def test_runs_differ_in_the_figure_without_colour() -> None:
    figure = ET.fromstring(curves.drawn("loss", {"<a>": FALLING, "b": RISING, "none": []}))  # noqa: S314 ours
    lines = figure.findall("{*}polyline")
    assert len({line.get("stroke-dasharray") for line in lines}) == len(lines) == 2
    assert "<a>" in [each.text for each in figure.findall("{*}text")]


def test_a_curve_of_one_value_and_none_at_all_can_be_drawn() -> None:
    assert "nan" not in curves.drawn("lr", {"a": [(1, 1.0)]}) + curves.drawn("lr", {})


def test_numbers_have_a_row_an_epoch_and_a_column_a_run() -> None:
    assert curves.rows({"a": FALLING, "b": RISING})[-1] == [3, "1.25", "–"]


def test_without_a_store_it_is_said_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(RunsUnavailable, match="No training has been tracked"):
        Runs(f"sqlite:///{tmp_path / 'mlflow.db'}").listed()
    assert list(tmp_path.iterdir()) == []


def test_untracked_trainings_are_said_to_be_so() -> None:
    with pytest.raises(RunsUnavailable, match="not tracked"):
        Runs("none").listed()


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RunsUnavailable, match="does not answer"):
        Runs("http://127.0.0.1:9").listed()


def _filled(uri: str) -> None:
    client = connect(uri)
    experiment = experiment_id(client, uri, "maskmill")
    for name, points in (("first", RISING), ("second", [(1, 0.5), (1, 0.75)])):
        run = client.create_run(experiment, run_name=name).info.run_id
        for at, (epoch, value) in enumerate(points):
            client.log_batch(run, metrics=[Metric("miou", value, at, epoch), Metric("train_loss", 1.0, at, epoch)])


def _page() -> None:
    from dashboard.screens.training import show

    show()


def test_the_page_shows_the_curves_of_several_runs(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(mlflow_uri)
    monkeypatch.setenv("MASKMILL_DASHBOARD_TRACKING_URI", mlflow_uri)
    page = AppTest.from_function(_page, default_timeout=60).run()
    assert not page.exception
    assert page.selectbox[0].options == ["miou", "train_loss"]
    assert len(page.multiselect[0].value) == 2
    told = [each.proto.body for each in page.get("html")]
    assert any("first" in text and "rises from 0.25 to 0.5" in text for text in told)
    assert any("has one value, 0.75 at epoch 1" in text for text in told)  # of an epoch logged twice the later
    page.multiselect[0].set_value([]).run()
    assert page.markdown[0].value == "Choose a metric and at least one run."


def test_the_page_says_why_it_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_DASHBOARD_TRACKING_URI", "none")
    page = AppTest.from_function(_page, default_timeout=60).run()
    assert page.info[0].value.startswith("Training runs are not tracked here")
