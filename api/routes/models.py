"""The models that jobs may name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.access import READ
from api.answers.openapi import problems
from api.dependencies import ServicesDep
from api.schemas.catalogue import ModelList, ModelView, model_view
from api.services import Services
from storage.model_reference import name_of

router = APIRouter(prefix="/models", tags=["catalogue"], dependencies=[READ])


@router.get("", responses=problems())
def list_models(services: ServicesDep) -> ModelList:
    """Every model of the catalogue; `loaded` tells whether a live worker holds it in memory."""
    loaded, default = _loaded(services), name_of(services.submit_rules.default_model)
    cards, spaces = services.adapters.catalog.list(), services.adapters.catalog.label_spaces()
    return ModelList(
        items=[model_view(card, spaces, default=card.name == default, loaded=card.name in loaded) for card in cards]
    )


@router.get("/{name:path}", responses=problems(404))
def get_model(name: Annotated[str, Path(max_length=200)], services: ServicesDep) -> ModelView:
    """One model, by its name alone, or as `NAME/VERSION` or `NAME@ALIAS`."""
    card = services.adapters.catalog.card(name)
    default = name_of(services.submit_rules.default_model)
    spaces = services.adapters.catalog.label_spaces()
    return model_view(card, spaces, default=card.name == default, loaded=card.name in _loaded(services))


def _loaded(services: Services) -> frozenset[str]:
    with services.adapters.open_unit() as unit:
        alive = unit.workers.alive(within_s=services.settings.worker_silence_s)
    return frozenset(model for beat in alive for model in beat.models)
