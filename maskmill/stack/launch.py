"""Become the command after asking the kernel to be killed with the parent. Run as a script; imports no package.

A supervisor that is killed cannot stop its children. Linux can do it for it (prctl PR_SET_PDEATHSIG survives exec).
Everything a part does is safe to kill: the database decides, and the broker writes an append-only file.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execvpe(command[0], command, os.environ)  # noqa: S606


main()
