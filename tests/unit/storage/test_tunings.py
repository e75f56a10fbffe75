"""Where results of races are kept, and who sees them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from storage.catalog import Bundle
from storage.registry.tunings import FOLDER, PACKAGED, Timed, Tuning, Tunings, Way, bundle_digest
from tests.factories import make_card

WAY = Way(engine="openvino", precision="int8", streams=2, threads=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    return Bundle(make_card("tiny"), folder)


def tuning(bundle: Bundle, *, way: Way = WAY, at: str = "2026-11-28T10:00:00+00:00", **of: str) -> Tuning:
    return Tuning(
        way=way,
        of={"bundle": bundle_digest(bundle), "cpus": "2", **of},
        timed=(Timed(way=way, median_ms=7.1, rounds=12),),
        left_out=("openvino fp32",),
        measured_at=at,
    )


def test_what_is_kept_is_found_again(bundle: Bundle, tmp_path: Path):
    kept = tuning(bundle)
    where = Tunings(tmp_path / "home").keep(bundle, kept)
    assert where is not None
    assert where.parent == bundle.folder / FOLDER
    assert Tunings(tmp_path / "home").find(bundle, kept.of) == kept
    assert [path.name for path in where.parent.iterdir()] == [where.name]  # nothing half written


def test_it_holds_for_the_same_circumstances_alone(bundle: Bundle, tmp_path: Path):
    tunings = Tunings(tmp_path)
    tunings.keep(bundle, tuning(bundle))
    assert tunings.find(bundle, tuning(bundle, cpus="4").of) is None


def test_a_file_of_other_circumstances_is_not_believed(bundle: Bundle, tmp_path: Path):
    tunings, mine = Tunings(tmp_path), tuning(bundle)
    where = tunings.keep(bundle, mine)
    assert where is not None
    where.write_text(tuning(bundle, cpus="4").to_json())
    assert tunings.find(bundle, mine.of) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"way": {}, "timed": 3}', "\ud83d"], ids=range(6))
def test_a_damaged_file_is_passed_over(bundle: Bundle, tmp_path: Path, text: str):
    tunings, kept = Tunings(tmp_path), tuning(bundle)
    where = tunings.keep(bundle, kept)
    assert where is not None
    where.write_bytes(text.encode(errors="surrogatepass"))
    assert tunings.find(bundle, kept.of) is None
    assert tunings.latest(bundle) is None


def test_the_newest_of_this_bundle_is_told(bundle: Bundle, tmp_path: Path):
    tunings, new = Tunings(tmp_path), tuning(bundle, at="2026-11-28T11:00:00+00:00", cpus="4")
    for each in (new, tuning(bundle)):
        tunings.keep(bundle, each)
    assert tunings.latest(bundle) == new
    assert tunings.variant(bundle) == "openvino int8"
    assert tunings.variant(None) is None
    changed = replace(bundle, card=replace(bundle.card, version="2"))
    assert tunings.latest(changed) is None
    assert tunings.variant(changed) is None


def test_beside_a_model_that_came_with_the_package_nothing_is_written(tmp_path: Path):
    bundle = Bundle(make_card("street"), PACKAGED / "models" / "street")
    kept = tuning(bundle)
    where = Tunings(tmp_path).keep(bundle, kept)
    assert where is not None
    assert where.is_relative_to(tmp_path)
    assert Tunings(tmp_path).find(bundle, kept.of) == kept
    assert Tunings(tmp_path).latest(bundle) == kept


def test_a_model_folder_that_cannot_be_written_leaves_it_to_the_home(bundle: Bundle, tmp_path: Path):
    (bundle.folder / FOLDER).write_text("a file where the folder would be")
    kept = tuning(bundle)
    where = Tunings(tmp_path / "home").keep(bundle, kept)
    assert where is not None
    assert where.is_relative_to(tmp_path / "home")
    assert Tunings(tmp_path / "home").find(bundle, kept.of) == kept


def test_where_nothing_can_be_written_it_is_remembered(bundle: Bundle, tmp_path: Path):
    (bundle.folder / FOLDER).write_text("no folder")
    (tmp_path / "home").write_text("no folder")
    tunings, kept = Tunings(tmp_path / "home"), tuning(bundle)
    assert tunings.keep(bundle, kept) is None
    assert tunings.find(bundle, kept.of) == kept
    with tunings.turn(limit_s=0) as ours:
        assert ours  # nobody can be waited for


def test_one_measures_at_a_time(tmp_path: Path):
    with Tunings(tmp_path).turn(limit_s=0) as first, Tunings(tmp_path).turn(limit_s=0) as second:
        assert (first, second) == (True, False)
    with Tunings(tmp_path).turn(limit_s=0) as third:
        assert third


def test_who_waits_gets_its_turn_when_the_other_is_done(tmp_path: Path):
    order: list[str] = []

    def wait() -> None:
        with Tunings(tmp_path).turn(limit_s=10) as ours:
            order.append(f"second {ours}")

    with Tunings(tmp_path).turn(limit_s=0):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
    waiting.join(60)
    assert order == ["first", "second True"]


def test_the_turn_of_a_process_that_died_is_over(tmp_path: Path):
    dying = (
        "import os, pathlib, sys; from storage.registry.tunings import Tunings\n"
        "with Tunings(pathlib.Path(sys.argv[1])).turn(limit_s=0) as ours: os._exit(0 if ours else 1)"
    )
    assert subprocess.run([sys.executable, "-c", dying, str(tmp_path)], check=False).returncode == 0
    with Tunings(tmp_path).turn(limit_s=0) as ours:
        assert ours
