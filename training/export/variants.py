"""What each precision and engine costs and scores on the same pictures, and which of them are worth publishing."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segmentation.label_space import LabelSpace
from segmentation.preprocessing import Preprocessing
from segmentation.variant import Variant
from training.datasets.pairs import LabelledPictures, unmarked_in
from training.evaluate.evaluation import Evaluation
from training.evaluate.latency import processors
from training.evaluate.predictors import Predict, onnx_predictor, openvino_precisions, openvino_predictor
from training.evaluate.scoring import Scorer, evaluations

TOLERANCE = 0.005  # of mIoU: half a point
ROUNDS = 15
NO_BF16 = "accuracy by PyTorch's autocast; no bf16 instructions on this machine, so its speed was not measured"

# Called with what is counted and how many: gives a block in which each one that is done is reported.
Watch = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


@contextmanager
def unwatched(_label: str, _total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The labelled pictures on which variants are scored, and the one on which they are timed."""

    pictures: LabelledPictures
    preprocessing: Preprocessing
    space: LabelSpace
    watch: Watch = unwatched

    def evaluate(self, predict: Predict, label: str, *, with_scores: bool = False) -> Evaluation:
        total = Evaluation.nothing(self.space, unmarked_in(self.pictures))
        scorer = Scorer(self.space, self.space, with_scores)
        with self.watch(f"scoring {label}", len(self.pictures)) as done:
            for one in evaluations(predict, self.pictures, preprocessing=self.preprocessing, scorer=scorer):
                total += one
                done()
        return total

    def miou(self, predict: Predict, label: str) -> float:
        return self.evaluate(predict, label).scores()["miou"]

    def tensor(self) -> NDArray[np.float32]:
        return self.preprocessing.apply(self.pictures[0][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """timed: whether its speed here says anything about its speed where it is meant for."""

    precision: str
    engine: str
    file: Path
    predict: Predict
    timed: bool = True
    note: str = ""

    @property
    def label(self) -> str:
        return f"{self.precision} in {self.engine}"


def float_candidates(model: nn.Module, file: Path) -> list[Candidate]:
    """fp32 in each engine, and bf16 in OpenVINO where the processor has it, else in PyTorch for its accuracy alone."""
    threads = processors()
    found = [
        Candidate(precision="fp32", engine="onnxruntime", file=file, predict=onnx_predictor(file, threads=threads))
    ]
    in_openvino = openvino_precisions().values()
    for hint, precision in (("f32", "fp32"), ("bf16", "bf16")):
        if hint in in_openvino:
            predict = openvino_predictor(file, threads=threads, precision=hint)
            found.append(Candidate(precision=precision, engine="openvino", file=file, predict=predict))
    if "bf16" not in in_openvino:
        predict = bf16_predictor(model)
        found.append(Candidate(precision="bf16", engine="torch", file=file, predict=predict, timed=False, note=NO_BF16))
    return found


def int8_candidates(file: Path) -> list[Candidate]:
    threads = processors()
    engines = {"onnxruntime": onnx_predictor(file, threads=threads)}
    if openvino_precisions():
        engines["openvino"] = openvino_predictor(file, threads=threads)
    return [Candidate(precision="int8", engine=name, file=file, predict=predict) for name, predict in engines.items()]


def bf16_predictor(model: nn.Module) -> Predict:
    """PyTorch's autocast on the processor: bf16 where it counts, also on processors without the instructions."""
    model.eval()

    def predict(image: NDArray[np.float32]) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            logits: Tensor = model(torch.from_numpy(image)[None])[0]
        return logits.float()

    return predict


def measured(candidates: Sequence[Candidate], judge: Judge, known: Mapping[str, float]) -> list[Variant]:
    """In the order of `candidates`. Timed in turns, so that what else the machine does hits all alike.

    known: the mIoU of those that were scored before, by their label.
    """
    scores = [known[each.label] if each.label in known else judge.miou(each.predict, each.label) for each in candidates]
    seconds = _in_turns(candidates, judge)
    return [
        Variant(
            precision=each.precision,
            engine=each.engine,
            file=each.file.name,
            bytes=each.file.stat().st_size,
            median_ms=round(float(np.median(took)) * 1e3, 2) if took else None,
            images_per_s=round(len(took) / sum(took), 2) if took else None,
            miou=round(score, 4),
            machine=f"{processor_name()}, {processors()} threads",
            note=each.note,
        )
        for each, score, took in zip(candidates, scores, seconds, strict=True)
    ]


def loss(narrow: Sequence[Variant], *, miou: float, tolerance: float) -> str | None:
    """How much they lose against PyTorch when it is more than the tolerance; in the worst engine."""
    lost = miou - min(each.miou or 0.0 for each in narrow)
    return f"it loses {lost * 100:.2f} points of mIoU, more than {tolerance * 100:g}" if lost > tolerance else None


def refusal(narrow: Sequence[Variant], wide: Sequence[Variant], *, miou: float, tolerance: float) -> str | None:
    """Why a quantised file is not worth publishing; None when it is.

    narrow: its variants; wide: those of the file that it was made from. miou: of the model in PyTorch.
    """
    lost = loss(narrow, miou=miou, tolerance=tolerance)
    if lost is not None:
        return lost
    if narrow[0].bytes >= wide[0].bytes:
        return f"it is not smaller: {narrow[0].bytes:,} bytes against {wide[0].bytes:,}"
    fastest, before = (min(each.median_ms for each in group if each.median_ms) for group in (narrow, wide))
    if fastest >= before:
        return f"it is not faster: {fastest:.1f} ms against {before:.1f} ms"
    return None


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _in_turns(candidates: Sequence[Candidate], judge: Judge) -> list[list[float]]:
    tensor = judge.tensor()
    seconds: list[list[float]] = [[] for _ in candidates]
    with judge.watch("timing", ROUNDS) as done:
        for each in candidates:
            each.predict(tensor)  # warm
        for _ in range(ROUNDS):
            for each, took in zip(candidates, seconds, strict=True):
                if each.timed:
                    began = time.perf_counter()
                    each.predict(tensor)
                    took.append(time.perf_counter() - began)
            done()
    return seconds
