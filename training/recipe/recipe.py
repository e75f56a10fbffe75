"""Recipe: one TOML file is one training that anyone can repeat. What may stand in it, with its defaults.

Reading and checking are in file.py; every key is explained in docs/recipes.md.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from segmentation.preprocessing import LONGEST_SIDE
from training.datasets.augmentation import Augmentation

CHANCES = ("flip", "blur", "rare_crop", "noise", "haze", "night", "jpeg", "paste")  # of an augmentation
HIGHEST_SEED = 9 * 10**12  # an epoch's is a million times as large, and has to fit into 64 bits
SCALES = (0.01, 100.0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Metric = Literal["val_loss", "train_loss", "miou", "dice", "pixel_acc"]


class RecipeError(Exception):
    """A recipe holds a key or a value that is not allowed; the message names the key, the value and what is allowed.

    where: the key's path, as `stages[0].crop`, by which file.py finds the line; empty when no key is at fault.
    """

    code = "invalid_recipe"

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


_SIDES = f"multiples of 32, at most {LONGEST_SIDE}"


def _fits(side: int) -> bool:
    return 32 <= side <= LONGEST_SIDE and side % 32 == 0


def _require(true: bool, where: str, allowed: str, got: object) -> None:
    if not true:
        raise RecipeError(f"{where}: got {got!r}; allowed: {allowed}", where=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """architecture: a name in MODELS; options: keyword arguments of its builder."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChoice:
    """Whose weights a training begins with. What does not fit (a head for other classes) begins anew."""

    source: str = field(default="", metadata={"key": "from"})  # a run's folder or name, or a checkpoint; "" = scratch
    encoder_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """dataset: a name in DATASETS. A subset is drawn with the recipe's seed: count pictures (0 = all), or a share."""

    dataset: str
    split: str = "train"
    count: int = 0
    share: float = 1.0  # in (0, 1]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossChoice:
    """name: what is minimised; `own` is the model's own. dice_share: λ in cross-entropy (or focal) + λ · Dice."""

    name: Literal["cross_entropy", "dice", "cross_entropy_dice", "focal", "own"] = "cross_entropy"
    dice_share: float = 0.0
    focal_gamma: float = 2.0  # of focal
    class_weight_power: float = 0.5  # 0 = all classes alike, 1 = median frequency balancing
    class_weight_highest: float = 5.0

    def __post_init__(self) -> None:
        _require(self.dice_share >= 0, "loss.dice_share", "0 or more", self.dice_share)
        _require(self.focal_gamma >= 0, "loss.focal_gamma", "0 or more", self.focal_gamma)
        _require(self.class_weight_power >= 0, "loss.class_weight_power", "0 or more", self.class_weight_power)
        _require(self.class_weight_highest > 0, "loss.class_weight_highest", "above 0", self.class_weight_highest)
        if self.name == "cross_entropy_dice":
            _require(self.dice_share > 0, "loss.dice_share", f"above 0 with name = {self.name!r}", self.dice_share)
        if self.name in ("dice", "own"):
            _require(self.dice_share == 0, "loss.dice_share", f"0 with name = {self.name!r}", self.dice_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationChoice:
    """Whose soft labels are learnt from beside the truth: (1 - weight) · loss + weight · soft-label loss.

    teacher: the name or folder of a bundle or run, or `models:/NAME@ALIAS`; "" = nobody.
    """

    teacher: str
    weight: float = 0.5
    temperature: float = 2.0  # of both models' probabilities
    scale: float = 1.0  # enlargement of the crop before the teacher sees it

    def __post_init__(self) -> None:
        _require(0 < self.weight <= 1, "distillation.weight", "above 0, at most 1", self.weight)
        _require(self.temperature > 0, "distillation.temperature", "above 0", self.temperature)
        _require(self.scale > 0, "distillation.scale", "above 0", self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserChoice:
    name: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3  # the highest of the schedule
    encoder_factor: float = 1.0  # times the rate, for the encoder: below 1 where it has learnt already
    weight_decay: float = 1e-2
    momentum: float = 0.9  # of sgd
    nesterov: bool = True  # of sgd
    amsgrad: bool = False  # of adam and adamw

    def __post_init__(self) -> None:
        _require(self.learning_rate > 0, "optimiser.learning_rate", "above 0", self.learning_rate)
        _require(self.encoder_factor > 0, "optimiser.encoder_factor", "above 0", self.encoder_factor)
        _require(self.weight_decay >= 0, "optimiser.weight_decay", "0 or more", self.weight_decay)
        _require(0 <= self.momentum < 1, "optimiser.momentum", "0 or more, below 1", self.momentum)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChoice:
    """Shares are of all steps. `trapezoid` has a flat middle: a run can be prolonged until its last part begins."""

    name: Literal["trapezoid", "one_cycle", "polynomial", "exponential", "plateau", "constant"] = "trapezoid"
    warm_up: float = 0.02
    cool_down: float = 0.3  # of trapezoid
    power: float = 0.9  # of polynomial
    gamma: float = 0.97  # of exponential: what the rate is multiplied by after each epoch
    factor: float = 0.5  # of plateau: what the rate is multiplied by when nothing improves
    patience: int = 3  # of plateau: measurements without improvement that are let pass
    metric: Metric = "val_loss"  # of plateau

    def __post_init__(self) -> None:
        _require(0 <= self.warm_up < 1, "schedule.warm_up", "0 or more, below 1", self.warm_up)
        _require(0 <= self.cool_down <= 1, "schedule.cool_down", "0 to 1", self.cool_down)
        _require(self.power >= 0, "schedule.power", "0 or more", self.power)
        _require(0 < self.gamma <= 1, "schedule.gamma", "above 0, at most 1", self.gamma)
        _require(0 < self.factor < 1, "schedule.factor", "above 0, below 1", self.factor)
        _require(self.patience >= 0, "schedule.patience", "0 or more", self.patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Ends a run whose metric has not improved for more than `patience` measurements; 0 = never."""

    patience: int = 0
    metric: Metric = "miou"
    least: float = 0.0  # what counts as an improvement

    def __post_init__(self) -> None:
        _require(self.patience >= 0, "early_stopping.patience", "0 or more", self.patience)
        _require(self.least >= 0, "early_stopping.least", "0 or more", self.least)

    @property
    def best_metric(self) -> Metric:
        """By which a run's best weights are chosen: its own, unless that is of pictures that are learnt from."""
        return "miou" if self.metric == "train_loss" else self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchChoice:
    """What `maskmill search` draws from, at random: rates evenly over their logarithm, the optimiser evenly."""

    trials: int = 8
    metric: Metric = "miou"
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    weight_decay: tuple[float, float] = (1e-4, 1e-1)
    optimisers: tuple[Literal["adamw", "adam", "sgd"], ...] = ("adamw", "sgd")

    def __post_init__(self) -> None:
        _require(self.trials >= 1, "search.trials", "1 or more", self.trials)
        _require(bool(self.optimisers), "search.optimisers", "at least one optimiser", self.optimisers)
        for name, (low, high) in (("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)):
            _require(0 < low <= high, f"search.{name}", "[lowest, highest], above 0", [low, high])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Some epochs on some data at one size. Small crops of shrunk pictures are cheap, and most is learnt there."""

    epochs: int
    batch_size: int  # of all processes together
    crop: tuple[int, int]  # height, width in pixels, multiples of 32
    scale: tuple[float, float]  # lowest and highest enlargement of the source picture before the crop
    data: tuple[str, ...] = ()  # data sets among the recipe's; none named = all
    learning_rate_factor: float = 1.0
    freeze_encoder: bool = False  # neither its weights nor its batch-norm statistics change


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    name: str
    model: ModelChoice
    data: tuple[DataChoice, ...]
    validation: DataChoice
    stages: tuple[Stage, ...]
    label_space: str = "camvid-11"
    start: StartChoice = StartChoice()
    loss: LossChoice = LossChoice()
    distillation: DistillationChoice = DistillationChoice(teacher="")
    optimiser: OptimiserChoice = OptimiserChoice()
    schedule: ScheduleChoice = ScheduleChoice()
    early_stopping: EarlyStopping = EarlyStopping()
    augmentation: Augmentation = field(default_factory=Augmentation)
    search: SearchChoice = SearchChoice()
    seed: int = 1
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    accumulate: int = 1  # batches per optimiser step
    ema_decay: float = 0.998
    evaluate_every: int = 5  # epochs
    unknown_ids: Literal["error", "ignore"] = "error"  # in masks
    long_side: int = 480  # pixels of the picture that the network sees when it serves

    def __post_init__(self) -> None:
        """Raises RecipeError for what each value alone does not show."""
        teacher = self.distillation.teacher
        is_name = _NAME.fullmatch(self.name) is not None
        _require(is_name, "name", "letters, digits, . _ - (it names a folder)", self.name)
        _require(bool(self.data), "data", "at least one [[data]] table", self.data)
        _require(bool(self.stages), "stages", "at least one [[stages]] table", self.stages)
        _require(0 <= self.seed <= HIGHEST_SEED, "seed", f"0 to {HIGHEST_SEED}", self.seed)
        _require(self.accumulate >= 1, "accumulate", "1 or more", self.accumulate)
        _require(self.evaluate_every >= 1, "evaluate_every", "1 or more", self.evaluate_every)
        _require(0 <= self.ema_decay < 1, "ema_decay", "0 or more, below 1", self.ema_decay)
        _require(_fits(self.long_side), "long_side", _SIDES, self.long_side)
        own = self.loss.name == "own"
        _require(not own or not teacher, "distillation.teacher", "none with loss.name = 'own'", teacher)
        _check_augmentation(self.augmentation)
        for number, choice in enumerate(self.data):
            _check_subset(choice, f"data[{number}]")
        _check_subset(self.validation, "validation")
        for number, stage in enumerate(self.stages):
            _check_stage(stage, f"stages[{number}]", {each.dataset for each in self.data})

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)

    def stage_of(self, epoch: int) -> Stage:
        """The stage that epoch 0, 1, … belongs to."""
        return self.stages[self.stage_number(epoch)]

    def stage_number(self, epoch: int) -> int:
        for number, stage in enumerate(self.stages):
            if epoch < stage.epochs:
                return number
            epoch -= stage.epochs
        raise IndexError(f"the recipe has {self.epochs} epochs")


def _check_subset(choice: DataChoice, where: str) -> None:
    _require(choice.count >= 0, f"{where}.count", "0 or more", choice.count)
    _require(0 < choice.share <= 1, f"{where}.share", "above 0, at most 1", choice.share)
    both = choice.count > 0 and choice.share < 1
    _require(not both, f"{where}.share", f"1 with count = {choice.count}", choice.share)


def _check_augmentation(varied: Augmentation) -> None:
    for name in CHANCES:
        chance = getattr(varied, name)
        _require(0 <= chance <= 1, f"augmentation.{name}", "0 to 1", chance)
    _require(0 <= varied.aspect < 1, "augmentation.aspect", "0 or more, below 1", varied.aspect)
    for name in ("brightness", "contrast", "saturation", "tint", "gamma"):
        strength = getattr(varied, name)
        _require(strength >= 0, f"augmentation.{name}", "0 or more", strength)


def _check_stage(stage: Stage, where: str, datasets: set[str]) -> None:
    _require(stage.epochs >= 1, f"{where}.epochs", "1 or more", stage.epochs)
    _require(stage.batch_size >= 2, f"{where}.batch_size", "2 or more (batch norm)", stage.batch_size)
    _require(all(map(_fits, stage.crop)), f"{where}.crop", _SIDES, list(stage.crop))
    low, high = SCALES
    ascending = low <= stage.scale[0] <= stage.scale[1] <= high
    _require(ascending, f"{where}.scale", f"[lowest, highest], {low:g} to {high:g}", list(stage.scale))
    factor = stage.learning_rate_factor
    _require(factor > 0, f"{where}.learning_rate_factor", "above 0", factor)
    unknown = [name for name in stage.data if name not in datasets]
    _require(not unknown, f"{where}.data", f"among {', '.join(sorted(datasets))}", unknown)
