"""The client for asyncio: `async with AsyncMaskmill() as server: job = await server.submit([...])`."""

from __future__ import annotations

from maskmill.aio.client import AsyncJob, AsyncMaskmill

__all__ = ["AsyncJob", "AsyncMaskmill"]
