"""What a processor can do is read from what Linux says about it."""

from pathlib import Path

import pytest

from worker.engines.processor import precisions, processor_flags

SKYLAKE = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512bw\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\n"


@pytest.mark.parametrize(("text", "found"), [(SKYLAKE, "avx512f"), (ARM, "asimddp")])
def test_the_first_processor_tells_its_instructions(tmp_path: Path, text: str, found: str):
    (tmp_path / "cpuinfo").write_text(text)
    assert found in processor_flags(tmp_path / "cpuinfo")


def test_a_system_that_does_not_tell_is_taken_to_have_none(tmp_path: Path):
    assert processor_flags(tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512f"}, ("fp32",)),
        ({"avx512_vnni"}, ("int8", "fp32")),
        ({"avx_vnni"}, ("int8", "fp32")),
        ({"avx512_vnni", "avx512_bf16"}, ("bf16", "int8", "fp32")),
        ({"amx_bf16", "amx_int8"}, ("bf16", "int8", "fp32")),
    ],
)
def test_the_narrowest_numbers_with_instructions_of_their_own_come_first(flags: set[str], expected: tuple[str, ...]):
    assert precisions(frozenset(flags)) == expected
