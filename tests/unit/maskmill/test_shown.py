"""What notebooks and asyncio see of a job: pixels, tables, HTML, and the same calls awaited."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import maskmill
from maskmill import AsyncMaskmill, Maskmill
from maskmill.aio import AsyncJob
from maskmill.errors import InvalidInput, NotFound
from maskmill.handle import JobHandle
from tests.factories import mask, picture
from tests.unit.maskmill.toy_server import Answer, ToyServer, as_json, problem

IDS = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
NOT_AWAITED = {"streamed", "webhooks"}  # a context manager, and calls of their own


@pytest.fixture
def done(server: ToyServer, job_state) -> ToyServer:
    rows = [
        {
            "index": 0,
            "name": "a<b>.jpg",
            "status": "succeeded",
            "metrics": {
                "class_fractions": {"sky": 0.75, "road": 0.25},
                "coverage": 0.9,
                "ground_truth": {"miou": 0.5, "iou": {"sky": 1}},
            },
            "artifacts": {name: f"/jobs/job_1/images/0/{name}" for name in ("mask", "overlay")},
        },
        {"index": 1, "name": "b.jpg", "status": "failed", "error": {"code": "unreadable_image"}},
    ]
    state = job_state("partial", total=2, done=1, failed=1)
    state["metrics"] = {"class_fractions": {"sky": 0.75}, "ground_truth": {"miou": 0.5}}
    server.on("GET", "/jobs/job_1", as_json(state))
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    server.on("GET", "/jobs/job_1/images/0/mask", Answer(body=mask(IDS)))
    server.on("GET", "/jobs/job_1/images/0/overlay", Answer(body=picture()))
    return server


def test_a_mask_is_an_array_and_an_overlay_a_picture(done: ToyServer) -> None:
    with Maskmill(done.url) as client:
        image, _ = client.job("job_1").stream()
        assert np.array_equal(image.mask, IDS)
        assert image.mask.dtype == np.uint8
        assert image.overlay.size == (32, 24)


def test_a_job_is_a_table_with_the_columns_of_the_archive(done: ToyServer) -> None:
    with Maskmill(done.url) as client:
        table = client.job("job_1").to_pandas()
    assert list(table["name"]) == ["a<b>.jpg", "b.jpg"]
    assert table["error"].isna().tolist() == [True, False]
    assert (table["fraction:sky"][0], table["iou:sky"][0], table["miou"][0]) == (0.75, 1, 0.5)
    assert table["coverage"][0] == 0.9  # of a job with `min_confidence`


def test_a_class_that_is_nowhere_on_a_picture_has_a_share_of_nothing(server: ToyServer, job_state) -> None:
    shares: list[dict[str, float]] = [{"sky": 0.75, "road": 0.25}, {"road": 1.0}]
    rows: list[dict[str, object]] = [
        {"index": at, "name": f"{at}.jpg", "status": "succeeded", "metrics": {"class_fractions": each}}
        for at, each in enumerate(shares)
    ]
    rows.append({"index": 2, "name": "2.jpg", "status": "failed", "error": {"code": "unreadable_image"}})
    server.on("GET", "/jobs/job_1", as_json(job_state("partial", total=3, done=2, failed=1)))
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    with Maskmill(server.url) as client:
        table = client.job("job_1").to_pandas()
    assert table["fraction:sky"].tolist()[:2] == [0.75, 0.0]
    assert table["fraction:sky"].isna().tolist() == [False, False, True]
    assert table["fraction:sky"].mean() == 0.375


def test_frames_of_films_have_their_time(server: ToyServer, job_state) -> None:
    names = ("drive/00-01-02.500.jpg", "still.jpg")
    rows = [{"index": at, "name": name, "status": "succeeded"} for at, name in enumerate(names)]
    state = {**job_state("succeeded", total=2, done=2), "options": {"every": 0.5}}
    server.on("GET", "/jobs/job_1", as_json(state))
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    with Maskmill(server.url) as client:
        table = client.job("job_1").to_pandas()
    assert (table["time_s"][0], table["time_s"].isna().tolist()) == (62.5, [False, True])


def test_of_several_models_each_has_its_row(server: ToyServer, job_state) -> None:
    results = {"a": {"metrics": {"mean_confidence": 0.9}}, "b": {"metrics": {"mean_confidence": 0.2}}}
    rows: list[dict[str, object]] = [
        {"index": 0, "name": "0.jpg", "status": "succeeded", **results["a"], "results": results},
        {"index": 1, "name": "1.jpg", "status": "failed", "error": {"code": "unreadable_image"}, "results": None},
    ]
    state = {**job_state("partial", total=2, done=1, failed=1), "models": ["a", "b"]}
    server.on("GET", "/jobs/job_1", as_json(state))
    server.on("GET", "/jobs/job_1/images", as_json({"items": rows, "next_cursor": None}))
    with Maskmill(server.url) as client:
        table = client.job("job_1").to_pandas()
    assert table["asked_model"].tolist() == ["a", "b", "a", "b"]
    assert table["index"].tolist() == [0, 0, 1, 1]
    assert table["mean_confidence"].tolist()[:2] == [0.9, 0.2]
    assert table["mean_confidence"].isna().tolist() == [False, False, True, True]
    assert table["error"].tolist()[2:] == ["unreadable_image"] * 2


def test_of_several_models_each_has_its_row_also_where_no_image_succeeded(server: ToyServer, job_state) -> None:
    row = {"index": 0, "name": "0.jpg", "status": "failed", "error": {"code": "unreadable_image"}}
    state = {**job_state("failed", total=1, failed=1), "models": ["a", "b"]}
    server.on("GET", "/jobs/job_1", as_json(state))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [row], "next_cursor": None}))
    with Maskmill(server.url) as client:
        table = client.job("job_1").to_pandas()
    assert table["asked_model"].tolist() == ["a", "b"]
    assert table["error"].tolist() == ["unreadable_image"] * 2


def test_a_score_of_nothing_is_unknown(server: ToyServer, job_state) -> None:
    state = job_state("succeeded", total=1, done=1)
    state["metrics"] = {"class_fractions": {"sky": 1.0}, "ground_truth": {"miou": None}}
    server.on("GET", "/jobs/job_1", as_json(state))
    with Maskmill(server.url) as client:
        assert "<td>unknown</td>" in client.job("job_1")._repr_html_()


def test_a_notebook_shows_jobs_and_images_with_words_for_who_does_not_see_them(done: ToyServer) -> None:
    with Maskmill(done.url) as client:
        job = client.job("job_1")
        good, bad = job.stream()
        assert "<td>sky 75%</td>" in job._repr_html_()
        assert "<td>0.500</td>" in job._repr_html_()
        assert 'alt="a&lt;b&gt;.jpg: sky 75%, road 25%"' in good._repr_html_()
        assert "data:image/jpeg;base64," in good._repr_html_()
        assert bad._repr_html_() == "<p>b.jpg: failed</p>"


def test_what_is_not_installed_is_named(done: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with Maskmill(done.url) as client, pytest.raises(InvalidInput, match="pandas"):
        client.job("job_1").to_pandas()


def test_the_same_calls_are_awaited(done: ToyServer) -> None:
    async def use() -> tuple[list[str], bytes, int]:
        async with AsyncMaskmill(done.url) as client:
            job = await client.job("job_1")
            await job.wait()
            images = [image async for image in job.stream()]
            return [each.name for each in images], await client.fetch(images[0], "mask"), len(await job.to_pandas())

    assert asyncio.run(use()) == (["a<b>.jpg", "b.jpg"], mask(IDS), 2)


def test_a_job_that_was_awaited_is_submitted_once_more(done: ToyServer, job_state) -> None:
    done.on("POST", "/jobs", as_json(job_state("queued"), 202))

    async def use() -> str:
        async with AsyncMaskmill(done.url) as client:
            return (await client.submit(await client.job("job_1"), model="other")).id

    assert asyncio.run(use()) == "job_1"
    assert json.loads(done.seen("POST", "/jobs")[0].body)["inputs"] == [{"job": "job_1"}]


def test_errors_are_those_of_the_plain_client(server: ToyServer) -> None:
    server.on("GET", "/jobs/job_9", problem(404, "job_not_found"))

    async def use() -> None:
        async with AsyncMaskmill(server.url) as client:
            await client.job("job_9")

    with pytest.raises(NotFound):
        asyncio.run(use())


@pytest.mark.parametrize(("plain", "awaited"), [(Maskmill, AsyncMaskmill), (JobHandle, AsyncJob)])
def test_both_clients_have_the_same_calls_with_the_same_arguments(plain: type, awaited: type) -> None:
    for name, call in vars(plain).items():
        if name.startswith("_") or name in NOT_AWAITED:
            continue
        twin = vars(awaited)[name]
        if isinstance(call, property):
            assert isinstance(twin, property), name
            continue
        theirs, ours = inspect.signature(call).parameters, inspect.signature(twin).parameters
        assert [(each.name, each.kind, each.default) for each in theirs.values()] == [
            (each.name, each.kind, each.default) for each in ours.values()
        ], name


def test_the_client_is_written_for_python_3_10() -> None:
    """Names that came with 3.11 are looked for, since the tests run on a later one."""
    newer = {"typing.Self", "enum.StrEnum", "datetime.UTC", "tomllib", "typing.assert_never", "asyncio.timeout"}
    found: set[str] = set()
    for path in Path(inspect.getfile(maskmill)).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 10))
        checking = [
            node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        skipped = {id(inner) for node in checking for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and id(node) not in skipped:
                found |= {
                    f"{path.name}: {node.module}.{each.name}"
                    for each in node.names
                    if f"{node.module}.{each.name}" in newer
                }
            elif isinstance(node, ast.Import):
                found |= {f"{path.name}: {each.name}" for each in node.names if each.name in newer}
    assert found == set()
