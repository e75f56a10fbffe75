"""What the `minio` client can do and does not offer: signatures of headers, and objects in parts over time.

Plain S3 calls alone. Source of the signatures: AWS, "Authenticating Requests" (Signature Version 4), by header and by
query parameters.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import SplitResult, quote, urlencode

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.datatypes import Part
from minio.error import S3Error

from jobs.errors import TooManyBytes, UploadConflict
from jobs.ports import Readable
from jobs.uploads.ports import SignedPut

PART = 8 * 2**20  # of what comes in parts; one is in memory at a time
MOST_PARTS = 9_000  # S3 takes 10,000
_ALGORITHM = "AWS4-HMAC-SHA256"


class S3Client(Minio):
    """As its base, with what is said above."""

    def put_url(self, bucket: str, key: str, *, headers: Mapping[str, str], expires_s: int) -> SignedPut:
        """Takes this object alone, with exactly these headers. Nothing is sent to the server."""
        credentials = self._credentials()
        region = self._get_region(bucket)
        target = self._base_url.build(method="PUT", region=region, bucket_name=bucket, object_name=key)
        signed = dict(sorted({"host": target.netloc, **{k.lower(): v for k, v in headers.items()}}.items()))
        stamp, scope = _now(region)
        query = urlencode(
            {
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{credentials.access_key}/{scope}",
                "X-Amz-Date": stamp,
                "X-Amz-Expires": str(expires_s),
                **({"X-Amz-Security-Token": credentials.session_token} if credentials.session_token else {}),
                "X-Amz-SignedHeaders": ";".join(signed),
            },
            quote_via=quote,
            safe="",
        )
        request = _Request("PUT", target.path, query, signed, "UNSIGNED-PAYLOAD")
        url = f"{target.scheme}://{target.netloc}{target.path}?{query}"
        return SignedPut(f"{url}&X-Amz-Signature={request.signature(credentials, stamp, scope)}", dict(headers))

    def place_of(self, bucket: str) -> SplitResult:
        """Where its keys begin."""
        region = self._get_region(bucket)
        target = self._base_url.build(method="GET", region=region, bucket_name=bucket, object_name="x")
        return target._replace(path=target.path[:-1])

    def signed_headers(
        self, bucket: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """headers: by names in lower case, the host among them. Gives them with those that prove who asks."""
        credentials = self._credentials()
        stamp, scope = _now(self._get_region(bucket))
        digest = hashlib.sha256(body).hexdigest()
        own = {"x-amz-content-sha256": digest, "x-amz-date": stamp}
        if credentials.session_token:
            own["x-amz-security-token"] = credentials.session_token
        signed = dict(sorted({**own, **headers}.items()))
        signature = _Request(method, path, "", signed, digest).signature(credentials, stamp, scope)
        proof = f"Credential={credentials.access_key}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
        return {**signed, "authorization": f"{_ALGORITHM} {proof}"}

    def _credentials(self) -> Credentials:
        credentials = self._provider.retrieve() if self._provider else None
        if credentials is None:
            raise ValueError("nothing can be signed without an access key")
        return credentials

    def listed(self, bucket: str, prefix: str, token: str | None) -> bytes:
        """One page of keys as the server writes it (ListObjectsV2)."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}
        more = {"continuation-token": token} if token else {}
        response = self._execute("GET", bucket, query_params={**query, **more})
        return bytes(response.data)

    def parts_received(self, bucket: str, key: str) -> int:
        """Bytes of an object that is not complete."""
        upload_id = self._open_upload(bucket, key)
        return 0 if upload_id is None else sum(part.size or 0 for part in self._parts(bucket, key, upload_id))

    def append_parts(
        self, bucket: str, key: str, data: Readable, *, offset: int, size: int, headers: Mapping[str, str]
    ) -> int:
        """Whole parts, and the last one; what comes short of a part is dropped. Returns how many bytes lie there.

        Two who send the same object send the same parts: one replaces the other's.
        """
        if offset == 0:
            self.drop_parts(bucket, key)
        upload_id = self._open_upload(bucket, key) if offset else None
        there = sum(part.size or 0 for part in self._parts(bucket, key, upload_id)) if upload_id else 0
        if offset != there:
            raise UploadConflict(f"{there} bytes have arrived; the next ones begin there, not at {offset}")
        upload_id = upload_id or self._create_multipart_upload(bucket, key, dict(headers))
        whole = max(PART, -(-size // MOST_PARTS))
        while there < size:
            piece = _filled(data, min(whole, size - there))
            if len(piece) < min(whole, size - there):
                return there
            self._upload_part(bucket, key, piece, None, upload_id, there // whole + 1)
            there += len(piece)
        if data.read(1):
            raise TooManyBytes("more bytes came than were announced")
        self._complete_multipart_upload(bucket, key, upload_id, list(self._parts(bucket, key, upload_id)))
        return there

    def drop_parts(self, bucket: str, key: str) -> None:
        while (upload_id := self._open_upload(bucket, key)) is not None:
            try:
                self._abort_multipart_upload(bucket, key, upload_id)
            except S3Error as error:
                if error.code != "NoSuchUpload":  # somebody was faster
                    raise

    def _open_upload(self, bucket: str, key: str) -> str | None:
        """The server remembers what is on its way, so that any process of ours can go on with it."""
        try:
            found = self._list_multipart_uploads(bucket, prefix=key)
        except S3Error as error:
            if error.code == "NoSuchUpload":  # how some servers say that there are none in the bucket
                return None
            raise
        return next((each.upload_id for each in found.uploads if each.object_name == key), None)

    def _parts(self, bucket: str, key: str, upload_id: str) -> Iterator[Part]:
        marker: str | None = None
        while True:
            page = self._list_parts(bucket, key, upload_id, part_number_marker=marker)
            yield from page.parts
            if not page.is_truncated:
                return
            marker = str(cast(int, page.next_part_number_marker))


def _filled(data: Readable, size: int) -> bytes:
    """As many bytes, or fewer at the end."""
    pieces, left = [], size
    while left and (piece := data.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _now(region: str) -> tuple[str, str]:
    """The time as it is signed, and the scope that keys of this day have."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return stamp, f"{stamp[:8]}/{region}/s3/aws4_request"


class _Request(NamedTuple):
    """What is signed of one."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # by names in lower case, in their order
    payload: str

    def signature(self, credentials: Credentials, stamp: str, scope: str) -> str:
        method, path, query, headers, payload = self
        listed = "".join([f"{name}:{value.strip()}\n" for name, value in headers.items()])
        canonical = f"{method}\n{path}\n{query}\n{listed}\n{';'.join(headers)}\n{payload}"
        to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        return hmac.digest(_signing_key(credentials.secret_key, scope), to_sign.encode(), "sha256").hex()


@lru_cache(maxsize=8)  # one is good for a day
def _signing_key(secret_key: str, scope: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key
