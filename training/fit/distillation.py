"""A teacher: a model that stays as it is, and from whose soft labels another one learns beside the truth.

It is in no checkpoint: a run that goes on opens it again, and refuses another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from segmentation.errors import SegmentationError
from segmentation.label_space import LabelSpace
from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from storage.catalog import CARD
from training.evaluate.subjects import NOT_FOUND, find_folder, open_subject
from training.fit.loop import DamagedCheckpoint
from training.fit.losses import at_size, soft_label_loss
from training.lineage import DamagedRun, Learnt, learnt_by, learnt_by_bundle
from training.recipe.recipe import DistillationChoice, Recipe, RecipeError
from training.runs import CHECKPOINT, FACTS, Run, RunFacts, RunNotFound
from training.spaces import find_label_space
from training.start.beginning import Beginning, bundle_name, checkpoint_name

WHERE = "distillation.teacher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """predict: (B,3,h,w) float32 as `preprocessing` normalises → logits (B,C,h',w'), without a gradient.

    note: its name, its version or epoch, and a checksum. learnt: what it has learnt from, as its student notes it.
    """

    predict: Callable[[Tensor], Tensor]
    preprocessing: Preprocessing
    space: LabelSpace
    note: str
    learnt: tuple[Learnt, ...]

    def __call__(self, images: Tensor, *, scale: float = 1.0) -> Tensor:
        """Logits of images that were normalised for training. scale: how much larger the teacher sees them.

        Its sides are rounded to what its network takes.
        """
        unit = self.preprocessing.multiple_of
        size = [max(1, round(side * scale / unit)) * unit for side in images.shape[-2:]]
        return self.predict(_renormalised(at_size(images, size), self.preprocessing))


@dataclass(frozen=True, slots=True)
class Distillation:
    """What a student's loss becomes: (1 - weight) · loss + weight · soft-label loss over all of the crop.

    Both models' logits are compared on the finer of their two grids, in places without a class too: the teacher has an
    opinion of them, and of pictures without masks it alone has one.
    No nn.Module: what it holds is neither trained nor saved nor shared by several processes.
    """

    teacher: Teacher
    choice: DistillationChoice

    def __call__(self, images: Tensor, logits: Tensor, loss: Tensor) -> Tensor:
        """images: (B,3,h,w) as the student saw them. logits: (B,C,h',w') of the student. loss: the recipe's."""
        with torch.no_grad():
            taught = self.teacher(images, scale=self.choice.scale)
        size = max(tuple(logits.shape[-2:]), tuple(taught.shape[-2:]))
        soft = soft_label_loss(at_size(logits, size), at_size(taught, size), temperature=self.choice.temperature)
        return (1 - self.choice.weight) * loss + self.choice.weight * soft


def open_distillation(
    recipe: Recipe, *, models: Sequence[Path], runs: Path, device: torch.device
) -> Distillation | None:
    """None: the recipe has no teacher. models: folders of bundles. runs: the folder of all runs.

    Raises RecipeError for a teacher that is not there, is damaged, knows other classes or takes one size alone.
    """
    choice = recipe.distillation
    if not choice.teacher:
        return None
    try:
        folder = find_folder(choice.teacher, models=models, runs=runs)
        teacher = _of_bundle(folder) if (folder / CARD).is_file() else _of_run(folder, device)
    except (*NOT_FOUND, RunNotFound, DamagedCheckpoint, DamagedRun, SegmentationError, RecipeError) as error:
        raise RecipeError(f"{WHERE}: {error}", where=WHERE) from error
    _check(teacher, find_label_space(recipe.label_space))
    return Distillation(teacher, choice)


def told(distillation: Distillation | None) -> Beginning:
    """What to note about the teacher; nothing without one."""
    return Beginning() if distillation is None else Beginning(distillation.teacher.note, distillation.teacher.learnt)


def require_same_teacher(now: str, folder: Path) -> None:
    """now: the teacher's note. Raises DamagedRun, and RecipeError when the run in the folder has learnt from
    another one so far."""
    if not (folder / CHECKPOINT).is_file() or not (folder / FACTS).is_file():
        return
    was = RunFacts.read(folder).taught_by
    if was != now:
        why = f"the run in {folder} was taught by {was or 'nobody'}, and now it would be by {now or 'nobody'}"
        raise RecipeError(f"{WHERE}: {why}", where=WHERE)


def _check(teacher: Teacher, space: LabelSpace) -> None:
    if (teacher.space.class_ids, teacher.space.names()) != (space.class_ids, space.names()):
        why = f"{teacher.note} knows the classes of {teacher.space.name}; allowed: a teacher of {space.name}"
        raise RecipeError(f"{WHERE}: {why}", where=WHERE)
    if teacher.preprocessing.resize == "exact":
        size = f"{teacher.preprocessing.width}×{teacher.preprocessing.height}"
        why = f"{teacher.note} takes pictures of {size} alone; allowed: a teacher of any size"
        raise RecipeError(f"{WHERE}: {why}", where=WHERE)


def _of_run(folder: Path, device: torch.device) -> Teacher:
    """Its averaged weights, in PyTorch."""
    run = Run.open(folder)
    taken = run.snapshot()
    model = taken.model.requires_grad_(False)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Teacher(
        predict=model,
        preprocessing=run.preprocessing,
        space=run.space,
        note=checkpoint_name(run.name, taken.epochs_done, taken.sha256),
        learnt=_taught(learnt_by(folder, run.name), run.name),
    )


def _of_bundle(folder: Path) -> Teacher:
    """Its file, picture by picture on the CPU in as many threads as PyTorch has here."""
    subject = open_subject(str(folder), models=[], runs=folder)
    card = subject.card
    assert card is not None
    predict_one = next(iter(subject.engines.values())).open(torch.get_num_threads())

    def predict(images: Tensor) -> Tensor:
        pictures = images.cpu().contiguous().numpy()
        return torch.stack([predict_one(each) for each in pictures]).to(images.device)

    file = next(card.files[key] for key in ("onnx", "torchscript", "onnx_int8") if key in card.files)
    return Teacher(
        predict=predict,
        preprocessing=card.preprocessing,
        space=subject.space,
        note=bundle_name(card, file),
        learnt=_taught(learnt_by_bundle(card, subject.learnt), card.name),
    )


def _taught(learnt: Sequence[Learnt], name: str) -> tuple[Learnt, ...]:
    """Whatever the teacher knows from elsewhere, it is the teacher who passes it on."""
    return tuple(dict.fromkeys(replace(each, run=name, taught=True) for each in learnt))


def _renormalised(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Images that were normalised for training, as `preprocessing` does it."""
    if (preprocessing.mean, preprocessing.std) == (IMAGENET_MEAN, IMAGENET_STD):
        return images
    own_mean, own_std, mean, std = (
        torch.tensor(each, device=images.device)[:, None, None]
        for each in (IMAGENET_MEAN, IMAGENET_STD, preprocessing.mean, preprocessing.std)
    )
    return (images * own_std + own_mean - mean) / std
