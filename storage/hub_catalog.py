"""Models of the hub that are known by name: `data/catalog.toml`, read strictly. Fetching them is `training.hub`'s."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import data
from segmentation.errors import SegmentationError
from segmentation.label_spaces import get_label_space

CATALOG = Path(data.__file__).parent / "catalog.toml"
ARCHITECTURES = ("segformer", "mask2former")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGITS = re.compile(r"[0-9a-f]{7,39}")
_REF = re.compile(r"main|refs/pr/[1-9][0-9]{0,4}")
_ADDRESS = re.compile(r"https://\S+")


class InvalidHubCatalog(ValueError):
    """The message names the entry, the field, what was expected and what came."""

    code = "invalid_hub_catalog"


class HubModelNotFound(LookupError):
    """The message names the models that the hub catalogue knows."""

    code = "hub_model_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """One entry. Raises InvalidHubCatalog on construction.

    hub: owner/name there. revision: a full commit with safetensors; else `ref` says where they lie, and `commit_begins`
    what is known of the commit. long_side: pixels that the network sees here.
    published_miou: 0..1, of the authors, on `published_on`; nothing that was measured here.
    """

    name: str
    hub: str
    architecture: str
    label_space: str
    parameters_m: float
    download_mb: int
    long_side: int
    published_miou: float
    published_on: str
    published_in: str
    licence: str
    licence_url: str
    commercial_use: bool
    revision: str = ""
    ref: str = ""
    commit_begins: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            self._check_type(each.name, str(each.type))
        self._require("name", bool(_NAME.fullmatch(self.name)), "lower-case letters, digits and . _ -")
        self._require("hub", bool(_HUB_ID.fullmatch(self.hub)), "owner/name")
        self._require("architecture", self.architecture in ARCHITECTURES, f"one of {', '.join(ARCHITECTURES)}")
        self._require("parameters_m", self.parameters_m > 0, "above 0")
        self._require("download_mb", self.download_mb > 0, "above 0")
        self._require("long_side", self.long_side > 0 and self.long_side % 32 == 0, "a multiple of 32")
        self._require("published_miou", 0 < self.published_miou < 1, "between 0 and 1")
        self._require("published_in", bool(_ADDRESS.match(self.published_in)), "an https address first")
        self._require("licence_url", bool(_ADDRESS.fullmatch(self.licence_url)), "an https address")
        self._check_label_space()
        self._check_commit()

    def _check_type(self, field: str, kind: str) -> None:
        expected = {"str": "text", "float": "a number", "int": "a whole number", "bool": "true or false"}[kind]
        value = getattr(self, field)
        fits = {"str": isinstance(value, str), "bool": isinstance(value, bool), "int": type(value) is int}
        fits["float"] = type(value) in (int, float)
        self._require(field, fits[kind], expected)
        needed = kind == "str" and field not in _COMMIT_FIELDS
        self._require(field, not needed or bool(value.strip()), "not empty")

    def _check_label_space(self) -> None:
        try:
            get_label_space(self.label_space)
        except SegmentationError as error:
            raise InvalidHubCatalog(f"{CATALOG.name}: {self.name}: label_space: {error}") from error

    def _check_commit(self) -> None:
        if self.revision:
            self._require("revision", bool(_COMMIT.fullmatch(self.revision)), "40 lower-case hexadecimal digits")
            self._require("ref", not self.ref, "left out beside a revision")
        else:
            self._require("ref", bool(_REF.fullmatch(self.ref)), "main or refs/pr/N where there is no revision")
        digits = self.commit_begins
        self._require("commit_begins", not digits or bool(_DIGITS.fullmatch(digits)), "7 to 39 hexadecimal digits")
        self._require("commit_begins", not (digits and self.revision), "left out beside a revision")

    def _require(self, field: str, true: bool, expected: str) -> None:
        if not true:
            got = getattr(self, field)
            raise InvalidHubCatalog(f"{CATALOG.name}: {self.name}: {field} must be {expected}, got {got!r}")


_COMMIT_FIELDS = ("revision", "ref", "commit_begins")


def load_hub_catalog(path: Path = CATALOG) -> Mapping[str, HubModel]:
    """By name, in the file's order. Raises InvalidHubCatalog."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidHubCatalog(f"{path.name} is not TOML: {error}") from error
    entries = table.pop("models", None)
    if table or not isinstance(entries, list) or not entries:
        raise InvalidHubCatalog(f"{path.name} must hold [[models]] tables alone")
    found: dict[str, HubModel] = {}
    for number, entry in enumerate(entries, 1):
        model = _model(entry, f"{path.name}: {_called(entry, number)}")
        if model.name in found:
            raise InvalidHubCatalog(f"{path.name}: {model.name}: the name is there twice")
        found[model.name] = model
    return found


def get_hub_model(name: str) -> HubModel:
    """Raises HubModelNotFound, which names the choices."""
    known = load_hub_catalog()
    if name not in known:
        raise HubModelNotFound(f"the hub catalogue has no model {name!r}; it has: {', '.join(known)}")
    return known[name]


def _model(entry: Any, where: str) -> HubModel:
    if not isinstance(entry, dict):
        raise InvalidHubCatalog(f"{where}: expected a table, got {entry!r}")
    known = {each.name: each for each in fields(HubModel)}
    for field in entry:
        if field not in known:
            raise InvalidHubCatalog(f"{where}: {field}: unknown field; allowed: {', '.join(known)}")
    for field, each in known.items():
        if each.default is MISSING and field not in entry:
            raise InvalidHubCatalog(f"{where}: {field}: missing")
    return HubModel(**entry)


def _called(entry: Any, number: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and name else f"entry {number}"
