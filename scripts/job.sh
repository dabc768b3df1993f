#!/bin/sh
# job.sh -- one job of a server, once: what its timers, cron or jobs.sh run, and what may be run by hand at any time.
# shellcheck disable=SC2317 # the jobs are called by name
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"

USAGE='usage: job.sh [--state DIR] [--delay SECONDS] [--log FILE] tick|health|backup|certificate|logs|sync|fetch|cleanup
  tick            let what is due take effect: go-live times that are reached, files that came
  health          is the server well? tells who is to know, and leaves the answer for /health and /metrics
  backup          a verified copy of store, keys and configuration; keeps the newest
  certificate     renew the certificate of the server if it ends soon
  logs            set aside logs that have grown large, where logrotate does not
  sync [--now]    synchronize with the server above if its time has come; --now: whatever sync.schedule says
  fetch [--rung]  fetch files that are needed; --rung: only if somebody asked for one since the last time
  cleanup         remove what nobody needs any more
  --state DIR     of an instance of run.sh; without, the installed server
  --delay SECONDS wait for up to that long first, so that not all machines begin at once
  --log FILE      add what there is to say to FILE instead of standard output
Exit status: 0 done, 1 failed, 2 wrong usage, 75 the job runs already'
RUNS_ALREADY=75 CANCELLED=4 # exit statuses of wsus-sync, too

instance='' delay=0 log_file='' job='' condition=''
while [ $# -gt 0 ]; do
	case $1 in
	--state | --delay | --log) [ -n "${2:-}" ] || usage_error "$1 needs a value" "$USAGE" ;;
	esac
	case $1 in
	--state) instance=$2 && shift ;;
	--delay) delay=$2 && shift ;;
	--log) log_file=$2 && shift ;;
	--now | --rung) condition=$1 ;;
	-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
	tick | health | backup | certificate | logs | sync | fetch | cleanup)
		[ -z "$job" ] || usage_error "one job is wanted, not $job and $1" "$USAGE"
		job=$1
		;;
	*) usage_error "there is no job or option $1" "$USAGE" ;;
	esac
	shift
done
[ -n "$job" ] || usage_error "which job?" "$USAGE"
case $condition:$job in
:* | --now:sync | --rung:fetch) ;;
*) usage_error "$condition says nothing to $job" "$USAGE" ;;
esac
is_number "$delay" || usage_error "--delay wants a number of seconds, not $delay" "$USAGE"

# ---- places ----

# An instance of run.sh keeps everything in one directory; an installed server where its configuration file says.
if [ -n "$instance" ]; then
	state=$(cd "$instance" 2>/dev/null && pwd -P) || die "there is no directory $instance"
	store=$state/store
	content=$state/content
	certificates=$state
	[ "$job" != backup ] || die "an instance of run.sh has no nightly backup; wsusctl backup makes one"
else
	export WSUS_CONF="$etc/wsus.conf"
	store=$(setting store)
	content=$(setting content)
	certificates=$(setting tls)
fi
# Locks, what came of the last run of each job, and what /health and /metrics show.
jobs=$state/jobs
# Touched when files are needed: by the service that downstream servers ask for them, and after a synchronization.
bell=$store/fleet/content.bell
heard=$jobs/fetch.heard
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
		# One that takes hours is not spoken of at each of its times.
		if ! is_long || [ -z "$log_file" ]; then
			log_line "runs already: $(cat "$jobs/$job.lock")"
		fi
		exit "$RUNS_ALREADY"
	fi
	printf 'process %s since %s\n' "$$" "$(now)" >"$jobs/$job.lock"
}

# in_background COMMAND...: waits for it, but a signal's trap runs at once and ends it.  The lock (9) is this script's,
# not that of what it starts: a program that an administrator has run may leave another behind.
child=''
in_background() {
	"$@" 7<&- 8<&- 9<&- &
	child=$!
	status=0
	wait "$child" || status=$?
	child=''
}

end() {
	trap '' TERM INT HUP
	exec 8<&-
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

job_sync() {
	[ -n "$condition" ] || set -- --scheduled
	# The files are job fetch's, so that this one ends, and the next is not kept waiting, before they all are here.
	exec "$libexec/wsus-sync" run --store "$store" --content "$content" --log --no-content "$@" >"$said.pipe" 2>&1
}

job_fetch() {
	: >"$heard"
	exec "$libexec/wsus-sync" content --store "$store" --content "$content" --log --scheduled >"$said.pipe" 2>&1
}

job_cleanup() {
	exec "$bin/wsusctl" --store "$store" --admin jobs cleanup --quiet >"$said" 2>&1
}

# It belongs to whoever rang first: the service's user, or root.  A bell that cannot be rung costs some minutes: the
# job runs from time to time by itself.
ring() {
	touch "$bell" 2>/dev/null || true
}

# ---- jobs that may take hours: what they say is logged as it comes ----

is_long() {
	[ "$job" = sync ] || [ "$job" = fetch ]
}

# Without the time and the name of a job that wsus-sync puts in front: log_line does so.
bare() {
	case $1 in
	????-??-??T??:??:??Z\ *:\ *)
		line=${1#* }
		line=${line#*: }
		;;
	esac
}

# The first line waits for a second: one that stays alone is treated as what short jobs say, in the end.
relay() {
	first=''
	while IFS= read -r line; do
		bare "$line"
		printf '%s\n' "$line" >>"$said"
		if [ -z "$first" ]; then
			first=$line
			continue
		fi
		[ "$first" = said ] || log_line "$first"
		first=said
		log_line "$line"
	done
}

# The pipe is open here, too, so that neither side waits for the other to open it.
run_long() {
	rm -f "$said.pipe"
	mkfifo "$said.pipe"
	# shellcheck disable=SC2094 # that is what a pipe is for
	exec 8<>"$said.pipe" 7<"$said.pipe"
	# By exec: of what a function is called without, a shell keeps copies.
	(exec <&7 7<&- 8<&- 9<&- && relay) &
	relay=$!
	exec 7<&-
	in_background "job_$job"
	exec 8<&-
	wait "$relay" || true
	rm -f "$said.pipe"
}

# was_relayed: is all that was said in the log already?
was_relayed() {
	is_long && [ "$(wc -l <"$said")" -gt 1 ]
}

# Nothing was due: what came of the last run that did something stays what is known of the job.
keep_before() {
	words=$before_words
	status=$before
	write_last
	exit 0
}

after_long() {
	[ "$status" -ne "$RUNS_ALREADY" ] || { rm -f "$said" && exit "$RUNS_ALREADY"; }
	[ "$status" -ne "$CANCELLED" ] || status=0
	[ "$status" -ne 0 ] || [ -s "$said" ] || keep_before
	[ "$job" != sync ] || ring
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
	[ -z "$relayed" ] || return 0
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

[ "$condition" != --rung ] || is_rung "$bell" "$heard" || exit 0
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
if is_long; then
	run_long
	# Whom that came too late for.
	while [ "$job" = fetch ] && [ "$status" -eq 0 ] && is_rung "$bell" "$heard"; do
		run_long
	done
	after_long
else
	in_background "job_$job"
fi
[ "$job" != health ] || after_health
relayed=''
if was_relayed; then
	relayed=yes
	words=$(tail -n 1 "$said" | cut -b 1-1000)
else
	words=$(in_one_line "$said")
fi
rm -f "$said"
if [ "$status" -eq 0 ]; then
	succeeded=$(date +%s)
else
	words=${words:-status $status}
	words=${words#failed: }
	status=1
fi
log_end
write_last
exit "$status"
