"""`make faults SEEDS=40`: rounds of random faults. Ends with 1 when any of them left a trace.

Where it may, it runs in a mount namespace of its own, so that the object store has a small file system that can be
full or read-only; elsewhere these two faults are left out, and it says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.faults import FAULTS, faults_of
from tests.faults.results import Results, table, violations
from tests.faults.rounds import Outcome, Strike, plan, play
from tests.faults.target import Setting, Target, running_target

NAMESPACE = "MASKMILL_FAULTS_NAMESPACE"
BUILD = Path("build")
SHORT_S, LONG_S = 3.0, 12.0
BROKEN = ("claim", "finish", "dispatch")  # variants of `inside/sitecustomize.py`


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    _enter_namespace()
    results = Results(options.results or _results_of(options), anew=options.anew or bool(options.broken))
    folder = Path(tempfile.mkdtemp(prefix="maskmill-faults-"))
    with running_target(folder, Setting(tiny=options.short, full=options.full, broken=options.broken)) as target:
        if not target.store_can_fail and not options.full:
            _say("no file system of its own can be mounted here: the store is never full nor read-only")
        _rounds(target, options, results)
    found = violations(results.rounds)
    _say(f"\n{table(results.rounds)}\n\n{len(results.rounds)} rounds, {found} violations: {results.path}")
    if found and not options.broken:
        _say(f"logs and data: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return _say_whether_seen(options.broken, results) if options.broken else 0


def _results_of(options: argparse.Namespace) -> Path:
    words = ["faults", "full" if options.full else "embedded", options.broken, "short" if options.short else None]
    return BUILD / f"{'-'.join(filter(None, words))}.json"


def _say_whether_seen(broken: str, results: Results) -> int:
    seen = [each["seed"] for each in results.rounds if each["violations"]]
    _say(f"the broken {broken} is " + (f"seen with seed {seen[0]}" if seen else "NOT SEEN"))
    return int(not seen)


def _rounds(target: Target, options: argparse.Namespace, results: Results) -> None:
    """Those that are asked for and not in the results yet; of a variant that is broken on purpose only those up to the
    first that shows it."""
    if options.each or options.fault:
        for number, fault in enumerate(options.fault or faults_of(target), 1):
            results.add(_round(-number, target, options, fault))
        return
    wanted = range(options.first, options.first + options.seeds)
    seeds = options.seed or [seed for seed in wanted if seed not in results.seeds]
    if not options.seed and len(seeds) < len(wanted):
        _say(f"{len(wanted) - len(seeds)} of {len(wanted)} rounds are in {results.path} (--anew plays them again)")
    for seed in seeds:
        outcome = _round(seed, target, options)
        results.add(outcome)
        if options.broken and outcome.shows_what_is_broken:
            break


def _round(seed: int, target: Target, options: argparse.Namespace, fault: str | None = None) -> Outcome:
    longest_s = SHORT_S if options.short and not options.broken else LONG_S
    if fault is None:
        strikes = plan(seed, target, longest_s=longest_s)
    else:
        strikes = [Strike(fault=fault, at=0.1, lasts_s=longest_s)]
    outcome = play(seed, target, strikes, images=options.images)
    told = "; ".join(f"{each.fault} at {each.at:.0%} ({each.lasts_s:.1f} s)" for each in strikes)
    recovery = "–" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f} s"
    _say(f"seed {seed}: {told}: {outcome.took_s:.0f} s, again after {recovery}, {outcome.tries} tries")
    for violation in (*outcome.late, *outcome.violations):
        _say(f"  VIOLATION {violation}")
    return outcome


def _enter_namespace() -> None:
    """Start over in one, unless that was done or cannot be done. Mounts vanish with it, however this ends."""
    if os.environ.get(NAMESPACE) or sys.platform != "linux":
        return
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if _works([*command, "true"]):
            os.environ[NAMESPACE] = "own"
            os.execvp(command[0], [*command, sys.executable, "-m", "tests.faults", *sys.argv[1:]])  # noqa: S606
    os.environ[NAMESPACE] = "none"


def _works(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="how many rounds (10)")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the first round's seed (1)")
    parser.add_argument("--seed", type=int, action="append", help="this round alone; may be given several times")
    parser.add_argument("--each", action="store_true", help="a round for each fault instead, alone and long")
    parser.add_argument("--fault", action="append", choices=[*FAULTS], help="the same for this one; may be repeated")
    parser.add_argument("--images", type=int, default=120, help="sound images of a job (120)")
    parser.add_argument("--full", action="store_true", help="on PostgreSQL and S3 instead of files")
    parser.add_argument("--broken", choices=BROKEN, help="break this on purpose; ends with 0 when a round shows it")
    parser.add_argument("--results", type=Path, help="the file that rounds are added to (build/faults-….json)")
    parser.add_argument("--anew", action="store_true", help="forget the rounds of that file")
    parser.add_argument("--short", action="store_true", help="a tiny network, and faults of at most 3 s")
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
