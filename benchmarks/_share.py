"""A share of one CPU for a process, as Lambda gives it by memory: 128 MB of the 1,769 MB that have a whole one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SMALL = 128 / 1769  # Lambda developer guide, "Configure Lambda function memory"
PERIOD_US = 20_000


@contextmanager
def share(of_one_cpu: float) -> Iterator[list[str] | None]:
    """Make a control group with this share; give what to put before a command line, None where none can be made."""
    group = None
    for root, files in (
        (Path("/sys/fs/cgroup/cpu"), ("cpu.cfs_period_us", "cpu.cfs_quota_us")),
        (Path("/sys/fs/cgroup"), ("cpu.max",)),
    ):
        quota = int(PERIOD_US * of_one_cpu)
        texts = [str(PERIOD_US), str(quota)] if len(files) == 2 else [f"{quota} {PERIOD_US}"]
        group = root / f"faasight-{os.getpid()}"
        try:
            group.mkdir()
            for name, text in zip(files, texts, strict=True):
                (group / name).write_text(text)
            break
        except OSError:
            with suppress(OSError):
                group.rmdir()
            group = None
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"] if group else None
    finally:
        if group:
            with suppress(OSError):  # a process may be on its way out still
                group.rmdir()
