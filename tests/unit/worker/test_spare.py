"""A model with a spare: which failure is the picture's, and which the device's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.errors import ModelFailed, OutOfMemory
from worker.engines import Engine
from worker.engines.spare import WithSpare

BATCH = np.arange(5 * 3, dtype=np.float32).reshape(5, 3, 1, 1)


class Fake:
    """Gives what it takes, or raises."""

    def __init__(self, device: str, max_batch: int, error: Exception | None = None) -> None:
        self.device = f"fake {device} fp32"
        self.file = device
        self.max_batch = max_batch
        self.error = error
        self.sizes: list[int] = []
        self.closed = False

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.sizes.append(len(batch))
        if self.error is not None:
            raise self.error
        return batch

    def close(self) -> None:
        self.closed = True


def none() -> tuple[Engine, int]:
    raise ModelFailed("there is no spare")


@pytest.mark.parametrize("error", [ModelFailed("odd"), OutOfMemory("full")])
def test_a_picture_that_a_sound_device_cannot_take_fails(error: Exception) -> None:
    first = Fake("cuda:0", 8, error)
    engine = WithSpare("tiny", first, lambda: True, none)
    with pytest.raises(type(error)):
        engine.run(BATCH)
    first.error = None
    assert engine.run(BATCH) is BATCH
    assert (engine.device, engine.file, engine.max_batch) == ("fake cuda:0 fp32", "cuda:0", 8)


def test_where_the_device_is_lost_the_spare_takes_the_same_batch_in_pieces_that_it_can() -> None:
    first, spare = Fake("cuda:0", 8, ModelFailed("lost")), Fake("cpu", 2)
    opened: list[Engine] = []

    def open_spare() -> tuple[Engine, int]:
        opened.append(spare)
        return spare, 2

    engine = WithSpare("tiny", first, lambda: False, open_spare)
    for _ in range(2):
        np.testing.assert_array_equal(engine.run(BATCH), BATCH)
    assert (first.sizes, spare.sizes, len(opened)) == ([5], [2, 2, 1, 2, 2, 1], 1)
    assert (engine.device, engine.file, engine.max_batch) == ("fake cpu fp32", "cpu", 8)
    engine.close()
    assert (first.closed, spare.closed) == (True, True)


def test_without_a_spare_the_failure_is_told() -> None:
    engine = WithSpare("tiny", Fake("cuda:0", 8, ModelFailed("lost")), lambda: False, none)
    with pytest.raises(ModelFailed, match="there is no spare"):
        engine.run(BATCH)
    assert engine.device == "fake cuda:0 fp32"
    engine.close()
