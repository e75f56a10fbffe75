"""The shapes of request bodies. They describe; `jobs/options.py` decides what options mean."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.schemas.webhooks import EndpointShape
from jobs.deliveries.endpoint import is_web_address
from jobs.job import NewImage, Source, SourceKind
from jobs.keys import ULID, sample_mask
from jobs.options import EXPIRES_IN_S, MIN_AREA, MOST_MODELS, OUTPUT_LENGTH, PALETTES, TILE_SIZE, TOLERANCE
from jobs.submitting.references import GivenMask, Prefix
from jobs.uploads.upload import UPLOAD_ID
from segmentation.exports import EXPORTS
from segmentation.formats import FORMATS, OVERLAY_FORMATS
from segmentation.label_spaces import LABEL_SPACES
from segmentation.picture_files.deep_pixels import DEPTHS

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_NOT_PLAIN = re.compile(rf"[{_CONTROL}\ud800-\udfff]")


_ADDRESS = "https://example.org/zurich_001.jpg"


def _plain(text: str) -> str:
    """Only what every store can keep: no control characters, no halves of a surrogate pair."""
    if _NOT_PLAIN.search(text):
        raise ValueError("must not hold control characters")
    return text


def _web_address(text: str) -> str:
    """Which hosts may be asked is the worker's business; it also looks at redirects and at what names resolve to."""
    if not is_web_address(text):
        raise ValueError("must be http:// or https:// with a host and without credentials")
    return text


Plain = Annotated[str, AfterValidator(_plain), Field(json_schema_extra={"pattern": f"^[^{_CONTROL}]*$"})]
Url = Annotated[
    str,
    AfterValidator(_plain),
    AfterValidator(_web_address),
    Field(max_length=2048, json_schema_extra={"pattern": r"^https?://[A-Za-z0-9]", "examples": [_ADDRESS]}),
]
Name = Annotated[Plain, Field(min_length=1, max_length=255)]


def _exactly_one(schema: dict[str, Any], *names: str) -> None:
    """Of these properties; null is as good as none."""
    there, absent = {"not": {"type": "null"}}, {"type": "null"}
    schema["oneOf"] = [
        {"required": [name], "properties": {other: there if other == name else absent for other in names}}
        for name in names
    ]


_LOCATION = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]/"

Location = Annotated[Plain, Field(max_length=1090, pattern=rf"^{_LOCATION}.+$")]
Folder = Annotated[Plain, Field(max_length=1090, pattern=rf"^{_LOCATION}")]
UploadId = Annotated[str, Field(pattern=f"^{UPLOAD_ID.pattern}$")]


JobId = Annotated[str, Field(pattern=f"^job_{ULID}$")]
Index = Annotated[int, Field(ge=0, le=2**31 - 1)]

_SOURCES = ("url", "upload", "sample", "object")
_SEVERAL = ("prefix", "manifest", "job")


class InputSource(BaseModel):
    """Exactly one of its fields."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: _exactly_one(schema, *_SOURCES))

    url: Url | None = Field(None, description="fetched by a worker; private addresses are refused")
    upload: UploadId | None = Field(None, description="an id from `POST /uploads`")
    sample: Name | None = Field(None, description="an id from `GET /samples`")
    object: Location | None = Field(None, description="`bucket/key`, in a bucket that the server allows")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        self._check_one(*_SOURCES)
        return self

    def _check_one(self, *names: str) -> None:
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"must have exactly one of {', '.join(names)}")

    def source(self) -> Source:
        """An upload is named by its id here; whoever looks it up gives its key."""
        if self.url is not None:
            return Source(SourceKind.URL, self.url)
        if self.upload is not None:
            return Source(SourceKind.UPLOAD, self.upload)
        if self.object is not None:
            return Source(SourceKind.BUCKET, self.object)
        return Source(SourceKind.SAMPLE, str(self.sample))

    def mask_source(self) -> Source:
        """The same as ground truth: a sample's mask, not its picture."""
        source = self.source()
        return source if self.sample is None else source._replace(location=sample_mask(self.sample))


