"""The interfaces of before, for clients that exist: each file is one service that was, by what it was for.

They are translations: a request becomes a job like any other, its results what those clients expect to get.
"""

from fastapi import APIRouter

from api.routes.compat import edge, gallery, tracking

COMPAT_ROUTERS: tuple[APIRouter, ...] = (edge.router, gallery.router, tracking.router)
