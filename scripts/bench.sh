#!/bin/sh
# bench.sh -- the place where every claim about speed is made: doc/PERFORMANCE.md says how to read it.
#   bench.sh [--quick] [--only PART,...] [--json FILE] [--rounds N] [--seconds S] [--answers N] [--revisions N,...]
#   bench.sh --storm [N] [--json FILE] [--connections C] [--revisions N]
#   bench.sh --soak HOURS [--json FILE] [--rate R] [--computers N] [--revisions N]
#   bench.sh --settings [NAME...] [--rounds N] [--seconds S]
#   --quick      5,000 revisions and short rounds, below two minutes once everything is built
#   --only PART  not everything; -h lists the parts
#   --json FILE  the figures for programs
#   --storm [N]  only the storm: N new computers (10,000) as fast as the machine can, while policy changes
#   --soak HOURS a mixed load at a steady rate (fractions of hours allowed); exit status 1 if anything grows or fails
#   --settings   other values of the settings named, or of all, beside the defaults
# Prints Markdown.  Exit status 1: an answer was wrong; a missed target is no failure.
# Builds what it needs, starts servers of its own on free ports with their state below TMPDIR, and ends them.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"

program=bench
case "${1-}" in
--storm | --soak | --settings)
	program=${1#--}
	shift
	;;
esac
make -s -C "$here" -j "$(cores)" all benches >&2
exec /usr/bin/python3 "$here/test/bench/$program.py" "$@"
