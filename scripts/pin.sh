#!/bin/sh
# Writes requirements*.txt from pyproject.toml: exact versions, valid for every Python from 3.11 on
# and free of the address of any package index.
set -eu

cd "$(dirname "$0")/.."

pin() {
    file=$1
    shift
    {
        printf '# Made by `make pins` from pyproject.toml; install with pip install -r %s.\n' "$file"
        printf -- '--editable .\n'
        .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --upgrade \
            --no-header --no-annotate "$@" pyproject.toml
    } >"$file.new"
    mv "$file.new" "$file"
}

pin requirements.txt
pin requirements-dev.txt --group dev
pin requirements-browser.txt --group dev --group browser
pin requirements-bench.txt --group dev --group bench
