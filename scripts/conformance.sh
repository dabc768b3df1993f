#!/bin/sh
# conformance.sh -- do the tests and doc/conformance.tsv say the same about the rules of the catalogues?
#   conformance.sh            check; prints what differs, then a table by area
#   conformance.sh --quiet    only what differs
#   conformance.sh --update   rewrite the tsv from the markers; notes and "na" states written by hand stay
# The catalogues are looked for in ${WSUS_SPEC:-../shared/spec}.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
exec /usr/bin/python3 "$here/scripts/conformance.py" "$@"
