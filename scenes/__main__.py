"""`python -m scenes`: write many scenes to a folder, as a plain data set or in the Cityscapes layout."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from scenes.render import as_images, render_scene

CITY = "maskmill"
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One scene, and where its picture and its mask go."""

    seed: int
    size: tuple[int, int]
    picture: Path
    mask: Path


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    tasks = [task for task in _tasks(options) if not (options.resume and task.mask.exists())]
    started = time.monotonic()
    for done, _ in enumerate(_written(tasks, options.processes), start=1):
        _show_progress(done, len(tasks), time.monotonic() - started)
    print(f"\n{len(tasks)} scenes written to {options.out}", file=sys.stderr)
    return 0


def write_scene(task: Task) -> None:
    """The mask comes last: where there is a mask, there is a whole picture."""
    width, height = task.size
    picture, mask = as_images(render_scene(task.seed, width=width, height=height))
    for path in (task.picture, task.mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(task.picture, quality=JPEG_QUALITY)  # PNG takes no notice of it
    part = task.mask.with_suffix(".part")
    mask.save(part, format="PNG")
    part.replace(task.mask)


def _written(tasks: Sequence[Task], processes: int) -> Iterator[None]:
    """Writes the scenes, and yields after each."""
    if processes == 1:
        yield from map(write_scene, tasks)
        return
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(write_scene, tasks)


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    for index in range(options.count):
        picture, mask = _paths(options.out, options.layout, options.split, index)
        yield Task(seed=options.seed + index, size=options.size, picture=picture, mask=mask)


def _paths(out: Path, layout: str, split: str, index: int) -> tuple[Path, Path]:
    if layout == "folder":
        return out / "images" / f"scene_{index:06d}.jpg", out / "masks" / f"scene_{index:06d}.png"
    stem = f"{CITY}_{index:06d}_000019"
    return (
        out / "leftImg8bit" / split / CITY / f"{stem}_leftImg8bit.png",
        out / "gtFine" / split / CITY / f"{stem}_gtFine_labelIds.png",
    )


def _show_progress(done: int, count: int, seconds: float) -> None:
    left = seconds / done * (count - done)
    text = f"\r{done}/{count} scenes, {seconds / done:.2f} s each, {left:.0f} s left "
    print(text, end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scenes", description=__doc__)
    parser.add_argument("--count", type=_positive, required=True, help="how many scenes")
    parser.add_argument("--seed", type=int, default=0, help="the first scene's seed; each further scene adds one (0)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--size", type=_size, default=(1024, 512), help="WIDTHxHEIGHT (1024x512)")
    parser.add_argument("--layout", choices=("folder", "cityscapes"), default="folder", help="(folder)")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="Cityscapes only (train)")
    parser.add_argument("--processes", type=_positive, default=1, help="how many scenes to render at once (1)")
    parser.add_argument("--resume", action="store_true", help="leave scenes alone that are already there")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, got {text!r}")
    size = int(width), int(height)
    if min(size) < 64 or max(size) > 4096:
        raise argparse.ArgumentTypeError(f"each side must be 64 to 4096 pixels, got {text!r}")
    return size


if __name__ == "__main__":
    raise SystemExit(main())
