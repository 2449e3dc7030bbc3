"""Runs a program and tells what it cost: `python -I -S -c <this file> <file for what it says> <program> <argument>...`.

Prints one JSON object: seconds on the clock, CPU seconds and the most memory (KiB) of the program and of whatever it waited
for, and the status it ended with. A program's memory counts from ours, which it is forked from: nothing is imported here that
need not be.
"""

import os
import sys
import time

output, command = sys.argv[1], sys.argv[2:]
write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
actions = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, output, write, 0o600),
    (os.POSIX_SPAWN_DUP2, 1, 2),
]
began = time.perf_counter()
process = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - began
# Linux counts in KiB, macOS in bytes.
peak = usage.ru_maxrss // 1024 if sys.platform == "darwin" else usage.ru_maxrss
status = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
print('{"seconds": %f, "cpu_seconds": %f, "peak_kib": %d, "status": %d}' % (seconds, cpu, peak, status))
