"""Several models in one job over HTTP: what is asked for, what each model gave, how far they agree."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from jobs.comparing.document import comparison_document
from jobs.comparing.page import JobPage
from jobs.job import Source, SourceKind
from tests.factories import make_card, mask, picture
from tests.fakes import FakeCatalog
from tests.unit.api.house import House

LEFT_RIGHT = mask(np.repeat([[0] * 16 + [1] * 16], 24, axis=0).astype(np.uint8))  # what `tiny` says


@pytest.fixture(autouse=True)
def _another_model(house: House) -> None:
    house.catalog = FakeCatalog([make_card(), make_card("other")])


def compared(client: TestClient, house: House, *, images: int = 2, truth: bool = False, **fields: str) -> str:
    files = [("files", (f"{number}.jpg", picture(seed=number))) for number in range(images)]
    files += [("masks", (f"{number}.png", LEFT_RIGHT)) for number in range(images if truth else 0)]
    answer = client.post("/jobs", files=files, data={"models": "tiny,other", **fields})
    assert answer.status_code == 202, answer.text
    house.work()
    return str(answer.json()["id"])


def opened(client: TestClient, link: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(client.get(link).content)))


def test_a_job_with_several_models_tells_of_each(client: TestClient, house: House) -> None:
    job = client.get(f"/jobs/{compared(client, house)}").json()
    assert (job["status"], job["model"], job["models"]) == ("succeeded", "tiny", ["tiny", "other"])
    assert list(job["results"]) == ["tiny", "other"]
    assert job["results"]["tiny"]["metrics"] == job["metrics"]
    assert [each["model_versions"][0]["name"] for each in job["results"].values()] == ["tiny", "other"]
    assert client.get(job["links"]["comparison"]).status_code == 200


def test_the_json_form_takes_a_list_of_models(client: TestClient) -> None:
    body = {"inputs": [{"url": "https://example.org/a.jpg"}], "models": ["tiny", "models:/other"]}
    job = client.post("/jobs", json=body).json()
    assert (job["models"], job["options"]["models"]) == (["tiny", "other"], ["tiny", "other"])


def test_a_list_of_one_model_is_a_job_as_any_other(client: TestClient) -> None:
    job = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"models": "other"}).json()
    assert job["model"] == "other"
    assert not {"models", "results"} & job.keys()
    assert "comparison" not in job["links"]
    assert "models" not in job["options"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"models": ["tiny", "nobody"]}, "models"),
        ({"models": ["tiny", "tiny"]}, "models"),
        ({"models": ["tiny", "models:/tiny"]}, "models"),
        ({"models": ["tiny", "other"], "model": "tiny"}, "models"),
        ({"models": []}, "models"),
        ({"models": "tiny"}, "models"),
        ({"models": [f"m{number}" for number in range(9)]}, "models"),
    ],
)
def test_models_that_cannot_be_compared_are_a_field_fault(
    client: TestClient, options: dict[str, Any], field: str
) -> None:
    answer = client.post("/jobs", json={"inputs": [{"url": "https://example.org/a.jpg"}], **options})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_options")
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_row_has_the_results_of_each_model_and_where_they_are(client: TestClient, house: House) -> None:
    job_id = compared(client, house)
    row = client.get(f"/jobs/{job_id}/images/0").json()
    assert row["disagreement"] == 1
    assert row["metrics"] == row["results"]["tiny"]["metrics"]
    masks = [opened(client, each["artifacts"]["mask"]) for each in row["results"].values()]
    assert [each[0, 0].item() for each in masks] == [0, 1]
    assert (opened(client, row["artifacts"]["disagreement"]) == 204).all()  # the confidence of both


def test_a_list_of_rows_may_show_another_model_first(client: TestClient, house: House) -> None:
    job_id = compared(client, house)
    page = client.get(f"/jobs/{job_id}/images", params={"model": "other"}).json()
    assert [row["model"] for row in page["items"]] == ["other", "other"]
    assert opened(client, page["items"][0]["artifacts"]["mask"])[0, 0] == 1
    by_dispute = client.get(f"/jobs/{job_id}/images", params={"sort": "disagreement", "limit": 1}).json()
    assert (by_dispute["items"][0]["index"], by_dispute["next_cursor"] is None) == (0, False)
    wrong = client.get(f"/jobs/{job_id}/images", params={"model": "other", "sort": "miou"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "sort")


def test_rows_of_several_models_are_sorted_by_disagreement_and_tell_of_drift(client: TestClient, house: House) -> None:
    job_id = compared(client, house)
    page = client.get(f"/jobs/{job_id}/images", params={"sort": "disagreement"}).json()
    assert [row["disagreement"] for row in page["items"]] == [1, 1]
    assert [each["metrics"]["class_drift"] for each in page["items"][0]["results"].values()] == [0, 0]
    asked = {"sort": "class_drift", "model": "other"}
    assert client.get(f"/jobs/{job_id}/images", params=asked).json()["errors"][0]["field"] == "sort"


def test_a_model_that_the_job_has_not_is_not_found(client: TestClient, house: House) -> None:
    job_id = compared(client, house)
    for path in ("", "/0", "/0/mask"):
        answer = client.get(f"/jobs/{job_id}/images{path}", params={"model": "nobody"})
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
        assert "tiny, other" in answer.json()["detail"]


def test_the_comparison_tells_of_models_pairs_classes_and_images(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=3)
    found = client.get(f"/jobs/{job_id}/comparison", params={"contested": 2}).json()
    assert found["images"] == {"total": 3, "compared": 3, "with_truth": 0}
    assert [each["model"] for each in found["models"]] == ["tiny", "other"]
    (pair,) = found["pairs"]
    assert (pair["agreement"], pair["miou"], pair["ground_truth"], found["disagreement"]) == (0, 0, None, 1)
    assert [each["name"] for each in found["classes"]] == ["sky", "building"]
    assert [each["index"] for each in found["most_contested"]] == [0, 1]
    assert client.get(found["most_contested"][0]["links"]["disagreement"]).status_code == 200
    assert found["bootstrap"] is None


def test_with_ground_truth_it_tells_who_is_right_and_whether_beyond_chance(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=6, truth=True, mask_label_space="camvid-11")
    found = client.get(f"/jobs/{job_id}/comparison").json()
    told = found["pairs"][0]["ground_truth"]
    assert (told["first_right"], told["second_right"], told["miou_difference"]) == (1, 0, 1)
    assert (told["interval"], told["beyond_chance"]) == ([1, 1], True)
    assert told["classes"]["sky"]["pixels"] == 6 * 24 * 16
    assert found["models"][0]["miou_interval"] == [1, 1]
    assert found["bootstrap"]["images"] == 6
    assert found["most_contested"][0]["models"][1] == {"model": "other", "pixel_accuracy": 0, "miou": 0}


def test_few_images_show_no_difference(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=5, truth=True, mask_label_space="camvid-11")
    told = client.get(f"/jobs/{job_id}/comparison").json()["pairs"][0]["ground_truth"]
    assert (told["miou_difference"], told["interval"], told["beyond_chance"]) == (1, None, None)


def test_images_without_truth_are_counted_where_nothing_is_judged(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long job only some images are drawn from: none of them may have a truth."""
    files = [("files", (f"{number}.jpg", picture(seed=number))) for number in range(2)]
    data = {"models": "tiny,other", "mask_label_space": "camvid-11"}
    job_id = client.post("/jobs", files=[*files, ("masks", ("1.png", LEFT_RIGHT))], data=data).json()["id"]
    house.work()
    rows = list(csv.DictReader(io.StringIO(unpacked(client, job_id).read("comparison.csv").decode())))
    assert [(row["right_alone:tiny|other"], row["right_alone:other|tiny"]) for row in rows] == [("", ""), ("1", "0")]
    monkeypatch.setattr("jobs.comparing.comparing.RUN", 1)
    monkeypatch.setattr("jobs.comparing.comparing.LARGEST", 1)
    told = client.get(f"/jobs/{job_id}/comparison").json()
    assert (told["bootstrap"], told["pairs"][0]["ground_truth"]["first_right"]) == (None, 1)


