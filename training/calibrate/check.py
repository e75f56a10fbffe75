"""That a divided file gives the classes of the file that it was made from, and the confidence that it should."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segmentation.activations import as_logits
from segmentation.label_space import LabelSpace
from training.calibrate.errors import WrongDivision
from training.evaluate.predictors import Predict

ROUNDING = 2e-3  # of the largest logit: a constant and a product in half precision

ACTIVATE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda logits: logits,
    "softmax": lambda logits: logits.softmax(0),
    "sigmoid": torch.sigmoid,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DividedFile:
    """file: its name, for people. logits: of the file before, without its activation."""

    file: str
    logits: Predict
    temperature: float
    activation: str
    space: LabelSpace

    def tied(self, divided: Predict, tensor: NDArray[np.float32], size: tuple[int, ...]) -> int:
        """How many pixels of a picture of this size get another class, since rounding decides between equal ones.

        divided: runs the new file, as serving does. Raises WrongDivision.
        """
        logits = self.logits(tensor)
        activate = ACTIVATE[self.activation]
        before, wanted = self._served(activate(logits)), self._served(activate(logits / self.temperature))
        after = self._served(divided(tensor))
        self._require_close(after, wanted)
        return self._changed(_enlarged(before, size), _enlarged(after, size).argmax(0))

    def tied_ids(self, session: onnxruntime.InferenceSession, tensor: NDArray[np.float32]) -> int:
        """The same of a file that gives ids and a confidence, at the size of the network's input."""
        ids, confidence = session.run(["ids", "confidence"], {session.get_inputs()[0].name: tensor[None]})
        logits = self.logits(tensor)
        self._require_close(torch.from_numpy(confidence[0]), (logits / self.temperature).softmax(0).amax(0))
        channel_of = np.zeros(256, dtype=np.int64)
        channel_of[list(self.space.class_ids)] = np.arange(len(self.space.class_ids))
        return self._changed(logits, torch.from_numpy(channel_of[ids[0]]))

    def _served(self, outputs: Tensor) -> Tensor:
        return torch.from_numpy(as_logits(outputs.numpy(), self.activation)) if self.activation else outputs

    def _require_close(self, got: Tensor, wanted: Tensor) -> None:
        difference = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
        if not difference <= ROUNDING:  # NaN too
            raise WrongDivision(
                f"{self.file}, divided by {self.temperature:g}, differs by {difference:.2g} of the largest value from "
                "what it should give"
            )

    def _changed(self, before: Tensor, channels: Tensor) -> int:
        """before: (C, H, W) logits; channels: (H, W) of the best class after."""
        best = before.argmax(0)
        changed = best != channels
        lead = (before.gather(0, best[None]) - before.gather(0, channels[None]))[0][changed]
        if len(lead) and float(lead.max()) > ROUNDING * float(before.abs().max()):
            why = "; its probabilities are rounded to 0 and 1, export it with logits" if self.activation else ""
            raise WrongDivision(f"{self.file} would give {len(lead)} pixels of a picture another class{why}")
        return int(changed.sum())


def _enlarged(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    return functional.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0]
