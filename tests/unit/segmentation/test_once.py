"""A property that is worked out when it is first asked for."""

from __future__ import annotations

from segmentation.measures.once import once


class Counted:
    times = 0

    @once
    def answer(self) -> int:
        """Of everything."""
        self.times += 1
        return 42


def test_it_is_worked_out_once_for_each_object() -> None:
    one, other = Counted(), Counted()
    assert (one.answer, one.answer, other.answer) == (42, 42, 42)
    assert (one.times, other.times) == (1, 1)


def test_the_class_has_the_property_itself() -> None:
    assert isinstance(Counted.answer, once)
    assert Counted.answer.__doc__ == "Of everything."
