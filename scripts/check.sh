#!/bin/sh
# check.sh -- every test there is.
#   check.sh [--long] [--built] [GROUP...]
#   --long     fuzz each target 10 minutes instead of 10 seconds, and serve 100,000 revisions
#   --built    packages and programs are there already
#   GROUP      only these: lint unit model case fuzz sanitized counts e2e
# A line for each group; of what failed, the part of its log that says why.  The last line is
# "N passed, N failed", with ", N skipped" behind it if something could not be tried here.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"
cd "$here" || exit 1

USAGE='usage: check.sh [--long] [--built] [lint|unit|model|case|fuzz|sanitized|counts|e2e]...'
fuzz_seconds=10
export WSUS_LONG=
built=
groups=
while [ $# -gt 0 ]; do
	case $1 in
	--long) fuzz_seconds=600 WSUS_LONG=1 ;;
	--built) built=yes ;;
	lint | unit | model | case | fuzz | sanitized | counts | e2e) groups="$groups $1" ;;
	-h | --help) echo "$USAGE" && exit 0 ;;
	*) usage_error "unknown argument $1" "$USAGE" ;;
	esac
	shift
done
: "${groups:=lint unit model case fuzz sanitized counts e2e}"

logs=$here/build/check
rm -rf "$logs"
mkdir -p "$logs"
passed=0 failed=0 skipped=0
began=$(date +%s)

# group NAME PASSED FAILED SKIPPED SINCE
report() {
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	printf '%-24s %5d passed, %d failed, %d skipped  (%d s)\n' "$1" "$2" "$3" "$4" $(($(date +%s) - $5))
}

# explain LOG: what of it says why, and where the rest is.
explain() {
	{
		grep -nE '^\[  (ERROR|FAILED)|FAILED|FAIL:|ERROR|Error|error:|Assertion|SUMMARY|runtime error|Traceback|not ok|differs' "$1" | head -n 25
		echo '    ...'
		tail -n 15 "$1"
	} | sed 's/^/    /'
	echo "    the whole log: ${1#"$here"/}"
}

# Counts the tests by the lines that cmocka prints for each; scripts among the unit tests print the same.  A program
# that fails without saying which test did, or that says nothing at all, counts as one failure.
count_cmocka() { # LOG STATUS -> "passed failed skipped"
	awk -v status="$2" '
		/^\[       OK \] / { p++ }
		/^\[  SKIPPED \] / && !/test\(s\)/ && !($4 in skipped) { skipped[$4]; s++ }
		/^\[  FAILED  \] / && !/test\(s\)/ && !($4 in failed) { failed[$4]; f++ }
		END {
			if ((status != 0 && f == 0) || p + f + s == 0) f++
			print p + 0, f + 0, s + 0
		}' "$1"
}

# A program whose exit status is all there is to count.
count_status() { # LOG STATUS -> "passed failed skipped"
	if [ "$2" -eq 0 ]; then
		echo 1 0 0
	else
		echo 0 1 0
	fi
}

# Programs of ours end with "N passed, N failed" and perhaps ", N skipped".
count_own() { # LOG STATUS -> "passed failed skipped"
	awk -v status="$2" '
		/^[0-9]+ passed, [0-9]+ failed/ { p = $1; f = $3; s = (NF >= 5 ? $5 : 0); seen = 1 }
		END {
			if (!seen || (status != 0 && f == 0)) f++
			print p + 0, f + 0, s + 0
		}' "$1"
}

