"""Names of objects as S3 servers write them."""

from __future__ import annotations

from typing import cast

import pytest

from storage.objects.s3_bucket import S3Bucket
from storage.objects.s3_client import S3Client


class Listing:
    """One page of a bucket."""

    def __init__(self, key: str) -> None:
        self.key = key

    def listed(self, _bucket: str, _prefix: str, _token: str | None) -> bytes:
        return f"<ListBucketResult><Contents><Key>{self.key}</Key></Contents></ListBucketResult>".encode()


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a &amp; b.jpg", "a & b.jpg"),
        ("&quot;a&apos;&lt;&gt;.jpg", "\"a'<>.jpg"),
        ("a&#34;&#xA;&#x1F600;&#229;.jpg", 'a"\n\U0001f600å.jpg'),
        ("&#x80;", "\x80"),
        ("&amp;amp;&amp;#34;.jpg", "&amp;&#34;.jpg"),
    ],
)
def test_entities_of_a_key_are_replaced_once_also_those_by_number(written: str, key: str) -> None:
    assert list(S3Bucket(cast(S3Client, Listing(written)), "photos").names("")) == [key]
