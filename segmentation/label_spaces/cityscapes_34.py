"""The 34 label ids of Cityscapes, as in `*_gtFine_labelIds.png`, with the official names, categories and colours.

Source: cityscapesScripts, `helpers/labels.py` (Cordts et al. 2016). The official colours repeat themselves: five void
classes are black, and a pole group looks like a pole. "license plate" has the id -1, which is 255 in a byte; it is no
class here, but mappings know it.
"""

from segmentation.label_space import LabelClass, LabelSpace

LICENSE_PLATE = 255  # -1 in a byte

CLASSES = (
    LabelClass(0, "unlabeled", (0, 0, 0), "void"),
    LabelClass(1, "ego vehicle", (0, 0, 0), "void"),
    LabelClass(2, "rectification border", (0, 0, 0), "void"),
    LabelClass(3, "out of roi", (0, 0, 0), "void"),
    LabelClass(4, "static", (0, 0, 0), "void"),
    LabelClass(5, "dynamic", (111, 74, 0), "void"),
    LabelClass(6, "ground", (81, 0, 81), "void"),
    LabelClass(7, "road", (128, 64, 128), "flat"),
    LabelClass(8, "sidewalk", (244, 35, 232), "flat"),
    LabelClass(9, "parking", (250, 170, 160), "flat"),
    LabelClass(10, "rail track", (230, 150, 140), "flat"),
    LabelClass(11, "building", (70, 70, 70), "construction"),
    LabelClass(12, "wall", (102, 102, 156), "construction"),
    LabelClass(13, "fence", (190, 153, 153), "construction"),
    LabelClass(14, "guard rail", (180, 165, 180), "construction"),
    LabelClass(15, "bridge", (150, 100, 100), "construction"),
    LabelClass(16, "tunnel", (150, 120, 90), "construction"),
    LabelClass(17, "pole", (153, 153, 153), "object"),
    LabelClass(18, "polegroup", (153, 153, 153), "object"),
    LabelClass(19, "traffic light", (250, 170, 30), "object"),
    LabelClass(20, "traffic sign", (220, 220, 0), "object"),
    LabelClass(21, "vegetation", (107, 142, 35), "nature"),
    LabelClass(22, "terrain", (152, 251, 152), "nature"),
    LabelClass(23, "sky", (70, 130, 180), "sky"),
    LabelClass(24, "person", (220, 20, 60), "human"),
    LabelClass(25, "rider", (255, 0, 0), "human"),
    LabelClass(26, "car", (0, 0, 142), "vehicle"),
    LabelClass(27, "truck", (0, 0, 70), "vehicle"),
    LabelClass(28, "bus", (0, 60, 100), "vehicle"),
    LabelClass(29, "caravan", (0, 0, 90), "vehicle"),
    LabelClass(30, "trailer", (0, 0, 110), "vehicle"),
    LabelClass(31, "train", (0, 80, 100), "vehicle"),
    LabelClass(32, "motorcycle", (0, 0, 230), "vehicle"),
    LabelClass(33, "bicycle", (119, 11, 32), "vehicle"),
)

# The official train ids; every other label id is ignored (255).
TO_CITYSCAPES_19 = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15,
    31: 16, 32: 17, 33: 18,
}  # fmt: skip

# The official categories, by range of label ids.
TO_CITYSCAPES_8 = (
    dict.fromkeys(range(7), 0)
    | dict.fromkeys(range(7, 11), 1)
    | dict.fromkeys(range(11, 17), 2)
    | dict.fromkeys(range(17, 21), 3)
    | dict.fromkeys(range(21, 23), 4)
    | {23: 5}
    | dict.fromkeys(range(24, 26), 6)
    | dict.fromkeys([*range(26, 34), LICENSE_PLATE], 7)
)

# What CamVid's eleven classes would call it. They count walls, bridges and tunnels to the buildings, as SegNet's
# grouping of CamVid's 32 classes does. Parking and rail tracks are carriageway; ground is what people walk on where no
# kerb separates them; terrain is low vegetation, which is counted to the trees; trailers, caravans and trains go with
# "car", as trucks and buses do. The other void labels are ignored: nothing in CamVid corresponds to them.
TO_CAMVID_11 = {
    6: 4, 7: 3, 8: 4, 9: 3, 10: 3,
    11: 1, 12: 1, 13: 7, 14: 7, 15: 1, 16: 1,
    17: 2, 18: 2, 19: 6, 20: 6,
    21: 5, 22: 5, 23: 0,
    24: 9, 25: 10,
    26: 8, 27: 8, 28: 8, 29: 8, 30: 8, 31: 8, 32: 10, 33: 10, LICENSE_PLATE: 8,
}  # fmt: skip

CITYSCAPES_34 = LabelSpace(
    name="cityscapes-34",
    classes=CLASSES,
    ignore_id=0,
    mappings={
        "cityscapes-19": TO_CITYSCAPES_19,
        "cityscapes-8": TO_CITYSCAPES_8,
        "camvid-11": TO_CAMVID_11,
    },
    description="Cityscapes label ids, as the data set stores them.",
)
