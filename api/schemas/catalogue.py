"""The shapes of what can be run and read: models, label spaces, samples, limits, health."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.choices import Choices
from api.schemas.evaluation import Evaluation
from jobs.callers import Caller
from jobs.tenants.quotas import IMAGES, QUEUED, REQUESTS
from jobs.tenants.standing import Standing
from jobs.watching.workers import FollowedModel
from segmentation.engines import engines_that_read
from segmentation.errors import NoRemapping
from segmentation.label_space import LabelSpace
from segmentation.label_spaces import LabelSpaces
from segmentation.model_card import ModelCard
from segmentation.palette import palette

_MODEL: dict[str, Any] = {
    "name": "street-fast",
    "version": "2",
    "architecture": "fpn tu-tf_efficientnet_lite0",
    "backend": ["openvino", "onnxruntime"],
    "parameters": 2_636_875,
    "input_size": {"resize": "fit", "long_side": 480, "height": None, "width": None},
    "label_space": "camvid-11",
    "label_spaces": {"cityscapes-8": {"classes": ["flat", "construction"], "impossible": []}},
    "dataset": "CamVid",
    "description": "A fast model for street scenes.",
    "scores": {"miou": 0.71, "pixel_accuracy": 0.93},
    "source": "https://example.org/street-fast",
    "licence": "Apache-2.0",
    "default": True,
    "loaded": True,
}
_LABEL_SPACE: dict[str, Any] = {
    "name": "cityscapes-8",
    "description": "The eight categories of Cityscapes.",
    "ignore_id": 0,
    "classes": [
        {
            "id": 1,
            "name": "flat",
            "colour": [128, 64, 128],
            "hex": "#804080",
            "colour_blind_hex": "#cc79a7",
            "group": "flat",
        }
    ],
    "mappings_from": {"cityscapes-19": {"0": 1, "1": 1}},
}


class InputSize(BaseModel):
    """Pixels. `fit` scales the long side and keeps the proportions; `exact` scales to height × width."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"resize": "fit", "long_side": 480, "height": None, "width": None}}
    )

    resize: str
    long_side: int | None
    height: int | None
    width: int | None


class GivenClasses(BaseModel):
    """What a model can say in one label space."""

    classes: list[str] = Field(description="that it can give there, void ones left out", examples=[["road", "sky"]])
    impossible: list[str] = Field(
        description="that it has no way to give there: `miou` is taken without them", examples=[["train"]]
    )


class ModelView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": _MODEL})

    name: str
    version: str
    architecture: str
    backend: list[str] = Field(description="engines that can run its files, the preferred one on a CPU first")
    runs_as: str | None = Field(
        description="engine and precision in which it runs here, and on a GPU's worker where; null: nobody loaded it",
        examples=["openvino int8"],
    )
    parameters: int
    input_size: InputSize
    label_space: str
    label_spaces: dict[str, GivenClasses] = Field(description="its own label space, and those that it is remapped to")
    dataset: str
    description: str
    scores: dict[str, float] = Field(description="as measured on `dataset`")
    source: str
    licence: str
    default: bool = Field(description="what a job without `model` gets")
    loaded: bool = Field(description="a live worker holds it in memory")


class EvaluatedModelView(ModelView):
    evaluation: Evaluation | None = Field(description="null: nobody has measured the model", examples=[None])


class ModelList(BaseModel):
    items: list[ModelView]


class ClassView(BaseModel):
    id: int
    name: str
    colour: tuple[int, int, int] = Field(description="red, green, blue, 0 to 255")
    hex: str = Field(examples=["#804080"])
    colour_blind_hex: str = Field(description="in the palette `colour_blind`", examples=["#cc79a7"])
    group: str


