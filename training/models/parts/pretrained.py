"""Networks of transformers: from a configuration, from a folder, or from the hub at a pinned commit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import transformers
from safetensors import SafetensorError

from training.models.parts.errors import InvalidModelOption, WeightsDamaged, WeightsDoNotFit
from training.models.parts.weights import check_folder, fetch_model

ENCODER = "encoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the configuration comes from and the weights too. Raises InvalidModelOption.

    hub: owner/name@commit. pretrained: True: all weights; ENCODER: those of the encoder, which another kind of network
    may hold; False: none.
    """

    folder: str | Path | None = None
    hub: str | None = None
    pretrained: bool | str = True

    def __post_init__(self) -> None:
        if self.folder is not None and self.hub is not None:
            raise InvalidModelOption("hub", got=self.hub, allowed="nothing beside folder")
        if self.pretrained not in (True, False, ENCODER):
            raise InvalidModelOption("pretrained", got=self.pretrained, allowed=f"true, false, {ENCODER!r}")
        if self.encoder_only and not self.is_given:
            raise InvalidModelOption("pretrained", got=ENCODER, allowed="true or false without folder or hub")

    @property
    def weights(self) -> bool:
        return self.pretrained is not False

    @property
    def encoder_only(self) -> bool:
        return self.pretrained == ENCODER

    @property
    def is_given(self) -> bool:
        return self.folder is not None or self.hub is not None

    def fetch(self) -> Path:
        """The folder. Raises RevisionNotPinned, UnsafeWeights, WeightsUnavailable, WeightsDamaged."""
        if self.hub is not None:
            repository, _, commit = self.hub.partition("@")
            return fetch_model(repository, revision=commit or None, weights=self.weights)
        return check_folder(Path(str(self.folder)), weights=self.weights)


def network_from(
    source: Source, network_class: Any, class_count: int, *, heads: tuple[str, ...], unread: tuple[str, ...] = ()
) -> Any:
    """The source's network for `class_count` classes, in training mode.

    heads: beginnings of the weights that depend on the number of classes. Where the source has another number, those
    begin at random. unread: parts of names that may be missing or too many, since nothing is computed from them.
    Everything else must fit. Raises WeightsDoNotFit, WeightsDamaged, and what `Source.fetch` raises.
    """
    folder = source.fetch()
    config = config_from(folder, network_class.config_class)
    same_classes = config.num_labels == class_count
    config.num_labels = class_count
    if not source.weights:
        return network_class(config)
    network, report = _loaded(network_class, folder, config)
    mismatched, differing = _mismatched(report), _mismatched(report) | _missing(report) | set(report["unexpected_keys"])
    excused = {name for name in differing if any(part in name for part in unread)}
    if not same_classes:
        excused |= {name for name in mismatched if name.startswith(heads)}
    wrong = sorted(differing - excused)
    if wrong:
        differ = f"weights in {folder} and {network_class.__name__} differ in {', '.join(wrong[:5])}"
        raise WeightsDoNotFit(f"{differ}; pretrained = {ENCODER!r} takes the encoder alone")
    return network.train()


def load_encoder(encoder: Any, folder: Path, *, fresh: tuple[str, ...] = ()) -> None:
    """The weights of an encoder of transformers, from a folder that may hold more around them, such as a classifier.

    fresh: beginnings of the weights that may be missing there. Raises WeightsDoNotFit, WeightsDamaged.
    """
    given, report = _loaded(type(encoder), folder, encoder.config)
    wrong = sorted(each for each in _mismatched(report) | _missing(report) if not each.startswith(fresh))
    if wrong:
        raise WeightsDoNotFit(f"weights in {folder} are no encoder of this kind: it lacks {', '.join(wrong[:5])}")
    encoder.load_state_dict(given.state_dict())


def config_from(folder: Path, config_class: Any, **changes: object) -> Any:
    """Raises WeightsDoNotFit for a model of another type."""
    require_kind(folder, config_class.model_type)
    return config_class.from_pretrained(folder, local_files_only=True, **changes)


def require_kind(folder: Path, *kinds: str, hint: str = "") -> str:
    """The type of the model in the folder. Raises WeightsDoNotFit for another one than these."""
    kind = transformers.PreTrainedConfig.get_config_dict(folder, local_files_only=True)[0].get("model_type")
    if kind not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise WeightsDoNotFit(f"{folder} holds a model of type {kind!r}; expected {expected}{hint}")
    return str(kind)


def _loaded(network_class: Any, folder: Path, config: Any) -> tuple[Any, dict[str, Any]]:
    given = {"config": config, "local_files_only": True, "use_safetensors": True, "ignore_mismatched_sizes": True}
    try:
        network, report = network_class.from_pretrained(folder, **given, output_loading_info=True)
    except SafetensorError as error:
        raise WeightsDamaged(f"weights in {folder} cannot be read: {error}") from error
    return network, report


def _mismatched(report: dict[str, Any]) -> set[str]:
    return {str(each[0]) for each in report["mismatched_keys"]}


def _missing(report: dict[str, Any]) -> set[str]:
    return set(report["missing_keys"])
