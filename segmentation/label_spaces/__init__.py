"""The published label spaces. To add one: write its file, list it here; the contract tests then cover it."""

from segmentation.errors import UnknownLabelSpace
from segmentation.label_space import LabelSpace
from segmentation.label_spaces.camvid_11 import CAMVID_11
from segmentation.label_spaces.cityscapes_8 import CITYSCAPES_8
from segmentation.label_spaces.cityscapes_19 import CITYSCAPES_19
from segmentation.label_spaces.cityscapes_34 import CITYSCAPES_34
from segmentation.label_spaces.oxford_pets_3 import OXFORD_PETS_3

LABEL_SPACES: dict[str, LabelSpace] = {
    space.name: space for space in (CITYSCAPES_34, CITYSCAPES_19, CITYSCAPES_8, CAMVID_11, OXFORD_PETS_3)
}


def get_label_space(name: str) -> LabelSpace:
    """Raises UnknownLabelSpace, which names the choices."""
    try:
        return LABEL_SPACES[name]
    except KeyError:
        raise UnknownLabelSpace(f"no label space is called {name!r}; there are {', '.join(LABEL_SPACES)}") from None
