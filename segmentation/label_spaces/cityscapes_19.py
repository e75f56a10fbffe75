"""The 19 train ids of Cityscapes: the classes that its benchmark scores; 255 is ignored.

Source: cityscapesScripts, `helpers/labels.py` (Cordts et al. 2016).
"""

from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34, TO_CAMVID_11, TO_CITYSCAPES_8, TO_CITYSCAPES_19

IGNORED = 255

TO_CITYSCAPES_34 = {train_id: label_id for label_id, train_id in TO_CITYSCAPES_19.items()}


def _class(train_id: int, label_id: int) -> LabelClass:
    official = CITYSCAPES_34.by_id[label_id]
    return LabelClass(train_id, official.name, official.colour, official.group)


CITYSCAPES_19 = LabelSpace(
    name="cityscapes-19",
    classes=(
        *(_class(train_id, label_id) for train_id, label_id in TO_CITYSCAPES_34.items()),
        LabelClass(IGNORED, "ignored", (0, 0, 0), "void"),
    ),
    ignore_id=IGNORED,
    mappings={
        "cityscapes-34": TO_CITYSCAPES_34,
        "cityscapes-8": {train_id: TO_CITYSCAPES_8[label_id] for train_id, label_id in TO_CITYSCAPES_34.items()},
        "camvid-11": {train_id: TO_CAMVID_11[label_id] for train_id, label_id in TO_CITYSCAPES_34.items()},
    },
    description="Cityscapes train ids: the 19 classes of its benchmark.",
)
