"""The stopwatch from a bare machine to the first mask: what it counts, and that the peers' quickstarts make a mask."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.startup.first_mask import MODEL, PEERS, PICTURE, QUICKSTARTS, told, typed


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_what_a_quickstart_leaves_to_its_user_makes_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = module(QUICKSTARTS / "segment.py")
    monkeypatch.chdir(MODEL.parent)
    with Image.open(PICTURE) as picture:
        mask = segment.mask_of(segment.open_model(), picture)
        assert mask.size == picture.size
    assert len(np.unique(np.asarray(mask))) >= 3  # classes
    assert segment.as_png(mask).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_counted_by_its_commands_and_by_what_is_written(name: str) -> None:
    counted = typed(name)
    assert isinstance(counted["commands"], list)
    assert len(counted["commands"]) == 4
    assert int(str(counted["lines_written"])) > 20
    assert all((QUICKSTARTS / each).is_file() for each in (PEERS[name].file, "segment.py"))


def test_figures_are_medians_of_all_rounds() -> None:
    rounds = [{"installed_s": seconds, "first_mask_s": seconds + 1} for seconds in (10.0, 30.0, 20.0)]
    assert told(rounds) == {"installed_s": 20.0, "first_mask_s": 21.0, "rounds_s": [11.0, 31.0, 21.0]}
