"""From a run to a bundle that can be served: the averaged weights as files, each compared with PyTorch, with a card."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from segmentation.engines import precisions
from segmentation.label_spaces import is_published
from segmentation.model_card import ModelCard
from segmentation.variant import Variant
from storage.catalog import Catalog
from training.datasets.pairs import InSpace
from training.evaluate.predictors import Predict, onnx_predictor, torch_predictor
from training.evaluate.scoring import class_ids
from training.export.balance import Balanced, fitted_offsets
from training.export.card import FinishedRun, Release, card_of
from training.export.files import (
    LARGEST_HALF_DIFFERENCE,
    ExportError,
    drafts_folder,
    export_ids,
    export_onnx,
    export_torchscript,
)
from training.export.quantize import PLANS, QuantizationFailed, quantise
from training.export.temperature import Tempered, fitted_temperature
from training.export.variants import Judge, Watch, float_candidates, int8_candidates, loss, measured, refusal, unwatched
from training.lineage import FITTED, LEARNT, DataRecord
from training.spaces import write_label_space

__all__ = ["Export", "Release", "export_run"]

NAMES = {
    "onnx": "model.onnx",
    "onnx_int8": "model.int8.onnx",
    "onnx_ids": "model.ids.onnx",
    "torchscript": "model.torchscript",
}
SERVED, QUANTISED = "fp32 in onnxruntime", "int8 in onnxruntime"  # labels of candidates
CALIBRATION_PICTURES = 32
COMPARED_PICTURES = 8
LEAST_SAME_IDS = 0.99  # weights are rounded to half precision: pixels between two classes may change

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of a file with PyTorch on real pictures. difference: the largest of any logit, in shares of the largest logit.

    same_class: the share of logits' places with the same best class.
    """

    difference: float
    same_class: float


@dataclass(frozen=True, slots=True)
class Export:
    """refused: a file that was asked for → why it was not published. torch_miou: of the model that was exported.

    checkpoint: SHA-256 of the one that was exported.
    """

    card: ModelCard
    torch_miou: float
    agreements: Mapping[str, Agreement]
    refused: Mapping[str, str]
    checkpoint: str


def export_run(
    folder: Path, release: Release, *, roots: Mapping[str, Path], models: Catalog, watch: Watch = unwatched
) -> Export:
    """Publish into the last folder of `models`. A variant that is not worth it is left out, with the reason.

    Raises ExportError, RunNotFound, DamagedRun, RecipeError, DatasetError, NameTaken; then nothing was published.
    """
    finished = FinishedRun.read(folder, roots, release.checkpoint)
    pictures = InSpace(finished.validation, finished.run.space)
    judge = Judge(pictures=pictures, preprocessing=finished.run.preprocessing, space=finished.run.space, watch=watch)
    if release.balance:
        finished = _balanced(finished, judge)
    finished = _tempered(finished, judge)
    with drafts_folder() as drafts:
        work = _Work(finished, release, judge, drafts)
        work.write_floats()
        work.write_companions()
        so_far = card_of(finished, release, work.files, {}, ())
        models.check_name(so_far, replace=release.replace, whole=not release.int8)
        scores = judge.evaluate(onnx_predictor(work.files["onnx"]), SERVED, with_scores=True).scores()
        work.known[SERVED] = scores["miou"]
        work.torch_miou = judge.miou(torch_predictor(finished.model), "PyTorch")
        if release.int8:
            work.quantise()
        work.measure()
        shown = {name: round(value, 4) for name, value in scores.items() if math.isfinite(value)}
        card = card_of(finished, release, work.files, shown, work.variants)
        models.publish(card, {path.name: path for path in work.files.values()}, replace=release.replace)
    return Export(card, work.torch_miou, work.agreements, work.refused, finished.checkpoint)


def _balanced(finished: FinishedRun, judge: Judge) -> FinishedRun:
    """With offsets fitted to the pictures that the run learnt from."""
    sets = [InSpace(each, judge.space) for each in finished.train_sets if not each.is_unlabelled]
    predict = torch_predictor(finished.model)
    found = fitted_offsets(predict, sets, preprocessing=judge.preprocessing, space=judge.space)
    return replace(finished, model=Balanced(finished.model, found).eval(), offsets=found)


def _tempered(finished: FinishedRun, judge: Judge) -> FinishedRun:
    """Its confidence fitted to the validation pictures, unless it learnt from them."""
    learnt, count = finished.validation_learnt, len(finished.validation)
    if learnt:
        text = "validation pictures that were learnt from: %d of %d; the scores say nothing about others"
        logger.warning(text, learnt, count)
        return finished
    predict, preprocessing = torch_predictor(finished.model), judge.preprocessing
    found = fitted_temperature(predict, judge.pictures, preprocessing=preprocessing, space=judge.space)
    if found is None:
        return finished
    return replace(finished, model=Tempered(finished.model, found).eval(), temperature=found)


