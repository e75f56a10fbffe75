"""CamVid in eleven classes, as SegNet's copy of the data set stores them; 11 is ignored.

Sources: Brostow et al. 2009 (colours); Badrinarayanan et al. 2017, "SegNet" (the eleven classes). CamVid draws a
bicyclist and the bicycle as one: here it becomes the rider of Cityscapes, hence human.
"""

from segmentation.label_space import LabelClass, LabelSpace

CAMVID_11 = LabelSpace(
    name="camvid-11",
    classes=(
        LabelClass(0, "sky", (128, 128, 128), "sky"),
        LabelClass(1, "building", (128, 0, 0), "construction"),
        LabelClass(2, "pole", (192, 192, 128), "object"),
        LabelClass(3, "road", (128, 64, 128), "flat"),
        LabelClass(4, "pavement", (0, 0, 192), "flat"),
        LabelClass(5, "tree", (128, 128, 0), "nature"),
        LabelClass(6, "sign", (192, 128, 128), "object"),
        LabelClass(7, "fence", (64, 64, 128), "construction"),
        LabelClass(8, "car", (64, 0, 128), "vehicle"),
        LabelClass(9, "pedestrian", (64, 64, 0), "human"),
        LabelClass(10, "bicyclist", (0, 128, 192), "human"),
        LabelClass(11, "unlabelled", (0, 0, 0), "void"),
    ),
    ignore_id=11,
    mappings={
        "cityscapes-34": {0: 23, 1: 11, 2: 17, 3: 7, 4: 8, 5: 21, 6: 20, 7: 13, 8: 26, 9: 24, 10: 25},
        "cityscapes-19": {0: 10, 1: 2, 2: 5, 3: 0, 4: 1, 5: 8, 6: 7, 7: 4, 8: 13, 9: 11, 10: 12},
        "cityscapes-8": {0: 5, 1: 2, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 7: 2, 8: 7, 9: 6, 10: 6},
    },
    description="CamVid, the eleven classes that are usually scored.",
)