class MaskSource(InputSource):
    """Of one input: one of its fields; `prefix` for an input that is a prefix itself."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _exactly_one(schema, *_SOURCES, "prefix"))

    prefix: Folder | None = Field(None, description="all masks below it, matched to the images by path or name")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        self._check_one(*_SOURCES, "prefix")
        return self


class ListedMask(MaskSource):
    """One of `masks`: a mask, or several."""

    name: Name | None = Field(None, description="by which it finds its image; else the file's own")

    def given(self) -> GivenMask:
        if self.prefix is not None:
            return Prefix(self.prefix)
        return NewImage(self.mask_source(), self.name or "")


class JobInput(InputSource):
    """One image, or several: `prefix` is every image whose key begins so, `manifest` an uploaded list of inputs, one
    JSON object a line, `job` the images of another job with their names, refs and masks."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _exactly_one(schema, *_SOURCES, *_SEVERAL))

    prefix: Folder | None = Field(None, description="`bucket/folder/`, in a bucket that the server allows")
    manifest: UploadId | None = Field(None, description="an upload of JSON lines, each an input")
    job: JobId | None = Field(None, description="a job of the same tenant: its inputs once more")
    status: Literal["queued", "running", "succeeded", "failed", "canceled"] | None = Field(
        None, description="of `job`: images in this state alone"
    )
    indices: list[Index] | None = Field(None, min_length=1, max_length=100_000, description="of `job`: these alone")
    masks: Literal["corrected"] | None = Field(
        None,
        description="of `job`: what people corrected is the ground truth, and images without a correction have none",
    )
    name: Name | None = Field(None, description="what the image is called in rows and files")
    ref: Name | None = Field(None, description="the caller's own id, echoed in every row, event and file")
    mask: MaskSource | None = Field(None, description="ground truth")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        self._check_one(*_SOURCES, *_SEVERAL)
        if self.job is None and not (self.status is None and self.indices is None and self.masks is None):
            raise ValueError("status, indices and masks say what of a job is meant")
        several = any(getattr(self, name) is not None for name in _SEVERAL)
        if several and self.name is not None:
            raise ValueError("several images cannot have one name")
        if self.prefix is None and several and (self.ref is not None or self.mask is not None):
            raise ValueError("refs and masks of a manifest are in its lines, those of a job come along")
        if self.mask is not None and (self.mask.prefix is None) == (self.prefix is not None):
            raise ValueError("a prefix has the masks of a prefix, and an image has one mask")
        return self


class OverlayShape(BaseModel):
    model_config = ConfigDict(extra="forbid")

    opacity: float = Field(0.5, ge=0, le=1)
    format: str = Field("jpeg", json_schema_extra={"enum": [*OVERLAY_FORMATS]})
    palette: str = Field(
        PALETTES[0],
        description="colours of the overlay and the mask; `colour_blind`: told apart without red-green vision",
        json_schema_extra={"enum": [*PALETTES]},
    )


class PolygonsShape(BaseModel):
    """Of the artifact, and of exports that hold polygons."""

    model_config = ConfigDict(extra="forbid")

    tolerance: float = Field(
        0.0,
        ge=TOLERANCE[0],
        le=TOLERANCE[1],
        description="pixels: how far corners that are left out may lie from the line; 0: along the edges of pixels",
    )
    min_area: int = Field(
        0, ge=MIN_AREA[0], le=MIN_AREA[1], description="pixels: smaller regions, and smaller holes, are left out"
    )


