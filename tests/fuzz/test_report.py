"""What is read from a run of Schemathesis."""

from __future__ import annotations

from tests.fuzz.run import Report, read_report

COUNTED = "Test cases:\n  7432 generated, 7432 passed, 117 skipped\n\n"
OWN = "== ERRORS ==\nRuntime Error\n\nUnsupported type: 'Binary'\n"
FOUND = "=== FAILURES ===\n- Server error\n"


def test_a_sound_run_has_found_nothing() -> None:
    assert read_report(COUNTED, "", is_sound=True) == Report(7432, "")


def test_a_run_that_made_no_request_is_not_sound() -> None:
    assert read_report("nothing", "at all", is_sound=True) == Report(0, "nothingat all")


def test_an_error_of_the_program_itself_is_told_apart() -> None:
    told = OWN + COUNTED + "==== 1 error, 2 warnings in 127.18s ====\n"
    assert read_report(told, "", is_sound=False) == Report(7432, "", "Unsupported type: 'Binary'")


def test_what_was_found_besides_it_is_a_failure() -> None:
    told = FOUND + OWN + COUNTED + "==== 1 failure, 1 error in 127.18s ====\n"
    assert read_report(told, "", is_sound=False).failures == told
    several = OWN + COUNTED + "==== 2 errors in 127.18s ====\n"
    assert read_report(several, "", is_sound=False).failures == several
