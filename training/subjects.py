"""Subject: one model that can be evaluated or compared, wherever it comes from: a run, a bundle, or the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from storage.catalog import CARD, Bundle
from training.predictors import (
    Predict,
    onnx_predictor,
    openvino_precisions,
    openvino_predictor,
    torch_predictor,
    torchscript_predictor,
)
from training.runs import CHECKPOINT, Run

REGISTRY = "models:/"

OpenEngine = Callable[[int], Predict]  # threads (0: the engine's choice; PyTorch has its own for the process)


class SubjectNotFound(Exception):
    """Neither a run, nor a bundle, nor a model of the registry has this name; the message says where was looked."""

    code = "subject_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """predict: runs what will be scored: of a run the averaged weights in PyTorch, of a bundle its file.

    engines: by name, how to open each for timing; the one that `predict` uses is the first.
    parameters: how many weights. size_bytes: of the file that `predict` runs. history: a mapping for each epoch, with
    "epoch" and what was logged; empty for a bundle. card: of a bundle.
    """

    name: str
    architecture: str
    predict: Predict
    preprocessing: Preprocessing
    space: LabelSpace
    parameters: int
    size_bytes: int
    history: Sequence[Mapping[str, float]] = ()
    card: ModelCard | None = None
    engines: Mapping[str, OpenEngine] = field(default_factory=dict)
    device: str = "cpu"


def open_subject(reference: str, *, models: Sequence[Path], runs: Path) -> Subject:
    """reference: the folder of a bundle or run; the name of a bundle in `models` (the last folder counts), else of a
    run in `runs`; or `models:/NAME@ALIAS`, `models:/NAME/VERSION` of the registry.

    Raises SubjectNotFound, InvalidModelCard, UnknownLabelSpace, ModelFailed (a damaged bundle),
    RunNotFound and RecipeError (a damaged run).
    """
    if reference.startswith(REGISTRY):
        from training.registry import fetch_bundle

        return _of_bundle(fetch_bundle(reference, runs / "registry"))
    for folder in (Path(reference), *(each / reference for each in reversed(models)), runs / reference):
        if (folder / CARD).is_file():
            return _of_bundle(folder)
        if (folder / CHECKPOINT).is_file():
            return _of_run(folder)
    raise SubjectNotFound(_where_was_looked(reference, models, runs))


def _of_bundle(folder: Path) -> Subject:
    card = ModelCard.from_json((folder / CARD).read_bytes())
    bundle = Bundle(card, folder)
    bundle.verify()
    engines, scored = _engines_of(bundle)
    return Subject(
        name=card.name,
        architecture=card.architecture,
        predict=next(iter(engines.values()))(0),
        preprocessing=card.preprocessing,
        space=get_label_space(card.label_space),
        parameters=card.parameters,
        size_bytes=scored.stat().st_size,
        card=card,
        engines=engines,
    )


def _engines_of(bundle: Bundle) -> tuple[dict[str, OpenEngine], Path]:
    """With the file that the first of them runs."""
    if "onnx" not in bundle.card.files:
        path = bundle.file("torchscript")
        return {"torch": lambda threads: torchscript_predictor(path)}, path
    path = bundle.file("onnx")
    engines: dict[str, OpenEngine] = {"onnxruntime": lambda threads: onnx_predictor(path, threads=threads)}
    for name, precision in openvino_precisions().items():
        engines[name] = partial(_openvino, path, precision)
    return engines, path


def _openvino(path: Path, precision: str, threads: int) -> Predict:
    return openvino_predictor(path, threads=threads, precision=precision)


def _of_run(folder: Path) -> Subject:
    run = Run.open(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = run.model().to(device)
    return Subject(
        name=run.name,
        architecture=run.recipe.model.architecture,
        predict=torch_predictor(model),
        preprocessing=run.preprocessing,
        space=run.space,
        parameters=sum(each.numel() for each in model.parameters()),
        size_bytes=sum(each.numel() * each.element_size() for each in model.state_dict().values()),
        history=run.history(),
        engines={"torch": lambda threads: torch_predictor(model)},
        device=device.type,
    )


def _where_was_looked(reference: str, models: Sequence[Path], runs: Path) -> str:
    bundles = [path.parent.name for folder in models for path in sorted(folder.glob(f"*/{CARD}"))]
    trained = [path.parent.name for path in sorted(runs.glob(f"*/{CHECKPOINT}"))]
    return (
        f"{reference!r} is no folder with {CARD} or {CHECKPOINT}, and no name; "
        f"bundles: {', '.join(bundles) or 'none'}; runs in {runs}: {', '.join(trained) or 'none'}"
    )