class TileShape(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(1024, ge=TILE_SIZE[0], le=TILE_SIZE[1])
    overlap: int = Field(128, ge=0, le=TILE_SIZE[1] // 2, description="at most half of the size")


class JobOptionsShape(BaseModel):
    """All optional."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None,
        description="a name from `GET /models`, one version of it (`street/3`), or what the registry's alias names "
        "(`models:/street@champion`); default: the server's",
    )
    models: list[str] | None = Field(
        None,
        max_length=MOST_MODELS,
        description="instead of `model`: the batch runs through several, which are compared; a picture is decoded once",
    )
    label_space: str | None = Field(
        None,
        description="predictions are remapped to it; default: the model's",
        json_schema_extra={"examples": [*LABEL_SPACES]},
    )
    mask_label_space: str | None = Field(
        None,
        description="of the ground truth; default: what the masks' names say or those of samples are in, else "
        "as `label_space`",
    )
    mask_suffix: str | None = Field(
        None, max_length=64, description="how the names of masks end, where a data set has its own way: `_L`"
    )
    bit_depth: int | str | None = Field(
        None,
        description="of pictures that store so many bits in 16 or 32; default: what a PNG says of itself, else 16",
        json_schema_extra={"enum": ["auto", *DEPTHS, None]},
    )
    min_confidence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="pixels whose confidence is below it become void: of no class in masks, not coloured in overlays, "
        "no polygon; default: 0, every pixel has a class",
    )
    every: float | str | None = Field(
        None,
        description="how often a frame of a film becomes an image: seconds, or text like `500ms`, `1s`, `2min`; "
        "default: each second; refused where the request holds no film",
        examples=["1s"],
    )
    reuse: bool | None = Field(
        None,
        description="whether earlier results of the same picture, model and options may be the answer; default: yes",
    )
    artifacts: list[str] = Field(
        ["overlay", "mask"],
        json_schema_extra=lambda schema: schema.update(items={"type": "string", "enum": [*FORMATS]}),
    )
    overlay: OverlayShape | None = None
    polygons: PolygonsShape | None = Field(None, description="how closely they follow the pixels; default: exactly")
    classes: list[str] | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="names of the label space: those that overlays, polygons and COCO show; masks and metrics have "
        "all of them; default: all",
        examples=[["road", "car"]],
    )
    tile: TileShape | None = Field(None, description="for pictures larger than the model's input")
    priority: str | None = Field(None, json_schema_extra={"enum": ["interactive", "bulk", None]})
    expires_in: int | None = Field(
        None, ge=EXPIRES_IN_S[0], le=EXPIRES_IN_S[1], description="seconds until everything of the job is deleted"
    )
    output: str | None = Field(
        None,
        max_length=OUTPUT_LENGTH,
        description="`bucket/folder/` of a bucket that the server allows: the files of the archive are put there, in a "
        "folder named by the job's id, when the job has ended, `manifest.json` last",
    )
    export: str | dict[str, Any] | None = Field(
        None,
        description="what the archive is made for: a name, or `{name, instances, pictures, corrected}`; default: the "
        "artifacts as they are",
        examples=["cvat"],
        json_schema_extra={"anyOf": [{"enum": list(EXPORTS)}, {"type": "object"}, {"type": "null"}]},
    )
    webhook: EndpointShape | None = Field(None, description="who is told of the job; default: the tenant's")
    metadata: dict[str, Any] = Field(default_factory=dict, description="returned unchanged; at most 4 KiB")


class JobRequest(JobOptionsShape):
    """The JSON form of `POST /jobs`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "inputs": [
                    {"sample": "day-avenue-01", "ref": "my-1"},
                    {"url": "https://example.org/zurich_001.jpg", "name": "zurich_001.jpg"},
                ],
                "artifacts": ["overlay", "mask"],
            }
        }
    )

    inputs: list[JobInput] = Field(min_length=1)
    masks: list[ListedMask] | None = Field(
        None, description="ground truth of inputs that have no `mask`, matched by relative path, else by file stem"
    )


class JobForm(JobOptionsShape):
    """The multipart form of `POST /jobs`. Options may also be given by their own names."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"files": ["(a picture)"], "artifacts": ["overlay", "mask"], "priority": "bulk"}}
    )

    files: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        default_factory=list, description="images and archives (.zip, .tar, .tar.gz) of images"
    )
    masks: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        default_factory=list, description="ground truth, matched to images by relative path, else by file stem"
    )
    options: str | None = Field(None, description="all options as one JSON object")


class PredictForm(JobOptionsShape):
    """The multipart form of `POST /predict`."""

    model_config = ConfigDict(json_schema_extra={"example": {"file": "(a picture)", "label_space": "cityscapes-8"}})

    file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    options: str | None = Field(None, description="all options as one JSON object")