# run_one COUNTER LOG COMMAND...: adds to p, f and s; explains a failure, says what was skipped and why.
run_one() {
	counter=$1
	log=$2
	shift 2
	"$@" >"$log" 2>&1 </dev/null
	counts=$("$counter" "$log" $?)
	p=$((p + ${counts%% *}))
	s=$((s + ${counts##* }))
	one=${counts#* }
	one=${one%% *}
	f=$((f + one))
	if [ "$one" -gt 0 ]; then
		printf '  FAILED: %s\n' "$*"
		explain "$log"
	fi
	grep -hi '^skipped: ' "$log" | sed 's/^[^:]*/  skipped/'
}

# run_all LABEL COUNTER PROGRAMS... [-- ARGUMENTS...]: one after the other.
run_all() {
	since=$(date +%s) p=0 f=0 s=0
	label=$1
	count=$2
	shift 2
	programs=
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		programs="$programs $1"
		shift
	done
	[ $# -eq 0 ] || shift
	for program in $programs; do
		[ -f "$program" ] || continue
		run_one "$count" "$logs/$(echo "$label" | tr ' ' -)-${program##*/}.log" "$program" "$@"
	done
	report "$label" "$p" "$f" "$s" "$since"
}

build() { # LABEL MAKE-ARGUMENTS...
	label=$1
	shift
	log=$logs/build-$(echo "$label" | tr ' ' -).log
	if ! make -j "$(cores)" STRICT=-Werror "$@" >"$log" 2>&1; then
		printf '  FAILED: make %s\n' "$*"
		explain "$log"
		report "build $label" 0 1 0 "$(date +%s)"
		return 1
	fi
}

# cases LABEL PROGRAM: the case runner, once as it is and once with every allocation failing in turn.
cases() {
	since=$(date +%s) p=0 f=0 s=0
	[ -x "$2" ] || return 0
	run_one count_own "$logs/$(echo "$1" | tr ' ' -).log" "$2" test/case
	report "$1" "$p" "$f" "$s" "$since"
}
torture() {
	since=$(date +%s) p=0 f=0 s=0
	[ -x "$2" ] || return 0
	run_one count_own "$logs/$(echo "$1" | tr ' ' -).log" "$2" --torture test/case
	report "$1" "$p" "$f" "$s" "$since"
}

# A target's findings go to build/check, its new inputs too; test/fuzz/seed is only read.
fuzz_one() { # NAME
	mkdir -p "$logs/fuzz-$1"
	seed=
	[ ! -d "test/fuzz/seed/$1" ] || seed=test/fuzz/seed/$1
	# shellcheck disable=SC2086 # one word or none
	"build/fuzz/f_$1" -max_total_time="$fuzz_seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$logs/fuzz-$1-" "$logs/fuzz-$1" $seed >"$logs/fuzz-$1.log" 2>&1 </dev/null || : >"$logs/fuzz-$1.failed"
}

# As many at a time as there are processors: each uses one.
fuzz() {
	since=$(date +%s) p=0 f=0 s=0 running=0 names=
	for target in build/fuzz/f_*; do
		case $target in *.o | *.d) continue ;; esac
		[ -f "$target" ] || continue
		names="$names ${target##*/f_}"
		fuzz_one "${target##*/f_}" &
		running=$((running + 1))
		[ $((running % $(nproc))) -ne 0 ] || wait
	done
	wait
	for name in $names; do
		if [ ! -e "$logs/fuzz-$name.failed" ]; then
			p=$((p + 1))
			continue
		fi
		f=$((f + 1))
		printf '  FAILED: build/fuzz/f_%s\n' "$name"
		explain "$logs/fuzz-$name.log"
	done
	report fuzz "$p" "$f" "$s" "$since"
}

# ---- the groups ----

group_lint() {
	since=$(date +%s) p=0 f=0 s=0
	run_one count_own "$logs/lint.log" scripts/lint.sh
	report lint "$p" "$f" "$s" "$since"
}

group_unit() {
	run_all unit count_cmocka build/test/t_* test/unit/t_*.sh
}

group_model() {
	run_all model count_status build/test/m_*
}

group_case() {
	cases case build/test/case-run
	torture 'case torture' build/test/case-run
}

group_fuzz() {
	build fuzz fuzz && fuzz
}

# The same once more with address and undefined behaviour sanitizers; the model walks a shorter way.
group_sanitized() {
	build sanitized SAN=1 all tests || return
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
	export ASAN_OPTIONS UBSAN_OPTIONS
	run_all 'unit sanitized' count_cmocka build/1/test/t_*
	run_all 'model sanitized' count_status build/1/test/m_* -- --histories 200
	cases 'case sanitized' build/1/test/case-run
	torture 'torture sanitized' build/1/test/case-run
	unset ASAN_OPTIONS UBSAN_OPTIONS
}

# Instructions instead of seconds, which say nothing on a machine that others use too.
group_counts() {
	build counts build/test/b_count || return
	since=$(date +%s) p=0 f=0 s=0
	run_one count_own "$logs/counts.log" scripts/counts.sh
	report counts "$p" "$f" "$s" "$since"
}

group_e2e() {
	since=$(date +%s) p=0 f=0 s=0
	run_one count_own "$logs/e2e.log" /usr/bin/python3 test/e2e/run.py --lanes "$(nproc)"
	report e2e "$p" "$f" "$s" "$since"
}

if [ -z "$built" ]; then
	scripts/install-packages.sh run test || exit 1
fi
if ! build programs all tests; then
	echo "$passed passed, $failed failed"
	exit 1
fi
for name in $groups; do
	"group_$name"
done

echo "all in $(($(date +%s) - began)) s"
if [ "$skipped" -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
