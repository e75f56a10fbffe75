"""`python -m data.scenes`: write many scenes to a folder, as a plain data set or in the Cityscapes layout."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from data.scenes.render import as_images, render_scene

CITY = "maskmill"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    width, height = options.size
    started = time.monotonic()
    for index in range(options.count):
        picture_path, mask_path = _paths(options.out, options.layout, options.split, index)
        if options.resume and mask_path.exists():
            continue
        picture, mask = as_images(render_scene(options.seed + index, width=width, height=height))
        for path in (picture_path, mask_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(picture_path, quality=92)  # PNG takes no notice of it
        mask.save(mask_path)
        _show_progress(index + 1, options.count, time.monotonic() - started)
    print(file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.scenes", description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="how many scenes")
    parser.add_argument("--seed", type=int, default=0, help="the first scene's seed; each further scene adds one")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--size", type=_size, default=(1024, 512), help="WIDTHxHEIGHT (1024x512)")
    parser.add_argument("--layout", choices=("folder", "cityscapes"), default="folder")
    parser.add_argument("--split", default="train", help="for the Cityscapes layout: train, val or test")
    parser.add_argument("--resume", action="store_true", help="leave scenes alone that are already there")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    try:
        size = (int(width), int(height))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, got {text!r}") from None
    if min(size) < 64 or max(size) > 4096:
        raise argparse.ArgumentTypeError(f"each side must be 64 to 4096 pixels, got {text!r}")
    return size


def _paths(out: Path, layout: str, split: str, index: int) -> tuple[Path, Path]:
    """Where the picture and the mask of a scene go."""
    if layout == "folder":
        return out / "images" / f"scene_{index:06d}.jpg", out / "masks" / f"scene_{index:06d}.png"
    stem = f"{CITY}_{index:06d}_000019"
    return (
        out / "leftImg8bit" / split / CITY / f"{stem}_leftImg8bit.png",
        out / "gtFine" / split / CITY / f"{stem}_gtFine_labelIds.png",
    )


def _show_progress(done: int, count: int, seconds: float) -> None:
    left = seconds / done * (count - done)
    print(
        f"\r{done}/{count} scenes, {seconds / done:.2f} s each, {left:.0f} s left ", end="", file=sys.stderr, flush=True
    )


if __name__ == "__main__":
    raise SystemExit(main())
