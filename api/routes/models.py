"""The models that jobs may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Path

from api.access import READ
from api.answers.openapi import problems
from api.dependencies import ServicesDep
from api.known_query import KNOWN_QUERY
from api.router import Router
from api.schemas.catalogue import EvaluatedModelView, ModelList, Serving, model_view
from api.schemas.evaluation import evaluation_of
from api.services import Services
from jobs.errors import ModelNotFound
from segmentation.model_card import ModelCard
from storage.model_reference import name_of

router = Router(prefix="/models", tags=["catalogue"], dependencies=[READ])


@router.get("", dependencies=[KNOWN_QUERY], responses=problems(422))
def list_models(services: ServicesDep) -> ModelList:
    """Every model of the catalogue; `loaded` tells whether a live worker holds it in memory, `runs_as` in what."""
    serving, catalog = _serving(services), services.adapters.catalog
    spaces = catalog.label_spaces()
    return ModelList(items=[model_view(card, spaces, serving(card)) for card in catalog.list()])


@router.get("/{name:path}", responses=problems(ModelNotFound))
def get_model(name: Annotated[str, Path(max_length=200)], services: ServicesDep) -> EvaluatedModelView:
    """One model with its evaluation, by its name alone, or as `NAME/VERSION` or `NAME@ALIAS`."""
    card = services.adapters.catalog.card(name)
    view = model_view(card, services.adapters.catalog.label_spaces(), _serving(services)(card))
    return EvaluatedModelView(**dict(view), evaluation=evaluation_of(card))


def _serving(services: Services) -> Callable[[ModelCard], Serving]:
    """By what the live workers say; of a model that none of them holds, by what was measured."""
    with services.adapters.open_unit() as unit:
        alive = unit.workers.alive(within_s=services.settings.worker_silence_s)
    loaded = {model for beat in alive for model in beat.models}
    default = name_of(services.submit_rules.default_model)

    def serving(card: ModelCard) -> Serving:
        told = sorted({beat.variants[card.name] for beat in alive if card.name in beat.variants})
        return Serving(
            default=card.name == default,
            loaded=card.name in loaded,
            runs_as=", ".join(told) or services.adapters.tuned(card.name),
        )

    return serving
