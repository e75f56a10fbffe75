"""What a request names instead of sending it: uploads, objects of buckets, all of a folder, lists of inputs.

What can be told from the database and the settings is told at once; whether the bytes are there, and what they are, the
workers find out. Only packed uploads and manifests are read while the request waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, NamedTuple

from jobs.errors import FieldFault, InvalidOptions, ObjectNotFound
from jobs.inputs.of_job import OfJob, OtherJobs
from jobs.job import NewImage, Source, SourceKind
from jobs.ports import ObjectStore, OpenUnit
from jobs.submitting.drafts import Draft
from jobs.submitting.matching import is_sample
from jobs.submitting.names import is_hidden, relative_path
from jobs.submitting.reading import is_picture_name
from jobs.uploads.buckets import Buckets
from jobs.uploads.stored_file import open_stored
from jobs.uploads.upload import Known, UploadKind, size_in

LONGEST_LINE = 16 * 1024  # bytes, of a manifest
_NAMED_FAULTS = 20
_MASKS = 4  # for each picture: data sets keep several kinds of one truth side by side


class Prefix(NamedTuple):
    """All pictures whose keys begin so. location: `bucket/prefix`; masks: the same of their ground truth."""

    location: str
    ref: str | None = None
    masks: str | None = None


GivenMask = NewImage | Prefix
Given = GivenMask | OfJob


@dataclass(frozen=True, slots=True)
class References:
    """Of one tenant."""

    open_unit: OpenUnit
    objects: ObjectStore
    buckets: Buckets
    tenant: str

    def add(self, draft: Draft, given: Sequence[Given], masks: Sequence[GivenMask]) -> None:
        """To the draft, in their order. Sources of kind `upload` hold an upload's id; no name means the upload's own.

        Raises InvalidOptions for what is not there, or not allowed, and whatever storing what came packed raises.
        """
        found = self._uploads([*given, *masks])
        checks = _Checks(found, self.buckets, self.tenant)
        ready = [checks.ready(each) for each in given]  # nearly all, in a fraction of the time
        slow = [(f"inputs.{at}", given[at]) for at, each in enumerate(ready) if each is None]
        faults = checks.faults([*slow, *((f"masks.{at}", each) for at, each in enumerate(masks))])
        if faults:
            raise InvalidOptions(faults)
        plain: list[NewImage] = []
        for at, (each, made) in enumerate(zip(given, ready, strict=True)):
            if made is not None:
                plain.append(made)
                continue
            draft.add_inputs(plain)
            plain = []
            self._add_input(draft, each, found, at=f"inputs.{at}")
        draft.add_inputs(plain)
        for at, each in enumerate(masks):
            self._add_mask(draft, each, found, at=f"masks.{at}")

    def lines(self, upload_id: str, *, at: str) -> Iterator[bytes]:
        """Of a manifest, those that are not empty. at: where the request names it. Raises InvalidOptions."""
        with self.open_unit(self.tenant) as unit:
            upload = unit.uploads.several([upload_id]).get(upload_id)
        if upload is None:
            raise _fault(at, _missing(upload_id))
        if upload.kind is not UploadKind.MANIFEST:
            raise _fault(at, f"is an {upload.kind.value}, not a manifest (application/x-ndjson)")
        with self._open(upload, at) as file:
            while line := file.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise _fault(at, f"a line has more than {LONGEST_LINE} bytes")
                if line.strip():
                    yield line

    def _uploads(self, given: Iterable[Given]) -> Mapping[str, Known]:
        ids = {source.location for each in given for source in _sources(each) if source.kind is SourceKind.UPLOAD}
        if not ids:
            return {}
        with self.open_unit(self.tenant) as unit:
            return unit.uploads.several(ids)

    def _add_input(self, draft: Draft, given: Given, found: Mapping[str, Known], *, at: str) -> None:
        if isinstance(given, OfJob):
            OtherJobs(self.open_unit, self.objects, self.buckets, self.tenant).add(draft, given, at=f"{at}.job")
        elif isinstance(given, Prefix):
            self._add_prefix(draft, given, at=f"{at}.prefix")
        elif _is_archive(given.source, found):
            known = found[given.source.location]
            draft.add_packed(known.name, self._open(known, f"{at}.upload"), ref=given.ref)
        else:
            draft.add_inputs([_with_keys(given, found)])
            if given.mask is not None and is_sample(given.mask):
                draft.masks_of_jobs.take_sample(f"{at}.mask.sample")

    def _add_prefix(self, draft: Draft, given: Prefix, *, at: str) -> None:
        most = draft.limits.max_images + 1  # enough to be refused; the rest of the bucket is not read
        pictures = self._listed(given.location, at, most=most)
        names = [name for _, name in pictures]
        top = _told_apart(draft, given.location, names) if draft.has_masks or given.masks is not None else ""
        draft.add_inputs([NewImage(source, top + name, given.ref) for source, name in pictures])
        if given.masks is not None:
            for source, name in self._listed(given.masks, at.replace(".prefix", ".mask.prefix"), most=_MASKS * most):
                draft.add_named_mask(source, top + name)

    def _listed(self, location: str, at: str, *, most: int) -> list[tuple[Source, str]]:
        """The first pictures by their files' names, with their paths behind the last folder of the prefix."""
        bucket, _, prefix = location.partition("/")
        folder = prefix.rpartition("/")[0]
        skip = len(folder) + 1 if folder else 0
        try:
            found = [
                (Source(SourceKind.BUCKET, f"{bucket}/{key}"), key[skip:])
                for key in islice(self._pictures(bucket, prefix, skip), most)
            ]
        except ObjectNotFound:
            raise _fault(at, f"there is no bucket {bucket!r}") from None
        if not found:
            raise _fault(at, "no picture lies there")
        return found

    def _pictures(self, bucket: str, prefix: str, skip: int) -> Iterator[str]:
        keys = self.buckets.names(bucket, prefix)
        return (key for key in keys if is_picture_name(key) and not is_hidden(relative_path(key[skip:])))

    def _add_mask(self, draft: Draft, given: GivenMask, found: Mapping[str, Known], *, at: str) -> None:
        if isinstance(given, Prefix):
            for source, name in self._listed(given.location, f"{at}.prefix", most=_MASKS * draft.limits.max_images):
                draft.add_named_mask(source, name)
        elif _is_archive(given.source, found):
            upload = found[given.source.location]
            draft.add_mask(upload.name, self._open(upload, f"{at}.upload"))
        else:
            image = _with_keys(given, found)
            draft.add_named_mask(image.source, image.name)
            if is_sample(image.source):
                draft.masks_of_jobs.take_sample(f"{at}.sample")

    def _open(self, upload: Known, at: str) -> BinaryIO:
        try:
            if self.objects.info(upload.key).size != size_in(upload.key):
                raise _fault(at, f"has not the {size_in(upload.key)} bytes that were announced")
            return open_stored(self.objects, upload.key)
        except ObjectNotFound:
            raise _fault(at, "has not arrived yet") from None


