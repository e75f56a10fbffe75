"""What goes wrong is a sentence on the page, with what helps."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from dashboard.parts.troubles import sentence
from maskmill.errors import Problem, WaitTimeout, api_error


def test_a_key_that_is_wrong_is_told_with_what_helps() -> None:
    told = sentence(api_error(Problem(status=401, code="unauthorized", detail="this key is not known")))
    assert "this key is not known (unauthorized)" in told
    assert "MASKMILL_API_KEY" in told
    assert "MASKMILL_API_KEY" not in sentence(api_error(Problem(status=404, code="job_not_found", detail="no")))


def test_a_key_that_may_not_is_told_apart_from_one_that_is_wrong() -> None:
    told = sentence(api_error(Problem(status=403, code="forbidden", detail="this needs a key of scope submit")))
    assert "this needs a key of scope submit (forbidden)" in told
    assert "set it to such a key" in told


def test_what_has_nothing_to_do_with_the_address_does_not_speak_of_it() -> None:
    assert sentence(WaitTimeout("it still waits")) == "it still waits"


def _part() -> None:
    import streamlit as st

    from dashboard.parts.troubles import telling
    from maskmill.errors import ServerUnreachable

    def look(name: str) -> None:
        st.write(name)
        raise ServerUnreachable("nobody answers")

    telling(look)("first")
    st.write("second")


def test_a_part_that_fails_leaves_the_others_alone() -> None:
    page = AppTest.from_function(_part, default_timeout=60).run()
    assert [each.value for each in page.markdown] == ["first", "second"]
    assert page.error[0].value.startswith("nobody answers. Start the service with")
    assert [each.value for each in page.button[0].click().run().markdown] == ["first", "second"]
