"""The supervisor with toy parts: they start, die, start again, stop in order, and never outlive their master."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from maskmill.errors import StackError
from maskmill.stack.home import AlreadyRunning, StackHome, write_private
from maskmill.stack.part import PartSpec, RestartPolicy, how_it_ended
from maskmill.stack.supervisor import Notice, Supervisor

FAST = RestartPolicy(first_s=0.1, longest_s=0.4, healthy_s=60)
SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StackHome]:
    home = StackHome(tmp_path / "home")
    with home.locked():
        yield home


@pytest.fixture
def notices() -> list[Notice]:
    return []


@pytest.fixture
def supervisor(home: StackHome, notices: list[Notice]) -> Iterator[Supervisor]:
    supervisor = Supervisor(home, notices.append, policy=FAST)
    yield supervisor
    supervisor.stop(hurry=lambda: True)


def _python(name: str, code: str, *, stage: int = 0, stop_s: float = 60.0) -> PartSpec:
    return PartSpec(name=name, command=[sys.executable, "-u", "-c", code], stage=stage, stop_s=stop_s)


def _until(supervisor: Supervisor, done: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    supervisor.tend_until(lambda: done() or time.monotonic() > deadline)
    assert done()


def _kinds(notices: list[Notice]) -> list[tuple[str, str]]:
    return [(notice.kind, notice.part) for notice in notices]


def _wait(done: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_part_says_is_in_its_log(supervisor: Supervisor, home: StackHome) -> None:
    supervisor.start(_python("toy", f"print('hello'); {SLEEP}"))
    _wait(lambda: home.tail("toy") == "hello")


def test_a_part_that_is_killed_starts_again_and_the_terminal_says_so(
    supervisor: Supervisor, notices: list[Notice]
) -> None:
    supervisor.start(_python("toy", SLEEP))
    first = supervisor.parts["toy"].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    _until(supervisor, lambda: len(notices) == 3)
    assert _kinds(notices) == [("started", "toy"), ("died", "toy"), ("again", "toy")]
    assert "SIGKILL" in notices[1].text
    assert "toy.log" in notices[1].text
    assert supervisor.parts["toy"].pid != first


def test_a_part_that_dies_again_and_again_waits_longer_each_time(supervisor: Supervisor, notices: list[Notice]) -> None:
    supervisor.start(_python("toy", "raise SystemExit(3)"))
    _until(supervisor, lambda: supervisor.parts["toy"].deaths >= 4)
    pauses = [notice.text.split(" again in ")[1].split(" ")[0] for notice in notices if notice.kind == "died"]
    assert pauses == ["0.1", "0.2", "0.4", "0.4"]
    assert "exit code 3" in notices[1].text


def test_a_part_that_lived_long_enough_starts_over_at_the_first_pause(home: StackHome, notices: list[Notice]) -> None:
    policy = RestartPolicy(first_s=0.1, longest_s=5, healthy_s=0.0)
    supervisor = Supervisor(home, notices.append, policy=policy)
    supervisor.start(_python("toy", "pass"))
    _until(supervisor, lambda: len(notices) >= 6)
    supervisor.stop()
    assert {notice.text.split(" again in ")[1][:3] for notice in notices if notice.kind == "died"} == {"0.1"}


def test_parts_stop_stage_after_stage(supervisor: Supervisor, notices: list[Notice]) -> None:
    for name, stage in (("broker", 9), ("worker", 2), ("api", 0)):
        supervisor.start(_python(name, SLEEP, stage=stage))
    notices.clear()
    supervisor.stop()
    assert _kinds(notices) == [("stopped", "api"), ("stopped", "worker"), ("stopped", "broker")]


def test_a_part_may_finish_its_work_when_it_is_asked_to_stop(supervisor: Supervisor, home: StackHome) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.3); print('finished'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up'); time.sleep(60)"
    )
    supervisor.start(_python("toy", code))
    _wait(lambda: home.tail("toy") == "up")
    supervisor.stop()
    assert home.tail("toy") == "up\nfinished"


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"


def test_a_part_that_does_not_stop_in_its_time_is_killed(
    supervisor: Supervisor, home: StackHome, notices: list[Notice]
) -> None:
    supervisor.start(_python("toy", DEAF, stop_s=0.3))
    _wait(lambda: home.tail("toy") == "up")
    supervisor.stop()
    assert _kinds(notices)[-1] == ("killed", "toy")
    assert not home.parts()


def test_who_is_in_a_hurry_waits_for_nobody(supervisor: Supervisor, home: StackHome, notices: list[Notice]) -> None:
    supervisor.start(_python("toy", DEAF, stop_s=60))
    _wait(lambda: home.tail("toy") == "up")
    supervisor.stop(hurry=lambda: True)
    assert _kinds(notices)[-1] == ("killed", "toy")


def test_what_a_part_started_itself_ends_with_it(supervisor: Supervisor, home: StackHome) -> None:
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(p.pid); p.wait()"
    supervisor.start(_python("toy", code))
    _wait(lambda: home.tail("toy") != "")
    grandchild = psutil.Process(int(home.tail("toy")))
    supervisor.stop()
    _wait(lambda: not _lives(grandchild))


def test_a_part_that_is_run_once_must_end_well(supervisor: Supervisor, home: StackHome) -> None:
    supervisor.run_once(_python("toy", "print('fine')"), timeout_s=60)
    with pytest.raises(StackError, match=r"exit code 7.*\n.*the reason"):
        supervisor.run_once(_python("toy", "print('the reason'); raise SystemExit(7)"), timeout_s=60)
    with pytest.raises(StackError, match="did not end within"):
        supervisor.run_once(_python("toy", SLEEP), timeout_s=0.2)


def test_logs_of_earlier_runs_are_kept_for_a_while(supervisor: Supervisor, home: StackHome) -> None:
    for number in range(6):
        supervisor.run_once(_python("toy", f"print({number})"), timeout_s=60)
    kept = {path.name: path.read_text().strip() for path in home.logs.iterdir()}
    assert kept == {"toy.log": "5", "toy.log.1": "4", "toy.log.2": "3", "toy.log.3": "2"}


def test_a_log_that_grows_too_large_is_rotated_under_the_part(
    supervisor: Supervisor, home: StackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.stack.home.LOG_LIMIT", 5_000)
    supervisor.start(_python("talker", "import time\nwhile True: print('line ' * 20, flush=True); time.sleep(0.001)"))
    _until(supervisor, (home.logs / "talker.log.3").exists)
    assert sorted(path.name for path in home.logs.glob("*talker*")) == [
        "talker.log",
        *(f"talker.log.{age}" for age in (1, 2, 3)),
    ]
    size = home.log("talker").stat().st_size
    _until(supervisor, lambda: home.log("talker").stat().st_size != size)  # it goes on writing
    assert b"\0" not in home.log("talker").read_bytes()


def test_a_full_disk_ends_neither_supervisor_nor_part(
    supervisor: Supervisor, home: StackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("maskmill.stack.home.LOG_LIMIT", 100)
    monkeypatch.setattr("maskmill.stack.home.shutil.copyfile", full)
    monkeypatch.setattr("maskmill.stack.home.write_private", full)
    supervisor.start(_python("talker", "import time\nwhile True: print('line ' * 20, flush=True); time.sleep(0.001)"))
    _until(supervisor, lambda: home.log("talker").stat().st_size > 100)
    supervisor.tend()
    assert supervisor.parts["talker"].alive
    assert not list(home.logs.glob("*.log.1"))


def test_what_made_a_part_die_is_mended_before_it_starts_again(
    home: StackHome, supervisor: Supervisor, notices: list[Notice]
) -> None:
    heard: list[str] = []
    code = f"import os, sys; print('life'); sys.exit(0 if os.path.exists({str(home.root / 'again')!r}) else 3)"

    def mend(said: str) -> str:
        heard.append(said)
        (home.root / "again").touch()
        return "mended it"

    supervisor.start(replace(_python("mortal", code), mend=mend))
    _until(supervisor, lambda: len(heard) == 2)
    assert heard == ["life", "life"]  # what it said in each life
    assert ("mended", "mortal") in _kinds(notices)


def test_a_second_supervisor_of_the_same_home_is_refused(home: StackHome) -> None:
    with pytest.raises(AlreadyRunning, match="being started"), home.locked():
        pass
    me = psutil.Process()
    write_private(home.up_file, {"url": "http://here", "pid": me.pid, "started": me.create_time()})
    with pytest.raises(AlreadyRunning, match=rf"http://here .*`maskmill down --home {home.root}`"), home.locked():
        pass


def test_a_home_that_cannot_be_locked_is_not_said_to_be_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    with (
        pytest.raises(StackError, match=r"cannot be locked .* choose a folder"),
        StackHome(tmp_path / "shared").locked(),
    ):
        pass


def test_what_is_written_for_the_owner_is_readable_by_nobody_else(home: StackHome) -> None:
    write_private(home.broker_file, {"url": "secret"})
    assert home.broker_file.stat().st_mode & 0o777 == 0o600


MASTER = """
import sys, time
from pathlib import Path
from maskmill.stack.home import StackHome
from maskmill.stack.part import PartSpec
from maskmill.stack.supervisor import Supervisor

