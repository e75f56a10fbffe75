"""The page of a comparison: whole, well-formed, with the numbers of the evaluation and nothing from elsewhere."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from jobs.comparing.pages.wording import bare, percent
from tests.tiny_comparison import blind, flags, right, subject, swapped
from training.compare import Choices, Comparison, compare
from training.evaluate.evaluation import Latency

EVIL = '<script>alert(1)</script> & "co"'
LATENCY = Latency(median_ms=12.5, p90_ms=14, images_per_s=80, engine="torch", size=(32, 64), threads=1)
VOID = {"meta", "link", "br", "input", "img", "hr"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, str, Path]:
    folder = tmp_path_factory.mktemp("comparison")
    subjects = [subject("plain", right), subject(EVIL, blind), subject("other", swapped, history=())]
    out = folder / "new" / "page.html"
    choices = Choices(latency=lambda models: [LATENCY for _ in models])
    found = compare(subjects, flags(folder / "flags", 7), out, choices=choices)
    return found, out.read_text("utf-8"), out


class Structure(HTMLParser):
    """Raises AssertionError at a tag that does not close what is open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def test_every_tag_is_closed_and_every_id_stands_once(made: tuple[Comparison, str, Path]) -> None:
    structure = Structure(made[1])
    ids = [attributes["id"] for _, attributes in structure.tags if "id" in attributes]
    assert structure.open == []
    assert len(ids) == len(set(ids))


def test_every_reference_within_the_page_leads_somewhere(made: tuple[Comparison, str, Path]) -> None:
    tags = Structure(made[1]).tags
    ids = {attributes.get("id") for _, attributes in tags}
    wanted = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', made[1]))
    for _, attributes in tags:
        for name in ("aria-labelledby", "aria-describedby"):
            wanted |= set((attributes.get(name) or "").split())
    assert wanted - ids == set()


def test_nothing_is_fetched_from_elsewhere(made: tuple[Comparison, str, Path]) -> None:
    addresses = [
        value
        for _, attributes in Structure(made[1]).tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset") and value and not value.startswith(("#", "data:image/"))
    ]
    assert addresses == ["comparison.json"]
    assert "@import" not in made[1]


def test_a_name_from_a_user_is_never_markup(made: tuple[Comparison, str, Path]) -> None:
    assert "<script>alert" not in made[1]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in made[1]


def test_every_drawing_is_xml_with_a_title_and_a_description(made: tuple[Comparison, str, Path]) -> None:
    drawings = re.findall(r"<svg[^>]*class=\"chart\".*?</svg>", made[1], re.DOTALL)
    assert len(drawings) == 11 + 2 * 3  # of each class two curves
    for drawing in drawings:
        tree = ET.fromstring(drawing)  # noqa: S314  our own
        assert tree.attrib["role"] == "img"
        assert tree[0].text
        assert tree[1].text


def test_every_table_has_a_caption_and_scoped_heads(made: tuple[Comparison, str, Path]) -> None:
    tags = Structure(made[1]).tags
    assert sum(tag == "table" for tag, _ in tags) == sum(tag == "caption" for tag, _ in tags) > 5
    assert [attributes for tag, attributes in tags if tag == "th" and "scope" not in attributes] == []


def test_headings_go_down_one_level_at_a_time(made: tuple[Comparison, str, Path]) -> None:
    levels = [int(tag[1]) for tag, _ in Structure(made[1]).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_tells_what_it_shows(made: tuple[Comparison, str, Path]) -> None:
    told = [
        attributes.get("aria-label") for tag, attributes in Structure(made[1]).tags if attributes.get("role") == "img"
    ]
    masks = [text for text in told if text and text.startswith("Truth: ")]
    assert len(masks) == len(made[0].shown)
    assert all("%" in text for text in masks)


def test_the_numbers_in_the_page_are_those_of_the_evaluation(made: tuple[Comparison, str, Path]) -> None:
    found, page, _ = made
    body = page.partition('<table class="scores cards"')[2].partition("</table>")[0]
    for entry in found.entries:
        for score in ("miou", "mean_dice", "pixel_accuracy", "frequency_weighted_iou", "ece"):
            assert f'data-value="{entry.scores[score]}">' in body
            assert bare(entry.scores[score]) in body
    assert percent(found.entries[0].miou) == "100.0 %"


def test_the_data_in_the_page_and_beside_it_are_the_comparison(made: tuple[Comparison, str, Path]) -> None:
    found, page, out = made
    (within,) = re.findall(r'id="comparison-data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(within) == json.loads(json.dumps(found.to_dict()))
    assert json.loads(out.with_name("comparison.json").read_text("utf-8")) == json.loads(within)


def test_what_is_best_is_said_in_words(made: tuple[Comparison, str, Path]) -> None:
    row = made[1].partition("<tbody>")[2].partition("</tr>")[0]
    assert '<strong>100.0</strong> <span class="tag">best</span>' in row


def test_two_models_give_the_page_its_title(tmp_path: Path) -> None:
    subjects = [subject("one", right), subject("one", blind)]
    compare(subjects, flags(tmp_path, 1), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>one (1) against one (2)</h1>" in page
    assert "Not measured." in page


def test_a_failure_leaves_no_page(tmp_path: Path) -> None:
    def broken(image):
        raise OSError("out of order")

    with pytest.raises(OSError, match="out of order"):
        compare([subject("a", right), subject("b", broken)], flags(tmp_path, 1), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
