"""The whole loop as one script: submit → the 20 worst → correct → fine-tune → compare → promote.

A network of seconds learns from a few generated scenes, segments new ones, is corrected where it is least certain, and
learns from that. Service and worker are in memory; training, scoring and the registry are the real ones.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.job import ModelIdentity
from jobs.options import TileOptions
from jobs.processing.picture_ports import Doubts, Prediction, Said
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.picture_files.pictures import Picture, decode_mask
from tests.factories import make_card, mask
from tests.fakes import FakeCatalog
from tests.tiny_runs import tiny_training
from tests.unit.api.house import LOCAL, House
from training.datasets import DATASETS
from training.datasets.pairs import InSpace
from training.evaluate.predictors import Predict, torch_predictor
from training.evaluate.scoring import class_ids, evaluate
from training.promote.promote import Wish, promote
from training.promote.registry import Registry
from training.runs import Run

SCENES, WORST = 24, 20
SPACE = "cityscapes-8"
LEARNS = (
    *(f"label_space={SPACE}", "evaluate_every=99", "optimiser.learning_rate=0.005"),
    *("stages[0].batch_size=4", "stages[0].crop=[64, 64]"),
)
SIZE = {"width": 64, "height": 64}


@dataclass
class RunSegmenter:
    """Segments with what a training left."""

    run: Run

    @cached_property
    def predict(self) -> Predict:
        return torch_predictor(self.run.snapshot().model)

    def identity(self, model: str) -> ModelIdentity:
        return ModelIdentity(model, "1", "ab" * 32, "fp32", "torch", device="cpu")

    def check_budget(self, width: int, height: int, *, models: Sequence[str], tile: TileOptions | None) -> None: ...

    def segment(
        self, picture: Picture, *, model: str, tile: TileOptions | None, check: Callable[[], None]
    ) -> Prediction:
        logits = self.predict(self.run.preprocessing.apply(picture))
        certain = torch.softmax(logits, dim=0).amax(dim=0)
        height, width = picture.shape[:2]
        ids = class_ids(logits, (height, width), self.run.space)
        confidence = torch.nn.functional.interpolate(certain[None, None], (height, width))[0, 0]
        return Prediction(
            label_map=LabelMap(ids, self.run.space),
            certainty=lambda: ((confidence * 255).byte().numpy(), Doubts(None)),
            timings_ms={},
            identity=self.identity(model),
        )

    def segment_rows(self, *arguments: object, **options: object) -> Said:
        raise AssertionError("no picture of this test is so large")


def scenes(root: Path, split: str, count: int) -> Sequence[tuple[Path, Path]]:
    """Pictures with their truths."""
    found = DATASETS["scenes"](root, split, scene_count=count, **SIZE)
    for index in range(count):
        found[index]  # renders it
    return found.pairs


def submitted(client: TestClient, house: House, pictures: Sequence[Path]) -> str:
    files = [("files", (path.name, path.read_bytes())) for path in pictures]
    answer = client.post("/jobs", files=files, data={"artifacts": "mask"})
    assert answer.status_code == 202, answer.text
    house.work()
    return str(answer.json()["id"])


def corrected(client: TestClient, job_id: str, truths: Mapping[str, Path], folder: Path) -> None:
    """The worst go to whoever corrects them, and come back as one batch."""
    rows = client.get(f"/jobs/{job_id}/images", params={"sort": "confidence", "limit": WORST}).json()["items"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for row in rows:
            picture = folder / "images" / row["name"]
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(client.get(row["artifacts"]["input"]).content)
            bundle.writestr(f"masks/{row['name']}", in_space(truths[row["name"]]))
    taken = client.post(f"/jobs/{job_id}/corrections", content=packed.getvalue()).json()
    assert (taken["corrected"], taken["unknown"]["count"]) == (WORST, 0)
    archive = client.get(f"/jobs/{job_id}/archive", params={"artifacts": "corrected"}).content
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        bundle.extractall(folder)


def in_space(truth: Path) -> bytes:
    """As somebody would paint it in the job's classes."""
    ids = decode_mask(truth.read_bytes(), max_pixels=10**6)
    return mask(LabelMap(ids, get_label_space("cityscapes-34")).remapped(get_label_space(SPACE)).ids)


def miou(run: Path, root: Path) -> float:
    """On scenes that neither was trained on."""
    opened = Run.open(run)
    pictures = InSpace(DATASETS["scenes"](root, "val", scene_count=8, **SIZE), opened.space)
    found = evaluate(
        torch_predictor(opened.snapshot().model),
        pictures,
        preprocessing=opened.preprocessing,
        space=opened.space,
        with_scores=False,
    )
    return float(found.scores()["miou"])


@pytest.mark.slow
def test_a_model_gets_better_by_what_people_correct(tmp_path: Path, mlflow_uri: str) -> None:
    torch.set_num_threads(1)  # the network is too small for more
    root, runs, job = tmp_path / "scenes", tmp_path / "runs", tmp_path / "job"
    roots = {"scenes": root, "job": job}
    first = tiny_training(runs, roots, ["name=first", *LEARNS, "stages[0].epochs=12"])
    pairs = scenes(root, "test", SCENES)
    house = House(tmp_path, catalog=FakeCatalog([make_card(label_space=SPACE)]))
    house.segmenter = RunSegmenter(Run.open(first))  # type: ignore[assignment]
    with TestClient(create_app(lambda: nullcontext(house.services())), base_url=LOCAL) as client:
        job_id = submitted(client, house, [picture for picture, _ in pairs])
        corrected(client, job_id, {picture.name: truth for picture, truth in pairs}, job)
        truth = client.get(f"/jobs/{job_id}").json()["metrics"]["ground_truth"]
        assert (truth["images"], truth["corrections"]) == (WORST, WORST)
    data = ["data[0].dataset=job", "data[0].split=all", "data[0].options={}"]
    second = tiny_training(runs, roots, ["name=second", *LEARNS, *data, f"start.from={first}", "stages[0].epochs=30"])
    before, after = miou(first, root), miou(second, root)
    assert after > before + 0.08, (before, after)  # 0.30 → 0.44
    done = promote(str(second), Wish(name="street", runs=runs, roots=roots), Registry(mlflow_uri))
    assert (done.name, done.alias, done.version) == ("street", "champion", "1")
