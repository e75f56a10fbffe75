"""What is installed, what runs, what is missing and how to mend it."""

from __future__ import annotations

from pathlib import Path

from maskmill.doctor.findings import Findings
from maskmill.doctor.installed import examine_models, examine_parts, is_client_alone
from maskmill.doctor.machine import examine_machine
from maskmill.doctor.running import examine_running, examine_server
from maskmill.doctor.settings import examine_settings
from maskmill.doctor.surroundings import examine_surroundings


def examine(home: Path) -> Findings:
    """Looks only; starts and changes nothing."""
    around = examine_surroundings(Path.cwd())
    running = examine_server() if is_client_alone() else examine_running(home)
    settings = examine_settings(home)
    needs = "this client" if is_client_alone() else "`maskmill up`"
    return Findings(
        [*examine_machine(home), *around, *examine_parts(), *settings, *examine_models(home), *running], needs
    )


__all__ = ["Findings", "examine"]
