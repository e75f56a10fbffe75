"""Subject: one model that can be evaluated or compared, wherever it comes from: a run, a bundle, or the registry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from jobs.errors import ModelFailed
from segmentation.activations import as_logits
from segmentation.label_space import LabelSpace
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from storage.catalog import CARD, Bundle
from storage.model_reference import InvalidReference
from training.evaluate.predictors import (
    Predict,
    onnx_predictor,
    openvino_precisions,
    openvino_predictor,
    torch_predictor,
    torchscript_predictor,
)
from training.lineage import DATA, FITTED, LEARNT, DataRecord
from training.promote.errors import RegistryError
from training.runs import CHECKPOINT, Run, RunNotFound, Snapshot

REGISTRY = "models:/"


@dataclass(frozen=True, slots=True)
class Engine:
    """A runtime in one precision on one file. open: takes threads; 0 leaves them to it (PyTorch: to the process)."""

    open: Callable[[int], Predict]
    size_bytes: int


class SubjectNotFound(Exception):
    """Neither a run, nor a bundle, nor a model of the registry has this name; the message says where was looked."""

    code = "subject_not_found"


class EngineNotFound(Exception):
    """The subject cannot be run in this engine here; the message names those it can be run in."""

    code = "engine_not_found"


NOT_FOUND = (SubjectNotFound, InvalidReference, RegistryError, ModelFailed)  # what `find_folder` raises


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """predict: runs what will be scored: of a run the averaged weights in PyTorch, of a bundle its file.

    engines: by name, for timing; the one that `predict` uses is the first.
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
    engines: Mapping[str, Engine] = field(default_factory=dict)
    device: str = "cpu"
    learnt: DataRecord | None = None  # where it is known
    fitted: DataRecord | None = None  # what its confidence was fitted to, where a calibration wrote it down
    snapshot: Snapshot | None = None  # of a run
    folder: Path | None = None  # of a run

    @property
    def checkpoint(self) -> str:
        """Of a run, for people: `epoch 7, the best in miou`."""
        if self.snapshot is None:
            return ""
        best = self.snapshot.best
        return f"epoch {self.snapshot.epochs_done}" + ("" if best is None else f", the best in {best.metric}")

    def on(self, name: str) -> "Subject":
        """The same model in one of its engines alone, for scoring too. Raises EngineNotFound."""
        if name not in self.engines:
            raise EngineNotFound(f"{self.name} cannot be run in {name!r} here, only in {', '.join(self.engines)}")
        engine = self.engines[name]
        return replace(self, predict=engine.open(0), size_bytes=engine.size_bytes, engines={name: engine})


def open_subject(reference: str, *, models: Sequence[Path], runs: Path, checkpoint: str = "") -> Subject:
    """reference: the folder of a bundle or run; the name of a bundle in `models` (the last folder counts), else of a
    run in `runs`; or `models:/NAME@ALIAS`, `models:/NAME/VERSION` of the registry. checkpoint: of a run, as
    `Run.snapshot` takes it.

    Raises what `find_folder` does, InvalidModelCard, UnknownLabelSpace, ModelFailed (a damaged bundle),
    RunNotFound (also for a checkpoint of a bundle), DamagedRun and DamagedCheckpoint (a damaged run).
    """
    folder = find_folder(reference, models=models, runs=runs)
    if not (folder / CARD).is_file():
        return _of_run(folder, checkpoint)
    if checkpoint:
        raise RunNotFound(f"{reference} is a bundle, made of one checkpoint: name its run to choose another")
    return _of_bundle(folder)


def find_folder(reference: str, *, models: Sequence[Path], runs: Path) -> Path:
    """Of the bundle or run that `open_subject` opens; one of the registry is fetched.

    Raises what NOT_FOUND names: SubjectNotFound; of the registry InvalidReference, RegistryError, ModelFailed.
    """
    if reference.startswith(REGISTRY):
        from training.promote.registry import fetch_bundle

        return fetch_bundle(reference, runs / "registry")
    for folder in (Path(reference), *(each / reference for each in reversed(models)), runs / reference):
        if (folder / CARD).is_file() or (folder / CHECKPOINT).is_file():
            return folder
    raise SubjectNotFound(_where_was_looked(reference, models, runs))


