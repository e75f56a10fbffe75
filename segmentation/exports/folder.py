"""A plain folder of masks that comes back: PNGs of class ids, called as their pictures are, below `masks/` or alone;
or a job's archive, called as they went out."""

from collections.abc import Collection, Iterator

from segmentation.exports.export import ARCHIVED, Drawn, Returned
from segmentation.exports.shapes import read_ids

FOLDERS = ("masks", "mask", "corrected", "labels")
PICTURES = ("images", "pictures", "inputs", "input", "overlay", "confidence")
SUFFIX = ".png"
_KIND = 25  # the byte of a PNG that says of what kind its pixels are: 0 grey, 3 palette


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
        told = [path for path in paths if path.split("/")[0] in FOLDERS and not returned.knows(path[: -len(SUFFIX)])]
        called = returned.image if self.is_archive(returned.files) else returned.picture
        for path in told or [path for path in paths if not _is_picture(path, returned)]:
            name = (path.partition("/")[2] if told else path)[: -len(SUFFIX)]
            image = called(name)
            if image is not None:
                yield Drawn(image, read_ids(returned.files[path](), returned.space))


def _is_picture(path: str, returned: Returned) -> bool:
    """What lies in a folder of pictures, unless an image of the job is called so and it may hold class ids: then the
    job's own pictures lie in a folder of that name."""
    if path.partition("/")[0] not in PICTURES:
        return False
    return not returned.knows(path[: -len(SUFFIX)]) or returned.files[path]()[_KIND : _KIND + 1] not in (b"\0", b"\3")
