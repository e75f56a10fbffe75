"""Why a Mask2Former sees what it sees: its strongest queries, each with a class, a score and a region."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segmentation.formats.coco import counts_to_text
from segmentation.label_space import LabelSpace
from segmentation.preprocessing import Preprocessing
from training.models.mask2former import Mask2Former, Queries, mask2former
from training.models.parts.weights import CONFIG, fetch_model
from training.runs import Run, RunNotFound, find_run
from training.spaces import find_label_space

LONG_SIDE = 1024  # of the network's input, for a model that comes without a recipe


class HasNoQueries(Exception):
    """The model gives a class per pixel and no queries, so that there is nothing to explain it by."""

    code = "no_queries"


class OtherClasses(Exception):
    """A model of other classes than those in which it would be explained: the words would be another's."""

    code = "other_classes"


class HasQueries(Protocol):
    def queries(self, images: Tensor) -> Queries: ...


@dataclass(frozen=True, slots=True)
class Explainable:
    """A model whose queries can be read, with its classes and what it expects of a picture."""

    name: str
    model: HasQueries
    space: LabelSpace
    preprocessing: Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One query. score = class_probability x mask_confidence, each in [0, 1].

    mask_confidence: mean sigmoid of the mask inside the region. region: (H,W) of the picture, where the mask is above
    one half. box: left, top, width, height in pixels around the region.
    """

    query: int
    class_id: int
    class_name: str
    score: float
    class_probability: float
    mask_confidence: float
    region: NDArray[np.bool_]
    box: tuple[int, int, int, int]

    def to_dict(self) -> dict[str, Any]:
        """The region as COCO's compressed run lengths."""
        left, top, width, height = self.box
        return {
            "query": self.query,
            "class_id": self.class_id,
            "class": self.class_name,
            "score": round(self.score, 4),
            "class_probability": round(self.class_probability, 4),
            "mask_confidence": round(self.mask_confidence, 4),
            "area_share": round(float(self.region.mean()), 4),
            "box": {"left": left, "top": top, "width": width, "height": height},
            "region": {"size": list(self.region.shape), "counts": counts_to_text(_run_lengths(self.region))},
        }


def open_explainable(
    reference: str, *, runs: Path, revision: str | None = None, label_space: str | None = None, checkpoint: str = ""
) -> Explainable:
    """reference: a run by name or folder; a folder of transformers; or, with its revision, a repository of the hub.

    label_space: of the latter two, whose channels are the space's classes in ascending order. checkpoint: of a run, as
    `Run.snapshot` takes it.
    Raises HasNoQueries, OtherClasses, RunNotFound, RecipeError, UnknownLabelSpace, and the ModelError of what cannot be
    loaded.
    """
    if revision is not None or (Path(reference) / CONFIG).is_file():
        if checkpoint:
            raise RunNotFound(f"{reference} is no run, which alone has checkpoints to choose among")
        space = find_label_space(label_space or "cityscapes-19")
        source = {"folder": reference} if revision is None else {"hub": f"{reference}@{revision}"}
        model = mask2former(len(space.class_ids), **source)  # type: ignore[arg-type]
        place = Path(reference) if revision is None else fetch_model(reference, revision=revision, weights=False)
        _require_classes(place, space, named=label_space is not None)
        assert isinstance(model, Mask2Former)
        return Explainable(reference, model.eval(), space, Preprocessing(long_side=LONG_SIDE))
    run = Run.open(find_run(reference, runs))
    trained = run.snapshot(checkpoint).model
    if not isinstance(trained, Mask2Former):
        architecture = run.recipe.model.architecture
        raise HasNoQueries(f"{run.name} is a model of {architecture}; only a mask2former is explained by its queries")
    return Explainable(run.name, trained.eval(), run.space, run.preprocessing)


def _require_classes(folder: Path, space: LabelSpace, *, named: bool) -> None:
    """By what its configuration calls them. named: somebody said that they are the space's, and their number alone is
    asked for: with another one the classifier began at random. Raises OtherClasses."""
    labels = transformers.Mask2FormerConfig.from_pretrained(folder, local_files_only=True).id2label
    there = [str(labels[number]).strip().lower().replace("_", " ") for number in sorted(labels)]
    ours = [space.name_of(each) for each in space.class_ids]
    if len(there) != len(ours) or (not named and there != ours):
        first = ", ".join(there[:3])
        raise OtherClasses(
            f"{folder} has {len(there)} classes ({first}, …), {space.name} has {len(ours)} ({', '.join(ours[:3])}, …): "
            "name its own with --label-space"
        )


def explain(subject: Explainable, rgb: NDArray[np.uint8], *, top: int = 5) -> list[Explanation]:
    """The `top` queries of highest score, descending; fewer where fewer have a region. rgb: (H,W,3)."""
    image = torch.from_numpy(subject.preprocessing.apply(rgb))[None]
    with torch.inference_mode():
        queries = subject.model.queries(image)
    found: list[Explanation] = []
    for each in _ranked(queries, subject.space, (rgb.shape[0], rgb.shape[1])):
        if len(found) == top:
            break
        found.append(each)
    return found


def to_document(subject: Explainable, picture: str, rgb: NDArray[np.uint8], found: Sequence[Explanation]) -> Any:
    """What is written as JSON."""
    return {
        "picture": picture,
        "size": [int(side) for side in rgb.shape[:2]],
        "model": subject.name,
        "label_space": subject.space.name,
        "queries": [{"rank": rank, **each.to_dict()} for rank, each in enumerate(found, 1)],
    }


def _ranked(queries: Queries, space: LabelSpace, size: tuple[int, int]) -> Iterator[Explanation]:
    """Queries with a region, by descending score. size: height and width of the picture."""
    probabilities, channels = queries.classes[0].softmax(-1)[:, :-1].max(-1)
    masks = queries.masks[0]
    inside = masks > 0
    confidences = (masks.sigmoid() * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    scores = probabilities * confidences
    for query in scores.argsort(descending=True, stable=True).tolist():
        logits = functional.interpolate(masks[None, None, query], size, mode="bilinear", align_corners=False)[0, 0]
        region = (logits > 0).cpu().numpy()
        if not region.any():
            continue
        class_id = space.class_ids[int(channels[query])]
        yield Explanation(
            query=query,
            class_id=class_id,
            class_name=space.name_of(class_id),
            score=float(scores[query]),
            class_probability=float(probabilities[query]),
            mask_confidence=float(confidences[query]),
            region=region,
            box=_box(region),
        )


def _box(region: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def _run_lengths(region: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of alternating runs of outside and inside, down the columns, beginning with outside."""
    flat = region.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    if flat[0]:
        edges = np.concatenate([[0], edges])
    return np.diff(edges).astype(np.int64)
