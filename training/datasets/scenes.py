"""Generated street scenes, rendered on first use and kept in the root folder. Free of any licence question."""

import os
from functools import partial
from pathlib import Path

from PIL import Image

from scenes import render_scene
from segmentation.label_spaces import get_label_space
from training.datasets.pairs import About, DatasetError, PairDataset

ABOUT = About(title="generated street scenes", licence="Generated scenes: no restriction.")
LEAST_SIDE, MOST_SIDE = 8, 8192  # pixels
FIRST_SEEDS = {"train": 100_000, "val": 200_000, "test": 300_000}  # far from those of the bundled samples


def scenes(root: Path, split: str, *, scene_count: int = 100, width: int = 640, height: int = 480) -> PairDataset:
    """Splits: train, val, test, whose scenes differ. Raises DatasetError for another split."""
    if split not in FIRST_SEEDS:
        raise DatasetError(f"generated scenes have no split {split!r}; there are {', '.join(FIRST_SEEDS)}")
    if scene_count < 1:
        raise DatasetError(f"scene_count must be 1 or more, got {scene_count}")
    for name, side in (("width", width), ("height", height)):
        if not LEAST_SIDE <= side <= MOST_SIDE:
            raise DatasetError(f"{name} must be {LEAST_SIDE} to {MOST_SIDE} pixels, got {side}")
    place = root / f"{split}-{width}x{height}"
    seeds = range(FIRST_SEEDS[split], FIRST_SEEDS[split] + scene_count)
    pairs = [(place / "images" / f"{seed}.png", place / "masks" / f"{seed}.png") for seed in seeds]
    prepare = partial(_render_once, size=(width, height))
    return PairDataset(pairs, space=get_label_space("cityscapes-34"), about=ABOUT, prepare=prepare)


def _render_once(picture_path: Path, mask_path: Path, *, size: tuple[int, int]) -> None:
    if picture_path.exists():  # and so its mask
        return
    scene = render_scene(int(picture_path.stem), width=size[0], height=size[1])
    for path, pixels in ((mask_path, scene.label_ids), (picture_path, scene.picture)):  # last what is asked for
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")  # several processes may render the same scene
        Image.fromarray(pixels).save(part, format="PNG", compress_level=1)
        part.replace(path)