home = StackHome(Path(sys.argv[1]))
with home.locked():
    supervisor = Supervisor(home, lambda notice: None)
    supervisor.start(PartSpec(name="toy", command=[sys.executable, "-c", "import time; time.sleep(60)"]))
    print(supervisor.parts["toy"].pid, flush=True)
    time.sleep(60)
"""


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    home = StackHome(tmp_path / "home")
    with subprocess.Popen([sys.executable, "-c", MASTER, str(home.root)], stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        toy = psutil.Process(int(master.stdout.readline()))
        _wait(lambda: "sleep" in " ".join(toy.cmdline()))
        master.kill()
    _wait(lambda: not _lives(toy))


def test_what_an_earlier_supervisor_left_over_is_ended_at_the_next_start(tmp_path: Path) -> None:
    home = StackHome(tmp_path / "home")
    sleep = [sys.executable, "-c", SLEEP]
    with subprocess.Popen(sleep) as orphan, subprocess.Popen(sleep) as stranger, home.locked():
        home.note_pid("toy", orphan.pid)
        # A number that was noted for a process which started at another time belongs to somebody else by now.
        write_private(home.run / "old.pid.json", {"pid": stranger.pid, "started": 1.0})
        assert home.end_leftovers() == ["toy"]
        assert home.parts() == {}
        assert stranger.poll() is None
        stranger.kill()


def test_ends_are_told_in_words() -> None:
    assert (how_it_ended(3), how_it_ended(-9), how_it_ended(-250)) == ("exit code 3", "signal SIGKILL", "signal 250")
