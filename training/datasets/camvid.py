"""CamVid as SegNet's authors arranged it: `train/`, `trainannot/`, … with twelve values, 11 of them unlabelled."""

from pathlib import Path

from segmentation.label_spaces import get_label_space
from training.datasets.folder import pairs_by_stem
from training.datasets.pairs import About, PairDataset

ABOUT = About(
    title="CamVid, 11 classes, 480×360 (Brostow, Fauqueur, Cipolla 2009; split of SegNet)",
    licence=(
        "For research only. CamVid is published for research: its authors ask to be cited, and we know of no "
        "commercial licence. Treat weights trained on it as for non-commercial research until you have asked them; "
        "Maskmill's own licence does not cover these weights."
    ),
    source="https://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
)


def camvid(root: Path, split: str) -> PairDataset:
    """Splits: train (367 pictures), val (101), test (233). Raises DatasetError."""
    pairs = pairs_by_stem(root / split, root / f"{split}annot")
    return PairDataset(pairs, space=get_label_space("camvid-11"), about=ABOUT)
