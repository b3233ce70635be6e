"""Run one command and write what it cost, as three numbers, to a descriptor: CPU s, peak bytes, wall s.

    python -I -S launch.py DESCRIPTOR COMMAND...

A process of its own, and a small one: on Linux a started program's peak memory begins with that of whoever
started it (``ru_maxrss`` survives exec), so a benchmark that has imported half of Python must not start it itself.
``wait4`` counts the command and all its descendants that were waited for: CPU is their sum, the peak is that of the
largest single process among them.
"""

import os
import sys
import time

descriptor, *command = sys.argv[1:]
began = time.monotonic()
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
wall = time.monotonic() - began
with open(int(descriptor), "w") as result:  # noqa: PTH123 - pathlib would double this process
    result.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss * 1024} {wall}")
sys.exit(os.waitstatus_to_exitcode(status))
