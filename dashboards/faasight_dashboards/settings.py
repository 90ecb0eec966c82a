"""The settings of the dashboards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where the dashboards listen, and what a viewer sees first."""

    host: str = "127.0.0.1"
    port: int = 8050  # 0: any free one
    allow_remote: bool = False  # listen beyond this machine; there is no sign-in yet, so that a proxy must guard it
    default_range: str = "now-3h"  # of a page opened without one
    default_refresh_s: int = 0  # of a viewer who has not chosen; 0 is off
    threads: int = 8
    collector_url: str = "http://127.0.0.1:4318"  # shown in the first-run snippet
    collector_asks_for_token: bool = False  # likewise
