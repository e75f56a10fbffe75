"""A plain folder of masks that comes back: PNGs of class ids, called as their pictures are, below `masks/` or alone;
or a job's archive, called as they went out."""

from collections.abc import Collection, Iterator

from segmentation.exports.export import ARCHIVED, Drawn, Returned
from segmentation.exports.shapes import read_ids

FOLDERS = ("masks", "mask", "corrected", "labels")
PICTURES = ("images", "pictures", "inputs", "input", "overlay", "confidence")
SUFFIX = ".png"


class MaskFolder:
    """Pictures may lie beside the masks, in a folder that says so."""

    name = "folder"
    folders = FOLDERS

    def fits(self, names: Collection[str]) -> bool:
        return any(name.lower().endswith(SUFFIX) for name in names)

    def is_archive(self, names: Collection[str]) -> bool:
        """Whether it is a job's archive with its masks, whatever else is in it."""
        return ARCHIVED[0] in names and any(name.split("/")[0] in FOLDERS for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        paths = [path for path in returned.files if path.lower().endswith(SUFFIX)]
        told = [path for path in paths if path.split("/")[0] in FOLDERS]
        called = returned.image if self.is_archive(returned.files) else returned.picture
        for path in told or [path for path in paths if path.split("/")[0] not in PICTURES]:
            name = (path.partition("/")[2] if told else path)[: -len(SUFFIX)]
            image = called(name)
            if image is not None:
                yield Drawn(image, read_ids(returned.files[path]()))
