"""What is known of a file by its media type, as the kinds of pictures and the formats tell it."""

from segmentation.formats import FORMATS
from segmentation.picture_files.picture_kinds import PICTURE_KINDS

UNKNOWN_SUFFIX = ".bin"


def suffix_of(media_type: str) -> str:
    """How the names of such files end, with the dot."""
    kind = PICTURE_KINDS.get(media_type)
    if kind is not None:
        return kind.suffixes[0]
    found = (each.files[media_type] for each in FORMATS.values() if media_type in each.files)
    return next(found, UNKNOWN_SUFFIX)


def artifact_suffixes() -> frozenset[str]:
    return frozenset(suffix for each in FORMATS.values() for suffix in each.files.values())


def is_shown(media_type: str) -> bool:
    """Whether a browser may show such a file by itself; what a client uploaded under any other is only ever saved."""
    kind = PICTURE_KINDS.get(media_type)
    if kind is not None:
        return kind.shown
    return any(each.shown for each in FORMATS.values() if media_type in each.files)


def shown_media_types() -> list[str]:
    known = {*PICTURE_KINDS, *(media_type for each in FORMATS.values() for media_type in each.files)}
    return sorted(filter(is_shown, known))


def accepted_as() -> dict[str, str]:
    """Media type → the artifact that a client means by it; `image/*` takes the first, PNG: it keeps the ids."""
    named = {each.accept: name for name, each in FORMATS.items() if each.accept}
    return dict(sorted(named.items(), reverse=True))
