"""How a model is opened: by wish, by what was kept, by a race; engines have known speeds and a clock of their own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import ModelFailed
from segmentation.engines import AUTO
from storage.catalog import Bundle
from storage.registry.tunings import Tunings
from tests.factories import make_card
from tests.unit.worker.tuning.test_race import Clock, TimedEngine
from worker.engines import EngineRules
from worker.tuning.tuner import Tuner, Wishes

SPEEDS = {"bf16": 9.3, "int8": 7.1, "fp32": 16.3}  # ms
RULES = EngineRules(streams=2, cpus=2)


class Shop:
    """Loads engines of known speeds: by precision, by streams a factor. broken: precisions that cannot be loaded."""

    def __init__(self, **factors: float) -> None:
        self.clock = Clock()
        self.speeds = dict(SPEEDS)
        self.factors = {int(name[1:]): factor for name, factor in factors.items()}
        self.broken: set[str] = set()
        self.load_s = 0.0
        self.loaded: list[str] = []
        self.open = 0

    def load(self, name: str, bundle: Bundle, rules: EngineRules) -> TimedEngine:
        named = f"{rules.precision} × {rules.streams}"
        self.loaded.append(named)
        self.clock.advance(self.load_s)
        if rules.precision in self.broken:
            raise ModelFailed("broken")
        self.open += 1
        return _Counted(self, named, self.speeds[rules.precision] * self.factors.get(rules.streams, 1.0))

    def variants(self, bundle: Bundle, device: str, *, engine: str, precision: str) -> Sequence[tuple[str, str]]:
        return [("openvino", each) for each in self.speeds if precision in (AUTO, each)]


class _Counted(TimedEngine):
    def __init__(self, shop: Shop, device: str, ms: float) -> None:
        super().__init__(shop.clock, ms)
        self.device = device
        self._shop = shop

    def close(self) -> None:
        self._shop.open -= 1


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    return Bundle(make_card("tiny"), folder)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def tuner(shop: Shop, home: Path, **changes: Any) -> Tuner:
    given: dict[str, Any] = {"tunings": Tunings(home), "rules": RULES, **changes}
    return Tuner(clock=shop.clock, load=shop.load, variants=shop.variants, **given)


def test_the_first_load_races_and_takes_the_fastest(shop: Shop, bundle: Bundle, tmp_path: Path):
    opened = tuner(shop, tmp_path).open(bundle)
    assert (opened.engine.device, opened.streams) == ("int8 × 2", 2)
    assert (shop.open, shop.loaded.count("int8 × 2")) == (1, 1)  # the one that won goes on and serves


def test_the_next_load_takes_what_was_kept(shop: Shop, bundle: Bundle, tmp_path: Path):
    tuner(shop, tmp_path).open(bundle)
    shop.loaded.clear()
    tuner(shop, tmp_path).open(bundle)
    assert shop.loaded == ["int8 × 2"]


def test_streams_are_raced_for_the_best_variant(bundle: Bundle, tmp_path: Path):
    shop = Shop(x1=0.5)
    opened = tuner(shop, tmp_path).open(bundle)
    assert (opened.engine.device, opened.streams) == ("int8 × 1", 1)
    assert (shop.open, shop.loaded) == (1, ["bf16 × 2", "int8 × 2", "fp32 × 2", "int8 × 1"])


def test_streams_that_somebody_names_are_not_raced(bundle: Bundle, tmp_path: Path):
    shop = Shop(x1=0.5)
    named = tuner(shop, tmp_path, wishes=Wishes(streams=2))
    assert named.open(bundle).streams == 2
    assert "int8 × 1" not in shop.loaded


def test_an_explicit_setting_wins_without_measuring(shop: Shop, bundle: Bundle, tmp_path: Path):
    wishes = Wishes(engine="openvino", precision="fp32")
    tuner(shop, tmp_path, wishes=wishes).open(bundle)
    assert shop.loaded == ["fp32 × 2"]
    assert Tunings(tmp_path).latest(bundle) is None


def test_what_tune_found_out_for_an_explicit_setting_is_used(bundle: Bundle, tmp_path: Path):
    shop = Shop(x1=0.5)
    settled = tuner(shop, tmp_path, wishes=Wishes(engine="openvino", precision="fp32"))
    settled.tune(bundle)
    assert settled.open(bundle).streams == 1


def test_what_there_is_only_one_of_is_not_raced(bundle: Bundle, tmp_path: Path):
    shop = Shop()
    shop.speeds = {"fp32": 16.3}
    tuner(shop, tmp_path, wishes=Wishes(streams=2)).open(bundle)
    assert shop.loaded == ["fp32 × 2"]


def test_a_changed_bundle_is_raced_anew(shop: Shop, bundle: Bundle, tmp_path: Path):
    tuner(shop, tmp_path).open(bundle)
    shop.loaded.clear()
    tuner(shop, tmp_path).open(replace(bundle, card=replace(bundle.card, version="2")))
    assert len(shop.loaded) > 1


@pytest.mark.parametrize(
    "changed",
    [{"rules": replace(RULES, cpus=8)}, {"rules": replace(RULES, max_batch=4)}, {"wishes": Wishes(engine="openvino")}],
    ids=["processors", "batch", "wish"],
)
def test_other_circumstances_are_raced_anew(shop: Shop, bundle: Bundle, tmp_path: Path, changed: dict[str, Any]):
    tuner(shop, tmp_path).open(bundle)
    shop.loaded.clear()
    tuner(shop, tmp_path, **changed).open(bundle)
    assert len(shop.loaded) > 1


def test_another_version_of_an_engine_is_raced_anew(
    shop: Shop, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tuner(shop, tmp_path).open(bundle)
    shop.loaded.clear()
    monkeypatch.setattr("worker.tuning.tuner.software", lambda: {"openvino": "2099.1"})
    tuner(shop, tmp_path).open(bundle)
    assert len(shop.loaded) > 1


def test_tune_measures_again_and_what_it_finds_is_kept(shop: Shop, bundle: Bundle, tmp_path: Path):
    tuner(shop, tmp_path).open(bundle)
    shop.speeds["bf16"] = 3.0
    tuning = tuner(shop, tmp_path).tune(bundle)
    assert tuning.way.precision == "bf16"
    assert tuning.timed[0].way.precision == "bf16"
    assert shop.open == 1  # tuning leaves nothing open
    tuner(shop, tmp_path).open(bundle)
    assert shop.loaded[-1] == "bf16 × 2"


def test_one_that_cannot_be_loaded_is_left_out(shop: Shop, bundle: Bundle, tmp_path: Path):
    shop.broken = {"int8"}
    tuning = tuner(shop, tmp_path).tune(bundle)
    assert (tuning.way.precision, tuning.left_out) == ("bf16", ("openvino int8, 2 × 1 threads",))


def test_a_kept_way_that_cannot_be_loaded_any_more_gives_way_to_the_preferred_one(
    shop: Shop, bundle: Bundle, tmp_path: Path
):
    tuner(shop, tmp_path).open(bundle)
    shop.broken = {"int8"}
    tuner(shop, tmp_path).open(bundle)
    assert shop.loaded[-1] == "bf16 × 2"


def test_when_nothing_can_be_loaded_the_reason_is_told(shop: Shop, bundle: Bundle, tmp_path: Path):
    shop.broken = {*SPEEDS}
    with pytest.raises(ModelFailed, match="broken"):
        tuner(shop, tmp_path).open(bundle)


def test_a_slow_start_leaves_out_what_there_is_no_time_for(shop: Shop, bundle: Bundle, tmp_path: Path):
    shop.load_s = 2.0
    tuning = tuner(shop, tmp_path).tune(bundle)
    assert tuning.way.precision == "int8"
    assert tuning.left_out == ("openvino fp32, 2 × 1 threads", "openvino int8, 1 × 2 threads")


def test_a_large_model_is_not_opened_more_often_than_memory_allows(shop: Shop, bundle: Bundle, tmp_path: Path):
    large = replace(bundle, card=replace(bundle.card, parameters=10**9))
    assert tuner(shop, tmp_path).tune(large).left_out == ("openvino fp32, 2 × 1 threads",)


def test_another_process_that_measured_meanwhile_spares_us_the_race(shop: Shop, bundle: Bundle, tmp_path: Path):
    class Meanwhile(Tunings):
        def turn(self, *, limit_s: float) -> Any:
            tuner(shop, tmp_path).tune(bundle)
            shop.loaded.clear()
            return super().turn(limit_s=limit_s)

    tuner(shop, tmp_path, tunings=Meanwhile(tmp_path)).open(bundle)
    assert shop.loaded == ["int8 × 2"]


def test_one_that_measures_for_ever_is_not_waited_for(
    shop: Shop, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("worker.tuning.tuner.TURN_LIMIT_S", 0.0)
    with Tunings(tmp_path).turn(limit_s=0.0):
        tuner(shop, tmp_path).open(bundle)
    assert shop.loaded == ["bf16 × 2"]
    assert Tunings(tmp_path).latest(bundle) is None


def test_the_log_tells_what_was_found(shop: Shop, bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    tuner(shop, tmp_path).open(bundle)
    assert "tiny runs fastest here in openvino int8, 2 × 1 threads" in caplog.text
