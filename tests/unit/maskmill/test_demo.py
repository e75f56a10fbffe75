"""What the demo submits and what it shows, without a server."""

from __future__ import annotations

import functools
import html.parser
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Picture
from rich.console import Console

from maskmill.client import Maskmill
from maskmill.demo.material import Item, Material, own, samples
from maskmill.demo.page import Terms, write_page
from maskmill.demo.story import MADE_BY_US, DemoOptions, comparable, tell, terms_of
from maskmill.demo.tables import MOST_ROWS, show_results
from maskmill.errors import InvalidInput
from maskmill.handle import JobHandle
from maskmill.image import Image
from maskmill.transport import Transport
from segmentation.label_spaces import get_label_space
from tests.unit.maskmill.toy_server import ToyServer, as_json

JobState = Callable[..., dict[str, Any]]


def _png(ids: list[int]) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(np.array([ids], dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def _picture(form: str) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (4, 2), "red").save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder in (images, masks):
        folder.mkdir()
    for name in ("a", "b"):
        (images / f"{name}.jpg").write_bytes(_picture("JPEG"))
    (masks / "a.png").write_bytes(_png([*range(12)]))
    return images, masks


@pytest.mark.parametrize(
    ("ids", "space"),
    [([*range(12)], "camvid-11"), ([0, 7, 33], "cityscapes-34"), ([*range(19), 255], "cityscapes-19")],
)
def test_the_ids_in_masks_tell_their_label_space(folders: tuple[Path, Path], ids: list[int], space: str) -> None:
    (folders[1] / "a.png").write_bytes(_png(ids))
    material = own(*folders, None)
    assert (material.mask_label_space, material.guessed) == (space, True)


def test_names_tell_more_than_ids(folders: tuple[Path, Path]) -> None:
    (folders[1] / "a.png").rename(folders[1] / "a_gtFine_labelIds.png")
    assert own(*folders, None).mask_label_space == "cityscapes-34"


@pytest.mark.parametrize("ids", [[0, 200], [0, 3, 11], [0, 255]])
def test_ids_that_are_not_certain_must_be_explained(folders: tuple[Path, Path], ids: list[int]) -> None:
    (folders[1] / "a.png").write_bytes(_png(ids))
    with pytest.raises(InvalidInput, match="--mask-label-space"):
        own(*folders, None)
    assert own(*folders, "cityscapes-34").guessed is False


def test_a_mask_that_is_a_photograph_is_refused(folders: tuple[Path, Path]) -> None:
    (folders[1] / "a.png").write_bytes(_picture("PNG"))
    with pytest.raises(InvalidInput, match=r"a\.png"):
        own(*folders, None)


def test_pictures_without_masks_are_fine(folders: tuple[Path, Path]) -> None:
    material = own(folders[0], None, None)
    assert (len(material.pictures), material.masks, material.mask_label_space) == (2, (), None)


def test_an_archive_is_no_picture_of_the_demo(folders: tuple[Path, Path]) -> None:
    (folders[0] / "more.zip").touch()
    with pytest.raises(InvalidInput, match="maskmill submit"):
        own(folders[0], None, None)


def test_all_pictures_go_into_one_archive_and_all_masks_into_another(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pictures, masks = own(*folders, None).pack(tmp_path / "out")
    assert zipfile.ZipFile(pictures).namelist() == ["a.jpg", "b.jpg"]
    assert masks is not None
    assert zipfile.ZipFile(masks).namelist() == ["a.png"]


def test_two_pictures_of_one_name_stay_two(tmp_path: Path) -> None:
    pictures, _ = Material(pictures=[Item("a.jpg", b"1"), Item("a.jpg", b"2")]).pack(tmp_path)
    with zipfile.ZipFile(pictures) as bundle:
        assert bundle.namelist() == ["a.jpg", "a_1.jpg"]


def test_a_limit_takes_the_masks_of_its_pictures_alone() -> None:
    pictures = [Item("a.jpg", b""), Item("b.jpg", b"")]
    masks = [Item("a_gtFine_labelIds.png", b""), Item("b_labelIds.png", b"")]
    material = Material(pictures=pictures, masks=masks, mask_label_space="cityscapes-34")
    limited = material.limited(1)
    assert ([item.name for item in limited.pictures], [item.name for item in limited.masks]) == (
        ["a.jpg"],
        ["a_gtFine_labelIds.png"],
    )
    assert material.limited(None) is material


def test_a_picture_finds_its_own_truth_first() -> None:
    masks = [Item("street_1_mask.png", b""), Item("street.png", b"")]
    pictures = [Item(name, b"") for name in ("other.jpg", "street_1.jpg", "street.jpg")]
    material = Material(pictures=pictures, masks=masks)
    assert material.truth_of("street.jpg") is masks[1]
    assert material.truth_of("street_1.jpg") is masks[0]
    assert material.truth_of("other.jpg") is None


def test_the_samples_come_with_ground_truth() -> None:
    material = samples()
    assert len(material.pictures) == len(material.masks) == 12
    assert all(material.truth_of(item.name) for item in material.pictures)


def test_somebody_elses_folder_is_not_touched(folders: tuple[Path, Path], tmp_path: Path) -> None:
    options = DemoOptions(home=tmp_path / "home", out=folders[0], images=folders[0])
    with pytest.raises(InvalidInput, match="--out"):
        tell(options, Console(file=io.StringIO()))
    assert len(list(folders[0].iterdir())) == 2
    assert not (folders[0] / MADE_BY_US).exists()


def test_masks_without_images_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--images"):
        tell(DemoOptions(home=tmp_path, masks=tmp_path), Console(file=io.StringIO()))


TRUTH = {"pixel_accuracy": 0.9, "miou": 0.61234, "mean_dice": 0.7, "iou": {"road": 0.8, "sky": 0.4}}
FRACTIONS = {"road": 0.7, "sky": 0.3}


def _row(index: int, name: str) -> dict[str, Any]:
    metrics = {"class_fractions": FRACTIONS, "mean_confidence": 0.87, "ground_truth": TRUTH}
    return {
        "index": index,
        "name": name,
        "status": "succeeded",
        "width": 4,
        "height": 2,
        "metrics": metrics,
        "timings_ms": {"total": 141.7, "queue": 60.0, "load": 40.0},
        "error": None,
        "artifacts": {},
    }


def _failed(index: int, name: str) -> dict[str, Any]:
    error = {"code": "unreadable_image", "message": "it is no <picture>"}
    return {**_row(index, name), "status": "failed", "metrics": None, "error": error}


@pytest.fixture
def job(job_state: JobState) -> JobHandle:
    metrics = {"class_fractions": FRACTIONS, "mean_confidence": 0.87, "ground_truth": TRUTH}
    return JobHandle(_nobody(), {**job_state("partial", total=2, done=1, failed=1), "metrics": metrics})


@functools.cache
def _nobody() -> Transport:
    return Transport(http=httpx.Client())


def _images(*rows: dict[str, Any]) -> list[Image]:
    return [Image(row, "/jobs/job_1/images", _nobody()) for row in rows]


def _shown(job: JobHandle, images: list[Image], *, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_results(console, job, images)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_a_row_per_image_and_per_class(job: JobHandle) -> None:
    said = _shown(job, _images(_row(0, "a.jpg"), _failed(1, "b.jpg")))
    row = next(line for line in said.splitlines() if line.startswith("a.jpg"))
    assert " ".join(row.split()) == "a.jpg 4×2 61.2 % 90.0 % 87.0 % 42 road 70 %, sky 30 %"
    assert "failed unreadable_image" in said
    assert "mIoU 61.2 %, pixel accuracy 90.0 %" in said
    assert [line.split()[0] for line in said.splitlines() if "━" in line] == ["road", "sky"]


def test_a_narrow_terminal_shows_numbers_rather_than_names(job: JobHandle) -> None:
    said = _shown(job, _images(_row(0, "a.jpg")), width=80)
    assert "61.2 %" in said
    assert "largest classes" not in said


def test_of_many_images_the_worst_are_shown(job: JobHandle) -> None:
    rows = [_row(index, f"{index}.jpg") for index in range(MOST_ROWS)] + [_failed(99, "bad.jpg")]
    said = _shown(job, _images(*rows))
    assert "bad.jpg" in said
    assert f"{MOST_ROWS} lowest of {MOST_ROWS + 1}" in said


def test_without_ground_truth_confidence_is_told(job_state: JobState) -> None:
    state = {**job_state("succeeded", total=1, done=1), "metrics": {"class_fractions": {}, "mean_confidence": 0.5}}
    assert "mean confidence 50.0 %" in _shown(JobHandle(_nobody(), state), [])


class _Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        if tag in ("a", "image") and (link := named.get("href")) and not link.startswith(("#", "data:")):
            self.links.append(link)


@pytest.fixture
def page(job: JobHandle, tmp_path: Path) -> _Page:
    for kind, suffix, data in (("overlay", "jpg", _picture("JPEG")), ("mask", "png", _png([3, 0, 11, 7]))):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"a b.{suffix}").write_bytes(data)
    for name in ("metrics.csv", "metrics.json", "manifest.json", "results.zip"):
        (tmp_path / name).touch()
    pictures = [Item("a b.tif", _picture("TIFF")), Item("<b>.jpg", b"broken")]
    masks = [Item("a b_mask.png", _png([7, 23, 0, 26]))]
    material = Material(pictures=pictures, masks=masks, mask_label_space="cityscapes-34")
    images = _images(_row(0, "a b.tif"), _failed(1, "<b>.jpg"))
    space = get_label_space(str(job.state["label_space"]))
    terms = Terms(space=space, licence="For <research> only. More of it.")
    written = write_page(tmp_path, job, images, material, terms)
    return _Page(written.read_text(encoding="utf-8"))


def test_the_page_tells_under_which_terms_the_weights_are(page: _Page) -> None:
    assert "For <research> only" in page.text


def test_every_link_of_the_page_leads_to_a_file_beside_it(page: _Page, tmp_path: Path) -> None:
    assert page.links
    for link in page.links:
        assert (tmp_path / httpx.URL(link).path).is_file(), link


def test_every_picture_of_the_page_is_told_in_words(page: _Page) -> None:
    pictures = [attributes["aria-label"] or "" for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(pictures) == 4  # picture, truth, mask, and where it is wrong
    assert "road 70.0 %" in pictures[2]
    assert "Where the mask is wrong" in pictures[3]


def test_what_may_be_pointed_at_lies_in_the_page(page: _Page) -> None:
    layers = [attributes["href"] or "" for tag, attributes in page.tags if "mask" in (attributes.get("class") or "")]
    assert len(layers) == 2
    assert all(each.startswith("data:image/png;base64,") for each in layers)


def test_what_failed_stands_first(page: _Page) -> None:
    assert page.text.index("it is no <picture>") < page.text.index("a b.tif")


def test_a_failed_image_says_why_and_breaks_no_markup(page: _Page, tmp_path: Path) -> None:
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;.jpg" in text
    assert "failed: it is no &lt;picture&gt;" in text
    assert "<b>.jpg" not in text


def test_truth_is_shown_in_the_colours_of_the_results(page: _Page, tmp_path: Path) -> None:
    (truth,) = (tmp_path / "truth").iterdir()
    with Picture.open(truth) as shown:
        assert np.asarray(shown).tolist() == [[3, 0, 11, 8]]  # road, sky, nothing, car
        assert shown.convert("RGB").getpixel((0, 0)) == (128, 64, 128)


@pytest.mark.parametrize(
    ("own_space", "reachable", "space", "masks"),
    [
        ("camvid-11", {}, None, 1),  # the masks can be read in it
        ("ade20k-150", {"cityscapes-8": {}}, "cityscapes-8", 1),
        ("yard-2", {"yard-2": {}}, None, 0),
    ],
)
def test_masks_are_compared_in_a_label_space_that_the_model_can_give_or_stay_out(
    server: ToyServer, own_space: str, reachable: dict[str, Any], space: str | None, masks: int
) -> None:
    model = {"name": "m", "default": True, "label_space": own_space, "label_spaces": reachable}
    server.on("GET", "/models", as_json({"items": [model]}))
    given = Material(pictures=[Item("a.png", b"")], masks=[Item("a_mask.png", b"")], mask_label_space="cityscapes-34")
    console = Console(file=io.StringIO(), width=160)
    with Maskmill(server.url) as client:
        found, chosen = comparable(client, given, console)
    assert (chosen, len(found.masks)) == (space, masks)
    assert ("nothing is compared" in console.file.getvalue()) is (masks == 0)  # type: ignore[attr-defined]


def test_the_page_knows_the_classes_that_a_model_brings_along(server: ToyServer, job_state: JobState) -> None:
    colours = {"yard": [1, 2, 3], "sky": [4, 5, 6]}
    classes = [
        {"id": index, "name": name, "colour": colour, "hex": "#000000", "group": "all"}
        for index, (name, colour) in enumerate(colours.items())
    ]
    server.on("GET", "/models", as_json({"items": [{"name": "toy", "licence": "MIT"}]}))
    about: dict[str, Any] = {
        "name": "yard-2",
        "description": "",
        "ignore_id": None,
        "classes": classes,
        "mappings_from": {},
    }
    server.on("GET", "/jobs/job_1/label-space", as_json(about))
    with Maskmill(server.url) as client:
        job = JobHandle(_nobody(), {**job_state("succeeded", total=1, done=1), "model": "toy", "label_space": "yard-2"})
        terms = terms_of(client, job)
    assert (terms.licence, terms.space.names()) == ("MIT", ("yard", "sky"))
