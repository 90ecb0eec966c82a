#!/bin/sh
# Installs OpenTelemetry's SDK for JavaScript, which tests/collector/test_javascript.py sends with. CI must have it.
set -eu
cd "$(dirname "$0")"
if ! command -v npm >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Node.js for the tests with foreign clients..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm >/dev/null || true
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "Without Node.js and npm the tests with OpenTelemetry's JavaScript SDK are skipped." >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
fi
[ node_modules/.installed -nt package.json ] && exit 0
if npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null 2>&1; then
    touch node_modules/.installed
else
    echo "npm could not install OpenTelemetry's JavaScript SDK: the tests that need it are skipped." >&2
    [ -z "${CI:-}" ] || exit 1
fi
