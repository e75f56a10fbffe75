"""Bytes → picture, within budgets that are looked at before a pixel is decoded. Implements `picture_ports.Decoder`."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.processing.picture_ports import Extent
from segmentation.errors import ImageTooLarge
from segmentation.picture_files.file_data import FileData
from segmentation.picture_files.picture_rows import RowSource, open_rows
from segmentation.picture_files.pictures import DecodedPicture, probe, read_picture

MOST_SCANS = 100  # of a progressive JPEG; encoders write about ten
USUAL_SCANS = 12  # that the largest picture may have


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDecoder:
    max_pixels: int

    def size(self, data: FileData, *, tiled: bool = False) -> Extent:
        """Of the picture as stored.

        Raises UnreadableImage, UnsupportedImage; ImageTooLarge for too many pixels, unless the picture is tiled, for
        a kind of file whose pixels take more memory, or for a JPEG that goes over them so often that it would take
        minutes.
        """
        header = probe(data)
        pixels = header.width * header.height
        if pixels > self.max_pixels and not tiled:
            size = f"{header.width}×{header.height}"
            raise ImageTooLarge(f"{size} is {pixels} pixels, allowed are {self.max_pixels} without `tile`")
        if header.weight > 1 and pixels * header.weight > self.max_pixels:
            said = f"{pixels} pixels of this kind of file, allowed are {self.max_pixels // header.weight}"
            raise ImageTooLarge(f"{said}: to decode it takes {header.weight} times the memory of others")
        if header.scans > MOST_SCANS or header.scans * pixels > USUAL_SCANS * self.max_pixels:
            raise ImageTooLarge(
                f"the JPEG goes over its {pixels} pixels {header.scans} times, which would take too long"
            )
        return Extent(header.width, header.height, header.scans, header.weight)

    def decode(self, data: FileData, *, bit_depth: int | None) -> DecodedPicture:
        """Raises what `segmentation.picture_files.pictures.read_picture` raises."""
        return read_picture(data, max_pixels=self.max_pixels, bit_depth=bit_depth)

    def open_rows(self, data: FileData, *, bit_depth: int | None) -> RowSource:
        """Raises what `segmentation.picture_files.picture_rows.open_rows` raises."""
        return open_rows(data, bit_depth=bit_depth)
