"""Requests that nobody thought of, made from the OpenAPI document and sent to the real stack."""