class LabelSpaceView(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": _LABEL_SPACE})

    name: str
    description: str
    ignore_id: int | None
    classes: list[ClassView]
    mappings_from: dict[str, dict[int, int]] = Field(description="other space → its id → the id here")


class LabelSpaceList(BaseModel):
    items: list[LabelSpaceView]


class SampleLinks(BaseModel):
    image: str = Field(examples=["/samples/day-avenue-01/image"])
    mask: str = Field(examples=["/samples/day-avenue-01/mask"])


class SampleView(BaseModel):
    id: str = Field(examples=["day-avenue-01"])
    label_spaces: list[str] = Field(
        description="in which its mask may be asked for, its own first", examples=[["cityscapes-34", "camvid-11"]]
    )
    links: SampleLinks


class SampleList(BaseModel):
    items: list[SampleView]


class QuotaView(BaseModel):
    """resets_in_seconds: of what is counted over a time. The time begins with the first use."""

    limit: int
    used: int
    remaining: int
    resets_in_seconds: int | None


class QuotasView(BaseModel):
    """None: the key has no such limit."""

    requests_per_minute: QuotaView | None
    images_per_day: QuotaView | None
    queued_images: QuotaView | None


class CallerView(BaseModel):
    """key: its id; none where the service asks for no key."""

    tenant: str = Field(examples=["default"])
    scope: str = Field(examples=["submit"])
    key: str | None = Field(examples=[None])
    quotas: QuotasView


class Limits(BaseModel):
    """Bytes, pixels, seconds; what may be chosen; and what the caller has."""

    request_bytes: int
    image_bytes: int
    image_pixels: int
    images_per_job: int
    film_seconds: float = Field(description="of a film as a whole")
    film_frames: int = Field(description="that become images; other images of the job count too")
    film_bytes: int
    json_bytes: int
    wait_seconds: int
    predict_wait_seconds: int
    retention_seconds: int | None
    idempotency_hours: int
    choices: Choices
    caller: CallerView


class Health(BaseModel):
    status: str = "ok"
    version: str = Field(examples=["0.2.0"])


class Problem(BaseModel):
    code: str
    message: str


class FollowedView(BaseModel):
    """What a worker serves under a name of the registry."""

    worker: str
    model: str = Field(examples=["street@champion"])
    version: str | None = Field(description="what it serves now; null: nothing yet")
    problem: Problem | None = Field(description="why that may not be what the registry names")


class Readiness(BaseModel):
    status: str = "ready"
    workers: list[str] = Field(description="names of the live workers", examples=[["worker-1@host"]])
    followed: list[FollowedView] = Field([], description="models that workers keep at the registry's version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a model is served: whether by default, whether a live worker holds it, in which engine and precision."""

    default: bool
    loaded: bool
    runs_as: str | None


def model_view(card: ModelCard, spaces: LabelSpaces, serving: Serving) -> ModelView:
    form = card.preprocessing
    return ModelView(
        name=card.name,
        version=card.version,
        architecture=card.architecture,
        backend=list(engines_that_read(card.files)),
        runs_as=serving.runs_as,
        parameters=card.parameters,
        input_size=InputSize(resize=form.resize, long_side=form.long_side, height=form.height, width=form.width),
        label_space=card.label_space,
        label_spaces=_given_classes(spaces.get(card.label_space), spaces),
        dataset=card.dataset,
        description=card.description,
        scores=dict(card.scores),
        source=card.source,
        licence=card.licence,
        default=serving.default,
        loaded=serving.loaded,
    )


def _given_classes(own: LabelSpace, spaces: LabelSpaces) -> dict[str, GivenClasses]:
    found = {}
    for target in spaces.all():
        with suppress(NoRemapping):
            own.remapping_to(target)
            missing = [each.name for each in target.missing_from(own)]
            counted = [each.name for each in target.classes if each.id not in target.void_ids]
            given = [name for name in counted if name not in missing]
            found[target.name] = GivenClasses(classes=given, impossible=missing)
    return found


def followed_view(worker: str, model: FollowedModel) -> FollowedView:
    problem = None if model.problem is None else Problem(code=model.problem.code, message=model.problem.message)
    return FollowedView(worker=worker, model=model.name, version=model.version, problem=problem)


def label_space_view(space: LabelSpace, spaces: LabelSpaces) -> LabelSpaceView:
    safe = palette(space, colour_blind_safe=True)
    return LabelSpaceView(
        name=space.name,
        description=space.description,
        ignore_id=space.ignore_id,
        classes=[
            ClassView(
                id=each.id,
                name=each.name,
                colour=each.colour,
                hex=_hex(each.colour),
                colour_blind_hex=_hex(safe[each.id].tolist()),
                group=each.group,
            )
            for each in space.classes
        ],
        mappings_from={
            other.name: dict(other.mappings[space.name]) for other in spaces.all() if space.name in other.mappings
        },
    )


def _hex(colour: Sequence[int]) -> str:
    return "#" + bytes(colour).hex()


def caller_view(caller: Caller, standings: Sequence[Standing]) -> CallerView:
    by_name = {each.name: _quota_view(each) for each in standings}
    quotas = QuotasView(
        requests_per_minute=by_name.get(REQUESTS),
        images_per_day=by_name.get(IMAGES),
        queued_images=by_name.get(QUEUED),
    )
    return CallerView(tenant=caller.tenant, scope=caller.scope, key=caller.credential, quotas=quotas)


def _quota_view(standing: Standing) -> QuotaView:
    return QuotaView(
        limit=standing.limit,
        used=standing.used,
        remaining=standing.remaining,
        resets_in_seconds=None if standing.period_s is None else standing.retry_after_s,
    )
