"""What can go wrong with the registry of models. Without MLflow: who only names a model imports this."""


class RegistryError(Exception):
    """`code` is stable. The message says what is true and, where there is one, what to do."""

    code = "registry_unavailable"


class NotRegistered(RegistryError):
    code = "not_registered"


class BrokenBundle(RegistryError):
    code = "broken_bundle"


class PromotionRefused(RegistryError):
    """What is asked for cannot be had of what is promoted."""

    code = "promotion_refused"
