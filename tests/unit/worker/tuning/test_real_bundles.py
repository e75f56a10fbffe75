"""A bundled model, raced for real: whatever wins, the answer is that of the variant that is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from storage.catalog import Catalog
from storage.registry.tunings import Tunings
from worker.engines import EngineRules, load_in, variants_here
from worker.engines.processor import precisions, processor_flags
from worker.tuning.machine import cpu_count
from worker.tuning.race import blank_picture
from worker.tuning.tuner import Tuner

MODELS = Path(__file__).parents[4] / "data" / "models"


@pytest.mark.slow
def test_a_bundled_model_is_raced_kept_and_opened_again_as_what_won(tmp_path: Path) -> None:
    bundle = Catalog([MODELS]).get("street-fast")
    rules = EngineRules(streams=2, cpus=cpu_count())
    opened = Tuner(tunings=Tunings(tmp_path), rules=rules).open(bundle)
    tuning = Tunings(tmp_path).latest(bundle)
    assert tuning is not None
    assert opened.engine.device == f"{tuning.way.engine} cpu {tuning.way.precision}"
    assert opened.streams == tuning.way.streams
    assert len(tuning.timed) >= 2
    picture = blank_picture(256, 480, batch=1)
    again = load_in(tuning.way.engine, bundle, replace(rules, precision=tuning.way.precision, streams=1))
    np.testing.assert_array_equal(opened.engine.run(picture), again.run(picture))


def test_the_bundled_models_may_run_in_every_precision_that_the_processor_has() -> None:
    for card in Catalog([MODELS]).list():
        found = {precision for _, precision in variants_here(Catalog([MODELS]).get(card.name), "cpu")}
        assert found == set(precisions(processor_flags()))
