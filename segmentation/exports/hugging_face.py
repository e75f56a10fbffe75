"""A folder that Hugging Face's `datasets` loads as it is: `metadata.parquet`, masks as PNG, and a card.

The pixel of a mask is the id of its class. Source: `datasets`' documentation, "Create an image dataset", ImageFolder.
"""

import importlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from segmentation.errors import UnavailableExport
from segmentation.exports.export import Drawn, Exported, File, Labelled, Returned
from segmentation.exports.shapes import mask_png, read_ids
from segmentation.label_space import LabelSpace
from segmentation.palette import palette

MASKS, TABLE = "masks", "metadata.parquet"
ROWS = 500  # of a group in the table


class HuggingFace:
    name = "huggingface"
    title = "Hugging Face datasets"
    by_rows = True

    def check(self, space: LabelSpace) -> None:
        _parquet()

    def files(self, exported: Exported) -> Iterator[File]:
        yield File("README.md", _card(exported))
        yield File(f"train/{TABLE}", _table(exported))
        colours, plain = palette(exported.space), np.arange(256, dtype=np.uint8)
        for image in exported.images():
            yield File(f"train/{MASKS}/{image.name}.png", mask_png(image, colours, plain))

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"train/images/{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(name.endswith(TABLE) for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        for name, read in returned.named(".png", folder=MASKS):
            image = returned.image(name)
            if image is not None:
                yield Drawn(image, read_ids(read(), returned.space))


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UnavailableExport("this needs pyarrow where the service runs: maskmill-server[exports]") from error


def _table(exported: Exported) -> Iterator[bytes]:
    arrow, parquet = _parquet()
    sink = _Sink()
    names = ["file_name", "mask_file_name"] if exported.pictures else ["file_name"]
    fields = [(name, arrow.string()) for name in (*names, "name")] + [
        (name, arrow.int32()) for name in ("width", "height")
    ]
    schema = arrow.schema(fields)
    with parquet.ParquetWriter(arrow.PythonFile(sink, mode="w"), schema) as writer:
        rows: list[Mapping[str, object]] = []
        for image in exported.images():
            rows.append(_row(image, pictures=exported.pictures))
            if len(rows) == ROWS:
                writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
                rows = []
                yield sink.taken()
        if rows:
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
    yield sink.taken()


def _row(image: Labelled, *, pictures: bool) -> Mapping[str, object]:
    mask = f"{MASKS}/{image.name}.png"
    files = {"file_name": f"images/{image.file_name}", "mask_file_name": mask} if pictures else {"file_name": mask}
    return {**files, "name": image.name, "width": image.width, "height": image.height}


class _Sink:
    """What a writer of files may do to it; what was written is taken away again and again."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)


def _card(exported: Exported) -> bytes:
    names = {str(each.id): each.name for each in exported.space.classes}
    lines = [
        *("---", "task_categories:", "- image-segmentation", "---", "", f"# {exported.about}", ""),
        *("The pixel of a mask is the id of its class; `id2label` is", "", "```json"),
        *(json.dumps(names, ensure_ascii=False, indent=1), "```", ""),
    ]
    return "\n".join(lines).encode()
