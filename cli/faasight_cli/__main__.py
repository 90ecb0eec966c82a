"""Lets `python -m faasight_cli` be the `faasight` command."""

import sys

from faasight_cli.main import main

sys.exit(main())
