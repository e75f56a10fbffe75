"""What everybody gets: the same pictures, crops, optimiser, learning rate and number of steps; SHORT and LONG."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.architectures.contenders import Contender
from training.recipe.recipe import DataChoice, LossChoice, ModelChoice, OptimiserChoice, Recipe, ScheduleChoice, Stage

PRETRAINED_FACTOR = 0.25  # times the learning rate, for an encoder that knows ImageNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One for all. dataset: camvid, or scenes of `scene_size` (width, height).

    pictures, checked_pictures: drawn from its `train` and `val` with the seed. crop: (height, width) of pictures
    enlarged by `scale`, in pixels. long_side: of what the network sees when it is scored.
    """

    dataset: str = "scenes"
    scene_size: tuple[int, int] = (480, 360)
    pictures: int = 320
    checked_pictures: int = 101
    epochs: int = 3
    batch_size: int = 8
    crop: tuple[int, int] = (96, 128)
    scale: tuple[float, float] = (0.25, 0.45)
    long_side: int = 160
    learning_rate: float = 2e-3
    seed: int = 1

    @property
    def steps(self) -> int:
        return self.epochs * (self.pictures // self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps({**asdict(self), "steps": self.steps}))  # type: ignore[no-any-return]

    @property
    def digest(self) -> str:
        """Names the folder of the runs that were given this budget."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:8]

    def recipe(self, contender: Contender) -> Recipe:
        return Recipe(
            name=contender.name,
            model=ModelChoice(architecture=contender.architecture, options=dict(contender.options)),
            data=(self._pictures("train", self.pictures),),
            validation=self._pictures("val", self.checked_pictures),
            stages=(Stage(epochs=self.epochs, batch_size=self.batch_size, crop=self.crop, scale=self.scale),),
            loss=LossChoice(name="own") if contender.own_loss else LossChoice(),
            optimiser=OptimiserChoice(
                name="adamw",
                learning_rate=contender.learning_rate or self.learning_rate,
                encoder_factor=PRETRAINED_FACTOR if contender.pretrained else 1.0,
            ),
            schedule=ScheduleChoice(name="trapezoid", warm_up=0.1, cool_down=0.4),
            seed=self.seed if contender.seed is None else contender.seed,
            ema_decay=0.9,
            evaluate_every=self.epochs,
            long_side=self.long_side,
        )

    def _pictures(self, split: str, count: int) -> DataChoice:
        width, height = self.scene_size
        options = {"width": width, "height": height, "scene_count": count} if self.dataset == "scenes" else {}
        return DataChoice(dataset=self.dataset, split=split, count=count, options=options)


SHORT = Budget()
LONG = Budget(pictures=367, epochs=45, scale=(0.35, 0.7), long_side=256, learning_rate=1e-3)  # 367: all of CamVid's
