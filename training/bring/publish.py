"""A user's own model file, checked in every runtime that would serve it, then published as a bundle. All or nothing."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import onnx

from data.sample_library import SampleLibrary
from jobs.errors import JobsError
from segmentation.label_spaces import is_published
from segmentation.model_card import ModelCard
from storage.catalog import Bundle, Catalog
from training.bring.card import OwnCard
from training.bring.check import (
    SIZES_SAID,
    CheckReport,
    LabelledPicture,
    MixesPictures,
    Pixels,
    Run,
    WrongShape,
    check,
    measured_stride,
    read_samples,
)
from training.bring.graph import OwnFileRefused, adapt, fixed_batch, parameter_count, read_graph
from training.bring.torchscript import TORCHSCRIPT_ENDINGS, check_apart
from training.spaces import LABEL_SPACE, write_label_space

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


def add(
    file: Path,
    about: OwnCard,
    *,
    models: Catalog,
    samples: SampleLibrary,
    open_all: OpenAll,
    replace_other: bool = False,
) -> Added:
    """models: into the last folder of which it is published. replace_other: whether another of that name may be lost.

    Raises OwnFileRefused, ModelUnfit, InvalidModelCard, ModelFailed, NameTaken; then nothing was published.
    """
    with tempfile.TemporaryDirectory() as drafts:
        if file.suffix.lower() in TORCHSCRIPT_ENDINGS:
            draft = Path(drafts) / TORCHSCRIPT_FILE
            draft.write_bytes(file.read_bytes())
            drafted = _Draft(about, "torchscript", draft)
            answer = check_apart(draft, drafted.card(), space=about.space, called=file.name)
            card = replace(drafted.card(answer.report), parameters=answer.parameters, output_stride=answer.stride)
            reports: tuple[CheckReport, ...] = (answer.report,)
        else:
            drafted = _Draft(about, "onnx", Path(drafts) / ONNX_FILE)
            card, reports = _check_onnx(file, drafted, read_samples(samples, about.space), open_all)
        return Added(models.publish(card, drafted.files, replace=replace_other), reports)


def check_bundle(bundle: Bundle, *, samples: SampleLibrary, open_all: OpenAll) -> tuple[CheckReport, ...]:
    """Checksums, then every runtime. Raises ModelFailed, ModelUnfit, NoRuntime, CannotRun."""
    bundle.verify()
    space = bundle.space()
    pictures = read_samples(samples, space)
    reports = []
    for runtime in open_all(bundle):
        try:
            reports.append(check(_told(runtime), bundle.card, pictures, space=space, engine=runtime.device))
        finally:
            runtime.close()
    if not reports:
        raise NoRuntime(f"no runtime that is installed here can serve {bundle.card.name}")
    return tuple(reports)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is to be published: the file of weights, and the label space where it is the user's own."""

    about: OwnCard
    runtime: str
    path: Path

    @property
    def files(self) -> dict[str, Path]:
        """By their names in the bundle."""
        beside = {} if is_published(self.about.space) else {LABEL_SPACE: self.path.parent / LABEL_SPACE}
        for each in beside.values():
            write_label_space(self.about.space, each.parent)
        return {self.path.name: self.path, **beside}

    def card(self, report: CheckReport | None = None) -> ModelCard:
        """Before a report is there, with a stride and a number of parameters that are not yet known."""
        about, files = self.about, self.files
        return ModelCard(
            name=about.name,
            version=about.version,
            architecture=about.architecture,
            label_space=about.label_space,
            preprocessing=about.preprocessing,
            files={self.runtime: self.path.name},
            sha256={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
            output_stride=1,
            parameters=1,
            description=about.description,
            dataset=about.dataset,
            recipe=about.recipe,
            commit=about.commit,
            scores=dict(about.scores),
            source=about.source,
            licence=about.licence,
            temperature=about.temperature,
            label_space_file=LABEL_SPACE if LABEL_SPACE in files else "",
            activation=report.activation if report is not None else "",
        )


def _check_onnx(
    file: Path, draft: _Draft, pictures: Sequence[LabelledPicture], open_all: OpenAll
) -> tuple[ModelCard, tuple[CheckReport, ...]]:
    """Writes what is to be published. A graph that was exported for one picture at a time is served so if it must."""
    graph = read_graph(file)
    batch = fixed_batch(graph)
    adapt(graph, output=draft.about.output, any_size=draft.about.preprocessing.resize == "fit")
    onnx.save(graph, draft.path)
    card = replace(draft.card(), parameters=parameter_count(graph))
    try:
        return _checked(card, draft, pictures, open_all)
    except (CannotRun, WrongShape, MixesPictures):
        if batch != 1:
            raise
    return _checked(replace(card, max_batch=1), draft, pictures, open_all)


def _checked(
    card: ModelCard, draft: _Draft, pictures: Sequence[LabelledPicture], open_all: OpenAll
) -> tuple[ModelCard, tuple[CheckReport, ...]]:
    """card: with a stride that is measured here."""
    reports: list[CheckReport] = []
    for runtime in open_all(Bundle(card, draft.path.parent)):
        try:
            run = _told(runtime)
            card = replace(card, output_stride=measured_stride(run, card))
            reports.append(check(run, card, pictures, space=draft.about.space, engine=runtime.device))
        finally:
            runtime.close()
    if not reports:
        raise NoRuntime("no runtime for ONNX files is installed here: pip install 'maskmill-server[worker-cpu]'")
    return replace(card, activation=reports[0].activation), tuple(reports)


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