def test_a_job_with_one_model_has_nothing_to_compare(client: TestClient, house: House) -> None:
    job_id = compared(client, house, models="tiny")
    answer = client.get(f"/jobs/{job_id}/comparison")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_compare")


def test_a_job_that_has_not_begun_tells_of_nothing_yet(client: TestClient) -> None:
    job = client.post("/jobs", files={"files": ("a.jpg", picture())}, data={"models": "tiny,other"}).json()
    found = client.get(f"/jobs/{job['id']}/comparison").json()
    assert (found["pairs"], found["disagreement"], found["most_contested"]) == ([], None, [])


def test_images_as_they_end_are_told_with_all_models(client: TestClient, house: House) -> None:
    events = client.get(f"/jobs/{compared(client, house, images=1)}/events").text
    told = [json.loads(line[5:]) for line in events.splitlines() if line.startswith("data:")]
    assert list(next(each for each in told if "index" in each)["results"]) == ["tiny", "other"]


def unpacked(client: TestClient, job_id: str, **query: str) -> zipfile.ZipFile:
    answer = client.get(f"/jobs/{job_id}/archive", params=query)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == int(answer.headers["content-length"])
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_an_archive_has_a_folder_for_each_model_in_that_of_its_kind(client: TestClient, house: House) -> None:
    archive = unpacked(client, compared(client, house, images=1, artifacts="mask,coco"))
    assert set(archive.namelist()) == {
        *(
            "manifest.json",
            "metrics.csv",
            "metrics.json",
            "comparison.csv",
            "comparison.html",
            "coco-tiny.json",
            "coco-other.json",
        ),
        *("mask/tiny/0.png", "mask/other/0.png", "coco/tiny/0.json", "coco/other/0.json", "disagreement/0.png"),
    }
    assert archive.testzip() is None
    assert [each["name"] for each in json.loads(archive.read("manifest.json"))["models"]] == ["tiny", "other"]
    assert list(json.loads(archive.read("metrics.json"))["models"]) == ["tiny", "other"]


