"""Drawings: scales, ticks, hatched bars, and text that is escaped."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from jobs.comparing.pages.wording import bare, megabytes, milliseconds, parameters, signed, tick
from segmentation.label_spaces import get_label_space
from training.compare.figures.charts import Labels, Whisker, bars, curves, dots, whiskers
from training.compare.figures.frame import Axis
from training.compare.figures.scales import Scale, around, nice_step, spread_widely
from training.compare.figures.series import COLOURS, DASHES, MARKERS, Series, hatchings
from training.compare.figures.svg import element
from training.compare.thumbnails import mask_address, names_within, reduced_ids, stripes_address

LABELS = Labels(key="k", title="a <b>", description="c & d")
SHARES = Axis(label="share", low=0, high=1, say=tick)
SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_their_values_and_hatched() -> None:
    tree = ET.fromstring(bars(LABELS, [("road", (0.25, 0.5))], SHARES, say=bare))  # noqa: S314  our own
    short, long = tree.findall(f"{SVG}rect")
    assert float(long.attrib["width"]) == pytest.approx(2 * float(short.attrib["width"]), rel=1e-3)
    assert [bar.attrib["fill"] for bar in (short, long)] == ["url(#hatch-0)", "url(#hatch-1)"]
    assert [text.text for text in tree.findall(f"{SVG}text[@class='value']")] == ["25.0", "50.0"]


def test_a_class_that_does_not_occur_has_no_bar_but_a_word() -> None:
    tree = ET.fromstring(bars(LABELS, [("road", (math.nan, 0.5))], SHARES, say=bare))  # noqa: S314  our own
    assert len(tree.findall(f"{SVG}rect")) == 1
    assert "A does not occur" in "".join(tree.itertext())


def test_titles_and_descriptions_are_escaped() -> None:
    drawn = str(dots(LABELS, [("<i>", (0.5,))], SHARES))
    assert "a &lt;b&gt;" in drawn
    assert "<i>" not in drawn
    assert element("text", "x", data_name='"') == '<text data-name="&#34;">x</text>'


def test_curves_go_through_their_points_upwards() -> None:
    drawn = str(curves(LABELS, [(Series(0), [(0.0, 0.0), (1.0, 1.0)])], SHARES, SHARES, ideal=True))
    (points,) = re.findall(r'points="([\d., ]+)"', drawn)
    (x1, y1), (x2, y2) = (map(float, place.split(",")) for place in points.split())
    assert x2 > x1
    assert y2 < y1
    assert 'class="ideal"' in drawn


def test_letters_at_the_ends_of_curves_do_not_cover_each_other() -> None:
    lines = [(Series(n), [(0.0, 0.0), (1.0, 1.0)]) for n in range(3)]
    drawn = str(curves(LABELS, lines, SHARES, SHARES))
    places = sorted(float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)" class="end', drawn))
    assert all(after - before >= 12 for before, after in itertools.pairwise(places))


def test_a_value_without_an_interval_has_no_whisker() -> None:
    row = Whisker(name="A", value=0.5, low=math.nan, high=math.nan, note="50 %")
    assert "whisker" not in str(whiskers(LABELS, [row], SHARES, zero=True))


def test_ticks_are_round_and_within_the_axis() -> None:
    assert Scale(0.13, 0.97, 0, 100).ticks() == [0.2, 0.4, 0.6, 0.8]
    assert Scale(8, 130, 0, 100, logarithmic=True).ticks() == [10, 20, 50, 100]
    assert nice_step(0.9, 5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("values", "ends"), [([], (0, 1)), ([0.3], (0.27, 0.33)), ([1, 9], (0, 10)), ([math.nan, 0], (-0.1, 0.1))]
)
def test_an_axis_holds_all_its_values(values: list[float], ends: tuple[float, float]) -> None:
    low, high = around(values)
    assert (low, high) == pytest.approx(ends, abs=0.011)


def test_values_far_apart_ask_for_a_logarithmic_axis() -> None:
    assert spread_widely([1, 10])
    assert not spread_widely([1, 3])


def test_no_two_of_many_models_look_the_same() -> None:
    looks = {(n % COLOURS, Series(n).hatch, n % len(DASHES), n % len(MARKERS)) for n in range(26)}
    assert len(looks) == 26
    drawn = ET.fromstring(str(hatchings(26)))  # noqa: S314  our own
    assert len({pattern.attrib["id"] for pattern in drawn.iter("pattern")}) == 26


def test_every_marker_can_be_drawn() -> None:
    shapes = {re.sub(r"[\d.,-]+", "", str(Series(n).marker(5, 5))) for n in range(len(MARKERS))}
    assert len(shapes) >= 4


def test_class_names_are_written_only_where_they_fit() -> None:
    ids = np.zeros((200, 300), dtype=np.uint8)  # sky
    ids[:4] = 1  # too flat for a name
    ids[150:] = 11  # not labelled
    (name,) = names_within(ids, get_label_space("camvid-11"))
    assert name.text == "sky"
    assert ids[name.y, name.x] == 0


def test_masks_are_reduced_without_new_classes() -> None:
    ids = np.tile(np.array([0, 200], dtype=np.uint8), (100, 400))
    reduced = reduced_ids(ids)
    assert reduced.shape == (64, 512)
    assert set(np.unique(reduced)) <= {0, 200}


def test_pictures_become_addresses_that_hold_them() -> None:
    ids = np.zeros((4, 4), dtype=np.uint8)
    assert mask_address(ids, np.zeros((256, 3), dtype=np.uint8)).startswith("data:image/png;base64,")
    assert stripes_address(ids == 0).startswith("data:image/png;base64,")


def test_numbers_read_well() -> None:
    assert [signed(-0.0312), signed(0.0312), signed(-0.0001), signed(math.nan)] == ["−3.1", "+3.1", "0.0", "–"]
    assert [parameters(33), parameters(2_150_000)] == ["33", "2.1 M"]
    assert [megabytes(132), megabytes(4_300_000)] == ["0.1 kB", "4.3 MB"]
    assert [milliseconds(12.34), milliseconds(2500)] == ["12.3 ms", "2.5 s"]
