#!/bin/sh
# b_store.sh -- what the store costs: import, its size, approvals, start-up, memory; beside each figure its floor.
#   b_store.sh [--json] [--revisions N] [--big MB]
#   --json         one JSON object a line instead of the table
#   --revisions N  of the sample catalog (default 5000)
#   --big MB       text of the one big document (default 50)
# Build first: make all build/test/b_lmdb.  The floors come from the same run and the same disk: test/bench/b_lmdb.c
# puts as many rows of the same size into a bare LMDB.  Works below TMPDIR, with servers on free ports of 127.0.0.1.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/scripts/common.sh"
bin=$here/bin test=$here/build/test

USAGE='usage: b_store.sh [--json] [--revisions N] [--big MB]'
ROUNDS=5
GROUPS_AT_ONCE=200
json='' revisions=5000 big=50
while [ $# -gt 0 ]; do
	case $1 in
	--json) json=yes ;;
	--revisions | --big)
		is_number "${2:-}" || usage_error "$1 needs a number" "$USAGE"
		[ "$1" = --big ] && big=$2 || revisions=$2
		shift
		;;
	*) usage_error "unknown argument $1" "$USAGE" ;;
	esac
	shift
done

work=$(mktemp -d)
state=$work/state
finish() {
	[ ! -e "$state/VERSION" ] || "$here/scripts/run.sh" --state "$state" --stop 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- figures ----

# figure NAME VALUE UNIT [FLOOR WHAT]: the ratio is value to floor.
figure() {
	awk -v json="$json" -v name="$1" -v value="$2" -v unit="$3" -v floor="${4:-}" -v what="${5:-}" 'BEGIN {
		ratio = floor > 0 ? sprintf("%.2f", value / floor) : ""
		if (json) {
			printf "{\"name\":\"%s\",\"value\":%s,\"unit\":\"%s\"", name, value, unit
			if (ratio != "") printf ",\"floor\":%s,\"floor_is\":\"%s\",\"ratio\":%s", floor, what, ratio
			print "}"
		} else if (ratio != "")
			printf "%-46s %10s %-8s %6s x %10s  %s\n", name, value, unit, ratio, floor, what
		else
			printf "%-46s %10s %-8s\n", name, value, unit
	}'
}

divide() { # A B [DIGITS]
	awk -v a="$1" -v b="$2" -v digits="${3:-1}" 'BEGIN { printf "%." digits "f\n", (b > 0 ? a / b : 0) }'
}

