#!/bin/sh
# Installs what tests/platform needs and no wheel has: servers that speak TLS, and a pooler.
# As root with Debian's packages; otherwise it names those that are missing.
set -eu

PATH=$PATH:/usr/sbin

missing=
need() {
    command -v "$2" >/dev/null 2>&1 || missing="$missing $1"
}

found=
for program in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$program" ] && found=$program
done
need postgresql "${found:-initdb}"
need redis-server redis-server
need pgbouncer pgbouncer
need openssl openssl
need nodejs nodejs
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    printf 'scoreboard: install%s (apt-get install%s)\n' "$missing" "$missing" >&2
    exit 1
fi
printf 'scoreboard: installing%s\n' "$missing" >&2
# The tests start servers of their own: 101 keeps the packages from starting theirs.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086 # several words
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y $missing; } >/dev/null 2>&1 || {
    printf 'scoreboard: apt-get could not install%s\n' "$missing" >&2
    exit 1
}
