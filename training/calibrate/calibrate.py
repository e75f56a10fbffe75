"""From a bundle and a few labelled pictures to a bundle whose confidence is right on such pictures. All or nothing.

Only the constant by which logits are divided is new; `maskmill models calibrate` is the command.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from jobs.comparing.pages.wording import counted
from segmentation.masks.mask_check import percent
from segmentation.model_card import ModelCard, require_name
from storage.catalog import Bundle, Catalog
from training.calibrate.check import DividedFile
from training.calibrate.errors import NoBetter, NoLogits, UnfitPictures
from training.calibrate.fitting import Fit, Sample, fit
from training.calibrate.graph import IDS, divide, expose, find_logits
from training.datasets.pairs import InSpace, PairDataset
from training.evaluate.evaluation import OF_PROBABILITIES
from training.evaluate.held_out import Overlap, overlap
from training.evaluate.predictors import Predict, onnx_options, onnx_predictor
from training.evaluate.subjects import open_subject
from training.export.files import drafts_folder
from training.export.samples import sampled_pictures, spread
from training.export.temperature import EVERY, PICTURES
from training.export.variants import Watch, unwatched
from training.lineage import FITTED, DataRecord

FLOAT = "onnx"  # the key of the file to whose logits the temperature is fitted
LEFT_OUT = "torchscript"  # a program: its end cannot be changed without running it
INSIST = "--anyway does it all the same"
MOST_UNSHOWN = 0.01  # share of pixels of classes that masks cannot show: as much as a good calibration error


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """name: of the new model; it may be that of the old one. split: of the data set, for people.

    anyway: also with pictures that say little, and with a temperature that is no better. replace: whether another model
    of that name may be lost. Raises InvalidModelCard for a name that a card cannot have.
    """

    name: str
    pictures: PairDataset
    split: str
    anyway: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        require_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """pictures: how many it was fitted to. tied: file → pixels of these pictures between two classes that were equal,
    where rounding decides otherwise now. left_out: files that the new bundle lacks. overlap: as scoring tells it.
    """

    bundle: Bundle
    fit: Fit
    pictures: int
    tied: Mapping[str, int]
    left_out: Sequence[str]
    overlap: Overlap


def calibrate(source: Bundle, order: Order, *, models: Catalog, watch: Watch = unwatched) -> Calibrated:
    """Publish into the last folder of `models`.

    Raises CalibrationRefused, ModelFailed (a damaged bundle), NoRemapping (masks whose ids lead to no class of the
    model), DatasetError, NameTaken; then nothing was published.
    """
    if FLOAT not in source.card.files:
        there = ", ".join(source.card.files)
        raise NoLogits(f"{source.card.name} has no file {FLOAT}, whose logits could be divided; it has {there}")
    found = _looked_for(source, order)
    with drafts_folder() as drafts:
        work = _Work(source, order, watch, drafts)
        samples = work.samples()
        if not order.anyway:
            work.require_shown(samples)
        fitted = fit(samples)
        if not (fitted.is_better or order.anyway):
            raise NoBetter(_why_not(source.card, fitted))
        files = work.divided(fitted.temperature)
        tied = {key: work.tied(key, fitted.temperature) for key in work.keys}
        companions = {**work.companions(), FITTED: work.fitted_to()}
        card = _card(source.card, order, fitted, {**files, FITTED: companions[FITTED]}, work.picture_count)
        bundle = models.publish(card, {**companions, **files}, replace=order.replace)
    names = source.card.files
    return Calibrated(
        bundle=bundle,
        fit=fitted,
        pictures=work.picture_count,
        tied={names[key]: count for key, count in tied.items()},
        left_out=[name for key, name in names.items() if key == LEFT_OUT],
        overlap=found,
    )


def _looked_for(source: Bundle, order: Order) -> Overlap:
    """Raises UnfitPictures for those on which the model is surer than elsewhere."""
    subject = replace(open_subject(str(source.folder), models=(), runs=Path()), fitted=None)  # it is fitted anew
    found = overlap(subject, order.pictures, split=order.split)
    if found.warning and not order.anyway:
        raise UnfitPictures(
            f"{found.warning}. A temperature fitted to them is right nowhere else: name pictures that are new to the "
            f"model, whose masks people drew; {INSIST}"
        )
    return found


def _why_not(card: ModelCard, fitted: Fit) -> str:
    if fitted.temperature == 1 or fitted.check is None:
        return f"{card.name} is as sure as it is right on these pictures: no other temperature fits better; {INSIST}"
    before, after = fitted.before, fitted.check.after
    return (
        f"fitted to one half of the pictures, a temperature makes the other half no better: cross-entropy "
        f"{after.cross_entropy:.4f}, without it {before.cross_entropy:.4f} (expected calibration error "
        f"{after.calibration_error:.3f}, {before.calibration_error:.3f}). Label more pictures; {INSIST}"
    )


@dataclass
class _Work:
    """Files of the bundle by their keys in its card, and what is made of them in `drafts`."""

    source: Bundle
    order: Order
    watch: Watch
    drafts: Path

    @cached_property
    def keys(self) -> Sequence[str]:
        return [key for key in self.source.card.files if key != LEFT_OUT]

    @cached_property
    def pictures(self) -> InSpace:
        return InSpace(self.order.pictures, self.source.space())

    @property
    def picture_count(self) -> int:
        return min(PICTURES, len(self.pictures))

    def samples(self) -> Sequence[Sample]:
        found = sampled_pictures(
            self.logits(FLOAT),
            self.pictures,
            preprocessing=self.source.card.preprocessing,
            space=self.source.space(),
            count=PICTURES,
            every=EVERY,
        )
        samples = []
        with self.watch("fitting", self.picture_count) as done:
            for each in found:
                samples.append(each)
                done()
        return samples

    def require_shown(self, samples: Sequence[Sample]) -> None:
        """Raises UnfitPictures where the model says too many pixels to be of classes that the masks have no way to
        show: however right it is, it counts as wrong."""
        space, masks = self.source.space(), self.order.pictures.space
        unshown = [each for each in space.class_ids if each in self.pictures.unmarked]
        said = np.concatenate([np.take(space.class_ids, logits.argmax(1).numpy()) for logits, _ in samples])
        share = float(np.isin(said, unshown).mean()) if said.size else 0.0
        if share > MOST_UNSHOWN:
            names = ", ".join(space.name_of(each) for each in unshown)
            raise UnfitPictures(
                f"masks in {masks.name} cannot show {names}, of which {self.source.card.name} says {percent(share)} of "
                "their pixels to be: these count as wrong, and the temperature would be too high. Name masks that can; "
                + INSIST
            )

    def logits(self, key: str) -> Predict:
        """Of the file as it is: what it computes before an activation, or before it chooses ids."""
        path, card = self.source.file(key), self.source.card
        if key != IDS and not card.activation:
            return onnx_predictor(path)
        model, bare = onnx.load(path), self.drafts / "bare.onnx"
        expose(model, find_logits(model, key, card.activation))
        onnx.save(model, bare)
        return onnx_predictor(bare)

    def divided(self, temperature: float) -> Mapping[str, Path]:
        """New files by their names in the bundle."""
        card, written = self.source.card, {}
        for key in self.keys:
            model, path = onnx.load(self.source.file(key)), self.drafts / card.files[key]
            divide(model, find_logits(model, key, card.activation), temperature)
            onnx.save(model, path)
            written[path.name] = path
        return written

    def companions(self) -> Mapping[str, Path]:
        """What the bundle has beside weights, by name."""
        card = self.source.card
        return {name: self.source.folder / name for name in card.sha256.keys() - set(card.files.values())}

    def fitted_to(self) -> Path:
        """Marks of the pictures: whoever scores the new bundle on them is told."""
        pictures, path = self.order.pictures, self.drafts / FITTED
        chosen = pictures.at(spread(len(pictures), PICTURES))
        DataRecord.fitted_to(chosen, split=self.order.split).write_learnt(path)
        return path

    def tied(self, key: str, temperature: float) -> int:
        """Looks at each picture with the old and the new file. Raises WrongDivision."""
        card, found = self.source.card, 0
        look = self._look(key, temperature)
        with self.watch(f"checking {card.files[key]}", self.picture_count) as done:
            for index in spread(len(self.pictures), PICTURES):
                picture, mask = self.pictures[index]
                found += look(card.preprocessing.apply(picture), mask.shape)
                done()
        return found

    def _look(self, key: str, temperature: float) -> Callable[[NDArray[np.float32], tuple[int, ...]], int]:
        path = self.drafts / self.source.card.files[key]
        file = DividedFile(
            file=path.name,
            logits=self.logits(key),
            temperature=temperature,
            activation=self.source.card.activation,
            space=self.source.space(),
        )
        if key == IDS:
            session = onnxruntime.InferenceSession(path, onnx_options(0), providers=["CPUExecutionProvider"])
            return lambda tensor, _: file.tied_ids(session, tensor)
        divided = onnx_predictor(path)
        return lambda tensor, size: file.tied(divided, tensor, size)


def _card(old: ModelCard, order: Order, fitted: Fit, files: Mapping[str, Path], picture_count: int) -> ModelCard:
    """files: the new ones, by name. Scores that come from probabilities are not those of the new model, and go."""
    gone = {name for key, name in old.files.items() if key == LEFT_OUT}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return replace(
        old,
        name=order.name,
        files={key: name for key, name in old.files.items() if name not in gone},
        sha256={name: digest for name, digest in old.sha256.items() if name not in gone} | digests,
        temperature=round((old.temperature or 1.0) * fitted.temperature, 3),
        scores={name: value for name, value in old.scores.items() if name not in OF_PROBABILITIES},
        variants=tuple(
            replace(each, bytes=files[each.file].stat().st_size) for each in old.variants if each.file in files
        ),
        description=f"{old.description} {_told(old, order, fitted, picture_count)}".strip(),
    )


def _told(old: ModelCard, order: Order, fitted: Fit, picture_count: int) -> str:
    before, check = fitted.before.calibration_error, fitted.check
    worth = "whether that holds on other pictures was not checked"
    if check is not None:
        after = check.after.calibration_error
        worth = (
            f"expected calibration error there {before:.3f} before, {after:.3f} with the temperature of the other half"
        )
    fewer = ", fewer files" if LEFT_OUT in old.files else ""
    return (
        f"Confidence fitted on {datetime.now(UTC).date()} to {counted(picture_count, 'picture')} of "
        f"{order.pictures.about.title} ({order.split}): logits of {old.name} (version {old.version}) divided by "
        f"{fitted.temperature:g}; {worth}. Scores and speeds are those of {old.name}, whose classes it gives{fewer}."
    )
