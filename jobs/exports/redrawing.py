"""What a label map is once it went out in a form that does not keep every pixel, and came back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from jobs.options import JobOptions
from segmentation.exports import EXPORTS, Exported, File, Known, Labelled, Returned
from segmentation.exports.export import Ids
from segmentation.formats.format import FormatOptions
from segmentation.formats.outlines import EXACT
from segmentation.label_map import LabelMap

# By the form in which something comes back: the exports that it may have gone out as, and whether by instances.
_SIMPLIFIED: Mapping[str, tuple[tuple[str, bool], ...]] = {
    **dict.fromkeys(("coco", "coco-polygons"), (("coco-polygons", False), ("coco-polygons", True))),
    **dict.fromkeys(("label-studio", "label-studio-polygons"), (("label-studio-polygons", False),)),
    "yolo": (("yolo", False),),
    "geojson": (("geojson", False),),
}


def redrawn(label_map: LabelMap, image: Known, options: JobOptions, form: str) -> Iterator[Ids]:
    """form: in which something came back. Nothing where all that goes out in it keeps every pixel."""
    shown = [label_map, *_of_some_classes(label_map, options)] if form == "geojson" else [label_map]
    yield from (each.ids for each in shown[1:])
    if options.polygons != EXACT:
        for each in shown:
            for name, instances in _SIMPLIFIED.get(form, ()):
                yield from _through(each, image, options, name=name, instances=instances)


def _of_some_classes(label_map: LabelMap, options: JobOptions) -> Iterator[LabelMap]:
    """As the artifact `polygons` shows it, which is GeoJSON too."""
    if options.classes:
        ids = label_map.ids.copy()
        ids[~FormatOptions(classes=options.classes).drawn(label_map.space)[ids]] = label_map.space.void_id
        yield replace(label_map, ids=ids)


def _through(label_map: LabelMap, image: Known, options: JobOptions, *, name: str, instances: bool) -> Iterator[Ids]:
    labelled = Labelled(
        number=1,
        name=image.name,
        suffix=PurePosixPath(image.picture).suffix,
        width=image.width,
        height=image.height,
        read=lambda: label_map,
        place=image.place,
    )
    exported = Exported(
        about="",
        software="",
        space=label_map.space,
        instances=instances,
        pictures=False,
        images=lambda: iter((labelled,)),
        outlines=options.polygons,
    )
    files = {each.name: partial(_content, each) for each in EXPORTS[name].files(exported)}
    for each in EXPORTS[name].read(Returned(files, (image,), label_map.space)):
        yield each.ids


def _content(file: File) -> bytes:
    return file.content if isinstance(file.content, bytes) else b"".join(file.content)
