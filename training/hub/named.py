"""A model of the hub that no catalogue has: the user names its commit, its architecture and its classes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from huggingface_hub import ModelCard as RepositoryCard
from yaml import YAMLError

from storage.hub_catalog import ARCHITECTURES, load_hub_catalog
from training.hub.files import MODEL_CARD, HubError
from training.models.parts.weights import require_commit

UNKNOWN_LICENCE = "Licence unknown: its model card names none. Ask its authors before you use it."
LONG_SIDE = 1024  # pixels, where nobody says

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class InvalidNamedModel(HubError):
    """What was named is no repository, or lacks what a catalogue would say of it."""

    code = "invalid_hub_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """hub: owner/name. revision: the full commit. label_space: of its channels, a name or a JSON file.

    Raises InvalidNamedModel and RevisionNotPinned on construction.
    """

    hub: str
    revision: str
    architecture: str
    label_space: str
    long_side: int = LONG_SIDE
    ref = ""  # as entries of the catalogue have it: nothing but the commit counts
    commit_begins = ""

    def __post_init__(self) -> None:
        if not _HUB_ID.fullmatch(self.hub):
            raise InvalidNamedModel(f"{self.hub!r} is no repository of the hub: expected OWNER/NAME@COMMIT")
        require_commit(self.hub, self.revision or None)
        if self.architecture not in ARCHITECTURES:
            allowed = ", ".join(ARCHITECTURES)
            raise InvalidNamedModel(f"--architecture: got {self.architecture!r}; of {self.hub} allowed: {allowed}")
        if not self.label_space:
            raise InvalidNamedModel(f"--label-space: what the classes of {self.hub} mean: a name, or a JSON file")

    @property
    def name(self) -> str:
        """What it is called here, unless the user says otherwise."""
        return self.hub.partition("/")[2].lower()

    @property
    def description(self) -> str:
        return (
            f"{self.hub}, converted to ONNX; float16 weights, computes in float32. Named by whoever pulled it, "
            "in no catalogue. Not measured here."
        )


def licence_of(model: NamedModel, folder: Path | None) -> str:
    """As the catalogue says of the repository, or its own model card in the folder; else UNKNOWN_LICENCE."""
    known = next((each for each in load_hub_catalog().values() if each.hub == model.hub), None)
    if known is not None:
        return f"{known.licence} {known.licence_url}"
    if folder is None or not (folder / MODEL_CARD).is_file():
        return UNKNOWN_LICENCE
    try:
        text = (folder / MODEL_CARD).read_text(encoding="utf-8")
        told = cast(Any, RepositoryCard(text, ignore_metadata_errors=True)).data.to_dict()
    except (YAMLError, ValueError):
        return UNKNOWN_LICENCE
    parts = [told.get(key) for key in ("license", "license_name", "license_link")]
    said = ", ".join(each for each in parts if isinstance(each, str) and each.strip())
    return f"As its model card says: {said}." if said else UNKNOWN_LICENCE
