"""What a machine says of itself, read from files as Linux writes them."""

import os
from pathlib import Path

import pytest

from worker.tuning.machine import cpu_count, describe, processor_name, software

EPYC = (
    "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping\t: 1\n\n"
    "processor\t: 1\nmodel name\t: other\n"
)


def test_processors_of_one_name_are_told_apart_by_their_model(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(EPYC)
    assert processor_name(tmp_path / "cpuinfo") == "AMD EPYC (25/17/1)"


def test_a_processor_without_a_model_has_a_name_all_the_same(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("model name\t: Some Board\n")
    assert processor_name(tmp_path / "cpuinfo") == "Some Board"
    assert processor_name(tmp_path / "none")


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_container_uses_no_more_processors_than_its_share(tmp_path: Path, files: dict[str, str], most: int | None):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    allowed = len(os.sched_getaffinity(0))
    assert cpu_count(tmp_path) == (allowed if most is None else min(most, allowed))


def test_a_graphics_card_belongs_to_the_description():
    assert "graphics" not in describe("cpu", cpus=2)
    assert describe("cuda:0", cpus=2)["graphics"]


def test_the_engines_that_are_installed_belong_to_the_software():
    assert {"maskmill", "openvino", "onnxruntime"} <= software().keys()