class _Checks:
    """What can be told of inputs at once. uploads: those that the request names, by id."""

    def __init__(self, uploads: Mapping[str, Known], buckets: Buckets, tenant: str) -> None:
        self._uploads, self._buckets, self._tenant = uploads, buckets, tenant
        self._allowed: dict[str, bool] = {}

    def ready(self, given: Given) -> NewImage | None:
        """An image as workers find it; None for what has to be looked at more closely."""
        if isinstance(given, (Prefix, OfJob)) or given.mask is not None:
            return None
        kind, location = given.source
        if kind is SourceKind.UPLOAD:
            known = self._uploads.get(location)
            if known is None or known.kind is not UploadKind.IMAGE or known.arrived is False:
                return None
            return NewImage(known.source, given.name or known.name, given.ref)
        if kind is SourceKind.BUCKET and not self._is_allowed(location):
            return None
        return given

    def faults(self, given: Iterable[tuple[str, Given]]) -> list[FieldFault]:
        """The first ones. given: with the field that names each."""
        found: list[FieldFault] = []
        for at, each in given:
            if isinstance(each, NewImage) and each.mask is not None and self._is_packed(each.source):
                found.append(FieldFault(f"{at}.mask", "the input is packed; name its masks in `masks`"))
                continue
            for name, source in _named_sources(each):
                said = self._fault_of(source, mask_alone=name.startswith("mask."))
                if said is not None:
                    found.append(FieldFault(f"{at}.{name}", said))
        return found[:_NAMED_FAULTS]

    def _is_packed(self, source: Source) -> bool:
        known = self._uploads.get(source.location) if source.kind is SourceKind.UPLOAD else None
        return known is not None and known.kind is UploadKind.ARCHIVE

    def _fault_of(self, source: Source, *, mask_alone: bool) -> str | None:
        if source.kind is SourceKind.UPLOAD:
            return _upload_fault(source.location, self._uploads.get(source.location), mask_alone=mask_alone)
        if source.kind is SourceKind.BUCKET and not self._is_allowed(source.location):
            return f"{source.location.partition('/')[0]!r} is no bucket that inputs may come from"
        return None

    def _is_allowed(self, location: str) -> bool:
        bucket = location.partition("/")[0]
        if bucket not in self._allowed:
            self._allowed[bucket] = self._buckets.allows(bucket, self._tenant)
        return self._allowed[bucket]


