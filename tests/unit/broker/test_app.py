"""Delivery rules that must hold whatever Celery's defaults become."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broker.app import BULK, INTERACTIVE, MESSAGE_PRIORITY, QUEUES, RUN_UPKEEP, UPKEEP, make_app
from broker.settings import NO_BROKER, BrokerSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokerSettings:
    monkeypatch.delenv("MASKMILL_BROKER_URL", raising=False)
    return BrokerSettings(home=tmp_path)


def test_messages_are_json_acknowledged_late_and_fetched_one_at_a_time(settings: BrokerSettings):
    conf = make_app(settings).conf
    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])
    assert (conf.task_acks_late, conf.worker_prefetch_multiplier, conf.task_ignore_result) == (True, 1, True)


def test_there_is_no_result_backend(settings: BrokerSettings):
    assert "Disabled" in type(make_app(settings).backend).__name__


def test_every_queue_is_known_to_workers(settings: BrokerSettings):
    assert {queue.name for queue in make_app(settings).conf.task_queues} == set(QUEUES)


def test_small_jobs_overtake_big_ones_and_upkeep_both():
    assert MESSAGE_PRIORITY[UPKEEP] < MESSAGE_PRIORITY[INTERACTIVE] < MESSAGE_PRIORITY[BULK]


def test_upkeep_is_scheduled_and_expires_when_nobody_takes_it(settings: BrokerSettings):
    (entry,) = make_app(settings).conf.beat_schedule.values()
    assert entry["task"] == RUN_UPKEEP
    assert entry["options"]["queue"] == UPKEEP
    assert entry["options"]["expires"] > 0


def test_the_broker_of_the_local_stack_is_found_by_its_file(settings: BrokerSettings, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "broker.json").write_text(json.dumps({"url": "redis://:secret@127.0.0.1:7000/0"}))
    assert settings.broker_url() == "redis://:secret@127.0.0.1:7000/0"


def test_a_configured_url_goes_before_the_local_stack(tmp_path: Path):
    assert BrokerSettings(home=tmp_path, url="redis://elsewhere/0").broker_url() == "redis://elsewhere/0"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_file_of_the_local_stack_is_no_broker(settings: BrokerSettings, tmp_path: Path, text: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "broker.json").write_text(text)
    assert settings.broker_url() == NO_BROKER


def test_importing_the_app_reads_no_settings():
    code = "import broker.app, broker.dispatch; assert not broker.app.app.configured"
    subprocess.run([sys.executable, "-c", code], check=True)
