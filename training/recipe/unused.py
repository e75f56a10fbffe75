"""Keys of a recipe that count nowhere beside what else it says. Whoever set one believes that it does something."""

import logging
from collections.abc import Iterator
from dataclasses import fields

from training.recipe.recipe import Recipe

logger = logging.getLogger(__name__)

WEIGHTED = ("cross_entropy", "cross_entropy_dice", "focal")
# Of which `name` beside it a key is.
OF_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "optimiser": {"momentum": ("sgd",), "nesterov": ("sgd",), "amsgrad": ("adam", "adamw")},
    "schedule": {
        "cool_down": ("trapezoid",),
        "power": ("polynomial",),
        "gamma": ("exponential",),
        "factor": ("plateau",),
        "patience": ("plateau",),
        "metric": ("plateau",),
    },
    "loss": {"focal_gamma": ("focal",), "class_weight_power": WEIGHTED, "class_weight_highest": WEIGHTED},
}


def warn_of_unused(recipe: Recipe) -> None:
    for said in unused(recipe):
        logger.warning("%s", said)


def unused(recipe: Recipe) -> Iterator[str]:
    """A sentence for each key that says something else than its default, and that nothing reads."""
    for group, key, without in _unread(recipe):
        choice = getattr(recipe, group)
        value, default = getattr(choice, key), next(each.default for each in fields(choice) if each.name == key)
        if value != default:
            yield f"{group}.{key} = {value!r} counts nowhere {without}"


def _unread(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Of each key that nothing reads its table, its name, and why."""
    for group, keys in OF_NAMES.items():
        name = getattr(recipe, group).name
        yield from ((group, key, f"with {group}.name = {name!r}") for key, names in keys.items() if name not in names)
    if recipe.loss.name in WEIGHTED and not recipe.loss.class_weight_power:
        yield "loss", "class_weight_highest", "with loss.class_weight_power = 0"
    if not recipe.start.source:
        yield "start", "encoder_only", "without start.from"
    if not recipe.early_stopping.patience:
        yield "early_stopping", "least", "without early_stopping.patience"
    if not recipe.distillation.teacher:
        yield from (("distillation", key, "without distillation.teacher") for key in ("weight", "temperature", "scale"))
