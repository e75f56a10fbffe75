"""The shape of what is known of how good a model is: its evaluation."""

from __future__ import annotations

from pydantic import BaseModel, Field

from segmentation.model_card import ModelCard

_FAMILIES = ("iou/", "dice/")


class ClassScores(BaseModel):
    name: str
    iou: float | None = Field(description="null: the data does not hold the class")
    dice: float | None


class VariantView(BaseModel):
    """What one precision under one engine costs and scores."""

    precision: str
    engine: str
    bytes: int
    miou: float | None
    images_per_s: float | None = Field(description="forward alone, where it was measured")
    median_ms: float | None
    machine: str
    note: str


class Evaluation(BaseModel):
    dataset: str
    scores: dict[str, float] = Field(description="over all classes", examples=[{"miou": 0.71, "ece": 0.01}])
    classes: list[ClassScores]
    temperature: float | None = Field(description="what logits are divided by, so that confidence means what it says")
    variants: list[VariantView]


def evaluation_of(card: ModelCard) -> Evaluation | None:
    """None for a model that nobody has measured."""
    if not card.scores and not card.variants:
        return None
    names = dict.fromkeys(name.partition("/")[2] for name in card.scores if name.startswith(_FAMILIES))
    return Evaluation(
        dataset=card.dataset,
        scores={name: value for name, value in card.scores.items() if not name.startswith(_FAMILIES)},
        classes=[
            ClassScores(name=name, iou=card.scores.get(f"iou/{name}"), dice=card.scores.get(f"dice/{name}"))
            for name in names
        ],
        temperature=card.temperature,
        variants=[VariantView.model_validate(each, from_attributes=True) for each in card.variants],
    )
