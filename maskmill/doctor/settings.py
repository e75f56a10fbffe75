"""Whether the settings of the service can be read: what one of its processes would refuse, the others may not know."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

from maskmill.doctor.findings import Finding
from maskmill.doctor.installed import is_client_alone
from maskmill.errors import StackError
from maskmill.stack.explained import settings_explained

GROUP = "Settings"
KINDS = (
    ("API settings", "api.settings", "ApiSettings"),
    ("storage settings", "storage.settings", "StorageSettings"),
    ("worker settings", "worker.settings", "WorkerSettings"),
    ("broker settings", "broker.settings", "BrokerSettings"),
)


def examine_settings() -> Iterator[Finding]:
    """As the environment and `.env` have them."""
    if is_client_alone() or importlib.util.find_spec("pydantic_settings") is None:
        return
    for name, module, kind in KINDS:
        try:
            with settings_explained():
                getattr(importlib.import_module(module), kind)()
        except StackError as error:
            yield Finding(group=GROUP, name=name, state="bad", said=str(error), mend="see docs/configuration.md")
        else:
            yield Finding(group=GROUP, name=name, said="can be used")
