"""Pictures of an annotation tool's export that have no annotation: not yet, or because they show nothing to annotate.

The export does not say which. Whoever takes what waits for its annotation for background learns, and scores, what is
wrong; so where background is a class, it must be said.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from jobs.comparing.pages.wording import counted
from segmentation.label_space import LabelSpace
from training.datasets.label_names import BACKGROUND, one_of
from training.datasets.pairs import DatasetError

LEAVE_OUT = "leave_out"

logger = logging.getLogger(__name__)


def check_unannotated(option: str) -> None:
    """Raises DatasetError."""
    one_of("unannotated", option, ("", LEAVE_OUT, BACKGROUND))


def are_left_out(
    bare: Sequence[str], count: int, *, option: str, background: int | None, space: LabelSpace, where: Path
) -> bool:
    """Whether the pictures called `bare`, of `count`, are left out, which is told. background: the id of pixels in no
    annotation. Raises DatasetError where it is not said and matters, and where nothing is left."""
    if not count:
        raise DatasetError(f"{where} names no picture")
    if len(bare) == count and option != BACKGROUND:
        raise DatasetError(f"{where} has no annotations, of {counted(count, 'picture')}")
    if not bare or option == BACKGROUND:
        return False
    which = f"{len(bare)} of {counted(count, 'picture')} in {where} without annotations, the first is {bare[0]}"
    if not option and background is not None and background not in space.void_ids:
        raise DatasetError(
            f'{which}: say with the option unannotated whether they show nothing but background ("{BACKGROUND}") '
            f'or are not annotated yet ("{LEAVE_OUT}")'
        )
    logger.warning("%s: they are left out", which)
    return True
