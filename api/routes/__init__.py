"""Every router. To add an endpoint: write it in the file of its noun, list a new file here."""

from fastapi import APIRouter

from api.routes import (
    archive,
    credentials,
    events,
    images,
    jobs,
    label_spaces,
    models,
    predict,
    samples,
    uploads,
    webhooks,
)
from api.routes.results import comparison, corrections
from api.routes.service import health, metrics

ROUTERS: tuple[APIRouter, ...] = (
    predict.router,  # routes are tried in this order, and here a caller waits for every one that is tried in vain
    jobs.router,
    corrections.router,  # before the images: a correction is no artifact
    images.router,
    events.router,
    archive.router,
    comparison.router,
    uploads.router,
    webhooks.router,
    credentials.router,
    models.router,
    label_spaces.router,
    samples.router,
    health.router,
    metrics.router,
)
