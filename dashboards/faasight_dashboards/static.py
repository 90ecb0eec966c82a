"""Static files: the small Plotly bundle where there is one, and each file compressed once."""

import gzip
import threading
from pathlib import Path

from flask import Flask, Response, request, send_file

PLOTLY = Path(__file__).parent / "vendor" / "plotly-cartesian.min.js"  # brought by dashboards/assets.sh

_PLOTLY_ADDRESS = "/_dash-component-suites/plotly/package_data/plotly.min.js"  # Dash's, fixed in its renderer
_TEXT = ("text/", "application/json", "application/javascript", "image/svg+xml")
_WORTH_BYTES = 1400  # below, it is one packet anyway
_MOST_KEPT = 256  # files; Dash serves one under any number of versions, and anybody can ask for those
_STATIC = ("/assets/", "/_dash-component-suites/")


def serve(server: Flask, plotly: Path = PLOTLY) -> None:
    """Add both to an app."""
    packed = _Packed()

    def small_plotly() -> Response | None:
        if request.path == _PLOTLY_ADDRESS and plotly.exists():
            return send_file(plotly, mimetype="text/javascript", max_age=3600)
        return None

    server.before_request(small_plotly)
    server.after_request(packed.compress)


class _Packed:
    """Compresses answers; those of static files are kept, by path and ETag."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: dict[tuple[str, str], bytes] = {}

    def compress(self, response: Response) -> Response:
        """Return the answer gzipped, where that is wanted and worth it."""
        if not _worth(response):
            return response
        static = request.path.startswith(_STATIC)
        response.direct_passthrough = False
        close = getattr(response.response, "close", None)  # of the file it would have sent
        if close is not None:
            response.call_on_close(close)
        body = self._static(response) if static else gzip.compress(response.get_data(), 1)
        response.set_data(body)
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
        return response

    def _static(self, response: Response) -> bytes:
        key = (request.path, response.headers.get("ETag", ""))
        with self._lock:
            known = self._bodies.get(key)
        if known is None:
            known = gzip.compress(response.get_data(), 6)
            with self._lock:
                if len(self._bodies) < _MOST_KEPT:
                    self._bodies[key] = known
        return known


def _worth(response: Response) -> bool:
    return (
        response.status_code == 200
        and "gzip" in request.headers.get("Accept-Encoding", "")
        and "Content-Encoding" not in response.headers
        and (response.content_type or "").startswith(_TEXT)
        and (response.content_length or _WORTH_BYTES) >= _WORTH_BYTES
    )
