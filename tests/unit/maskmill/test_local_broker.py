"""The bundled broker with what it finds in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from maskmill.local import LocalStack, StackOptions
from maskmill.stack.broker import set_aside_if_unreadable
from maskmill.stack.home import read_json
from maskmill.stack.supervisor import Notice

FILES = ("appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest")


@pytest.fixture
def notices() -> list[Notice]:
    return []


@pytest.fixture
def stack(tmp_path: Path, notices: list[Notice], monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    monkeypatch.chdir(tmp_path)
    stack = LocalStack(StackOptions(home=tmp_path / "home", port=0), notices.append)
    with stack.home.locked():
        yield stack
        stack.stop(lambda: True)


def client(stack: LocalStack) -> redis.Redis:
    return redis.Redis.from_url(read_json(stack.home.broker_file)["url"])


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_log_is_set_aside_and_the_broker_starts_empty(
    stack: LocalStack, notices: list[Notice], file: str
) -> None:
    stack._start_broker()
    client(stack).set("a", "b")
    stack.stop(lambda: False)
    damaged = stack.home.root / "redis" / "appendonlydir" / file
    damaged.write_bytes(b"no, no, no!" + damaged.read_bytes()[11:])

    stack._start_broker()

    assert client(stack).keys() == []
    (told,) = [notice.text for notice in notices if notice.kind == "mended"]
    (aside,) = stack.home.root.glob("redis.damaged-*")
    assert str(aside) in told
    assert (aside / "appendonlydir" / file).read_bytes().startswith(b"no, no")


def test_a_sound_log_is_read_again(stack: LocalStack, notices: list[Notice]) -> None:
    stack._start_broker()
    client(stack).set("a", "b")
    stack.stop(lambda: False)
    stack._start_broker()
    assert client(stack).get("a") == b"b"
    assert "mended" not in [notice.kind for notice in notices]


@pytest.mark.parametrize(
    "said",
    [
        "# Warning: Could not create server TCP listening socket 127.0.0.1:6379: bind: Address already in use",
        "# Can't open or create append-only dir appendonlydir: No space left on device",
        "* DB loaded from append only file: 0.000 seconds",
    ],
)
def test_what_is_no_damage_is_left_alone(tmp_path: Path, said: str) -> None:
    data = tmp_path / "redis"
    data.mkdir()
    assert set_aside_if_unreadable(data, said) is None
    assert list(tmp_path.iterdir()) == [data]
