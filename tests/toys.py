"""One of each thing that can be added: a label space, an artifact format, an engine. Registered by the tests that ask
whether one entry is enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.engines import EngineKind
from segmentation.formats import Encoded, FormatOptions
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelClass, LabelSpace
from storage.catalog import Bundle
from worker.engines import Engine, EngineRules

TOY_SPACE = LabelSpace("toy-2", (LabelClass(0, "rest", (0, 0, 0), "ground"), LabelClass(1, "toy", (9, 9, 9), "thing")))


class ToyFormat:
    """The names of the classes that occur, one a line."""

    name = "classes"
    files: ClassVar[Mapping[str, str]] = {"text/x-toy": ".toy"}
    shown = True
    accept = "text/x-toy"
    uses: ClassVar[tuple[str, ...]] = ()

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        return Encoded("\n".join(label_map.class_fractions()).encode(), "text/x-toy")


class ToyEngine:
    """Says class 0 everywhere."""

    device = "toy cpu fp8"
    file = "toy"
    max_batch = 1

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = np.zeros((len(batch), 11, batch.shape[2] // 4, batch.shape[3] // 4), np.float32)
        logits[:, 0] = 9
        return logits

    def close(self) -> None:
        pass


class ToyRuntime:
    def missing(self, device: str, precision: str = "fp8") -> str | None:
        return None

    def answers(self, device: str) -> bool:
        return True

    def load(self, bundle: Bundle, rules: EngineRules) -> Engine:
        assert bundle.file(rules.file).read_bytes() == b"toy"
        return ToyEngine()


TOY_ENGINE = EngineKind(
    files={"fp8": "toy"}, ranks={"cpu": 0}, distributions=("toy",), runtime=f"{__name__}:ToyRuntime"
)
