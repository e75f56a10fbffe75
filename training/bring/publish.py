"""A user's own model file, checked in every runtime that would serve it, then published as a bundle. All or nothing."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx

from data.sample_library import SampleLibrary
from jobs.errors import JobsError
from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from storage.catalog import Bundle, Catalog
from training.bring.card import OwnCard
from training.bring.check import (
    SIZES_SAID,
    CheckReport,
    LabelledPicture,
    Pixels,
    Run,
    check,
    measured_stride,
    read_samples,
)
from training.bring.graph import OwnFileRefused, adapt, parameter_count, read_graph
from training.bring.torchscript import TORCHSCRIPT_ENDINGS, check_apart

ONNX_FILE, TORCHSCRIPT_FILE = "model.onnx", "model.torchscript"


class Runtime(Protocol):
    """A bundle that one runtime has opened."""

    @property
    def device(self) -> str: ...

    def run(self, batch: Pixels) -> Pixels: ...

    def close(self) -> None: ...


OpenAll = Callable[[Bundle], Iterator[Runtime]]
"""One runtime after the other, each that can serve the bundle here. Raises ModelFailed."""


class NoRuntime(OwnFileRefused):
    """Nothing here can run the file."""

    code = "no_runtime"


class CannotRun(OwnFileRefused):
    """A runtime opens the file, and cannot run it."""

    code = "own_file_cannot_run"


@dataclass(frozen=True, slots=True)
class Added:
    bundle: Bundle
    reports: tuple[CheckReport, ...]


def add(file: Path, about: OwnCard, *, models: Path, samples: SampleLibrary, open_all: OpenAll) -> Added:
    """Raises OwnFileRefused, ModelUnfit, InvalidModelCard, ModelFailed; then nothing was published."""
    with tempfile.TemporaryDirectory() as drafts:
        if file.suffix.lower() in TORCHSCRIPT_ENDINGS:
            draft = Path(drafts) / TORCHSCRIPT_FILE
            draft.write_bytes(file.read_bytes())
            answer = check_apart(draft, _card(about, "torchscript", draft, parameters=1, stride=1))
            card = _card(about, "torchscript", draft, parameters=answer.parameters, stride=answer.stride)
            reports: tuple[CheckReport, ...] = (answer.report,)
        else:
            draft = Path(drafts) / ONNX_FILE
            pictures = read_samples(samples, get_label_space(about.label_space))
            card, reports = _check_onnx(file, draft, about, pictures, open_all)
        return Added(Catalog([models]).publish(card, {draft.name: draft}), reports)


def check_bundle(bundle: Bundle, *, samples: SampleLibrary, open_all: OpenAll) -> tuple[CheckReport, ...]:
    """Checksums, then every runtime. Raises ModelFailed, ModelUnfit, NoRuntime, CannotRun."""
    bundle.verify()
    pictures = read_samples(samples, get_label_space(bundle.card.label_space))
    reports = []
    for runtime in open_all(bundle):
        try:
            reports.append(check(_told(runtime), bundle.card, pictures, engine=runtime.device))
        finally:
            runtime.close()
    if not reports:
        raise NoRuntime(f"no runtime that is installed here can serve {bundle.card.name}")
    return tuple(reports)


def _check_onnx(
    file: Path, draft: Path, about: OwnCard, pictures: Sequence[LabelledPicture], open_all: OpenAll
) -> tuple[ModelCard, tuple[CheckReport, ...]]:
    """Writes what is to be published into `draft`."""
    graph = read_graph(file)
    adapt(graph, output=about.output, any_size=about.preprocessing.resize == "fit")
    onnx.save(graph, draft)
    parameters = parameter_count(graph)
    card: ModelCard | None = None
    reports: list[CheckReport] = []
    for runtime in open_all(Bundle(_card(about, "onnx", draft, parameters=parameters, stride=1), draft.parent)):
        try:
            run = _told(runtime)
            stride = measured_stride(run, _card(about, "onnx", draft, parameters=parameters, stride=1))
            card = _card(about, "onnx", draft, parameters=parameters, stride=stride)
            reports.append(check(run, card, pictures, engine=runtime.device))
        finally:
            runtime.close()
    if card is None:
        raise NoRuntime("no runtime for ONNX files is installed here: pip install 'maskmill-server[worker-cpu]'")
    return card, tuple(reports)


def _told(runtime: Runtime) -> Run:
    """Its `run`, with the runtime's own reason in the error."""

    def run(batch: Pixels) -> Pixels:
        try:
            return runtime.run(batch)
        except JobsError as error:
            size = "×".join(map(str, batch.shape))
            reason = (str(error.__cause__ or error).splitlines() or [""])[0]
            raise CannotRun(f"{runtime.device} cannot run it on {size}: {reason}. {SIZES_SAID}") from error

    return run


def _card(about: OwnCard, runtime: str, file: Path, *, parameters: int, stride: int) -> ModelCard:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ModelCard(
        name=about.name,
        version=about.version,
        architecture=about.architecture,
        label_space=about.label_space,
        preprocessing=about.preprocessing,
        files={runtime: file.name},
        sha256={file.name: digest},
        output_stride=stride,
        parameters=parameters,
        description=about.description,
        dataset=about.dataset,
        recipe=about.recipe,
        commit=about.commit,
        scores=dict(about.scores),
        source=about.source,
        licence=about.licence,
    )
