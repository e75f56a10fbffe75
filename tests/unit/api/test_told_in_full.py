"""The OpenAPI document tells all of every route: what it is for, examples that fit, every error with its codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.answers import openapi
from api.answers.examples import add_examples
from api.errors import ROUTER_CODES, STATUS, families, status_of_kind
from api.main import create_app
from jobs.deliveries.endpoint import EVENTS
from jobs.errors import ImageFailure
from jobs.processing.cautions import CLASSES_IMPOSSIBLE, MASK_LACKS_CLASSES, OVERLAY_REDUCED, TILE_MAGNIFIED
from jobs.processing.retry import WORKER_LOST
from jobs.processing.truth import MISMATCH, MOSTLY_IGNORED, ORIENTATION_UNCLEAR, UNKNOWN_IDS
from segmentation.picture_files.pictures import NOTICES
from tests.stack import ROOT

FORM = "multipart/form-data"
_CODE = re.compile(r"`([a-z_]+)`")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(compat=True).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of requests and answers: where it is, its media type, what is said of it."""
    for name, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request", media_type, content
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                yield f"{name} {status}", media_type, content


def examples(content: dict[str, Any]) -> list[Any]:
    found = [each["value"] for each in content.get("examples", {}).values()]
    return [*found, content["example"]] if "example" in content else found


def is_file(content: dict[str, Any]) -> bool:
    """Or a text that is one, as `/metrics` gives: what is in it has a page of its own."""
    schema = content.get("schema", {})
    return bool(schema.get("format") == "binary" or schema == {"type": "string"})


def test_every_route_has_a_summary_and_says_more(document: dict[str, Any]) -> None:
    assert [name for name, each in operations(document) if not (each.get("summary") and each.get("description"))] == []


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    silent = [
        f"{name} {status}"
        for name, each in operations(document)
        for status, answer in each["responses"].items()
        if not answer["description"]
    ]
    assert silent == []


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    assert [
        f"{where} {kind}" for where, kind, said in bodies(document) if not is_file(said) and not examples(said)
    ] == []


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    wrong = []
    for where, media_type, content in bodies(document):
        if is_file(content):
            continue
        schema = {**content["schema"], "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema)
        for example in examples(content):
            wrong += [f"{where} {media_type}: {fault.message}" for fault in validator.iter_errors(example)]
    assert wrong == []


def test_no_example_is_made_up_where_a_field_should_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: list[str] = []
    monkeypatch.setattr(openapi, "add_examples", lambda document: missing.extend(add_examples(document)))
    create_app(compat=True).openapi()
    assert missing == [], "give these fields `examples=[…]`, or their model an `example`"


def errors() -> Iterator[type[Exception]]:
    waiting = list(families())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        yield kind


def test_every_error_is_told_with_codes_that_there_are(document: dict[str, Any]) -> None:
    known = {(status_of_kind(kind), str(vars(kind).get("code", ""))) for kind in errors()}
    known |= {(status, code) for status, code in ROUTER_CODES.items()}
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            problems = examples(answer["content"]["application/problem+json"])
            assert problems, (name, status)
            for problem in problems:
                assert problem["status"] == int(status), (name, problem)
                assert (int(status), problem["code"]) in known, (name, problem)


def test_every_code_stands_in_the_table_of_the_documentation(document: dict[str, Any]) -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| (.+) \|$", page, re.MULTILINE)
    told = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(", ")
        for code in _CODE.findall(codes)
    }
    answered = {
        (int(status), problem["code"])
        for _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for problem in examples(answer["content"]["application/problem+json"])
    }
    assert answered - told == set()


def test_every_warning_and_every_failure_of_an_image_stands_in_the_documentation() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    failures, warnings = (
        set(_CODE.findall(re.search(f"^- {start}(.+)$", page, re.MULTILINE)[1]))  # type: ignore[index]
        for start in ("An image fails with", "It warns with")
    )
    cautions = {TILE_MAGNIFIED, OVERLAY_REDUCED, CLASSES_IMPOSSIBLE, MISMATCH, UNKNOWN_IDS, MOSTLY_IGNORED}
    cautions |= {ORIENTATION_UNCLEAR, MASK_LACKS_CLASSES}
    assert warnings >= cautions | NOTICES
    assert failures >= {kind.code for kind in _below(ImageFailure)} | {WORKER_LOST.code}


def _below(kind: type[ImageFailure]) -> Iterator[type[ImageFailure]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _below(below)


def test_who_reads_a_body_may_have_no_place_or_no_time_for_it(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "408" in operation["responses"]:
            away = examples(operation["responses"]["503"]["content"]["application/problem+json"])
            assert {"uploads_busy", "stopping"} <= {problem["code"] for problem in away}, name


def test_what_is_missing_or_not_allowed_is_named(document: dict[str, Any]) -> None:
    """A 404 or a 409 says of what: routes name the classes of errors, not the status alone."""
    vague = [
        f"{name} {status}"
        for name, operation in operations(document)
        for status in ("404", "409")
        for problem in examples(
            operation["responses"].get(status, {"content": {}})["content"].get("application/problem+json", {})
        )
        if problem["code"] == "not_found"
    ]
    assert vague == []


def test_every_status_of_the_table_has_words(document: dict[str, Any]) -> None:
    assert set(openapi.problems(*STATUS.values())) >= set(STATUS.values())


def test_links_lead_to_operations_with_the_parameters_they_have(document: dict[str, Any]) -> None:
    by_id = {each["operationId"]: each for _, each in operations(document)}
    found = 0
    for name, operation in operations(document):
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                target = by_id[link["operationId"]]
                parameters = {each["name"] for each in target.get("parameters", ())}
                assert set(link.get("parameters", {})) <= parameters, (name, link)
                found += 1
    assert found > 20


def test_a_submitted_job_leads_to_all_that_can_be_done_with_it(document: dict[str, Any]) -> None:
    links = document["paths"]["/jobs"]["post"]["responses"]["202"]["links"]
    assert {"get_job", "cancel_job", "retry_job", "delete_job", "get_archive", "list_images"} <= set(links)


def test_what_a_route_takes_for_old_clients_is_told_where_they_are_served(document: dict[str, Any]) -> None:
    both = document["paths"]["/predict"]["post"]
    assert "ComparisonForm" in str(both["requestBody"])
    assert "TwoMasks" in str(both["responses"]["200"])
    assert "ComparisonForm" not in str(create_app(compat=False).openapi())


def test_what_goes_out_is_told_too(document: dict[str, Any]) -> None:
    assert list(document["webhooks"]) == list(EVENTS)
    for told in document["webhooks"].values():
        content = told["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(content["example"])
        assert content["example"]["data"]["status"]


def test_forms_are_told_as_they_are_sent(document: dict[str, Any]) -> None:
    form = document["paths"]["/jobs"]["post"]["requestBody"]["content"][FORM]
    assert "image/jpeg" in form["encoding"]["files"]["contentType"]
    assert "application/zip" in form["encoding"]["files"]["contentType"]
    assert "null" not in str(document["components"]["schemas"]["JobForm"])
