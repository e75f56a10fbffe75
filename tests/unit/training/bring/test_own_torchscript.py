"""A TorchScript file is a program: it is tried in another process, and what is no program is not opened."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from data.sample_library import open_samples
from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from storage.catalog import Catalog
from tests.factories import make_card
from tests.tiny_models import CLASSES, STRIDE, torchscript_model
from training.bring.card import own_card
from training.bring.check import WrongShape
from training.bring.graph import UnreadableModel
from training.bring.publish import add
from training.bring.torchscript import CheckAborted, check_apart

SPACE = get_label_space("camvid-11")
CARD = make_card("own", preprocessing=Preprocessing(long_side=64), output_stride=1)

ABOUT = own_card({"name": "own", "label_space": "camvid-11", "preprocessing": {"long_side": 64}})


def nothing_opens(bundle: object) -> Iterator[object]:
    raise AssertionError("a TorchScript file was opened in this process")
    yield


def test_a_torchscript_file_is_tried_apart_and_served(tmp_path: Path):
    torchscript_model(tmp_path / "own.pt")
    models, samples = Catalog([tmp_path / "models"]), open_samples()
    added = add(tmp_path / "own.pt", ABOUT, models=models, samples=samples, open_all=nothing_opens)  # type: ignore[arg-type]
    assert added.bundle.card.files == {"torchscript": "model.torchscript"}
    assert (added.bundle.card.output_stride, added.bundle.card.parameters) == (STRIDE, 539)
    assert added.reports[0].engine == "torch cpu f32"
    added.bundle.verify()


def test_weights_without_a_program_are_not_opened(tmp_path: Path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("text")
    for name, said in (("weights.pt", "pickle without a program"), ("text.pt", "no TorchScript")):
        with pytest.raises(UnreadableModel, match=f"^{name} .*{said}"):
            add(tmp_path / name, ABOUT, models=Catalog([tmp_path]), samples=open_samples(), open_all=nothing_opens)  # type: ignore[arg-type]


class Crooked(torch.nn.Module):
    """One class too few."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, CLASSES - 1, STRIDE, STRIDE)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.convolution(images)
        return logits


def test_what_the_other_process_finds_comes_back(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(Crooked().eval(), torch.zeros(1, 3, 64, 64)).save(str(tmp_path / "crooked.pt"))
    with pytest.raises(WrongShape, match="10 channels"):
        check_apart(tmp_path / "crooked.pt", CARD, space=SPACE)


def test_a_check_without_end_is_ended(tmp_path: Path):
    torchscript_model(tmp_path / "own.pt")
    with pytest.raises(CheckAborted, match="still running"):
        check_apart(tmp_path / "own.pt", CARD, space=SPACE, limit_s=0.05)


def test_a_torchscript_file_with_classes_of_its_own_is_served(tmp_path: Path):
    torchscript_model(tmp_path / "own.pt")
    classes = [{"id": n, "name": f"crop {n}", "colour": [n, 0, 0], "group": "field"} for n in range(CLASSES)]
    own: dict[str, Any] = {"name": "crops", "ignore_id": None, "classes": classes, "mappings": {}}
    (tmp_path / "crops.json").write_text(json.dumps(own))
    size = {"long_side": 64}
    about = own_card({"name": "own", "label_space": str(tmp_path / "crops.json"), "preprocessing": size})
    models, samples = Catalog([tmp_path / "models"]), open_samples()
    added = add(tmp_path / "own.pt", about, models=models, samples=samples, open_all=nothing_opens)  # type: ignore[arg-type]
    assert added.bundle.space().name == "crops"
