"""Networks of transformers: from a configuration, from a folder, or from the hub at a pinned commit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import transformers
from safetensors import SafetensorError

from training.models.parts.errors import InvalidModelOption, WeightsDamaged, WeightsDoNotFit
from training.models.parts.weights import check_folder, fetch_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the configuration comes from and, when `weights`, the weights too. Raises InvalidModelOption.

    hub: owner/name@commit.
    """

    folder: str | Path | None = None
    hub: str | None = None
    weights: bool = True

    def __post_init__(self) -> None:
        if self.folder is not None and self.hub is not None:
            raise InvalidModelOption("hub", got=self.hub, allowed="nothing beside folder")

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
    config = _config(folder, network_class.config_class)
    same_classes = config.num_labels == class_count
    config.num_labels = class_count
    if not source.weights:
        return network_class(config)
    given = {"config": config, "local_files_only": True, "use_safetensors": True, "ignore_mismatched_sizes": True}
    try:
        network, report = network_class.from_pretrained(folder, **given, output_loading_info=True)
    except SafetensorError as error:
        raise WeightsDamaged(f"weights in {folder} cannot be read: {error}") from error
    mismatched = {str(each[0]) for each in report["mismatched_keys"]}
    differing = mismatched | set(report["missing_keys"]) | set(report["unexpected_keys"])
    excused = {name for name in differing if any(part in name for part in unread)}
    if not same_classes:
        excused |= {name for name in mismatched if name.startswith(heads)}
    wrong = sorted(differing - excused)
    if wrong:
        raise WeightsDoNotFit(f"weights in {folder} and {network_class.__name__} differ in {', '.join(wrong[:5])}")
    return network.train()


def _config(folder: Path, config_class: Any) -> Any:
    kind = transformers.PreTrainedConfig.get_config_dict(folder, local_files_only=True)[0].get("model_type")
    if kind != config_class.model_type:
        raise WeightsDoNotFit(f"{folder} holds a model of type {kind!r}; expected {config_class.model_type!r}")
    return config_class.from_pretrained(folder, local_files_only=True)
