"""Which data set the folders in a root look like: a hint for who named another one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

# Of each data set its ways to lie below a root: patterns of paths, each of which leads somewhere.
LAYOUTS: Mapping[str, Sequence[Sequence[str]]] = {
    "camvid": [("*annot/*.png",)],
    "cityscapes": [("leftImg8bit/*/*", "gtFine/*/*")],
    "coco": [("annotations/*.json",), ("*/_annotations.coco.json",)],  # the latter of Roboflow
    "folder": [("images/*", "masks/*.png"), ("*/images/*", "*/masks/*.png")],
    "job": [("manifest.json",)],
    "oxford_pets": [("annotations/trimaps",)],
    "voc": [("SegmentationClass",)],
}
SAME = {"job_results": "job"}


def hint(root: Path, dataset: str) -> str:
    """What is said to who has named `dataset`; empty where its files lie in `root` as they should, or no other's do."""
    there = [name for name, ways in LAYOUTS.items() if any(all(any(root.glob(each)) for each in way) for way in ways)]
    if not there or SAME.get(dataset, dataset) in there:
        return ""
    return f"the folders in {root} are as those of the data set {' or '.join(there)}"
