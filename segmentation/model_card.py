"""ModelCard: what a model is and expects; the contract between training and serving. Bundles are in `storage/`.

The graph of every model: input `image` float32 (B, 3, H, W) as `preprocessing` gives it; output `logits` float32
(B, C, H / output_stride, W / output_stride), where channel i is `LabelSpace.class_ids[i]`; where the card names an
`activation`, what that makes of the logits. Upsampling and the choice of the best class are the worker's. File
`onnx_int8` is the same graph, quantised. File `onnx_ids` is for users without a worker: its outputs are `ids` (B, H, W)
uint8, class ids, and `confidence` (B, H, W) float32, at the input's size.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from segmentation.activations import TO_LOGITS
from segmentation.engines import file_keys
from segmentation.errors import InvalidModelCard
from segmentation.preprocessing import Preprocessing
from segmentation.variant import Variant

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Raises InvalidModelCard on construction, with the field, what was expected, and what came.

    name: also the bundle's folder: lower-case letters, digits, `.`, `_`, `-`.
    label_space: a name; label_space_file: the file of the bundle that defines it, empty for a published one.
    `files`: runtime → file name; `sha256`: file name → hex digest, one for each file, label_space_file too.
    max_batch: the most pictures that the graph takes at once, where it was exported for no more; None: any number.
    activation: what the graph applies to its logits itself, one of TO_LOGITS.
    temperature: what the graph divides its logits by, so that confidence means what it says; None: nothing was fitted.
    scores: metric → number, as measured on `dataset`. variants: what each precision and engine costs and scores.
    """

    name: str
    version: str
    architecture: str
    label_space: str
    preprocessing: Preprocessing
    files: Mapping[str, str]
    sha256: Mapping[str, str]
    output_stride: int
    parameters: int
    description: str = ""
    dataset: str = ""
    recipe: str = ""
    commit: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    variants: tuple[Variant, ...] = ()
    label_space_file: str = ""
    max_batch: int | None = None
    activation: str = ""
    temperature: float | None = None

    def __post_init__(self) -> None:
        for name in _TEXTS:
            _require(isinstance(getattr(self, name), str), name, "text", getattr(self, name))
        require_name(self.name)
        for name in ("version", "architecture", "label_space"):
            _require(bool(getattr(self, name)), name, "not empty", getattr(self, name))
        for name in ("output_stride", "parameters"):
            value = getattr(self, name)
            _require(type(value) is int and value >= 1, name, "a whole number above 0", value)
        _require(isinstance(self.preprocessing, Preprocessing), "preprocessing", "an object", self.preprocessing)
        _require(
            self.activation in TO_LOGITS, "activation", f"one of {', '.join(map(repr, TO_LOGITS))}", self.activation
        )
        fits = self.max_batch is None or (type(self.max_batch) is int and self.max_batch >= 1)
        _require(fits, "max_batch", "a whole number above 0, or null", self.max_batch)
        cold = self.temperature is None or (type(self.temperature) in (int, float) and 0 < self.temperature < math.inf)
        _require(cold, "temperature", "a number above 0, or null", self.temperature)
        _check_files(self.files, self.sha256)
        if self.label_space_file:
            _check_file("label_space_file", self.label_space_file, self.sha256)
        _check_scores(self.scores)
        _check_variants(self.variants, self.sha256)

    def to_json(self) -> str:
        """Indented, with the fields in their order, ending in a newline; later fields where they tell something."""
        value: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        value = {name: told for name, told in value.items() if told or name not in _LATER}
        value["preprocessing"] = self.preprocessing.to_dict()
        value.update({name: dict(value[name]) for name in ("files", "sha256", "scores")})
        value["variants"] = [each.to_dict() for each in self.variants]
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "ModelCard":
        """Strict: unknown and missing fields are errors. Raises InvalidModelCard."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InvalidModelCard("the file", expected="JSON", got=str(error)) from error
        _require(isinstance(value, dict), "the file", "a JSON object", value)
        given = cast(dict[str, Any], value)
        unknown = given.keys() - {each.name for each in fields(cls)}
        _require(not unknown, "the file", "without unknown fields", sorted(unknown))
        for name in _NEEDED:
            _require(name in given, name, "given", None)
        variants = given.get("variants", [])
        _require(isinstance(variants, list), "variants", "a list", variants)
        read = {
            "preprocessing": Preprocessing.from_dict(given["preprocessing"]),
            "variants": tuple(Variant.from_dict(each) for each in variants),
        }
        return cls(**{**given, **read})


_TEXTS = (
    *("name", "version", "architecture", "label_space", "description"),
    *("dataset", "recipe", "commit", "source", "licence", "label_space_file"),
)
_LATER = ("label_space_file", "max_batch", "activation", "temperature")
_NEEDED = (
    *("name", "version", "architecture", "label_space", "preprocessing"),
    *("files", "sha256", "output_stride", "parameters"),
)


def require_name(name: str) -> None:
    """For who has long work to do before there is a card. Raises InvalidModelCard."""
    _require(bool(_NAME.fullmatch(name)), "name", "lower-case letters, digits and . _ -", name)


def _check_files(files: object, sha256: object) -> None:
    _require(isinstance(files, Mapping) and bool(files), "files", "an object that names a file", files)
    _require(isinstance(sha256, Mapping), "sha256", "an object", sha256)
    digests = cast(Mapping[str, object], sha256)
    for runtime, name in cast(Mapping[str, object], files).items():
        known = file_keys()
        _require(runtime in known, "files", f"by runtime, one of {', '.join(known)}", runtime)
        _check_file(f"files.{runtime}", name, digests)


def _check_file(field_name: str, name: object, digests: Mapping[str, object]) -> None:
    plain = isinstance(name, str) and bool(_FILE_NAME.fullmatch(name))
    _require(plain, field_name, "a plain file name", name)
    digest = digests.get(cast(str, name))
    fits = isinstance(digest, str) and bool(_SHA256.fullmatch(digest))
    _require(fits, f"sha256.{name}", "64 lower-case hexadecimal digits", digest)


def _check_scores(scores: object) -> None:
    _require(isinstance(scores, Mapping), "scores", "an object", scores)
    for name, value in cast(Mapping[str, object], scores).items():
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _require(fits, f"scores.{name}", "a finite number", value)


def _check_variants(variants: object, sha256: Mapping[str, str]) -> None:
    fits = isinstance(variants, tuple) and all(isinstance(each, Variant) for each in variants)
    _require(fits, "variants", "a tuple of Variant", variants)
    for each in cast(tuple[Variant, ...], variants):
        _require(each.file in sha256, "variants.file", f"one of {', '.join(sorted(sha256))}", each.file)


def _require(true: bool, name: str, expected: str, got: object) -> None:
    if not true:
        raise InvalidModelCard(name, expected=expected, got=got)