def _told_apart(draft: Draft, location: str, names: Sequence[str]) -> str:
    """The last folders of a prefix, as many as it takes for no name to be one that the draft has: masks would not know
    which of two is theirs. Empty where there is none, or where it takes more than there are."""
    folders = location.split("/")[:-1]
    tops = ["", *("/".join(folders[-depth:]) + "/" for depth in range(1, len(folders) + 1))]
    return next((top for top in tops if not draft.has_any({top + name for name in names})), "")


def _sources(given: Given) -> Iterator[Source]:
    if isinstance(given, (Prefix, OfJob)):
        return
    yield given.source
    if given.mask is not None:
        yield given.mask


def _named_sources(given: Given) -> Iterator[tuple[str, Source]]:
    """With the field that names each; of a job's they are looked at with its images."""
    if isinstance(given, OfJob):
        return
    if isinstance(given, Prefix):
        yield "prefix", Source(SourceKind.BUCKET, given.location)
        if given.masks is not None:
            yield "mask.prefix", Source(SourceKind.BUCKET, given.masks)
        return
    yield _FIELDS.get(given.source.kind, ""), given.source
    if given.mask is not None:
        yield f"mask.{_FIELDS.get(given.mask.kind, '')}", given.mask


_FIELDS = {SourceKind.UPLOAD: "upload", SourceKind.BUCKET: "object"}


def _upload_fault(upload_id: str, upload: Known | None, *, mask_alone: bool) -> str | None:
    if upload is None:
        return _missing(upload_id)
    if upload.kind is UploadKind.MANIFEST:
        return 'is a list of inputs; name it as {"manifest": …}'
    if upload.kind is UploadKind.ARCHIVE and mask_alone:
        return "is packed, and an input has one mask; name it in `masks`"
    if upload.arrived is False:
        return "has not arrived yet"
    return None


def _missing(upload_id: str) -> str:
    return f"there is no upload {upload_id!r}, or it has expired"


def _is_archive(source: Source, found: Mapping[str, Known]) -> bool:
    return source.kind is SourceKind.UPLOAD and found[source.location].kind is UploadKind.ARCHIVE


def _with_keys(image: NewImage, found: Mapping[str, Known]) -> NewImage:
    """Uploads by the keys of their objects, which is how workers find them."""
    source, mask = image.source, image.mask
    if source.kind is SourceKind.UPLOAD:
        upload = found[source.location]
        image = image._replace(source=upload.source, name=image.name or upload.name)
    if mask is not None and mask.kind is SourceKind.UPLOAD:
        image = image._replace(mask=found[mask.location].source)
    return image


def _fault(at: str, said: str) -> InvalidOptions:
    return InvalidOptions([FieldFault(at, said)])
