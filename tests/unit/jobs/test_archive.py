"""What goes into the archive of a finished job."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from jobs.corrections.correcting import Correcting
from jobs.errors import InvalidOptions, JobNotFinished, JobNotFound, ObjectNotFound
from jobs.job import Job
from jobs.options import JobOptions
from jobs.processing.retry import RetryPolicy
from jobs.reporting.archive import Archive, Archives
from jobs.reporting.names import safe_folders, safe_stem
from jobs.reporting.reports import MetricsTable
from jobs.submitting.submit import SubmitRules, Submitting
from segmentation.formats import FORMATS
from segmentation.media_types import suffix_of
from tests.factories import mask, picture
from tests.memory_service import MemoryService
from worker.fair_executor import FairExecutor


@dataclass
class Mill(MemoryService):
    """Jobs from upload to end, in memory."""

    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=1))

    @property
    def archives(self) -> Archives:
        return Archives(self.database.unit, self.inputs, self.catalog, software="maskmill 1")

    def submit(
        self,
        *names: str,
        artifacts: tuple[str, ...] = ("overlay", "mask"),
        masked: bool = False,
        broken: Sequence[str] = (),
    ) -> Job:
        rules = SubmitRules(default_model="tiny")
        submitting = Submitting(self.database.unit, self.objects, self.dispatcher, self.catalog, rules)
        with submitting.open_draft() as draft:
            for seed, name in enumerate(names):
                data = b"no picture" if name in broken else picture(seed=seed)
                draft.add_file(name, io.BytesIO(data), media_type="image/jpeg")
                if masked:
                    draft.add_mask(name, io.BytesIO(mask(np.zeros((24, 32), np.uint8))))
            return submitting.submit(draft, JobOptions(artifacts=artifacts))

    def work(self) -> None:
        with FairExecutor(1, name="picture") as threads:
            self.process(self.processing(threads))

    def archive(self, *names: str, artifacts: tuple[str, ...] = ("overlay", "mask"), masked: bool = False) -> Archive:
        job = self.submit(*names, artifacts=artifacts, masked=masked)
        self.work()
        return self.archives.open(job.id)


@pytest.fixture
def mill() -> Mill:
    return Mill()


def content(archive: Archive, name: str) -> bytes:
    entry = next(entry for entry in archive.entries if entry.name == name)
    return b"".join(archive.read(entry))


def rows(archive: Archive, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(archive, name).decode(), newline="")))


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@SUM(A1).jpg"])
def test_a_name_never_becomes_a_formula_in_a_spreadsheet(mill: Mill, name: str) -> None:
    job = mill.submit(name, "plain-name.jpg", broken=[name])
    mill.work()
    archive = mill.archives.open(job.id)
    assert [row["name"] for row in rows(archive, "metrics.csv")] == [f"'{name}", "plain-name.jpg"]
    assert rows(archive, "errors.csv")[0]["name"] == f"'{name}"


def test_an_archive_holds_documents_first_and_then_the_artifacts_in_input_order(mill: Mill) -> None:
    archive = mill.archive("b.jpg", "a.jpg")
    assert [entry.name for entry in archive.entries] == [
        *("manifest.json", "metrics.csv", "metrics.json"),
        *("overlay/b.jpg", "mask/b.png", "overlay/a.jpg", "mask/a.png"),
    ]


@pytest.mark.parametrize("masked", [False, True])
def test_sizes_and_checksums_are_those_of_the_bytes(mill: Mill, masked: bool) -> None:
    archive = mill.archive("a.jpg", "b.jpg", artifacts=tuple(FORMATS), masked=masked)
    for entry in archive.entries:
        data = b"".join(archive.read(entry))
        assert (len(data), zlib.crc32(data)) == (entry.size, entry.crc32), entry.name


def test_what_all_entries_come_to_is_known_without_a_walk(mill: Mill) -> None:
    job = mill.submit("straße/a.jpg", "b.jpg", "B.jpg", "broken.jpg", artifacts=("mask", "coco"), broken=["broken.jpg"])
    mill.work()
    Correcting(mill.database.unit, mill.objects).put(job.id, 0, mask(np.zeros((24, 32), np.uint8)))
    for kinds in (None, ["mask"], ["corrected"], ["metrics", "coco"]):
        entries = mill.archives.open(job.id, kinds).entries
        walked = list(entries)
        assert len(entries) == len(walked)
        assert entries.sums == (sum(len(each.name.encode()) for each in walked), sum(each.size for each in walked))


def test_an_entry_can_be_read_from_any_byte_on(mill: Mill) -> None:
    archive = mill.archive("a.jpg")
    for entry in archive.entries:
        whole = b"".join(archive.read(entry))
        for start in (1, entry.size // 2, entry.size):
            assert b"".join(archive.read(entry, start)) == whole[start:]


def test_the_same_job_gives_the_same_archive_twice(mill: Mill) -> None:
    job = mill.submit("a.jpg", "b.jpg", artifacts=("mask", "coco"))
    mill.work()
    assert list(mill.archives.open(job.id).entries) == list(mill.archives.open(job.id).entries)


def test_what_the_store_has_lost_is_left_out_and_told_where_that_is_asked_for(mill: Mill) -> None:
    job = mill.submit("a.jpg", "b.jpg", artifacts=("mask", "coco"))
    mill.work()
    keys = {entry.name: entry.key or "" for entry in mill.archives.open(job.id).entries}
    length = mill.objects.info(keys["coco/a.json"]).size
    mill.objects.delete(keys["coco/a.json"])
    size = mill.objects.info(keys["mask/b.png"]).size
    mill.objects.put(keys["mask/b.png"], b"cut", media_type="image/png")
    with pytest.raises(ObjectNotFound, match="without_lost"):
        mill.archives.open(job.id)  # coco.json is made of it
    key = keys["coco/a.json"]
    mill.objects.put(key, b'{"annotations"', media_type="application/json")
    with pytest.raises(ObjectNotFound, match=r"no COCO annotations of a\.jpg: .*; `without_lost"):
        mill.archives.open(job.id)
    mill.objects.put(key, b"{" * length, media_type="application/json")  # damaged, and as long as it was
    with pytest.raises(ObjectNotFound, match=r"no COCO annotations of a\.jpg: [^;]*$"):
        mill.archives.open(job.id, without_lost=True)
    mill.objects.delete(key)
    archive = mill.archives.open(job.id, without_lost=True)
    files = {entry.name: b"".join(archive.read(entry)) for entry in archive.entries}
    assert {"mask/a.png", "coco/b.json"} <= set(files)
    assert not {"mask/b.png", "coco/a.json"} & set(files)
    table = list(csv.reader(io.StringIO(files["files_missing.csv"].decode())))
    told = (
        ["coco/a.json", "the store has it no longer"],
        ["mask/b.png", f"the store has 3 bytes of it instead of {size}"],
    )
    assert table == [["file", "message"], *told]
    assert [each["file_name"] for each in json.loads(files["coco.json"])["images"]] == ["b.jpg"]
    assert all((len(files[each.name]), zlib.crc32(files[each.name])) == each[1:3] for each in archive.entries)
    assert len(archive.entries) == len(files)
    assert archive.entries.sums == (sum(map(len, files)), sum(map(len, files.values())))
    assert "files_missing.csv" not in [each.name for each in mill.archives.open(job.id, ["mask"]).entries]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("a.jpg", "a.png", "A.jpg"), ["a", "a_000001", "A_000002"]),
        (("a.jpg", "a_000002.jpg", "a.jpg"), ["a", "a_000002", "a_000002_1"]),
    ],
)
def test_images_of_one_name_do_not_overwrite_one_another(
    mill: Mill, given: tuple[str, ...], expected: list[str]
) -> None:
    archive = mill.archive(*given, artifacts=("mask",))
    assert [entry.name for entry in list(archive.entries)[3:]] == [f"mask/{name}.png" for name in expected]


def test_images_lie_in_the_folders_of_their_names(mill: Mill) -> None:
    archive = mill.archive("cam_a/1.jpg", "cam_b/1.jpg", "cam_b/1.jpg", "CAM_A/1.png", artifacts=("mask", "coco"))
    assert [entry.name for entry in archive.entries if entry.name.startswith("mask/")] == [
        *("mask/cam_a/1.png", "mask/cam_b/1.png", "mask/cam_b/1_000002.png", "mask/CAM_A/1_000003.png"),
    ]
    names = ["cam_a/1.jpg", "cam_b/1.jpg", "cam_b/1_000002.jpg", "CAM_A/1.png"]
    assert [row["name"] for row in rows(archive, "metrics.csv")] == names
    assert [each["file_name"] for each in json.loads(content(archive, "coco.json"))["images"]] == names


def test_the_archive_of_a_job_from_before_names_were_paths_stays_as_it_was(mill: Mill) -> None:
    job = mill.submit("cam_a/1.jpg", "cam_b/1.jpg", artifacts=("mask",))
    mill.work()
    state = mill.database._state
    state.jobs[job.id] = replace(state.jobs[job.id], skipped=None)
    archive = mill.archives.open(job.id)
    assert [entry.name for entry in list(archive.entries)[3:]] == ["mask/1.png", "mask/1_000001.png"]


@pytest.mark.parametrize(
    ("path", "folders"),
    [
        ("a.jpg", ""),
        ("cam a/b.c/x.jpg", "cam a/b.c/"),
        ("what?/ends with dot./x.jpg", "what_/ends with dot/"),
        ("\u202f/x.jpg", "_/"),
        ("x.png/A.JPG/y.jpg", "x.png_/A.JPG_/"),
        ("f" * 200 + "/x.jpg", "f" * 120 + "/"),
        ("画" * 120 + "/x.jpg", "画" * 76 + "/"),
        ("aux/Con.d/x.jpg", "_aux/_Con.d/"),
    ],
)
def test_folders_are_made_safe_part_by_part(path: str, folders: str) -> None:
    assert safe_folders(path) == folders


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../../etc/passwd", "passwd"),
        ("c:\\temp\\x.jpg", "x"),
        ("a\x00b\nc.jpg", "a_b_c"),
        ("zürich 01.jpg", "zürich 01"),
        ("what?.jpg", "what_"),
        ("a.b-c_d e.jpeg", "a.b-c_d e"),
        ("a .jpg", "a"),
        ("x.jpg", "x"),
        ("noending", "noending"),
        ("...jpg", ""),
        (" .jpg", ""),
        ("", ""),
        ("x" * 300 + ".jpg", "x" * 120),
        ("画" * 300 + ".jpg", "画" * 76),  # of three bytes each
        ("a" * 119 + "é.jpg", "a" * 119 + "é"),
        ("\ud800.jpg", "_"),
        ("con.jpg", "_con"),  # Windows makes no file of a device's name, whatever follows the point
        ("LPT1.tar.jpg", "_LPT1.tar"),
        ("nul", "_nul"),
        ("console.jpg", "console"),
    ],
)
def test_names_cannot_leave_their_folder(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def test_every_name_in_an_archive_can_be_the_name_of_a_file(mill: Mill) -> None:
    """Also while it is received."""
    long = "画像" * 59
    entries = mill.archive(f"{long}一.jpg", f"{long}二.jpg", artifacts=("mask", "polygons")).entries
    parts = [part for entry in entries for part in f"{entry.name}.part".split("/")]
    assert max(len(part.encode()) for part in parts) <= 255
    assert len({entry.name for entry in entries}) == len(entries)


def test_a_kind_that_nobody_knows_gets_a_neutral_suffix() -> None:
    assert suffix_of("text/html") == ".bin"


def test_the_manifest_says_where_the_results_come_from(mill: Mill) -> None:
    manifest = json.loads(content(mill.archive("a.jpg"), "manifest.json"))
    assert manifest["model"]["name"] == "tiny"
    assert manifest["model"]["versions"] == ["1"]
    assert manifest["model"]["card"]["sha256"] == {"model.onnx": "0" * 64}
    assert manifest["model"]["card"]["preprocessing"]["long_side"] == 64
    assert manifest["devices"] == ["fake"]
    assert manifest["software"] == "maskmill 1"
    assert manifest["options"]["artifacts"] == ["overlay", "mask"]
    assert manifest["created_at"] == "2026-01-01T00:00:00Z"


def test_a_model_that_was_taken_away_since_leaves_its_name(mill: Mill) -> None:
    job = mill.submit("a.jpg")
    mill.work()
    mill.catalog.cards = []
    manifest = json.loads(content(mill.archives.open(job.id), "manifest.json"))
    made_by = [{"name": "tiny", "version": "1", "sha256": "ab" * 32, "images": 1}]
    assert manifest["model"] == {"name": "tiny", "versions": ["1"], "made_by": made_by}


def test_metrics_have_one_row_per_image_and_a_column_per_class(mill: Mill) -> None:
    table = rows(mill.archive("a.jpg", "b.jpg", masked=True), "metrics.csv")
    assert [row["name"] for row in table] == ["a.jpg", "b.jpg"]
    assert table[0]["fraction:sky"] == "0.5"
    assert table[0]["fraction:road"] == "0"
    assert table[0]["iou:sky"] == "0.5"
    assert float(table[0]["mean_confidence"]) == pytest.approx(0.8)


SIX_DIGITS = 5e-6  # of a number, at most


def test_of_a_single_image_both_documents_say_the_same_to_six_digits(mill: Mill) -> None:
    archive = mill.archive("a.jpg", masked=True)
    (row,), told = rows(archive, "metrics.csv"), json.loads(content(archive, "metrics.json"))
    truth = told["metrics"]["ground_truth"]
    assert float(row["mean_confidence"]) == pytest.approx(told["metrics"]["mean_confidence"], rel=SIX_DIGITS)
    for name in ("pixel_accuracy", "miou", "mean_dice"):
        assert float(row[name]) == pytest.approx(truth[name], rel=SIX_DIGITS)
    for each in told["classes"]:
        assert float(row[f"fraction:{each['name']}"]) == pytest.approx(each["fraction"], rel=SIX_DIGITS)
        iou = row[f"iou:{each['name']}"]
        assert float(iou or -1) == pytest.approx(-1 if each["iou"] is None else each["iou"], rel=SIX_DIGITS)


@pytest.mark.parametrize("value", [1e-7, 1.23456789e-12, 2 / 3, 0.1 + 0.2, 0.9999949, 5e-324, 0.0, 1.0])
def test_however_small_a_number_is_six_of_its_digits_are_told(mill: Mill, value: float) -> None:
    job = mill.submit("a.jpg")
    mill.work()
    with mill.database.unit() as unit:
        image = unit.images.get(job.id, 0)
    metrics = replace(image.results[0].metrics, mean_confidence=value, class_fractions={"sky": value})
    line = MetricsTable(job).line(replace(image, results=(replace(image.results[0], metrics=metrics),)))
    (row,) = csv.DictReader(io.StringIO((MetricsTable(job).head() + line).decode(), newline=""))
    for name in ("mean_confidence", "fraction:sky"):
        assert float(row[name]) == pytest.approx(value, rel=SIX_DIGITS, abs=0)


def test_without_ground_truth_there_are_no_scores(mill: Mill) -> None:
    archive = mill.archive("a.jpg")
    assert "iou:sky" not in rows(archive, "metrics.csv")[0]
    metrics = json.loads(content(archive, "metrics.json"))
    assert "ground_truth" not in metrics["metrics"]
    assert metrics["classes"][0] == {
        "id": 0,
        "name": "sky",
        "colour": [128, 128, 128],
        "group": metrics["classes"][0]["group"],
        "fraction": 0.5,
        "iou": None,
        "dice": None,
    }


def test_failed_images_have_a_row_of_their_own_and_no_files(mill: Mill) -> None:
    job = mill.submit("good.jpg", "bad.jpg", broken=["bad.jpg"])
    mill.work()
    archive = mill.archives.open(job.id)
    errors = rows(archive, "errors.csv")
    assert [(row["index"], row["name"], row["code"]) for row in errors] == [("1", "bad.jpg", "unreadable_image")]
    assert rows(archive, "metrics.csv")[1]["error"] == "unreadable_image"
    assert not any(entry.name.startswith("mask/bad") for entry in archive.entries)


def test_a_job_in_which_all_failed_still_has_an_archive(mill: Mill) -> None:
    job = mill.submit("bad.jpg", broken=["bad.jpg"], artifacts=("coco",))
    mill.work()
    archive = mill.archives.open(job.id)
    assert json.loads(content(archive, "coco.json"))["annotations"] == []


def test_coco_annotations_are_merged_with_ids_of_their_own(mill: Mill) -> None:
    archive = mill.archive("a.jpg", "b.jpg", artifacts=("coco",))
    merged = json.loads(content(archive, "coco.json"))
    assert [(each["id"], each["file_name"]) for each in merged["images"]] == [(1, "a.jpg"), (2, "b.jpg")]
    assert [each["id"] for each in merged["annotations"]] == [1, 2, 3, 4]
    assert [each["image_id"] for each in merged["annotations"]] == [1, 1, 2, 2]
    assert {each["category_id"] for each in merged["annotations"]} <= {each["id"] for each in merged["categories"]}


def test_an_archive_may_be_of_some_kinds_only(mill: Mill) -> None:
    job = mill.submit("a.jpg")
    mill.work()
    assert [entry.name for entry in mill.archives.open(job.id, ["mask"]).entries] == ["manifest.json", "mask/a.png"]
    names = [entry.name for entry in mill.archives.open(job.id, ["metrics"]).entries]
    assert names == ["manifest.json", "metrics.csv", "metrics.json"]


@pytest.mark.parametrize("artifacts", [["masks"], ["coco"], []])
def test_a_kind_that_the_job_has_not_is_refused(mill: Mill, artifacts: list[str]) -> None:
    job = mill.submit("a.jpg")
    mill.work()
    with pytest.raises(InvalidOptions, match="overlay, mask, metrics"):
        mill.archives.open(job.id, artifacts)


def test_only_a_finished_job_has_an_archive(mill: Mill) -> None:
    with pytest.raises(JobNotFinished):
        mill.archives.open(mill.submit("a.jpg").id)
    with pytest.raises(JobNotFound):
        mill.archives.open("job_none")


def test_more_images_than_a_page_are_all_there(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.reporting.archive.PART", 2)
    archive = mill.archive(*[f"{index}.jpg" for index in range(5)], artifacts=("mask",))
    assert len(rows(archive, "metrics.csv")) == 5
