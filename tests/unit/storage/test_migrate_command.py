"""`python -m storage.migrate` where the database is away."""

from __future__ import annotations

import pytest

from storage.migrate import main
from tests.services.processes import free_port


def test_a_database_that_is_away_is_named_in_a_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}/masks"
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"postgresql://bob:secret@{address}")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert str(ended.value).startswith(f"postgresql+psycopg://bob:***@{address}: the database does not answer (")
    assert "refused" in str(ended.value)
    assert "\n" not in str(ended.value)
    assert "secret" not in str(ended.value)
