#!/bin/sh
# bench.sh -- the place where every claim about speed is made: doc/PERFORMANCE.md says how to read it.
#   bench.sh [--quick] [--json FILE] [--rounds N] [--seconds S] [--revisions N,...]
#   --quick      5,000 revisions and short rounds, below two minutes once everything is built
#   --json FILE  the figures for programs
# Builds what it needs, starts servers of its own on free ports with their state below TMPDIR, and ends them.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"

make -s -C "$here" -j "$(cores)" all benches >&2
exec /usr/bin/python3 "$here/test/bench/bench.py" "$@"
