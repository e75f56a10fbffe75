"""Which generated scenes are the bundled samples: `python -m scenes.samples` renders them again, mask for mask."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.sample_library import MASK_ENDING, SAMPLES_FOLDER
from scenes import Scene, render_scene
from scenes.render import as_images

SIZE = (1024, 512)
JPEG_QUALITY = 86


@dataclass(frozen=True, slots=True)
class Sample:
    seed: int
    mood: str
    street: str

    def render(self) -> Scene:
        width, height = SIZE
        return render_scene(self.seed, width=width, height=height, mood=self.mood, street=self.street)


SAMPLES: Mapping[str, Sample] = {
    "day-avenue-01": Sample(5023, "day", "avenue"),
    "day-downtown-01": Sample(5031, "day", "downtown"),
    "day-high-street-01": Sample(5002, "day", "high street"),
    "day-park-01": Sample(5043, "day", "park"),
    "day-residential-01": Sample(5013, "day", "residential"),
    "dusk-downtown-01": Sample(5101, "dusk", "downtown"),
    "dusk-high-street-01": Sample(5082, "dusk", "high street"),
    "overcast-downtown-01": Sample(5060, "overcast", "downtown"),
    "overcast-high-street-01": Sample(5051, "overcast", "high street"),
    "overcast-park-01": Sample(5073, "overcast", "park"),
    "rain-avenue-01": Sample(5121, "rain", "avenue"),
    "rain-high-street-01": Sample(5112, "rain", "high street"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scenes.samples", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"of {', '.join(SAMPLES)} (all)")
    parser.add_argument("--out", type=Path, default=SAMPLES_FOLDER, help="the folder to write to (the bundled one)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.ids) - set(SAMPLES))
    if unknown:
        parser.error(f"there is no sample {', '.join(unknown)}; there are {', '.join(SAMPLES)}")
    for done, sample_id in enumerate(options.ids or SAMPLES, start=1):
        write_sample(sample_id, options.out)
        sys.stderr.write(f"{done}/{len(options.ids or SAMPLES)} {sample_id}\n")
    return 0


def write_sample(sample_id: str, folder: Path) -> None:
    picture, mask = as_images(SAMPLES[sample_id].render())
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / f"{sample_id}.jpg", quality=JPEG_QUALITY, optimize=True)
    mask.save(folder / f"{sample_id}{MASK_ENDING}", optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
