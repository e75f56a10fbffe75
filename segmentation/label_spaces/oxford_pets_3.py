"""The trimaps of the Oxford-IIIT Pet data set, counted from 0. Source: Parkhi et al. 2012, "Cats and Dogs".

The published files count from 1; the reader of the data set subtracts it. The data set has no colours; these are ours.
"""

from segmentation.label_space import LabelClass, LabelSpace

OXFORD_PETS_3 = LabelSpace(
    name="oxford-pets-3",
    classes=(
        LabelClass(0, "pet", (230, 159, 0), "animal"),
        LabelClass(1, "background", (68, 1, 84), "background"),
        LabelClass(2, "border", (240, 240, 240), "border"),
    ),
    description="Oxford-IIIT Pet trimaps: pet, background, border.",
)
