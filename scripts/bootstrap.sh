#!/bin/sh
# Makes .venv with the pinned packages of a requirements file, when that has not been done yet.
#   scripts/bootstrap.sh requirements.txt|requirements-dev.txt
# Needs Python 3.11 or newer; PYTHON names a particular one.
set -eu

cd "$(dirname "$0")/.."
wanted=$1

fail() {
    printf 'scoreboard: %s\n' "$1" >&2
    exit 1
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# A name on the PATH is not enough: version managers leave shims there that only fail.
found=
recent=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    is_recent "$candidate" || continue
    recent=${recent:-$candidate}
    if can_make "$candidate"; then
        found=$candidate
        break
    fi
done
[ -n "$recent" ] || fail "Python 3.11 or newer is needed, and none of ${PYTHON:-python3, python3.11 ... python3.14} is one"

if [ -z "$found" ]; then
    # Debian keeps venv apart from Python, in a package of the same version.
    package=$("$recent" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        printf 'scoreboard: installing %s, which Debian keeps apart from Python\n' "$package" >&2
        { apt-get update && apt-get install -y "$package"; } >/dev/null 2>&1 ||
            fail "apt-get could not install $package"
        can_make "$recent" || fail "$recent still cannot make virtual environments"
    else
        fail "$recent cannot make virtual environments: install $package (apt-get install $package)"
    fi
    found=$recent
fi

# The environment holds absolute paths, so a folder that was moved or copied gets a new one.
home="$(pwd) $("$found" -c 'import sys; print(sys.version, sys.executable)')"
if [ "$(cat .venv/.home 2>/dev/null)" != "$home" ]; then
    rm -rf .venv
    printf 'scoreboard: making .venv with %s (once)\n' "$("$found" --version)" >&2
    "$found" -m venv .venv
    printf '%s' "$home" >.venv/.home
fi

state=$(cat "$wanted" pyproject.toml | cksum)
if [ "$(cat ".venv/.$wanted" 2>/dev/null)" != "$state" ]; then
    printf 'scoreboard: installing the packages of %s (once, under a minute)\n' "$wanted" >&2
    .venv/bin/python -m pip install -qq --disable-pip-version-check --requirement "$wanted" ||
        fail "the packages could not be installed"
    printf '%s' "$state" >".venv/.$wanted"
fi
