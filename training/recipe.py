"""Recipe: one TOML file is one training that anyone can repeat. What may stand in it, with its defaults.

Reading and checking are in recipe_file.py.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from training.augmentation import Augmentation


class RecipeError(Exception):
    """A recipe holds a key or a value that is not allowed; the message names the key, the value and what is allowed."""

    code = "invalid_recipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """architecture: a name in MODELS; options: keyword arguments of its builder."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """dataset: a name in DATASETS; count: a subset of so many pictures, drawn with the recipe's seed (0 = all)."""

    dataset: str
    split: str = "train"
    count: int = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossChoice:
    """Cross-entropy + dice_share · Dice."""

    dice_share: float = 0.0
    class_weight_power: float = 0.5  # 0 = all classes alike, 1 = median frequency balancing
    class_weight_highest: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserChoice:
    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3  # the highest of the schedule
    weight_decay: float = 1e-2
    momentum: float = 0.9  # of sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChoice:
    """Shares are of all steps. `trapezoid` has a flat middle: a run can be prolonged until its last part begins."""

    name: Literal["trapezoid", "one_cycle", "polynomial", "constant"] = "trapezoid"
    warm_up: float = 0.02
    cool_down: float = 0.3  # of trapezoid
    power: float = 0.9  # of polynomial


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some epochs on some data at one size. Small crops of shrunk pictures are cheap, and most is learnt there."""

    epochs: int
    batch_size: int
    crop: tuple[int, int]  # height, width in pixels, multiples of 32
    scale: tuple[float, float]  # lowest and highest enlargement of the source picture before the crop
    data: tuple[str, ...] = ()  # data sets among the recipe's; none named = all


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    name: str
    model: ModelChoice
    data: tuple[DataChoice, ...]
    validation: DataChoice
    stages: tuple[Stage, ...]
    label_space: str = "camvid-11"
    loss: LossChoice = LossChoice()
    optimiser: OptimiserChoice = OptimiserChoice()
    schedule: ScheduleChoice = ScheduleChoice()
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 1
    ema_decay: float = 0.998
    evaluate_every: int = 5  # epochs
    long_side: int = 480  # pixels of the picture that the network sees when it serves

    def __post_init__(self) -> None:
        """Raises RecipeError for what each value alone does not show."""
        _require(bool(self.data), "data", "at least one [[data]] table", self.data)
        _require(bool(self.stages), "stages", "at least one [[stages]] table", self.stages)
        _require(self.evaluate_every >= 1, "evaluate_every", "1 or more", self.evaluate_every)
        _require(0 <= self.ema_decay < 1, "ema_decay", "0 or more, below 1", self.ema_decay)
        for number, stage in enumerate(self.stages):
            _check_stage(stage, f"stages[{number}]", {each.dataset for each in self.data})

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)

    def stage_of(self, epoch: int) -> Stage:
        """The stage that epoch 0, 1, … belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise IndexError(f"the recipe has {self.epochs} epochs")


def _check_stage(stage: Stage, where: str, datasets: set[str]) -> None:
    _require(stage.epochs >= 1, f"{where}.epochs", "1 or more", stage.epochs)
    _require(stage.batch_size >= 2, f"{where}.batch_size", "2 or more (batch norm)", stage.batch_size)
    whole = all(side >= 32 and side % 32 == 0 for side in stage.crop)
    _require(whole, f"{where}.crop", "multiples of 32", list(stage.crop))
    _require(0 < stage.scale[0] <= stage.scale[1], f"{where}.scale", "[lowest, highest], above 0", list(stage.scale))
    unknown = [name for name in stage.data if name not in datasets]
    _require(not unknown, f"{where}.data", f"among {', '.join(sorted(datasets))}", unknown)


def _require(true: bool, where: str, allowed: str, got: object) -> None:
    if not true:
        raise RecipeError(f"{where}: got {got!r}; allowed: {allowed}")
