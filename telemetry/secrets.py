"""What must not be read in a log: keys, secrets of webhooks, signatures of URLs, passwords in addresses.

Nobody means to log them. An error's text may hold a URL all the same, so every line passes through here.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_SECRETS = re.compile(
    r"""
      (?P<key>\bmm_[A-Za-z0-9]{0,4})[A-Za-z0-9_-]{8,}
    | (?P<webhook>\bwhsec_)[A-Za-z0-9+/=_-]+
    | (?P<header>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}
    | (?P<query>(?i:\b(?:X-Amz-(?:Signature|Credential|Security-Token)|signature|sig|token|secret|password|api[_-]?key)
        (?:=|%3D)))[^&\s"'<>]+
    | (?P<signed>\bv1,)[A-Za-z0-9+/]{20,}=*
    | (?P<address>://[^/\s:@"']*:)[^@/\s"']+(?=@)
    """,
    re.VERBOSE,
)


def without_secrets(text: str) -> str:
    return _SECRETS.sub(lambda found: f"{found.group(found.lastgroup or 0)}{HIDDEN}", text)
