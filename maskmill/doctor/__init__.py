"""What is installed, what runs, what is missing and how to mend it."""

from __future__ import annotations

from pathlib import Path

from maskmill.doctor.findings import Findings
from maskmill.doctor.installed import installed, models
from maskmill.doctor.machine import machine
from maskmill.doctor.running import running


def examine(home: Path) -> Findings:
    """Looks only; starts and changes nothing."""
    return Findings([*machine(home), *installed(), *models(), *running(home)])


__all__ = ["Findings", "examine"]