def exported(client: TestClient, job_id: str, **params: str) -> dict[str, bytes]:
    found = client.get(f"/jobs/{job_id}/archive", params={"export": "voc", **params})
    assert found.status_code == 200, found.text
    archive = zipfile.ZipFile(io.BytesIO(found.content))
    return {name: archive.read(name) for name in archive.namelist()}


def test_an_export_has_a_folder_for_each_model_or_is_of_the_one_asked_for(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=2)
    every = exported(client, job_id, pictures="true")
    for model in ("tiny", "other"):
        alone = exported(client, job_id, pictures="true", model=model)
        assert {f"{model}/{name}": content for name, content in alone.items()}.items() <= every.items()
        assert len(every) == 2 * len(alone)
    first, second = (every[f"{model}/SegmentationClass/0.png"] for model in ("tiny", "other"))
    assert first != second
    path = f"/jobs/{job_id}/archive"
    assert client.get(path, params={"export": "voc", "model": "third"}).json()["code"] == "model_not_found"
    assert client.get(path, params={"model": "other"}).json()["errors"][0]["field"] == "model"


def test_of_an_export_of_all_models_one_folder_comes_back(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=2)
    every = io.BytesIO(client.get(f"/jobs/{job_id}/archive", params={"export": "voc"}).content)
    with zipfile.ZipFile(every, "a") as bundle:
        bundle.writestr(".DS_Store", b"what a desktop leaves")
    refused = client.post(f"/jobs/{job_id}/corrections", content=every.getvalue())
    (fault,) = refused.json()["errors"]
    assert (refused.status_code, fault["field"]) == (422, "body")
    assert "several models (other, tiny)" in fault["message"]
    results = client.get(f"/jobs/{job_id}/archive", params={"artifacts": "mask"}).content
    (fault,) = client.post(f"/jobs/{job_id}/corrections", content=results).json()["errors"]
    assert "several models (other, tiny)" in fault["message"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for name, content in exported(client, job_id).items():
            if name.startswith("other/"):
                bundle.writestr(name, content)
    taken = client.post(f"/jobs/{job_id}/corrections", content=packed.getvalue()).json()
    assert (taken["format"], taken["corrected"], taken["unchanged"]) == ("cvat", 0, 2)  # nobody drew anything


def test_tables_have_a_row_for_each_image_and_model_and_one_for_their_agreement(
    client: TestClient, house: House
) -> None:
    job_id = compared(client, house, truth=True, mask_label_space="camvid-11")
    archive = unpacked(client, job_id, artifacts="metrics,comparison")
    rows = list(csv.DictReader(io.StringIO(archive.read("metrics.csv").decode())))
    assert [(row["index"], row["asked_model"], row["miou"]) for row in rows] == [
        *(("0", "tiny", "1"), ("0", "other", "0")),
        *(("1", "tiny", "1"), ("1", "other", "0")),
    ]
    rows = list(csv.DictReader(io.StringIO(archive.read("comparison.csv").decode())))
    told = [(row["disagreement"], row["agreement:tiny|other"], row["right_alone:tiny|other"]) for row in rows]
    assert told == [("1", "0", "1")] * 2
    documents = ["manifest.json", "metrics.csv", "metrics.json", "comparison.csv", "comparison.html"]
    assert archive.namelist() == documents


def test_an_image_that_fails_has_no_numbers_of_any_model(client: TestClient, house: House) -> None:
    files = [("files", ("a.jpg", picture())), ("files", ("b.jpg", b"no picture"))]
    job_id = client.post("/jobs", files=files, data={"models": "tiny,other"}).json()["id"]
    house.work()
    archive = unpacked(client, job_id)
    rows = list(csv.DictReader(io.StringIO(archive.read("metrics.csv").decode())))
    assert [(row["name"], row["asked_model"], row["width"]) for row in rows[2:]] == [
        *(("b.jpg", "tiny", ""), ("b.jpg", "other", "")),
    ]
    assert len(archive.read("comparison.csv").splitlines()) == 2
    assert client.get(f"/jobs/{job_id}/comparison").json()["images"] == {"total": 2, "compared": 1, "with_truth": 0}


def page_of(client: TestClient, job_id: str) -> str:
    return unpacked(client, job_id, artifacts="comparison").read("comparison.html").decode()


def test_the_page_shows_the_most_contested_images_and_asks_nobody_for_anything(
    client: TestClient, house: House
) -> None:
    job_id = compared(client, house, images=6, truth=True, mask_label_space="camvid-11")
    page = page_of(client, job_id)
    assert page == page_of(client, job_id)
    assert page.count('<article class="picture"') == page.count(">truth</figcaption>") == 6
    assert page.count('class="layer mask"') == 6 * 3  # of the truth and of two models
    assert page.count('class="layer stripes"') == 12
    assert "tiny against other" in page
    assert "+100.0 points" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)|url\(|@import""", page)
    told = json.loads(page.split('id="comparison-data">')[1].split("</script>")[0])
    assert told["pairs"] == client.get(f"/jobs/{job_id}/comparison").json()["pairs"]


def test_names_that_look_like_pages_stay_text(client: TestClient, house: House) -> None:
    files = {"files": ("<img src=x onerror=alert(1)>.jpg", picture())}
    job_id = client.post("/jobs", files=files, data={"models": "tiny,other"}).json()["id"]
    house.work()
    assert "<img src=x" not in page_of(client, job_id)


def test_a_page_does_without_pictures_that_are_not_there(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = compared(client, house, images=1, truth=True, mask_label_space="camvid-11", artifacts="overlay")
    assert 'class="layer stripes"' not in page_of(client, job_id)
    assert '<image id="picture-' in page_of(client, job_id)
    assert "no mask at hand" in page_of(client, job_id)
    with monkeypatch.context() as small:
        small.setattr("jobs.comparing.page.LARGEST", 100)
        assert '<image id="picture-' not in page_of(client, job_id)
    for key in [key for key in house.objects.contents if "/inputs/" in key]:
        house.objects.delete(key)
    assert '<image id="picture-' not in page_of(client, job_id)


def test_errors_are_shown_against_the_truth_that_can_be_read(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=1, truth=True, mask_label_space="camvid-11")
    (key,) = [key for key in house.objects.contents if "/truth/" in key]
    house.objects.put(key, mask(np.full((2, 2), 0, np.uint8)), media_type="image/png")
    assert 'class="layer stripes"' not in page_of(client, job_id)
    house.objects.delete(key)
    assert 'class="layer stripes"' not in page_of(client, job_id)


def test_masks_of_very_large_images_are_not_read_for_the_page(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = compared(client, house, images=1, truth=True, mask_label_space="camvid-11")
    monkeypatch.setattr("jobs.comparing.errors.MOST_PIXELS", 100)
    assert 'class="layer stripes"' not in page_of(client, job_id)
    assert 'class="layer mask"' in page_of(client, job_id)


def test_a_page_without_any_image_says_so_by_having_none(client: TestClient, house: House) -> None:
    files = {"files": ("a.jpg", b"no picture")}
    job_id = client.post("/jobs", files=files, data={"models": "tiny,other"}).json()["id"]
    house.work()
    assert 'id="pictures"' not in page_of(client, job_id)


def test_pictures_and_masks_are_shown_from_where_they_lie_while_they_are_what_was_scored(
    client: TestClient, house: House
) -> None:
    house.buckets.contents = {"photos/a.jpg": picture(), "photos/a.png": LEFT_RIGHT}
    named = {"object": "photos/a.jpg", "mask": {"object": "photos/a.png"}}
    more = {"models": ["tiny", "other"], "mask_label_space": "camvid-11"}
    job_id = client.post("/jobs", json={"inputs": [named], **more}).json()["id"]
    house.work()

    def shown() -> tuple[bool, bool]:
        page = page_of(client, job_id)
        return '<image id="picture-' in page, 'class="layer stripes"' in page

    assert shown() == (True, True)
    house.buckets.contents = {"photos/a.jpg": picture(seed=9), "photos/a.png": mask(np.full((24, 32), 2, np.uint8))}
    assert shown() == (False, False)
    house.buckets.contents = {"photos/a.png": LEFT_RIGHT}
    assert shown() == (False, True)
    house.buckets.tenants = frozenset()
    assert shown() == (False, False)


def test_what_came_from_an_address_is_not_shown(client: TestClient, house: House) -> None:
    job_id = compared(client, house, images=1)
    with house.database.unit() as unit:
        job, (image,) = unit.jobs.get(job_id), unit.images.run(job_id, first=0, last=0)
    fetched = replace(image, source=Source(SourceKind.URL, "https://example.org/a.jpg"))
    told = comparison_document(job, [fetched], None)
    pages = [JobPage(house.inputs, job).render(told, [each]) for each in (image, fetched)]
    assert [page.count(b'<image id="picture-') for page in pages] == [1, 0]


def test_a_correction_is_what_both_models_are_judged_by(client: TestClient, house: House) -> None:
    job_id = compared(client, house, truth=True, mask_label_space="camvid-11")
    turned = mask(np.repeat([[1] * 16 + [0] * 16], 24, axis=0).astype(np.uint8))  # what `other` says
    headers = {"Content-Type": "image/png"}
    for _ in range(2):
        answer = client.put(f"/jobs/{job_id}/images/0/correction", content=turned, headers=headers)
        assert answer.status_code in (200, 201), answer.text
    told = client.get(f"/jobs/{job_id}/comparison").json()["pairs"][0]["ground_truth"]
    assert (told["pixels"], told["first_right"], told["second_right"]) == (2 * 24 * 32, 0.5, 0.5)
    page = page_of(client, job_id)
    assert page.count(">truth</figcaption>") == 1  # of the other image
