"""How much mIoU is left when the pictures of CamVid `val` are blurred, noisy, dark, coded hard or in fog.

`python -m benchmarks.robustness --root camvid=FOLDER`: every bundle in float32, every changed picture the same for all.
The kinds are those of Hendrycks and Dietterich 2019 (ImageNet-C) in simple forms, each in two strengths.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record
from segmentation.label_spaces import get_label_space
from storage.catalog import Bundle, Catalog, open_catalog
from storage.settings import StorageSettings
from training.datasets.camvid import camvid
from training.datasets.pairs import InSpace
from training.evaluate.evaluation import Evaluation
from training.evaluate.predictors import onnx_predictor
from training.evaluate.scoring import Scorer
from training.recipe.building import parse_roots

QUESTION = "mIoU on CamVid val, camvid-11, when the pictures are changed"
NOTHING = "as they are"

Picture = NDArray[np.uint8]
Change = Callable[[Picture], Picture]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", action="append", default=[], metavar="camvid=FOLDER")
    parser.add_argument("--every", type=int, default=4, help="of the 101 pictures, every so many")
    parser.add_argument("--models", type=Path, help="folder of bundles; default: the bundled ones")
    given = parser.parse_args()
    catalog = Catalog([given.models]) if given.models else open_catalog(StorageSettings())
    bundles = [catalog.get(card.name) for card in catalog.list() if card.label_space == "camvid-11"]
    root = parse_roots(given.root).get("camvid", Path("runs", "datasets", "camvid"))
    pictures = InSpace(camvid(root, "val"), get_label_space("camvid-11"))
    chosen = [pictures[index] for index in range(0, len(pictures), given.every)]
    record(
        "robustness", QUESTION, {"pictures": len(chosen), "miou": {b.card.name: measured(b, chosen) for b in bundles}}
    )


def measured(bundle: Bundle, pictures: list[tuple[Picture, Picture]]) -> dict[str, float]:
    """mIoU by the name of a change."""
    space = get_label_space("camvid-11")
    predict, scorer = onnx_predictor(bundle.file("onnx")), Scorer(space, space, with_scores=False)
    found = {}
    for name, change in CHANGES.items():
        total: Evaluation | None = None
        for picture, truth in pictures:
            one = scorer.score(predict(bundle.card.preprocessing.apply(change(picture))), truth)
            total = one if total is None else total + one
        found[name] = round(total.scores()["miou"], 4) if total else float("nan")
    return found


def _blurred(deviation: float) -> Change:
    return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), deviation), dtype=np.uint8)


def _noisy(deviation: float) -> Change:
    def change(picture: Picture) -> Picture:
        return _rounded(picture + np.random.default_rng(1).normal(0, deviation, picture.shape))

    return change


def _lit(factor: float) -> Change:
    return lambda picture: _rounded(picture * factor)


def _fog(kept: float) -> Change:
    return lambda picture: _rounded(picture * kept + 225 * (1 - kept))


def _coded(quality: int) -> Change:
    def change(picture: Picture) -> Picture:
        blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)  # colours are coded more coarsely than brightness
        _, coded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)

    return change


def _rounded(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


CHANGES: Mapping[str, Change] = {
    NOTHING: lambda picture: picture,
    "blur, σ 1 pixel": _blurred(1.0),
    "blur, σ 2 pixels": _blurred(2.0),
    "noise, σ 10 of 255": _noisy(10.0),
    "noise, σ 25 of 255": _noisy(25.0),
    "half the light": _lit(0.5),
    "a quarter of the light": _lit(0.25),
    "1.6 times the light": _lit(1.6),
    "JPEG of quality 25": _coded(25),
    "JPEG of quality 10": _coded(10),
    "fog that leaves 60 %": _fog(0.6),
    "fog that leaves 30 %": _fog(0.3),
}


if __name__ == "__main__":
    main()