median() { # of numbers, one a line
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

milliseconds() { # COMMAND...: how long it takes; its output goes to $work/out
	began=$(date +%s%N)
	"$@" >"$work/out" 2>&1 || die "failed: $* ($(tail -n 1 "$work/out"))"
	divide $(($(date +%s%N) - began)) 1000000 2
}

# What b_lmdb said, by name.
floor() {
	awk -v name="$1" '$1 == name { print $2 }' "$work/floor"
}
measure_floor() { # ROWS BYTES BATCH
	rm -rf "$work/bare"
	mkdir "$work/bare"
	"$test/b_lmdb" "$work/bare" "$@" >"$work/floor"
}

control() {
	store=$1
	shift
	"$bin/wsusctl" --store "$store" "$@"
}

# ---- import ----

import_new() { # DIRECTORY
	rm -rf "$work/store"
	mkdir "$work/store"
	control "$work/store" store create >/dev/null
	milliseconds control "$work/store" update import "$1"
}

# The most private memory that the import had, in KB.  Not timed: looking at it costs time.
import_peak() { # DIRECTORY
	rm -rf "$work/store"
	mkdir "$work/store"
	control "$work/store" store create >/dev/null
	"$bin/wsusctl" --store "$work/store" update import "$1" >/dev/null 2>&1 &
	importer=$! peak=0
	while kill -0 "$importer" 2>/dev/null; do
		while read -r key value _; do
			if [ "$key" = RssAnon: ] && [ "$value" -gt "$peak" ]; then
				peak=$value
			fi
		done 2>/dev/null <"/proc/$importer/status" || true
		sleep 0.01
	done
	wait "$importer" || die "the import failed"
	echo "$peak"
}

# imported NAME DIRECTORY BATCH
imported() {
	find "$2" -name '*.xml' -exec cat {} + >"$work/text"
	documents=$(find "$2" -name '*.xml' | wc -l)
	bytes=$(wc -c <"$work/text")
	wide=$(iconv -f UTF-8 -t UTF-16LE "$work/text" | wc -c)
	rm "$work/text"
	: >"$work/ms" && : >"$work/loads"
	for _ in $(seq "$ROUNDS"); do
		import_new "$2" >>"$work/ms"
		measure_floor "$documents" $((bytes / documents)) "$3"
		floor load >>"$work/loads"
	done
	ms=$(median <"$work/ms")
	figure "$1: time" "$ms" ms
	figure "$1: spread" "$(sort -n "$work/ms" | sed -n '1p;$p' | paste -s | awk '{ printf "%.2f", $2 - $1 }')" ms
	figure "$1: document text" "$(divide $((bytes / 1000)) "$ms")" MB/s "$(median <"$work/loads")" 'the text put into a bare LMDB'
	peak=$(import_peak "$2")
	figure "$1: peak of private memory" "$(divide "$peak" 1024)" MB
	size=$(du -k --apparent-size "$work/store/catalog/data.mdb" | cut -f 1)
	figure "$1: store on disk" "$(divide "$size" 1024)" MB "$(divide "$wide" 1048576)" 'the documents in UTF-16'
}

# ---- an instance ----

# Two free ports, one behind the other.
free_port() {
	port=$((20000 + $$ % 10000))
	while port_holder "$port" >/dev/null || port_holder $((port + 1)) >/dev/null; do
		port=$((port + 2))
	done
	echo "$port"
}

start_instance() {
	port=$(free_port)
	"$here/scripts/run.sh" --state "$state" --port "$port" --tls-port $((port + 1)) --catalog "$work/catalog/updates" --detach \
		>"$work/out" 2>&1 || die "run.sh: $(tail -n 3 "$work/out")"
}

# Until the first worker says that it serves, on a socket of its own.
client_ready() {
	mkfifo "$work/ready"
	began=$(date +%s%N)
	"$bin/wsus-client" -s "$work/client.sock" -S "$state/store" -K "$state/keys/master" -R 3 3>"$work/ready" </dev/null 2>"$work/out" &
	client=$!
	[ "$(head -c 1 "$work/ready" | wc -c)" -eq 1 ] || die "wsus-client: $(tail -n 1 "$work/out")"
	divide $(($(date +%s%N) - began)) 1000000 2
	end_process "$client" TERM 5
	rm -f "$work/ready" "$work/client.sock"
}

one_request() {
	request='<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetConfig xmlns="http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService"><protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>'
	printf '%s' "$request" >"$work/request"
	REQUEST_METHOD=POST CONTENT_TYPE='text/xml; charset=utf-8' CONTENT_LENGTH=${#request} \
		"$bin/wsus-client" -S "$state/store" -K "$state/keys/master" <"$work/request" | grep -q '<GetConfigResult>'
}

several() { # COMMAND...: the median of what it prints
	: >"$work/several"
	for _ in $(seq "$ROUNDS"); do
		"$@" >>"$work/several"
	done
	median <"$work/several"
}

start_up() {
	nothing=$(several milliseconds /bin/true)
	figure 'start-up: wsus-client until it serves' "$(several client_ready)" ms "$nothing" 'a process that does nothing'
	figure 'start-up: process, one answer, end (CGI)' "$(several milliseconds one_request)" ms "$nothing" 'a process that does nothing'
}

# ---- approvals ----

scan() {
	"$bin/wsus-probe" "http://127.0.0.1:$port" --state "$work/probe" --json
}

offered() {
	control "$state/store" update list | awk '$1 ~ /^[0-9a-f]+-.*-/ && / Software / && / offered / { print $1 }' | tail -n "$1"
}

# Each approval must be in the scan that follows it.
approvals() {
	scan >/dev/null
	: >"$work/approve" && : >"$work/seen"
	for id in $(offered "$ROUNDS"); do
		took=$(milliseconds control "$state/store" approve "$id" --group all)
		scan_took=$(milliseconds scan)
		grep -qE '"updates":\{"new":[0-9]+,"changed":[1-9]|"updates":\{"new":[1-9]' "$work/out" || die "the scan does not show that $id was approved"
		echo "$took" >>"$work/approve"
		awk -v a="$took" -v b="$scan_took" 'BEGIN { print a + b }' >>"$work/seen"
	done
	measure_floor 1 1 1
	figure 'approval: the command' "$(median <"$work/approve")" ms "$(floor commit)" 'one row committed to a bare LMDB'
	figure 'approval: command and the scan that shows it' "$(median <"$work/seen")" ms "$(floor commit)" 'one row committed to a bare LMDB'
	figure 'floor: a bare fsync' "$(floor fsync)" ms
}

# approve_groups ID FROM TO
approve_groups() {
	id=$1
	from=$2 to=$3
	set --
	for n in $(seq "$from" "$to"); do
		set -- "$@" --group "group $n"
	done
	control "$state/store" approve "$id" "$@"
}

# As few commands as it takes: one has at most 64 options.
approve_all_groups() {
	first=1
	while [ "$first" -le "$GROUPS_AT_ONCE" ]; do
		approve_groups "$1" "$first" $((first + 49))
		first=$((first + 50))
	done
}

many_groups() {
	for n in $(seq "$GROUPS_AT_ONCE"); do
		control "$state/store" group create "group $n" >/dev/null
	done
	took=$(milliseconds approve_all_groups "$(offered 1)")
	figure "approval: $GROUPS_AT_ONCE groups, $((GROUPS_AT_ONCE / 50)) commands" "$took" ms "$(floor commit)" 'one row committed to a bare LMDB'
}

# ---- memory ----

descendants() { # PID...: with their children, and theirs
	for of in "$@"; do
		echo "$of"
		# shellcheck disable=SC2046 # a list of numbers
		descendants $(ps -o pid= --ppid "$of")
	done
}

# Private memory of every process of the instance, in KB, by program: "name processes sum most".
memory_by_program() {
	# shellcheck disable=SC2046 # a list of numbers
	for pid in $(descendants $(cat "$state"/run/*.pid)); do
		kb=$(awk '/^Private_Dirty:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null) || continue
		[ -z "$kb" ] || echo "$(cat "/proc/$pid/comm") $kb"
	done | awk '
		{ n[$1]++; sum[$1] += $2; if ($2 > most[$1]) most[$1] = $2 }
		END { for (p in n) print p, n[p], sum[p], most[p] }' | sort
}

memory() {
	if ! is_root; then
		say "skipped: private memory: only root may look at processes that keep secrets"
		return
	fi
	memory_by_program >"$work/memory"
	while read -r program n sum most; do
		figure "idle, private: $program, $n processes" "$(divide "$sum" 1024)" MB
		figure "idle, private: $program, the largest" "$(divide "$most" 1024)" MB
	done <"$work/memory"
	figure 'idle, private: all together' "$(awk '{ kb += $3 } END { printf "%.1f", kb / 1024 }' "$work/memory")" MB
}

# ---- all of it ----

"$test/make-catalog" --revisions "$revisions" --seed 1 --out "$work/catalog" >/dev/null
"$test/make-catalog" --revisions 300 --seed 1 --big-document "$big" --out "$work/with-big" >/dev/null
mkdir "$work/big"
find "$work/with-big" -name '*.xml' -size +1M -exec mv {} "$work/big/" \;
rm -rf "$work/with-big"

[ -n "$json" ] || printf '%-46s %10s %-8s %6s   %10s\n' '' value '' ratio floor
imported "import of $revisions" "$work/catalog/updates" 500
imported "import of one of $big MB" "$work/big" 1
start_instance
start_up
memory
approvals
many_groups
