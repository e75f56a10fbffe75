"""What a user says about a model file of his own: from options, or from a TOML or JSON file. Read strictly."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from segmentation.errors import InvalidModelCard
from segmentation.label_space import LabelSpace
from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from training.spaces import find_label_space

# Fields of a whole card that are measured or counted here, whatever it says.
FOUND_OUT = (
    *("files", "sha256", "parameters", "variants", "output_stride"),
    *("label_space_file", "max_batch", "activation"),
)
_USUAL = {
    "resize": None,
    "long_side": None,
    "height": None,
    "width": None,
    "multiple_of": 32,
    "mean": list(IMAGENET_MEAN),
    "std": list(IMAGENET_STD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCard:
    """The fields of a ModelCard that only its author knows. output: name of the logits, where there are several.

    label_space: its name; space: what it is.
    """

    name: str
    label_space: str
    space: LabelSpace
    preprocessing: Preprocessing
    version: str = "1"
    architecture: str = "own"
    description: str = ""
    dataset: str = ""
    recipe: str = ""
    commit: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    temperature: float | None = None
    output: str | None = None


def read_own_card(path: Path) -> dict[str, Any]:
    """The fields of a `.toml` or `.json` file, for `own_card`. Raises InvalidModelCard."""
    text = path.read_text(encoding="utf-8")
    try:
        given = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except ValueError as error:
        expected = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise InvalidModelCard(path.name, expected=expected, got=str(error)) from error
    if not isinstance(given, dict):
        raise InvalidModelCard(path.name, expected="a table", got=given)
    return {name: value for name, value in given.items() if name not in FOUND_OUT}


def own_card(given: Mapping[str, Any]) -> OwnCard:
    """given: fields of OwnCard; `preprocessing` is a table of Preprocessing's fields, without mean and std ImageNet's;
    `label_space` is a published name or a JSON file of one's own.

    Raises InvalidModelCard for a field that is unknown, missing or wrong, UnknownLabelSpace and InvalidLabelSpace.
    """
    known = {each.name for each in fields(OwnCard)} - {"space"}
    unknown = given.keys() - known
    if unknown:
        raise InvalidModelCard(
            "the card", expected=f"with these fields alone: {', '.join(sorted(known))}", got=sorted(unknown)
        )
    for name in ("name", "label_space"):
        if not isinstance(given.get(name), str):
            raise InvalidModelCard(name, expected="given", got=given.get(name))
    space = find_label_space(given["label_space"])
    preprocessing = _preprocessing(given.get("preprocessing", {}))
    return OwnCard(**{**given, "label_space": space.name, "space": space, "preprocessing": preprocessing})


def _preprocessing(given: Any) -> Preprocessing:
    if not isinstance(given, Mapping):
        raise InvalidModelCard("preprocessing", expected="a table", got=given)
    table = {**_USUAL, **given}
    if table["resize"] is None:
        table["resize"] = "exact" if table["height"] is not None else "fit"
    if table["resize"] == "fit" and table["long_side"] is None:
        raise InvalidModelCard(
            "preprocessing",
            expected="with long_side (--long-side), or with height and width where only one size works",
            got=dict(given),
        )
    return Preprocessing.from_dict(table)
