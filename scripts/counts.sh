#!/bin/sh
# counts.sh -- instructions of a page, a differential scan, an import and what a downstream server asks, against
# test/bench/counts.tsv.
#   counts.sh [--update]     --update: write what was counted as the figures of this compiler
# Times vary from run to run and machine to machine, instructions of our own code hardly: libraries are not counted.
# More than a tenth off either way fails: above, something costs more; below, the figure is out of date.
# Build first: make build/test/b_count build/test/make-catalog.  Last line: N passed, N failed[, N skipped].
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"
cd "$here"

# In the order in which b_count does them.
WHAT='page after-change differential import'
SYNC='sync-list sync-documents sync-deployments'
FIGURES=test/bench/counts.tsv
TOLERANCE=10 # percent

update=
case ${1:-} in
'') ;;
--update) update=yes ;;
*) usage_error "unknown argument $1" "usage: counts.sh [--update]" ;;
esac

skip_all() {
	echo "skipped: instruction counts: $1"
	# shellcheck disable=SC2086 # a list of words
	set -- $WHAT $SYNC
	echo "0 passed, 0 failed, $# skipped"
	exit 0
}

compiler=$(uname -m)-gcc-$(gcc -dumpversion | cut -d . -f 1)
command -v valgrind >/dev/null || skip_all "valgrind is not installed"
valgrind -q --tool=callgrind --callgrind-out-file=/dev/null true >/dev/null 2>&1 || skip_all "valgrind does not run here"
[ -n "$update" ] || grep -q "^$compiler	" "$FIGURES" || skip_all "no figures for $compiler in $FIGURES; see counts.sh --update"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
export WSUS_CATALOG_MAP_MB=256 WSUS_FLEET_MAP_MB=64 # valgrind has no room for the usual maps

# count REVISIONS LANGUAGES MODE: leaves a profile of each piece in $work/countedMODE.N.
count() {
	mkdir "$work/store$3"
	build/test/make-catalog --revisions "$1" --seed 1 --languages "$2" --out "$work/catalog$3" >/dev/null
	build/test/b_count "prepare$3" "$work/catalog$3" "$work/store$3"
	if ! valgrind --tool=callgrind --toggle-collect='count_*' --dump-after=count_answer --dump-after=count_import \
		--compress-strings=no --compress-pos=no --callgrind-out-file="$work/counted$3" \
		build/test/b_count "measure$3" "$work/catalog$3" "$work/store$3" >"$work/log" 2>&1; then
		cat "$work/log"
		die "the work failed under valgrind"
	fi
}
count 500 4 ''
count 5000 1 -sync

# own PROFILE: the instructions in the program itself; the line behind "calls=" is the callee's share.
own() {
	awk '
		/^ob=/ { own = /\/b_count$/ }
		/^calls=/ { getline; next }
		own && /^[0-9]/ { sum += $2 }
		END { printf "%d\n", sum }' "$1"
}

# named MODE NAME...: a line of figures of each.
named() {
	profile=$work/counted$1
	n=0
	shift
	for what in "$@"; do
		n=$((n + 1))
		printf '%s\t%s\t%s\n' "$compiler" "$what" "$(own "$profile.$n")"
	done
}
# shellcheck disable=SC2086 # lists of words
{
	named '' $WHAT
	named -sync $SYNC
} >"$work/now"

if [ -n "$update" ]; then
	grep -v "^$compiler	" "$FIGURES" >"$work/others" || true
	cat "$work/others" "$work/now" >"$FIGURES"
	cat "$work/now"
	exit 0
fi

awk -F '\t' -v tolerance="$TOLERANCE" '
	NR == FNR { figure[$1 FS $2] = $3; next }
	{
		was = figure[$1 FS $2]
		if (!was) {
			printf "skipped %-14s %10d instructions, no figure for this compiler\n", $2, $3
			skipped++
			next
		}
		off = ($3 - was) * 100 / was
		if (off > tolerance || off < -tolerance) {
			verdict = "FAILED:"
			failed++
		} else {
			verdict = "ok"
			passed++
		}
		printf "%-8s%-14s %10d instructions, %+.1f %% of %d%s\n", verdict, $2, $3, off, was,
			off < -tolerance ? "; better: counts.sh --update" : ""
	}
	END {
		printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : ""
		exit failed > 0
	}' "$FIGURES" "$work/now"
