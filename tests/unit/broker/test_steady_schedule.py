"""The upkeep goes on whatever the clock does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from broker.app import app
from broker.settings import BrokerSettings
from broker.steady_schedule import SteadyScheduler


def test_a_clock_that_is_set_back_stops_no_upkeep(tmp_path: Path) -> None:
    scheduler = SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    try:
        entry = scheduler.schedule["upkeep"]
        entry.last_run_at = entry.default_now()
        assert 0 < scheduler.tick() <= BrokerSettings().upkeep_interval_s
        entry.last_run_at += timedelta(hours=1)
        assert 0 < scheduler.tick() <= BrokerSettings().upkeep_interval_s
    finally:
        scheduler.close()
    assert app.conf.beat_scheduler.endswith(SteadyScheduler.__name__)
