"""What a browser may do with our pages: nothing that leaves this origin, and no foreign name for this host."""

from dash import Dash
from flask import Response, abort, request

from faasight_dashboards.settings import Settings

_LOCAL_NAMES = {"127.0.0.1", "localhost", "[::1]"}


def protect(app: Dash, settings: Settings) -> None:
    """Set the security headers, and refuse foreign Host headers on loopback (DNS rebinding)."""
    policy = _policy(app)

    def check_host() -> None:
        name = request.host if request.host.endswith("]") else request.host.rsplit(":", 1)[0]
        if not settings.allow_remote and name not in _LOCAL_NAMES:
            abort(403, "This host name is not served: open http://127.0.0.1, or start with remote access allowed.")

    def add_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    app.server.before_request(check_host)
    app.server.after_request(add_headers)


def _policy(app: Dash) -> str:
    # Inline styles are how Plotly, AG Grid and Mantine place things; inline scripts run by their hash alone.
    scripts = " ".join(["'self'", *app.csp_hashes()])
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )
