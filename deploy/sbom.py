"""What an image holds, as a CycloneDX document: `docker run --rm -i maskmill-api python - < deploy/sbom.py > api.json`.

Reads the Python distributions of the interpreter that runs it, and Debian's packages where there are any. Needs nothing
but Python, so that it runs in each image.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

DPKG = Path("/var/lib/dpkg/status")


def document(components: list[dict[str, Any]]) -> dict[str, Any]:
    """https://cyclonedx.org/docs/1.6/json/"""
    by_purl = {str(each["purl"]): each for each in components}
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")  # noqa: UP017 - any Python may run it
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": made, "component": {"type": "container", "name": "maskmill"}},
        "components": [by_purl[purl] for purl in sorted(by_purl)],
    }


def python_distributions() -> Iterator[dict[str, Any]]:
    for found in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        yield component(name, found.version, f"pkg:pypi/{name}@{found.version}", _licence(found))


def debian_packages(status: Path = DPKG) -> Iterator[dict[str, Any]]:
    """None where there is no such file."""
    text = status.read_text("utf-8") if status.is_file() else ""
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status|Architecture): (.*)$", paragraph, flags=re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            yield component(name, version, f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}", "")


def component(name: str, version: str, purl: str, licence: str) -> dict[str, Any]:
    told = {"licenses": [{"license": {"name": licence}}]} if licence else {}
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **told}


def _licence(found: importlib.metadata.Distribution) -> str:
    """One line, or none: some put the whole text there."""
    told = found.metadata
    said = str(next((told[name] for name in ("License-Expression", "License") if name in told), "")).strip()
    return "" if "\n" in said else said


if __name__ == "__main__":
    json.dump(document([*python_distributions(), *debian_packages()]), sys.stdout, indent=1)
