"""The eight official categories of Cityscapes, in the official order; void counts nowhere.

Source: cityscapesScripts, `helpers/labels.py` (category and catId). Its object colour is ours: orange, as the official
tables give a category no colour of its own.
"""

from segmentation.label_space import LabelClass, LabelSpace

CITYSCAPES_8 = LabelSpace(
    name="cityscapes-8",
    classes=(
        LabelClass(0, "void", (0, 0, 0), "void"),
        LabelClass(1, "flat", (128, 64, 128), "flat"),
        LabelClass(2, "construction", (70, 70, 70), "construction"),
        LabelClass(3, "object", (255, 165, 0), "object"),
        LabelClass(4, "nature", (107, 142, 35), "nature"),
        LabelClass(5, "sky", (70, 130, 180), "sky"),
        LabelClass(6, "human", (220, 20, 60), "human"),
        LabelClass(7, "vehicle", (0, 0, 142), "vehicle"),
    ),
    ignore_id=0,
    description="The eight categories of Cityscapes.",
)