@dataclass
class _Work:
    """What has been made so far: files by their key in the card, and what was found out about them."""

    finished: FinishedRun
    release: Release
    judge: Judge
    drafts: Path
    files: dict[str, Path] = field(default_factory=dict)
    agreements: dict[str, Agreement] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    torch_miou: float = 0.0
    known: dict[str, float] = field(default_factory=dict)  # mIoU by the label of a candidate
    quantised: str = ""  # the plan by which model.int8.onnx was made; empty: there is none

    def path(self, key: str) -> Path:
        return self.drafts / NAMES[key]

    def write_companions(self) -> None:
        """What a bundle has beside weights: pictures that it learnt from and that its confidence was fitted to, and
        classes that are the user's own."""
        self.files["learnt"] = self.drafts / LEARNT
        self.finished.data.write_learnt(self.files["learnt"])
        if self.finished.temperature is not None:
            self.files["fitted"] = self.drafts / FITTED
            split = self.finished.run.recipe.validation.split
            DataRecord.fitted_to(self.finished.tempered_on, split=split).write_learnt(self.files["fitted"])
        if not is_published(self.finished.run.space):
            self.files["label_space"] = write_label_space(self.finished.run.space, self.drafts)

    def write_floats(self) -> None:
        model = self.finished.model
        export_onnx(model, self.path("onnx"))
        self.agreements["onnx"] = self._agreement(onnx_predictor(self.path("onnx")))
        _require_close(self.agreements["onnx"])
        self.files["onnx"] = self.path("onnx")
        if self.release.torchscript:
            export_torchscript(model, self.path("torchscript"), half_weights=True)
            self.files["torchscript"] = self.path("torchscript")
        if self.release.ids:
            export_ids(model, self.finished.run.space, self.path("onnx_ids"))
            self._check_ids(self.path("onnx_ids"))
            self.files["onnx_ids"] = self.path("onnx_ids")

    def quantise(self) -> None:
        """By the first plan that keeps the accuracy, else by the most careful one; `measure` decides about it."""
        plain, path = self.drafts / "float.onnx", self.path("onnx_int8")
        export_onnx(self.finished.model, plain, half_weights=False)
        pictures = self._calibration()
        for plan in PLANS:
            try:
                quantise(plain, pictures, path, plan)
            except QuantizationFailed as error:
                self.refused["onnx_int8"] = str(error)
                return
            self.quantised = plan.name
            self.known[QUANTISED] = self.judge.miou(onnx_predictor(path), QUANTISED)
            if self.torch_miou - self.known[QUANTISED] <= self.release.tolerance:
                return

    def measure(self) -> None:
        """All files in all engines. What is not worth publishing is refused."""
        candidates = float_candidates(self.finished.model, self.files["onnx"])
        if self.quantised:
            candidates += int8_candidates(self.path("onnx_int8"))
        found = measured(candidates, self.judge, self.known)
        of = {name: [each for each in found if each.precision == name] for name in precisions()}
        self.variants += of["fp32"]
        lost = loss(of["bf16"], miou=self.torch_miou, tolerance=self.release.tolerance)
        if lost is None:
            self.variants += of["bf16"]
        else:
            self.refused["bf16"] = lost
        if self.quantised:
            self._decide_on_int8(of["int8"], of["fp32"])

    def _decide_on_int8(self, narrow: Sequence[Variant], wide: Sequence[Variant]) -> None:
        reason = refusal(narrow, wide, miou=self.torch_miou, tolerance=self.release.tolerance)
        if reason is not None:
            self.refused["onnx_int8"] = f"{reason} (quantised: {self.quantised})"
            return
        self.files["onnx_int8"] = self.path("onnx_int8")
        self.agreements["onnx_int8"] = self._agreement(onnx_predictor(self.files["onnx_int8"]))
        self.variants += [replace(each, note=f"quantised: {self.quantised}") for each in narrow]

    def _calibration(self) -> Sequence[NDArray[np.float32]]:
        """Training pictures as the network sees them when it serves, spread over all data sets."""
        pictures = [(part, index) for part in self.finished.train_sets for index in range(len(part))]
        chosen = np.linspace(0, len(pictures) - 1, min(CALIBRATION_PICTURES, len(pictures))).astype(int)
        return [self.judge.preprocessing.apply(part[index][0]) for part, index in (pictures[each] for each in chosen)]

    def _check_ids(self, path: Path) -> None:
        """Raises ExportError when too many pixels of a real picture get another class than PyTorch gives them."""
        tensor = self.judge.tensor()
        ids, _ = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
            ["ids", "confidence"], {"image": tensor[None]}
        )
        expected = class_ids(torch_predictor(self.finished.model)(tensor), tensor.shape[1:], self.judge.space)
        same = float((ids[0] == expected).mean())
        if same < LEAST_SAME_IDS:
            raise ExportError(f"{path.name} gives {same:.2%} of the pixels the class that PyTorch gives them")

    def _agreement(self, predict: Predict) -> Agreement:
        reference = torch_predictor(self.finished.model)
        differences, same = [], []
        for index in range(min(COMPARED_PICTURES, len(self.judge.pictures))):
            tensor = self.judge.preprocessing.apply(self.judge.pictures[index][0])
            expected, got = reference(tensor).numpy(), predict(tensor).numpy()
            differences.append(np.abs(got - expected).max() / np.abs(expected).max())
            same.append((got.argmax(0) == expected.argmax(0)).mean())
        return Agreement(float(np.max(differences)), float(np.mean(same)))


def _require_close(agreement: Agreement) -> None:
    if not agreement.difference <= LARGEST_HALF_DIFFERENCE:  # NaN too
        raise ExportError(
            f"logits of real pictures differ by {agreement.difference:.2g} of their largest, "
            f"more than {LARGEST_HALF_DIFFERENCE:g}"
        )
