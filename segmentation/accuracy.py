"""Which variants of a model may run without anybody naming them: those whose accuracy its card says holds."""

from collections.abc import Sequence

from segmentation.variant import Variant

EXACT = "fp32"  # what the others are compared with
MOST_LOST = 0.005  # of mIoU against fp32; `maskmill export` publishes no more than that either


def accuracy_holds(variants: Sequence[Variant], *, engine: str, precision: str) -> bool:
    """Whether the card vouches for this engine and precision.

    variants: the card's. fp32 always holds. Of another precision the figure of that very engine decides; where there is
    none, the worst of the other engines'. What nobody measured does not hold.
    """
    if precision == EXACT:
        return True
    exact = [each.miou for each in variants if each.precision == EXACT and each.miou is not None]
    alike = [each for each in variants if each.precision == precision and each.miou is not None]
    found = [each.miou for each in alike if each.engine == engine] or [each.miou for each in alike]
    scores = [score for score in found if score is not None]
    return bool(exact and scores) and max(exact) - min(scores) <= MOST_LOST + 1e-9  # scores are rounded to 1e-4
