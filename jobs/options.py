"""What a client may choose for a job, checked once. Unknown or impossible choices name the possible ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.deliveries.endpoint import Endpoint, read_endpoint
from jobs.errors import FieldFault, InvalidOptions
from jobs.exports.choice import ExportChoice, export_fault, read_choice
from jobs.films.film import read_every
from jobs.listing.metadata import metadata_fault
from segmentation.formats import FORMATS, OVERLAY_FORMATS, READABLE
from segmentation.formats.outlines import EXACT, Outlines
from segmentation.palette import COLOUR_BLIND
from segmentation.picture_files.deep_pixels import DEPTHS

MOST_MODELS = 8  # of one job
PRIORITIES = ("interactive", "bulk")
EXPIRES_IN_S = (60, 366 * 24 * 3600)
MASK_SUFFIX_LENGTH = 64
OUTPUT_LENGTH, FOLDER_LENGTH = 512, 255  # bytes
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]/(?:(?!\.{1,2}/)[^/\\]+/)*")
EVERY_S = (0.001, 24 * 3600.0)  # between frames of a film
TILE_SIZE = (64, 4096)
TOLERANCE, MIN_AREA = (0.0, 100.0), (0, 10**9)  # of polygons, in pixels
AUTO = "auto"
PALETTES = ("published", COLOUR_BLIND)
_SECTIONS = ("overlay", "polygons", "tile", "webhook", "export", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayOptions:
    """palette: one of PALETTES, also of the mask."""

    opacity: float = 0.5
    format: str = "jpeg"
    palette: str = PALETTES[0]

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {"opacity": self.opacity, "format": self.format}
        return values if self.palette == PALETTES[0] else {**values, "palette": self.palette}


@dataclass(frozen=True, slots=True, kw_only=True)
class TileOptions:
    """Pixels at the picture's own size."""

    size: int = 1024
    overlap: int = 128

    def magnification(self, width: int, height: int) -> float:
        """How much larger things appear to a model in the tiles of a picture than in the picture as a whole: both are
        scaled to what the network sees."""
        return max(width, height) / max(min(self.size, width), min(self.size, height))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """None means: the server's (model, priority, expires_in), the model's (label_space), the file's own (bit_depth),
    the tenant's (webhook).

    min_confidence: pixels whose confidence is below it, in [0, 1], become void.
    classes: names of those in overlays, polygons and COCO; empty: all.
    every: seconds from one frame of a film to the next that is taken; None where the job has no film.
    models: two or more, which are compared; `model` is then the first of them. Empty where one model was asked for.
    unknown: what a newer version of the service was asked for, in whose job this was read.
    """

    model: str | None = None
    models: tuple[str, ...] = ()
    label_space: str | None = None
    mask_label_space: str | None = None
    mask_suffix: str | None = None
    bit_depth: int | None = None
    min_confidence: float = 0.0
    every: float | None = None
    reuse: bool = True
    artifacts: tuple[str, ...] = ("overlay", "mask")
    overlay: OverlayOptions = field(default_factory=OverlayOptions)
    polygons: Outlines = EXACT
    classes: tuple[str, ...] = ()
    tile: TileOptions | None = None
    priority: str | None = None
    expires_in: int | None = None
    webhook: Endpoint | None = None
    output: str | None = None
    export: ExportChoice | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def readable(self) -> tuple[str, ...]:
        """Artifacts from which every class id can be read back."""
        partial = ("polygons", "coco") if self.classes else () if self.polygons == EXACT else ("polygons",)
        return tuple(name for name in self.artifacts if name in READABLE.difference(partial))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `parse_options` reads it back. What came later is there only where it was chosen."""
        newer = {
            "mask_suffix": self.mask_suffix,
            "bit_depth": self.bit_depth,
            "every": self.every,
            "models": list(self.models) or None,
            "min_confidence": self.min_confidence or None,
            "polygons": None if self.polygons == EXACT else self.polygons.to_dict(),
            "classes": list(self.classes) or None,
            "reuse": None if self.reuse else False,
            "output": self.output,
        }
        chosen: dict[str, Any] = {name: value for name, value in newer.items() if value is not None}
        if self.export is not None:
            chosen["export"] = self.export.to_dict()
        if self.webhook is not None:
            chosen["webhook"] = self.webhook.to_dict()
        return {
            "model": self.model,
            "label_space": self.label_space,
            "mask_label_space": self.mask_label_space,
            "artifacts": list(self.artifacts),
            "overlay": self.overlay.to_dict(),
            "tile": None if self.tile is None else {"size": self.tile.size, "overlap": self.tile.overlap},
            "priority": self.priority,
            "expires_in": self.expires_in,
            "metadata": dict(self.metadata),
            **chosen,
        }


def parse_options(values: Mapping[str, Any]) -> JobOptions:
    """Read JSON values as options. Raises InvalidOptions with every fault at once, not the first alone."""
    reader = _Reader(values)
    reader.allow("", values, tuple(each for each in JobOptions.__dataclass_fields__ if each != "unknown"))
    models = reader.models()
    options = JobOptions(
        model=models[0] if models else reader.text("model"),
        models=models if len(models) > 1 else (),
        label_space=reader.text("label_space"),
        mask_label_space=reader.text("mask_label_space"),
        mask_suffix=reader.mask_suffix(),
        bit_depth=reader.bit_depth(),
        min_confidence=reader.number("min_confidence", values, 0.0),
        every=reader.every(),
        reuse=reader.reuse(),
        artifacts=reader.artifacts(),
        overlay=reader.overlay(),
        polygons=reader.polygons(),
        classes=reader.classes(),
        tile=reader.tile(),
        priority=reader.choice("priority", PRIORITIES),
        expires_in=reader.whole("expires_in", values, EXPIRES_IN_S),
        webhook=reader.webhook(),
        output=reader.output(),
        metadata=reader.metadata(),
        export=reader.export(),
    )
    if options.export is not None and options.artifacts and not options.readable:
        said = f"needs one of the artifacts {', '.join(sorted(READABLE))}"
        reader.fault("export", f"{said}; what is simplified, or of some classes, does not do")
    if reader.faults:
        raise InvalidOptions(reader.faults)
    return options


class _Reader:
    """Collects faults instead of stopping at the first."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.faults: list[FieldFault] = []

    def fault(self, name: str, message: str) -> None:
        self.faults.append(FieldFault(name, message))

    def allow(self, prefix: str, values: Mapping[str, Any], names: Sequence[str]) -> None:
        for name in values:
            if name not in names:
                self.fault(f"{prefix}{name}", f"unknown option; known are {', '.join(names)}")

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        self.fault(name, f"must be a string, got {type(value).__name__}")
        return None

    def models(self) -> tuple[str, ...]:
        value = self._values.get("models")
        if value is None:
            return ()
        names = list(value) if isinstance(value, (list, tuple)) else []
        if not 1 <= len(names) <= MOST_MODELS or not all(isinstance(name, str) and name for name in names):
            self.fault("models", f"must be a list of 1 to {MOST_MODELS} names of models")
            return ()
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            self.fault("models", f"names {', '.join(sorted(twice))} more than once")
        if self._values.get("model") is not None:
            self.fault("models", "cannot be given together with model")
        return tuple(names)

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            self.fault(name, f"must be one of {', '.join(allowed)}, got {value!r}")
        return value

    def mask_suffix(self) -> str | None:
        value = self.text("mask_suffix")
        if value is None or (0 < len(value) <= MASK_SUFFIX_LENGTH and value.isprintable() and "/" not in value):
            return value
        self.fault("mask_suffix", f"must be 1 to {MASK_SUFFIX_LENGTH} letters that end a file's name before its dot")
        return None

    def whole(self, name: str, values: Mapping[str, Any], bounds: tuple[int, int], *, prefix: str = "") -> int | None:
        value = values.get(name)
        if value is None:
            return None
        low, high = bounds
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(f"{prefix}{name}", f"must be a whole number from {low} to {high}, got {value!r}")
            return None
        return value

    def number(
        self, name: str, values: Mapping[str, Any], default: float, bounds: tuple[float, float] = (0.0, 1.0)
    ) -> float:
        """name: with its section. values: of the section."""
        value = values.get(name.rpartition(".")[2], default)
        low, high = bounds
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.fault(name, f"must be a number from {low:g} to {high:g}, got {value!r}")
            return default
        return float(value)

    def bit_depth(self) -> int | None:
        value = self._values.get("bit_depth")
        if value is None or value == AUTO:
            return None
        if isinstance(value, bool) or value not in DEPTHS:
            self.fault("bit_depth", f"must be {AUTO} or one of {', '.join(map(str, DEPTHS))}, got {value!r}")
            return None
        return int(value)

    def every(self) -> float | None:
        value = self._values.get("every")
        if value is None:
            return None
        low, high = EVERY_S
        told = read_every(value if isinstance(value, str) else f"{value}")
        if isinstance(value, bool) or told is None or not low <= told <= high:
            self.fault("every", f"must be {low:g} to {high:g} seconds, as a number or like 1s or 500ms, got {value!r}")
            return None
        return told

    def reuse(self) -> bool:
        value = self._values.get("reuse")
        if value is None or isinstance(value, bool):
            return value is not False
        self.fault("reuse", f"must be true or false, got {value!r}")
        return True

    def artifacts(self) -> tuple[str, ...]:
        value = self._values.get("artifacts")
        if value is None:
            return JobOptions().artifacts
        if not isinstance(value, (list, tuple)) or not value:
            self.fault("artifacts", f"must be a list with at least one of {', '.join(FORMATS)}")
            return ()
        for name in value:
            if not isinstance(name, str) or name not in FORMATS:
                self.fault("artifacts", f"unknown artifact {name!r}; known are {', '.join(FORMATS)}")
        return tuple(dict.fromkeys(str(name) for name in value))

    def overlay(self) -> OverlayOptions:
        value = self._section("overlay", ("opacity", "format", "palette"))
        opacity = self.number("overlay.opacity", value, OverlayOptions().opacity)
        form = value.get("format", "jpeg")
        if not isinstance(form, str) or form not in OVERLAY_FORMATS:
            self.fault("overlay.format", f"must be one of {', '.join(OVERLAY_FORMATS)}, got {form!r}")
        palette = value.get("palette", PALETTES[0])
        if palette not in PALETTES:
            self.fault("overlay.palette", f"must be one of {', '.join(PALETTES)}, got {palette!r}")
        return OverlayOptions(opacity=opacity, format=str(form), palette=str(palette))

    def polygons(self) -> Outlines:
        value = self._section("polygons", ("tolerance", "min_area"))
        tolerance = self.number("polygons.tolerance", value, 0.0, TOLERANCE)
        return Outlines(tolerance, self.whole("min_area", value, MIN_AREA, prefix="polygons.") or 0)

    def classes(self) -> tuple[str, ...]:
        value = self._values.get("classes")
        names = list(value) if isinstance(value, (list, tuple)) else []
        if value is not None and not (0 < len(names) < 257 and all(isinstance(each, str) and each for each in names)):
            self.fault("classes", "must be a list of 1 to 256 names of classes")
            return ()
        return tuple(dict.fromkeys(names))

    def tile(self) -> TileOptions | None:
        if self._values.get("tile") is None:
            return None
        value = self._section("tile", ("size", "overlap"))
        size = self.whole("size", value, TILE_SIZE, prefix="tile.") or TileOptions().size
        overlap = self.whole("overlap", value, (0, size // 2), prefix="tile.")
        return TileOptions(size=size, overlap=min(TileOptions().overlap, size // 2) if overlap is None else overlap)

    def output(self) -> str | None:
        value = self.text("output")
        if value is None or (_FOLDER.fullmatch(value) and value.isprintable() and _fits_a_store(value)):
            return value
        said = f"must look like bucket/folder/, with at most {OUTPUT_LENGTH} bytes, {FOLDER_LENGTH} of a folder"
        self.fault("output", f"{said}, got {value[:100]!r}")
        return None

    def export(self) -> ExportChoice | None:
        value = self._values.get("export")
        fault = None if value is None else export_fault(value)
        if fault is not None:
            self.fault("export", fault)
        return None if value is None or fault is not None else read_choice(value)

    def webhook(self) -> Endpoint | None:
        value = self._values.get("webhook")
        return None if value is None else read_endpoint(value, self.faults, prefix="webhook.")

    def metadata(self) -> Mapping[str, Any]:
        value = self._section("metadata", None)
        fault = metadata_fault(value)
        if fault is not None:
            self.fault("metadata", fault)
            return {}
        return value

    def _section(self, name: str, names: Sequence[str] | None) -> Mapping[str, Any]:
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.fault(name, f"must be an object, got {type(value).__name__}")
            return {}
        if names is not None:
            self.allow(f"{name}.", value, names)
        return value


def _fits_a_store(place: str) -> bool:
    longest = max(len(part.encode()) for part in place.split("/"))
    return len(place.encode()) <= OUTPUT_LENGTH and longest <= FOLDER_LENGTH


def parse_option_fields(fields: Mapping[str, str], *, options: str | None) -> JobOptions:
    """Read a form: one JSON object in `options` and options by their own names as text. A clash is a fault."""
    values: dict[str, Any] = {}
    faults: list[FieldFault] = []
    if options is not None:
        values = _json_object("options", options, faults)
    for name, text in fields.items():
        if name in values:
            faults.append(FieldFault(name, "is given twice: as a field and inside options"))
        else:
            values[name] = _field_value(name, text, faults)
    if faults:
        raise InvalidOptions(faults)
    return parse_options(values)


def _field_value(name: str, text: str, faults: list[FieldFault]) -> Any:
    if name in ("artifacts", "models", "classes"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in ("expires_in", "bit_depth"):
        return int(text) if len(text) < 20 and text.strip().isdecimal() else text  # Python refuses thousands of digits
    if name == "min_confidence":
        return _number(text)
    if name == "export" and not text.lstrip().startswith("{"):
        return text
    if name == "reuse":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    return _json_object(name, text, faults) if name in _SECTIONS else text


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _json_object(name: str, text: str, faults: list[FieldFault]) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        faults.append(FieldFault(name, "must be a JSON object"))
        return {}
    return value
