"""From a folder as the hub keeps it (configuration, safetensors) to a bundle that can be served."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segmentation.label_space import LabelSpace
from segmentation.label_spaces import is_published
from segmentation.model_card import ModelCard, require_name
from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, Triple
from storage.catalog import Bundle, Catalog
from storage.hub_catalog import HubModel
from training.datasets.cityscapes import ABOUT as CITYSCAPES
from training.hub.files import PICTURES, Consent, HubError, choose_commit, fetch, fetch_model_card
from training.hub.named import NamedModel, licence_of
from training.spaces import find_label_space, write_label_space

if TYPE_CHECKING:
    from torch import nn

ONNX_FILE = "model.onnx"
CONFIG = "config.json"
ROUNDED = 0.05  # how far the catalogue's numbers of parameters, which are their authors', may be off


class LabelsDiffer(HubError):
    """The checkpoint's classes are not those of the label space, in its order."""

    code = "hub_labels_differ"


class AnotherNetwork(HubError):
    """The checkpoint is of another size than the catalogue's model, of which the card would tell."""

    code = "hub_another_network"


class UnknownPreprocessing(HubError):
    """The checkpoint wants its pictures in a way that Maskmill cannot give them."""

    code = "hub_preprocessing_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to pull, into the last folder of `models`. long_side: pixels, instead of the catalogue's. folder: fetched by
    other means.

    replace: whether another model of that name may be lost.
    """

    model: HubModel | NamedModel
    name: str
    models: Catalog
    consent: Consent
    long_side: int | None = None
    folder: Path | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        """Raises InvalidModelCard for a name that a card cannot have."""
        require_name(self.name)


def pull(order: Order, say: Callable[[str], None]) -> Bundle:
    """Fetch, convert, compare, publish. Raises HubError, ModelError, ExportError, NameTaken, and what is wrong with a
    label space: nothing is published."""
    space = find_label_space(order.model.label_space)
    folder, commit = _source(order, say)

    from training.export.files import export_onnx  # these take seconds; the hub has answered by now
    from training.models import MODELS

    say(f"building {order.model.architecture} from {folder}")
    check_labels(folder / CONFIG, space)
    preprocessing = read_preprocessing(folder / PICTURES, long_side=order.long_side or order.model.long_side)
    network = MODELS[order.model.architecture](len(space.class_ids), folder=str(folder))
    check_size(network, order.model, folder)
    with tempfile.TemporaryDirectory() as drafts:
        draft = Path(drafts) / ONNX_FILE
        say("exporting to ONNX and comparing with PyTorch")
        export_onnx(network, draft)
        files = [draft] if is_published(space) else [draft, write_label_space(space, Path(drafts))]
        card = _card(order, network, files, preprocessing, commit, _told(order.model, folder))
        return order.models.publish(card, {path.name: path for path in files}, replace=order.replace)


def check_labels(config: Path, space: LabelSpace) -> None:
    """Raises LabelsDiffer for a checkpoint whose `id2label` is not the label space, class by class."""
    labels = _read(config).get("id2label") or {}
    named = {int(number): _alike(str(name)) for number, name in labels.items()}
    expected = {number: space.by_id[ident].name for number, ident in enumerate(space.class_ids)}
    for number in sorted(named.keys() | expected.keys()):
        if named.get(number) != _alike(expected.get(number)):
            raise LabelsDiffer(
                f"class {number} is {named.get(number, 'missing')!r} in the checkpoint and "
                f"{expected.get(number, 'missing')!r} in {space.name}"
            )


def check_size(network: "nn.Module", model: HubModel | NamedModel, folder: Path) -> None:
    """Raises AnotherNetwork where the catalogue says of a model how large it is, and this one is not."""
    found = sum(each.numel() for each in network.parameters()) / 1e6
    if isinstance(model, HubModel) and abs(found - model.parameters_m) > ROUNDED * model.parameters_m:
        raise AnotherNetwork(
            f"{folder} holds a network of {found:.3g} M parameters, and {model.name} has {model.parameters_m:g} M: "
            "the card would tell of another model. OWNER/NAME@COMMIT takes one that is in no catalogue"
        )


def read_preprocessing(config: Path, *, long_side: int) -> Preprocessing:
    """Mean and standard deviation as the checkpoint wants them, ImageNet's when it says nothing; the size is ours.

    Raises UnknownPreprocessing for values that are not scaled to 0..1 first.
    """
    given = _read(config) if config.is_file() else {}
    scaled = given.get("do_rescale", True) and abs(given.get("rescale_factor", 1 / 255) * 255 - 1) < 1e-3
    normalised = given.get("do_normalize", True)
    if not scaled or not normalised:
        raise UnknownPreprocessing(f"{config.name}: pictures must be scaled by 1/255 and normalised here")
    return Preprocessing(
        long_side=long_side,
        mean=_triple(given, "image_mean", IMAGENET_MEAN),
        std=_triple(given, "image_std", IMAGENET_STD),
    )


def _source(order: Order, say: Callable[[str], None]) -> tuple[Path, str]:
    """The folder, and the commit it is of ("" for a folder of the user's)."""
    if order.folder is not None:
        from training.models.parts.weights import check_folder

        if isinstance(order.model, NamedModel):
            say(licence_of(order.model, order.folder))
        return check_folder(order.folder), ""
    commit = choose_commit(order.model, order.consent)
    if isinstance(order.model, NamedModel):
        say(licence_of(order.model, fetch_model_card(commit)))
    say(f"{commit.hub} at commit {commit.sha}: {commit.because}")
    say(f"fetching {commit.weight_bytes / 1e6:.0f} MB of weights, unless they are in the hub's cache already")
    return fetch(commit), commit.sha


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a card says of a model that others trained."""

    description: str
    dataset: str
    licence: str


def _card(
    order: Order, network: "nn.Module", files: Sequence[Path], preprocessing: Preprocessing, commit: str, told: _Told
) -> ModelCard:
    """files: the ONNX file, and the label space's where it is the user's own."""
    from training.models import output_stride

    model, digests = order.model, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    own = [path.name for path in files if path.name != ONNX_FILE]
    place = f"https://huggingface.co/{model.hub}"
    return ModelCard(
        name=order.name,
        version=commit[:12] or f"folder-{digests[ONNX_FILE][:12]}",
        architecture=model.architecture,
        label_space=find_label_space(model.label_space).name,
        label_space_file="".join(own),
        preprocessing=preprocessing,
        files={"onnx": ONNX_FILE},
        sha256=digests,
        output_stride=output_stride(network),
        parameters=sum(each.numel() for each in network.parameters()),
        description=told.description,
        dataset=told.dataset,
        commit=commit,
        source=f"{place}/tree/{commit}" if commit else f"a folder given as {model.hub}",
        licence=told.licence,
    )


def _told(model: HubModel | NamedModel, folder: Path) -> _Told:
    if isinstance(model, NamedModel):
        dataset = "Its authors' model card says on what it was trained."
        return _Told(description=model.description, dataset=dataset, licence=licence_of(model, folder))
    return _Told(
        description=_description(model),
        dataset=f"Trained by its authors on {CITYSCAPES.title} (train).",
        licence=f"{model.licence} {model.licence_url}",
    )


def _description(model: HubModel) -> str:
    return (
        f"{model.hub}, converted to ONNX; float16 weights, computes in float32. Published by its authors: "
        f"mIoU {model.published_miou:.3f} ({model.published_on}; {model.published_in}). Not measured here."
    )


def _alike(name: str | None) -> str | None:
    """As names of classes are compared."""
    return None if name is None else name.strip().lower().replace("_", " ")


def _read(config: Path) -> dict[str, Any]:
    try:
        given = json.loads(config.read_bytes())
    except ValueError as error:
        raise UnknownPreprocessing(f"{config.name} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise UnknownPreprocessing(f"{config.name} is not a JSON object")
    return given


def _triple(given: dict[str, Any], field: str, usual: Triple) -> Triple:
    value = given.get(field, list(usual))
    if not (isinstance(value, list) and len(value) == 3 and all(isinstance(each, int | float) for each in value)):
        raise UnknownPreprocessing(f"{PICTURES}: {field} must be three numbers, got {value!r}")
    red, green, blue = value
    return float(red), float(green), float(blue)
