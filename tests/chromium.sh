#!/bin/sh
# Sees to it that there is a Chromium for the browser tests: installs Debian's where this user may, else says what to type.
set -eu
there() {
    for name in chromium chromium-browser google-chrome; do
        if command -v "$name" >/dev/null 2>&1; then return 0; fi
    done
    return 1
}
if there; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium for the browser tests..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null || true
    if there; then exit 0; fi
fi
echo "The browser tests need Chromium, and are skipped without it. Install it, for example: sudo apt-get install chromium" >&2
[ -z "${CI:-}" ] || exit 1