def _of_bundle(folder: Path) -> Subject:
    card = ModelCard.from_json((folder / CARD).read_bytes())
    bundle = Bundle(card, folder)
    bundle.verify()
    engines = _engines_of(bundle)
    first = next(iter(engines.values()))
    return Subject(
        name=card.name,
        architecture=card.architecture,
        predict=first.open(0),
        preprocessing=card.preprocessing,
        space=bundle.space(),
        parameters=card.parameters,
        size_bytes=first.size_bytes,
        card=card,
        engines=engines,
        learnt=DataRecord.read_learnt(folder) if (folder / LEARNT).is_file() else None,
        fitted=DataRecord.read_learnt(folder, FITTED) if (folder / FITTED).is_file() else None,
    )


def _engines_of(bundle: Bundle) -> dict[str, Engine]:
    """The file in full precision first; its quantised one, where there is one, last."""
    files = {name: bundle.folder / file for name, file in bundle.card.files.items()}
    engines: dict[str, Engine] = {}
    if "onnx" in files:
        engines["onnxruntime"] = _engine(files["onnx"], _onnxruntime)
        for name, precision in openvino_precisions().items():
            engines[name] = _engine(files["onnx"], partial(_openvino, precision=precision))
    elif "torchscript" in files:
        path = files["torchscript"]
        engines["torch"] = Engine(lambda threads: torchscript_predictor(path), path.stat().st_size)
    if "onnx_int8" in files:
        engines["onnxruntime int8"] = _engine(files["onnx_int8"], _onnxruntime)
        if openvino_precisions():
            engines["openvino int8"] = _engine(files["onnx_int8"], _openvino)
    if bundle.card.activation:
        engines = {
            name: replace(each, open=partial(_giving_logits, each.open, bundle.card.activation))
            for name, each in engines.items()
        }
    if not engines:
        raise ModelFailed(f"bundle {bundle.card.name} has no file with logits; it has {', '.join(files)}")
    return engines


def _giving_logits(opener: Callable[[int], Predict], activation: str, threads: int) -> Predict:
    """Of a model that gives probabilities, as serving takes them."""
    predict = opener(threads)
    return lambda image: torch.from_numpy(as_logits(predict(image).numpy(), activation))


def _engine(path: Path, opener: Callable[[Path, int], Predict]) -> Engine:
    return Engine(partial(opener, path), path.stat().st_size)


def _onnxruntime(path: Path, threads: int) -> Predict:
    return onnx_predictor(path, threads=threads)


def _openvino(path: Path, threads: int, precision: str = "f32") -> Predict:
    return openvino_predictor(path, threads=threads, precision=precision)


def _of_run(folder: Path, checkpoint: str) -> Subject:
    run = Run.open(folder)
    taken = run.snapshot(checkpoint)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = taken.model.to(device)
    size_bytes = sum(each.numel() * each.element_size() for each in model.state_dict().values())
    return Subject(
        name=run.name,
        architecture=run.recipe.model.architecture,
        predict=torch_predictor(model),
        preprocessing=run.preprocessing,
        space=run.space,
        parameters=sum(each.numel() for each in model.parameters()),
        size_bytes=size_bytes,
        history=run.history(),
        engines={"torch": Engine(lambda threads: torch_predictor(model), size_bytes)},
        device=device.type,
        learnt=DataRecord.read(folder) if (folder / DATA).is_file() else None,
        snapshot=taken,
        folder=folder,
    )


def _where_was_looked(reference: str, models: Sequence[Path], runs: Path) -> str:
    bundles = [path.parent.name for folder in models for path in sorted(folder.glob(f"*/{CARD}"))]
    trained = [path.parent.name for path in sorted(runs.glob(f"*/{CHECKPOINT}"))]
    return (
        f"{reference!r} is no folder with {CARD} or {CHECKPOINT}, and no name; "
        f"bundles: {', '.join(bundles) or 'none'}; runs in {runs}: {', '.join(trained) or 'none'}"
    )
