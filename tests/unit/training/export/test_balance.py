"""Offsets of classes raise the mIoU of the pictures that they are fitted to, and every file adds them."""

import numpy as np
import torch
from torch import nn

from segmentation.label_spaces import get_label_space
from segmentation.preprocessing import Preprocessing
from training.export.balance import Balanced, fitted_offsets

SPACE = get_label_space("camvid-11")
PREPROCESSING = Preprocessing(long_side=64)
IDS = np.array(SPACE.class_ids, dtype=np.uint8)


class HalfAndHalf:
    """Pictures that are black where class 0 is, and white where class 1 is."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        mask = np.full((64, 64), IDS[0], dtype=np.uint8)
        mask[:, 32:] = IDS[1]
        return np.where(mask == IDS[1], 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2), mask


class Nothing(HalfAndHalf):
    def __getitem__(self, index):
        return np.zeros((64, 64, 3), dtype=np.uint8), np.full((64, 64), SPACE.void_id, dtype=np.uint8)


def timid(margin):
    """Tells the two classes apart, but calls the second one too unlikely by `margin`."""

    def predict(image):
        logits = torch.full((11, 64, 64), -50.0)
        logits[0] = 0.0
        logits[1] = torch.from_numpy(np.where(image[0] > 0, 1.0, -1.0)) - margin
        return logits

    return predict


def fitted(predict, *sets):
    return fitted_offsets(predict, sets, preprocessing=PREPROCESSING, space=SPACE)


def test_a_class_that_never_wins_gets_what_it_lacks():
    predict = timid(1.3)
    offsets = torch.tensor(fitted(predict, HalfAndHalf(2), HalfAndHalf(1)))
    picture, mask = HalfAndHalf(1)[0]
    logits = predict(PREPROCESSING.apply(picture))
    assert (IDS[logits.argmax(0).numpy()] == mask).mean() == 0.5
    assert (IDS[(logits + offsets[:, None, None]).argmax(0).numpy()] == mask).all()


def test_a_model_that_is_right_gets_no_offsets():
    assert not any(fitted(timid(0.0), HalfAndHalf(2)))


def test_pictures_without_labels_fit_nothing():
    assert not any(fitted(timid(1.3), Nothing(2)))


def test_the_offsets_are_added_to_each_channel():
    model = Balanced(nn.Identity(), [0.0, -1.5])
    assert model(torch.ones(1, 2, 3, 3))[0, :, 0, 0].tolist() == [1.0, -0.5]
