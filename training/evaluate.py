"""Scores of a model on labelled pictures, at the resolution it serves: `python -m training.evaluate BUNDLE DATASET`.

The formulas are segmentation.metrics; here pictures go through the model and confusion matrices are added up.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segmentation.label_space import LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.metrics import METRICS, Confusion, confusion_matrix, iou_per_class
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing
from training.datasets import DATASETS
from training.datasets.pairs import InSpace, LabelledPictures

# (3, h, w) float32 as preprocessing gives it → logits (C, h', w')
Predict = Callable[[NDArray[np.float32]], Tensor]


@dataclass(frozen=True, slots=True)
class Evaluation:
    confusion: Confusion
    space: LabelSpace

    def scores(self) -> dict[str, float]:
        """Every number of METRICS, then `iou/<class>`; NaN for a class that does not occur."""
        per_class = zip(self.space.names(), iou_per_class(self.confusion), strict=True)
        return {name: metric(self.confusion) for name, metric in METRICS.items()} | {
            f"iou/{name}": float(iou) for name, iou in per_class
        }


def evaluate(
    predict: Predict, pictures: LabelledPictures, *, preprocessing: Preprocessing, space: LabelSpace
) -> Evaluation:
    """pictures: masks in ids of `space`. The prediction is compared at each mask's own size."""
    confusion = np.zeros((space.class_count, space.class_count), dtype=np.int64)
    for index in range(len(pictures)):
        picture, truth = pictures[index]
        ids = class_ids(predict(preprocessing.apply(picture)), truth.shape, space)
        confusion += confusion_matrix(truth, ids, space=space)
    return Evaluation(confusion, space)


def class_ids(logits: Tensor, size: tuple[int, ...], space: LabelSpace) -> NDArray[np.uint8]:
    """logits (C,h',w') → (height, width) class ids: bilinear to `size`, then the channel of the highest value."""
    enlarged = functional.interpolate(logits[None], size, mode="bilinear", align_corners=False)
    channels = enlarged.argmax(1)[0].numpy()
    ids: NDArray[np.uint8] = np.asarray(space.class_ids, dtype=np.uint8)[channels]
    return ids


def torch_predictor(model: nn.Module) -> Predict:
    """The model is put into evaluation mode and stays in it."""
    model.eval()
    device = next(model.parameters()).device

    def predict(image: NDArray[np.float32]) -> Tensor:
        batch = torch.from_numpy(image)[None].to(device, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits: Tensor = model(batch)[0]
        return logits.float().cpu()

    return predict


def onnx_predictor(path: Path) -> Predict:
    """ONNX Runtime on the CPU: what is scored is the file that will be served."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def predict(image: NDArray[np.float32]) -> Tensor:
        (logits,) = session.run(["logits"], {"image": image[None]})
        return torch.from_numpy(logits[0])

    return predict


def main() -> None:
    parser = argparse.ArgumentParser(description="Score a bundle's ONNX model on a labelled data set.")
    parser.add_argument("bundle", type=Path, help="folder with card.json and the weights")
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    card = ModelCard.from_json((arguments.bundle / "card.json").read_bytes())
    space = get_label_space(card.label_space)
    pictures = InSpace(DATASETS[arguments.dataset](arguments.root, arguments.split), space)
    predict = onnx_predictor(arguments.bundle / card.files["onnx"])
    evaluation = evaluate(predict, pictures, preprocessing=card.preprocessing, space=space)
    print(f"{card.name} {card.version} on {len(pictures)} pictures of {arguments.dataset} {arguments.split}")
    for name, value in evaluation.scores().items():
        print(f"  {name:24} {value:.4f}")


if __name__ == "__main__":
    main()
