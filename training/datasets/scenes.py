"""Generated street scenes, rendered on first use and kept in the root folder. Free of any licence question."""

from pathlib import Path

from PIL import Image

from data.scenes import render_scene
from segmentation.label_spaces import get_label_space
from training.datasets.folder import pairs_by_stem
from training.datasets.pairs import About, DatasetError, PairDataset

ABOUT = About(title="generated street scenes", licence="Generated scenes: no restriction.")
FIRST_SEEDS = {"train": 100_000, "val": 200_000, "test": 300_000}  # far from those of the bundled samples


def scenes(root: Path, split: str, *, scene_count: int = 100, width: int = 640, height: int = 480) -> PairDataset:
    """Splits: train, val, test, whose scenes differ. Raises DatasetError for another split."""
    if split not in FIRST_SEEDS:
        raise DatasetError(f"generated scenes have no split {split!r}; there are {', '.join(FIRST_SEEDS)}")
    place = root / f"{split}-{width}x{height}"
    for number in range(scene_count):
        _render_once(FIRST_SEEDS[split] + number, place, (width, height))
    pairs = pairs_by_stem(place / "images", place / "masks")[:scene_count]
    return PairDataset(pairs, space=get_label_space("cityscapes-34"), about=ABOUT)


def _render_once(seed: int, place: Path, size: tuple[int, int]) -> None:
    picture_path, mask_path = place / "images" / f"{seed}.png", place / "masks" / f"{seed}.png"
    if picture_path.exists():  # and so its mask
        return
    scene = render_scene(seed, width=size[0], height=size[1])
    for path, pixels in ((mask_path, scene.label_ids), (picture_path, scene.picture)):  # last what is asked for
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}")
        Image.fromarray(pixels).save(part, format="PNG", compress_level=1)
        part.replace(path)
