"""What processes cost: CPU time and memory of process trees, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process:
    """One line of /proc/PID/stat."""

    def __init__(self, pid: int, stat: str) -> None:
        fields = stat.rpartition(")")[2].split()
        self.pid = pid
        self.name = stat[stat.index("(") + 1 : stat.rindex(")")]
        self.parent = int(fields[1])
        # Its own time and that of the children it has buried: user and system each.
        self.cpu_s = sum(int(ticks) for ticks in fields[11:15]) / TICKS_PER_S
        self.rss_bytes = int(fields[21]) * PAGE_BYTES


def all_processes() -> dict[int, Process]:
    processes = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                processes[int(entry.name)] = Process(int(entry.name), (entry / "stat").read_text())
            except OSError:
                pass  # it has just ended
    return processes


def tree(root: int, processes: dict[int, Process]) -> list[Process]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        if pid in processes:
            found.append(processes[pid])
            waiting.extend(children.get(pid, []))
    return found


def cpu_of_trees(roots: dict[str, list[int]]) -> dict[str, float]:
    """CPU seconds of each part since it began, children that have ended included."""
    processes = all_processes()
    return {
        part: sum(process.cpu_s for pid in pids for process in tree(pid, processes))
        for part, pids in roots.items()
    }


def rss_of_trees(roots: list[int]) -> int:
    """Bytes that the processes of these trees have in memory."""
    processes = all_processes()
    return sum(process.rss_bytes for pid in roots for process in tree(pid, processes))


def machine_busy_s() -> float:
    """CPU seconds that the whole machine was busy since it started, time stolen by its host included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cores": os.cpu_count(),
        "cpu": cpu[0].partition(":")[2].strip() if cpu else "unknown",
        "memory_mb": memory_kb // 1024,
        "kernel": os.uname().release,
    }
