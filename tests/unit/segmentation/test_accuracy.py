"""Which variants a card vouches for."""

from segmentation.accuracy import MOST_LOST, accuracy_holds
from segmentation.variant import Variant


def variant(precision: str, miou: float | None, engine: str = "openvino") -> Variant:
    return Variant(precision=precision, engine=engine, file="model.onnx", bytes=1, miou=miou)


EXACT = variant("fp32", 0.7)


def holds(*others: Variant, engine: str = "openvino", precision: str = "int8") -> bool:
    return accuracy_holds([EXACT, *others], engine=engine, precision=precision)


def test_fp32_always_holds():
    assert accuracy_holds([], engine="openvino", precision="fp32")


def test_a_variant_that_scores_as_fp32_does_holds():
    assert holds(variant("int8", 0.699))
    assert holds(variant("int8", 0.73))


def test_exactly_the_bound_still_holds_and_more_does_not():
    assert holds(variant("int8", 0.7 - MOST_LOST))
    assert not holds(variant("int8", 0.7 - MOST_LOST - 0.0001))


def test_what_nobody_measured_does_not_hold():
    assert not holds()
    assert not holds(variant("int8", None))
    assert not holds(variant("bf16", 0.7))
    assert not accuracy_holds([variant("int8", 0.7)], engine="openvino", precision="int8")


def test_the_figure_of_the_engine_itself_decides():
    both = (variant("int8", 0.6, "onnxruntime"), variant("int8", 0.7))
    assert holds(*both)
    assert not holds(*both, engine="onnxruntime")


def test_without_a_figure_of_its_own_the_worst_of_the_others_decides():
    assert holds(variant("bf16", 0.7, "torch"), precision="bf16")
    assert not holds(variant("bf16", 0.7, "torch"), variant("bf16", 0.6, "onnxruntime"), precision="bf16")
