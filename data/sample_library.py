"""The bundled sample scenes: pictures with their ground truth, by id. An id is looked up, never made into a path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

SAMPLES_FOLDER = Path(__file__).parent / "samples"
MASK_ENDING = "_gtFine_labelIds.png"
LABEL_SPACE = "cityscapes-34"
"""What the ids in the masks mean."""


class SampleNotFound(LookupError):
    """The message names the samples there are."""

    code = "sample_not_found"


class SampleLibrary:
    """A folder with `<id>.jpg` and `<id>_gtFine_labelIds.png` for each sample."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(self._pictures)

    def picture(self, sample_id: str, /) -> bytes:
        """A JPEG file. Raises SampleNotFound."""
        return self._file(sample_id).read_bytes()

    def mask(self, sample_id: str, /) -> bytes:
        """A PNG of `LABEL_SPACE` ids. Raises SampleNotFound."""
        return self._file(sample_id).with_name(sample_id + MASK_ENDING).read_bytes()

    def _file(self, sample_id: str) -> Path:
        found = self._pictures.get(sample_id)
        if found is None:
            raise SampleNotFound(f"there is no sample {sample_id!r}; there are: {', '.join(self._pictures) or 'none'}")
        return found

    @cached_property
    def _pictures(self) -> Mapping[str, Path]:
        return {path.stem: path for path in sorted(self._folder.glob("*.jpg"))}


def open_samples() -> SampleLibrary:
    """The samples that come with the package."""
    return SampleLibrary(SAMPLES_FOLDER)
