"""The OpenAPI document agrees with the service, and the service starts without what only workers need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from api.answers.openapi import problems
from api.errors import STATUS
from api.main import create_app

METHODS = ("get", "post", "put", "delete", "patch")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method} {path}", operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        assert operation["tags"], name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        parts = reference.removeprefix("#/").split("/")
        found: Any = document
        for part in parts:
            found = found[part]


def test_errors_have_one_shape(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_status_of_the_error_table_can_be_documented() -> None:
    assert set(problems(*STATUS.values())) >= set(STATUS.values())


@pytest.mark.parametrize(
    ("path", "forms"), [("/jobs", {"multipart/form-data", "application/json"}), ("/predict", {"multipart/form-data"})]
)
def test_bodies_that_are_read_as_streams_are_described(document: dict[str, Any], path: str, forms: set[str]) -> None:
    assert set(document["paths"][path]["post"]["requestBody"]["content"]) == forms


def test_files_are_described_as_binary(document: dict[str, Any]) -> None:
    form = document["components"]["schemas"]["JobForm"]["properties"]
    assert form["files"]["items"]["format"] == "binary"


def test_the_document_is_plain_json(document: dict[str, Any]) -> None:
    assert json.loads(json.dumps(document)) == document


def test_the_service_starts_without_what_only_workers_need() -> None:
    heavy = ["torch", "torchvision", "onnxruntime", "openvino", "transformers", "cv2", "mlflow", "timm"]
    block = f"import sys\nfor name in {heavy}: sys.modules[name] = None\n"
    program = block + "import api.main, api.services\napi.main.create_app()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_operation_says_whether_it_needs_a_key(document: dict[str, Any]) -> None:
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    for name, operation in operations(document):
        is_open = "x-scope" not in operation
        assert operation["security"] == ([] if is_open else [{"bearer": []}, {"header": []}]), name
        assert ({"401", "403", "429"} <= operation["responses"].keys()) is not is_open, name
    assert document["paths"]["/jobs"]["post"]["x-scope"] == "submit"
    assert "x-scope" not in document["paths"]["/health"]["get"]
