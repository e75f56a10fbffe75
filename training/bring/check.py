"""What a model must do before it is served, tried in the runtime that will serve it. Knows no runtime itself."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from data.sample_library import LABEL_SPACE, SampleLibrary
from segmentation.errors import NoRemapping
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.measures.metrics import confusion_matrix, known, mean_iou
from segmentation.model_card import ModelCard
from segmentation.picture_files.pictures import decode_mask, decode_picture
from segmentation.preprocessing import Preprocessing

Pixels = NDArray[np.float32]
Run = Callable[[Pixels], Pixels]
"""(B, 3, H, W) float32, C-contiguous → (B, C, H / stride, W / stride) float32 logits."""

SAMPLES = 4
TIMED_CALLS = 3
SAME_PIXELS = 0.999  # share of class ids that two runs must have in common
SIZES_SAID = (
    "A network exported for one size alone must be exported with dynamic axes, or added with that size (--height and "
    "--width); the number of pictures in a batch must be free, or 1"
)
_MOST_PIXELS = 4096 * 4096


class ModelUnfit(Exception):
    """The message says what the model does and what it must do. `code` is stable, for programs.

    ModelUnfit
    ├── WrongShape        the logits have another shape than the card and the label space ask for
    ├── WrongValues       values that are no numbers, or from which nobody knows how sure the network is
    ├── NotDeterministic  the same picture twice gives different classes
    └── MixesPictures     a picture gets other classes in company than alone
    """

    code: ClassVar[str] = "model_unfit"


class WrongShape(ModelUnfit):
    code = "model_wrong_shape"


class WrongValues(ModelUnfit):
    code = "model_wrong_values"


class NotDeterministic(ModelUnfit):
    code = "model_not_deterministic"


class MixesPictures(ModelUnfit):
    code = "model_mixes_pictures"


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """pixels: (H, W, 3) uint8. truth: (H, W) ids of the model's label space, None where none leads there."""

    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """median_ms: of one picture, inference alone. input_size: height, width. miou: on the bundled samples, 0..1.

    activation: what the graph was found to apply to its logits, as a card names it.
    """

    engine: str
    median_ms: float
    input_size: tuple[int, int]
    classes_seen: int
    miou: float | None
    notes: tuple[str, ...] = ()
    activation: str = ""


def read_samples(library: SampleLibrary, space: LabelSpace, *, count: int = SAMPLES) -> list[LabelledPicture]:
    """The first samples, with their truth in `space` where a remapping leads there."""
    try:
        table = get_label_space(LABEL_SPACE).remapping_to(space)
    except NoRemapping:
        table = None
    found = []
    for ident in library.ids()[:count]:
        pixels = decode_picture(library.picture(ident), max_pixels=_MOST_PIXELS)
        truth = None if table is None else table[decode_mask(library.mask(ident), max_pixels=_MOST_PIXELS)]
        found.append(LabelledPicture(pixels, truth))
    return found


def check(
    run: Run, card: ModelCard, samples: Sequence[LabelledPicture], *, space: LabelSpace, engine: str
) -> CheckReport:
    """space: the card's. Raises ModelUnfit, and what `run` raises."""
    answers = []
    for shape in _sizes(card.preprocessing, card.max_batch):
        answers.append(run(_noise(shape)))
        _check_shape(answers[-1], shape, card, space)
    predictions = [_predict(run, card, space, each.pixels) for each in samples]
    first = card.preprocessing.apply(samples[0].pixels)[None]
    _check_repeats(run, first)
    if card.max_batch is None:
        _check_company(run, first)
    answers.append(run(first))
    _check_values(answers)
    activation = _activation(answers)
    seen = len(set().union(*(np.unique(each).tolist() for each in predictions)))
    return CheckReport(
        engine=engine,
        median_ms=round(_median_ms(run, first), 3),
        input_size=(first.shape[2], first.shape[3]),
        classes_seen=seen,
        miou=_miou(predictions, samples, space),
        notes=_notes(card, activation, seen, decided=_are_decisions(answers)),
        activation=activation,
    )


