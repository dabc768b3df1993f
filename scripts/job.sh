#!/bin/sh
# job.sh -- one job of a server, once: what its timers, cron or jobs.sh run, and what may be run by hand at any time.
# shellcheck disable=SC2317 # the jobs are called by name
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"

USAGE='usage: job.sh [--state DIR] [--delay SECONDS] [--log FILE] tick|health|backup|certificate|logs
  tick            let what is due take effect: go-live times that are reached, files that came
  health          is the server well? tells who is to know, and leaves the answer for /health and /metrics
  backup          a verified copy of store, keys and configuration; keeps the newest
  certificate     renew the certificate of the server if it ends soon
  logs            set aside logs that have grown large, where logrotate does not
  --state DIR     of an instance of run.sh; without, the installed server
  --delay SECONDS wait for up to that long first, so that not all machines begin at once
  --log FILE      add what there is to say to FILE instead of standard output
Exit status: 0 done, 1 failed, 2 wrong usage, 75 the job runs already'
RUNS_ALREADY=75

instance='' delay=0 log_file='' job=''
while [ $# -gt 0 ]; do
	case $1 in
	--state | --delay | --log) [ -n "${2:-}" ] || usage_error "$1 needs a value" "$USAGE" ;;
	esac
	case $1 in
	--state) instance=$2 && shift ;;
	--delay) delay=$2 && shift ;;
	--log) log_file=$2 && shift ;;
	-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
	tick | health | backup | certificate | logs)
		[ -z "$job" ] || usage_error "one job is wanted, not $job and $1" "$USAGE"
		job=$1
		;;
	*) usage_error "there is no job or option $1" "$USAGE" ;;
	esac
	shift
done
[ -n "$job" ] || usage_error "which job?" "$USAGE"
is_number "$delay" || usage_error "--delay wants a number of seconds, not $delay" "$USAGE"

# ---- places ----

# An instance of run.sh keeps everything in one directory; an installed server where its configuration file says.
if [ -n "$instance" ]; then
	state=$(cd "$instance" 2>/dev/null && pwd -P) || die "there is no directory $instance"
	store=$state/store
	certificates=$state
	[ "$job" != backup ] || die "an instance of run.sh has no nightly backup; wsusctl backup makes one"
else
	export WSUS_CONF="$etc/wsus.conf"
	store=$(setting store)
	certificates=$(setting tls)
fi
# Locks, what came of the last run of each job, and what /health and /metrics show.
jobs=$state/jobs
umask 007

# ---- words ----

now() {
	date -u +%Y-%m-%dT%H:%M:%SZ
}

log_line() {
	if [ -n "$log_file" ]; then
		printf '%s %s: %s\n' "$(now)" "$job" "$1" >>"$log_file"
	else
		printf '%s %s: %s\n' "$(now)" "$job" "$1"
	fi
}

# Of the last run: `last_of KEY`.
last_of() {
	sed -n "s/^$1 //p" "$jobs/$job.last" 2>/dev/null || true
}

# All that was said, in one line.
in_one_line() {
	awk '{ $1 = $1; printf "%s%s", between, $0; between = ", " }' "$1" 2>/dev/null | cut -b 1-1000
}

# ---- one at a time ----

take_lock() {
	mkdir -p "$jobs" 2>/dev/null || true
	[ -w "$jobs" ] || die "$jobs may not be written by $(id -un): run this as root"
	chmod 755 "$jobs" 2>/dev/null || true
	exec 9>>"$jobs/$job.lock"
	if ! flock -n 9; then
		log_line "runs already: $(cat "$jobs/$job.lock")"
		exit "$RUNS_ALREADY"
	fi
	printf 'process %s since %s\n' "$$" "$(now)" >"$jobs/$job.lock"
}

