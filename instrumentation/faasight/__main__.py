"""The command line: it prints what AWS_LAMBDA_EXEC_WRAPPER needs, what PYTHONPATH needs at Google, and the settings."""

import sys
from pathlib import Path

from faasight.settings import TABLE

USAGE = "usage: python -m faasight exec-wrapper | python-path | settings"


def main(arguments: list[str]) -> int:
    """Run one command; the result is the exit status."""
    if arguments == ["exec-wrapper"]:
        sys.stdout.write(f"{Path(__file__).with_name('faasight-exec')}\n")
        return 0
    if arguments == ["python-path"]:
        sys.stdout.write(f"{Path(__file__).with_name('zero')}\n")
        return 0
    if arguments == ["settings"]:
        sys.stdout.writelines(f"{row.env}={row.default}\n    {row.meaning}\n" for row in TABLE)
        return 0
    sys.stderr.write(f"{USAGE}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