def measured_stride(run: Run, card: ModelCard) -> int:
    """Pixels per logit along one side. Raises WrongShape when they differ, or when it is no whole number."""
    preprocessing = card.preprocessing
    side = preprocessing.multiple_of * -(-64 // preprocessing.multiple_of)
    height, width = preprocessing.height or side, preprocessing.width or 2 * side
    logits = run(np.zeros((1, 3, height, width), np.float32))
    if logits.ndim != 4:
        raise WrongShape(f"logits of the shape {logits.shape} come out; it must be (batch, classes, height, width)")
    rows, columns = logits.shape[2:]
    stride: int = round(height / max(1, rows))
    if stride < 1 or (-(-height // stride), -(-width // stride)) != (rows, columns):
        raise WrongShape(f"{height}×{width} pixels give {rows}×{columns} logits: no whole number of pixels for each")
    return stride


def _sizes(preprocessing: Preprocessing, max_batch: int | None) -> list[tuple[int, int, int]]:
    """Batch, height, width: two batches where more than one picture is promised, three sizes where any is."""
    most = min(2, max_batch or 2)
    if preprocessing.height is not None and preprocessing.width is not None:
        return [(each, preprocessing.height, preprocessing.width) for each in range(1, most + 1)]
    side = preprocessing.multiple_of * -(-64 // preprocessing.multiple_of)
    return [(1, side, 2 * side), (1, 2 * side, side), (most, 3 * side, 2 * side)]


def _noise(shape: tuple[int, int, int]) -> Pixels:
    batch, height, width = shape
    return np.random.default_rng(height).normal(size=(batch, 3, height, width)).astype(np.float32)


def _check_shape(logits: Pixels, shape: tuple[int, int, int], card: ModelCard, space: LabelSpace) -> None:
    batch, height, width = shape
    classes, stride = len(space.class_ids), card.output_stride
    expected = (batch, classes, -(-height // stride), -(-width // stride))
    if logits.shape == expected:
        return
    got = "×".join(map(str, logits.shape))
    if logits.ndim == 4 and logits.shape[1] != classes:
        raise WrongShape(f"{logits.shape[1]} channels come out ({got}), but {space.name} has {classes} classes")
    raise WrongShape(
        f"for {batch}×3×{height}×{width} pixels {got} logits come out instead of {'×'.join(map(str, expected))}: "
        f"{classes} classes of {space.name}, output stride {stride}. {SIZES_SAID}"
    )


def _predict(run: Run, card: ModelCard, space: LabelSpace, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) class ids at the picture's own size."""
    tensor = card.preprocessing.apply(pixels)
    logits = run(tensor[None])
    _check_shape(logits, (1, *tensor.shape[1:]), card, space)
    if not np.isfinite(logits).all():
        raise WrongValues("on a sample picture some logits are not finite numbers")
    height, width = pixels.shape[:2]
    size = (width, height)
    enlarged = np.stack([cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in logits[0]])
    ids: NDArray[np.uint8] = np.asarray(space.class_ids, np.uint8)[enlarged.argmax(0)]
    return ids


def _check_repeats(run: Run, tensor: Pixels) -> None:
    same = float((run(tensor).argmax(1) == run(tensor).argmax(1)).mean())
    if same < SAME_PIXELS:
        raise NotDeterministic(f"the same picture twice gives the same class in only {same:.1%} of its pixels")


def _check_company(run: Run, tensor: Pixels) -> None:
    """A graph that was written for one picture may take two and mix them up, in the right shape."""
    other = _noise((1, tensor.shape[2], tensor.shape[3]))
    together = run(np.concatenate([tensor, other])).argmax(1)
    for alone, beside in zip((run(tensor), run(other)), together, strict=True):
        same = float((alone.argmax(1)[0] == beside).mean())
        if same < SAME_PIXELS:
            raise MixesPictures(f"with another picture in its batch only {same:.1%} of a picture keep their class")


def _median_ms(run: Run, tensor: Pixels) -> float:
    times = []
    for _ in range(TIMED_CALLS):
        began = time.perf_counter()
        run(tensor)
        times.append((time.perf_counter() - began) * 1e3)
    return median(times)


def _miou(
    predictions: Sequence[NDArray[np.uint8]], samples: Sequence[LabelledPicture], space: LabelSpace
) -> float | None:
    if any(each.truth is None for each in samples):
        return None
    total = np.zeros((space.class_count, space.class_count + 1), np.int64)
    for ids, each in zip(predictions, samples, strict=True):
        assert each.truth is not None  # see above
        total += confusion_matrix(each.truth, ids, space=space, with_missed=True)
    return known(mean_iou(total))


def _check_values(answers: Sequence[Pixels]) -> None:
    """Probabilities in another unit, and those over the wrong axis, look like logits: classes are right then, or nearly
    so, and every confidence is wrong."""
    if any(each.min() < 0 for each in answers):
        return
    sums = np.concatenate([each.sum(1).ravel() for each in answers])
    unit = float(np.median(sums))
    if unit > 2 and np.allclose(sums, unit, rtol=3e-2):
        raise WrongValues(
            f"the classes of each pixel add up to {unit:.4g}: probabilities in another unit than 0..1; export them "
            "in that, or as logits"
        )
    if not np.allclose(sums, 1, atol=1e-2):
        for axis, name in ((2, "rows"), (3, "columns")):
            if all(np.allclose(each.sum(axis), 1, atol=1e-2) for each in answers):
                raise WrongValues(f"values add up to 1 over the {name}, not over the classes")


def _activation(answers: Sequence[Pixels]) -> str:
    """What the values look like: probabilities that add up to one, or one for each class apart."""
    if any(each.min() < 0 or each.max() > 1 for each in answers):
        return ""
    return "softmax" if all(np.allclose(each.sum(1), 1, atol=1e-2) for each in answers) else "sigmoid"


def _are_decisions(answers: Sequence[Pixels]) -> bool:
    return all(np.isin(each, (0, 1)).all() and (each.sum(1) == 1).all() for each in answers)


def _notes(card: ModelCard, activation: str, classes_seen: int, *, decided: bool) -> tuple[str, ...]:
    notes = []
    if decided:
        notes.append("each class is 0 or 1, a decision: every confidence is 1 and says nothing; export without ArgMax")
    if classes_seen == 1:
        notes.append("one class alone is seen on all samples: are mean, std and the order of the colours right?")
    if activation:
        notes.append(
            f"probabilities come out instead of logits ({activation}): the card says so, and they are the confidences"
        )
    if card.max_batch is not None:
        notes.append("it takes one picture at once: the card says so, and it is served in batches of 1")
    return tuple(notes)