# in_background COMMAND...: waits for it, but a signal's trap runs at once and ends it.  The lock (9) is this script's,
# not that of what it starts: a program that an administrator has run may leave another behind.
child=''
in_background() {
	"$@" 9<&- &
	child=$!
	status=0
	wait "$child" || status=$?
	child=''
}

end() {
	trap '' TERM INT HUP
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	wait
	exit 143
}
trap end TERM INT HUP

# ---- the jobs: each becomes its program, so that a signal reaches it; what it says goes to $said ----

job_tick() {
	exec "$bin/wsusctl" --store "$store" --admin jobs store tick --quiet >"$said" 2>&1
}

job_health() {
	set -- health --notify --metrics "$jobs/metrics.prom" --state "$jobs/health.state"
	# An instance of run.sh has its ports in no configuration file.
	if [ -n "$instance" ] && [ -s "$state/run/url" ]; then
		set -- "$@" --url "$(cat "$state/run/url")"
	fi
	exec "$bin/wsusctl" --store "$store" "$@" >"$jobs/health.new" 2>"$said"
}

job_backup() {
	to=$(setting backup.to 2>"$said") || exit 1
	keep=$(setting backup.keep 2>"$said") || exit 1
	if [ -z "$to" ]; then
		echo "switched off: backup.to is empty" >"$said"
		exit 0
	fi
	exec "$bin/wsusctl" --store "$store" --admin jobs backup "$to" --keep "$keep" >"$said" 2>&1
}

job_certificate() {
	exec "$lib/tls.sh" --renew "$certificates" >"$said" 2>&1
}

job_logs() {
	if [ -n "$instance" ]; then
		set -- "$state/log" "$state/run/nginx.pid"
	else
		set -- "$log" /run/nginx.pid
	fi
	exec "$lib/rotate.sh" "$@" >"$said" 2>&1
}

# Its exit status is how well the server is; to find that out is what the job is for, unless it could not (3).
after_health() {
	if [ -s "$jobs/health.new" ]; then
		chmod 644 "$jobs/health.new"
		mv "$jobs/health.new" "$jobs/health.txt"
		head -n 1 "$jobs/health.txt" >>"$said"
	fi
	[ "$status" -gt 2 ] || status=0
}

# ---- what is logged: beginning and end of the daily jobs; of those that run every few minutes what is another than
# the last time.  A line a minute that says nothing would hide the others. ----

is_daily() {
	[ -z "$instance" ] && { [ "$job" = backup ] || [ "$job" = certificate ]; }
}

is_as_before() {
	[ "$words" = "$before_words" ] && [ "$status" -eq "$before" ]
}

log_end() {
	result=${words:-nothing to do}
	if [ "$status" -ne 0 ]; then
		result="failed: $words"
	elif [ "$before" -ne 0 ]; then
		result="it works again${words:+: $words}"
	elif [ -z "$words" ] && ! is_daily; then
		return 0
	fi
	if is_daily || ! is_as_before; then
		log_line "$result"
	fi
}

# Read by `wsusctl health`.
write_last() {
	printf '%s\n' "started $started" "ended $(date +%s)" "status $status" "succeeded $succeeded" "said $words" >"$jobs/$job.last.new"
	chmod 644 "$jobs/$job.last.new"
	mv "$jobs/$job.last.new" "$jobs/$job.last"
}

if [ "$delay" -gt 0 ]; then
	in_background sleep $(($(od -An -N4 -tu4 /dev/urandom) % (delay + 1)))
fi
take_lock
said=$jobs/$job.said
before=$(last_of status) before_words=$(last_of said) succeeded=$(last_of succeeded)
is_number "$before" || before=0
started=$(date +%s)
! is_daily || log_line begins
: >"$said"
in_background "job_$job"
[ "$job" != health ] || after_health
words=$(in_one_line "$said")
rm -f "$said"
if [ "$status" -eq 0 ]; then
	succeeded=$(date +%s)
else
	words=${words:-status $status}
	status=1
fi
log_end
write_last
exit "$status"
