#!/bin/sh
# Installs the hosts of Google's and Azure's functions beside the tests' environment. CI must have them.
set -eu
cd "$(dirname "$0")"
python=${1:-../../../.venv/bin/python}
folder=$("$python" -c 'import sys; print(sys.prefix)')/hosts

install() { # name, further options of pip
    name=$1
    shift
    if [ "$folder/$name/.installed" -nt "requirements-$name.txt" ]; then
        return
    fi
    rm -rf "${folder:?}/$name"
    if "$python" -m pip install --quiet --disable-pip-version-check --target "$folder/$name" \
        --requirement "requirements-$name.txt" "$@"; then
        touch "$folder/$name/.installed"
    else
        echo "The host of $name's functions could not be installed: the tests that need it are skipped." >&2
        [ -z "${CI:-}" ] || exit 1
    fi
}

install google --constraint ../../../constraints.txt
install azure --no-deps --ignore-requires-python
