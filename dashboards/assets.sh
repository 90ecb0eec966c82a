#!/bin/sh
# Brings the small Plotly bundle (a third of the full one) from npm. Quick and safe without npm or a network: the full bundle serves then.
set -u
version=4.1.1 # of plotly.js in the Python package plotly (constraints.txt)
here=$(dirname "$0")
bundle="$here/faasight_dashboards/vendor/plotly-cartesian.min.js"
[ ! -f "$bundle" ] && command -v npm >/dev/null 2>&1 || exit 0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if (cd "$scratch" && npm pack --silent --fetch-retries=0 --fetch-timeout=20000 "plotly.js-cartesian-dist-min@$version" && tar -xzf ./*.tgz) >/dev/null 2>&1; then
    mkdir -p "$(dirname "$bundle")"
    cp "$scratch/package/LICENSE" "$(dirname "$bundle")/plotly.LICENSE"
    cp "$scratch/package/plotly-cartesian.min.js" "$bundle.part" && mv "$bundle.part" "$bundle"
else
    echo "No Plotly bundle from npm: the full one of the Python package serves."
fi
exit 0
