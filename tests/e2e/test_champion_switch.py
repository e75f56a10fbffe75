"""The alias of a registered model moves while jobs run: no image fails, none is told a version that it is not of."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from segmentation.picture_files.pictures import decode_mask
from storage.catalog import Bundle
from storage.model_reference import ModelReference
from storage.objects import open_objects
from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack
from tests.tiny_models import RED, tiny_bundle, turned_bundle
from training.promote.registry import Registry

MODEL = "models:/street@champion"
WITHIN_S = 30.0  # the promise
CLASS_OF_RED = {"1": 0, "2": 1}  # what each version says of a red picture


@dataclass(frozen=True)
class Street:
    """A stack whose worker follows `MODEL`, and the registry with two versions of it that answer differently."""

    stack: Stack
    registry: Registry
    bundles: dict[str, Bundle]

    def submit(self, pictures: int) -> str:
        with self.stack.http() as http:
            files = {"files": ("red.zip", red_zip(pictures), "application/zip")}
            answer = http.post("/jobs", files=files, data={"model": MODEL, "artifacts": "mask"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def promote(self, version: str) -> None:
        self.registry.promote(ModelReference("street", version=version), "champion")

    def versions_of(self, job_id: str) -> list[str]:
        """Of each image, after every image's mask was held against the version that is recorded for it."""
        _, images = self.stack.rows(job_id)
        objects = open_objects(self.stack.storage)
        found = []
        for image in images:
            assert image.result is not None, image.failure
            made_by = image.result.identity.weights
            assert made_by == ("street", made_by.version, self.bundles[made_by.version].card.sha256["model.onnx"])
            mask = decode_mask(objects.get(image.result.artifacts[0].key), max_pixels=10**6)
            assert set(np.unique(mask)) == {CLASS_OF_RED[made_by.version]}
            found.append(made_by.version)
        return found


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, broker: MortalValkey, mlflow_template: Path) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}")
    bundles = {"1": tiny_bundle(folder / "first", name="street"), "2": turned_bundle(folder / "second", name="street")}
    for version, bundle in bundles.items():
        assert registry.register(bundle.folder, "street") == version
    registry.promote(ModelReference("street", version="1"), "champion")
    parts = {
        "MASKMILL_BROKER_URL": broker.server.url,
        "MASKMILL_WORKER_ENGINE": "onnxruntime",
        "MASKMILL_WORKER_FOLLOW": f'["{MODEL}"]',
        "MASKMILL_WORKER_FOLLOW_EVERY_S": "1",
        "MASKMILL_WORKER_REGISTRY_URI": registry.uri,
    }
    with running_stack(folder / "stack", parts) as stack:
        yield Street(stack, registry, bundles)


def red_zip(pictures: int) -> bytes:
    picture, data = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (64, 48), RED).save(picture, "PNG")
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(pictures):
            archive.writestr(f"red_{number:03d}.png", picture.getvalue())
    return data.getvalue()


def followed(street: Street) -> dict[str, Any]:
    with street.stack.http() as http:
        while (ready := http.get("/ready")).status_code != httpx.codes.OK:  # a busy part is silent
            time.sleep(0.1)
    (state,) = ready.json()["followed"]
    return dict(state)


def test_the_champion_switches_under_load_without_a_failed_image_or_a_restart(street: Street) -> None:
    stack = street.stack
    worker = stack.processes["worker"]
    jobs = [street.submit(200)]
    stack.wait_for_job(jobs[0], lambda job: job["images"]["succeeded"] >= 10)
    street.promote("2")
    promoted = time.monotonic()
    while True:
        begun = time.monotonic()
        jobs.append(street.submit(10))
        stack.finished(jobs[-1])
        if set(street.versions_of(jobs[-1])) == {"2"}:
            break
        assert begun - promoted < WITHIN_S, stack.logs()
    jobs.append(street.submit(40))  # whatever comes after that, comes from the new version alone

    ended = [stack.finished(job_id) for job_id in jobs]

    assert [job["status"] for job in ended] == ["succeeded"] * len(jobs)
    versions = [street.versions_of(job_id) for job_id in jobs]
    assert set(versions[0]) >= {"1"}
    assert set(versions[-1]) == {"2"}
    for job, seen in zip(ended, versions, strict=True):
        told = {each["version"]: each["images"] for each in job["model_versions"]}
        assert told == {version: seen.count(version) for version in set(seen)}
    assert worker.poll() is None
    assert stack.processes["worker"] is worker


def test_without_the_registry_the_worker_serves_on_and_says_so(street: Street) -> None:
    database = Path(street.registry.uri.removeprefix("sqlite:///"))
    database.rename(database.with_suffix(".away"))
    deadline = time.monotonic() + WITHIN_S
    while followed(street)["problem"] is None:
        assert time.monotonic() < deadline, street.stack.logs()
        time.sleep(0.1)
    job_id = street.submit(3)
    assert street.stack.finished(job_id)["status"] == "succeeded"
    state = followed(street)
    assert (state["model"], state["problem"]["code"]) == ("street@champion", "registry_unavailable")
    assert set(street.versions_of(job_id)) == {state["version"]}
    database.with_suffix(".away").rename(database)


def test_a_version_can_be_named_and_the_archive_tells_which_ran(street: Street) -> None:
    with street.stack.http() as http:
        files = {"files": ("red.zip", red_zip(2), "application/zip")}
        answer = http.post("/jobs", files=files, data={"model": "models:/street/1", "artifacts": "mask"})
        job_id = answer.raise_for_status().json()["id"]
        assert street.stack.finished(job_id)["status"] == "succeeded"
        archive = zipfile.ZipFile(io.BytesIO(http.get(f"/jobs/{job_id}/archive").raise_for_status().content))
        refused = http.post("/jobs", files=files, data={"model": "models:/street/99"})
        image = http.get(f"/jobs/{job_id}/images/0").json()
    digest = street.bundles["1"].card.sha256["model.onnx"]
    assert street.versions_of(job_id) == ["1", "1"]
    assert (image["model"], image["model_version"], image["model_sha256"]) == ("street", "1", digest)
    assert digest in archive.read("metrics.csv").decode()
    assert digest in archive.read("manifest.json").decode()
    assert refused.status_code == 422
