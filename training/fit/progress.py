"""Whoever watches a training while it runs is told of each step; who does not is a NullWatcher."""

from typing import Protocol


class Watcher(Protocol):
    """Called from the training's own thread, often: be quick."""

    def checking_begins(self, pictures: int) -> None:
        """Before the first epoch."""
        ...

    def unfolding_begins(self, batches: int) -> None:
        """Of a run that begins with a bundle, when its pictures were checked. batches: that the model sees first."""
        ...

    def epoch_begins(self, epoch: int, *, of: int, steps: int) -> None:
        """epoch: 1, 2, …"""
        ...

    def step(self, loss: float) -> None: ...

    def validation_begins(self, pictures: int) -> None: ...

    def picture(self) -> None:
        """One more picture is checked or validated, or one more batch seen in unfolding."""
        ...

    def epoch_ends(self, epoch: int, numbers: dict[str, float]) -> None:
        """After the numbers were logged and the checkpoint was written."""
        ...


class NullWatcher:
    def checking_begins(self, pictures: int) -> None: ...

    def unfolding_begins(self, batches: int) -> None: ...

    def epoch_begins(self, epoch: int, *, of: int, steps: int) -> None: ...

    def step(self, loss: float) -> None: ...

    def validation_begins(self, pictures: int) -> None: ...

    def picture(self) -> None: ...

    def epoch_ends(self, epoch: int, numbers: dict[str, float]) -> None: ...
