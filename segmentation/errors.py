"""What can be wrong with pictures, masks, label spaces and model cards. Knows neither HTTP nor Celery.

SegmentationError
├── UnreadableImage      the bytes are damaged, or no picture at all
├── UnsupportedImage     a picture, but of a kind that is not read here
├── ImageTooLarge        more pixels than allowed
├── MaskMismatch         a mask that does not fit its picture or carries no class ids
├── UnknownLabelSpace    a name that no label space has
├── UnclearMaskSpace     nobody can tell what the ids in masks mean
├── NoRemapping          no table leads from one label space to another
├── InvalidLabelSpace    a label space that contradicts itself
├── InvalidModelCard     a model card with a missing or wrong field
├── InvalidFormatOptions an artifact option out of range
├── MissingConfidence    a confidence artifact of a label map that has none
├── UnreadableArtifact   a stored artifact that cannot be read back
├── UnreadableExport     what came back from a tool is not what it takes for its own
└── UnavailableExport    an export that cannot be written here
"""

from typing import ClassVar


class SegmentationError(Exception):
    """Every error of this package; `code` is stable, for programs."""

    code: ClassVar[str] = "segmentation_error"


class UnreadableImage(SegmentationError):
    code = "unreadable_image"


class UnsupportedImage(SegmentationError):
    code = "unsupported_image"


class ImageTooLarge(SegmentationError):
    code = "image_too_large"


class MaskMismatch(SegmentationError):
    code = "mask_mismatch"


class UnknownLabelSpace(SegmentationError):
    code = "label_space_not_found"


class UnclearMaskSpace(SegmentationError):
    code = "mask_label_space_unclear"


class NoRemapping(SegmentationError):
    code = "no_remapping"


class InvalidLabelSpace(SegmentationError):
    code = "invalid_label_space"


class InvalidModelCard(SegmentationError):
    """One field of a model card (or of its preprocessing) is not what it must be."""

    code = "invalid_model_card"

    def __init__(self, field: str, *, expected: str, got: object) -> None:
        super().__init__(f"model card: {field} must be {expected}, got {got!r}")
        self.field = field
        self.expected = expected
        self.got = got


class InvalidFormatOptions(SegmentationError):
    code = "invalid_options"


class MissingConfidence(SegmentationError):
    code = "confidence_missing"


class UnreadableArtifact(SegmentationError):
    code = "unreadable_artifact"


class UnreadableExport(SegmentationError):
    code = "export_unreadable"


class UnavailableExport(SegmentationError):
    code = "export_unavailable"
