#!/bin/sh
# jobs.sh -- runs the jobs of a server (job.sh) from time to time, where neither systemd nor cron does.
#   jobs.sh [STATE]     STATE: the directory of an instance of run.sh; without, the installed server
# Says what the jobs say.  SIGTERM ends it.
# Seconds between two runs: WSUS_TICK_SECONDS (60), WSUS_HEALTH_SECONDS (300), WSUS_TLS_SECONDS (3600),
# WSUS_BACKUP_SECONDS (86400; an instance of run.sh has no backups), WSUS_SYNC_SECONDS (600: to look whether it is time to
# synchronize), WSUS_FETCH_SECONDS (600), WSUS_CLEANUP_SECONDS (86400).  Who asks for a file waits WSUS_BELL_SECONDS (2).
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"

USAGE='usage: jobs.sh [STATE]'
[ $# -le 1 ] || usage_error "one state directory at most" "$USAGE"
instance=${1:-}
if [ -n "$instance" ]; then
	state=$instance
	store=$state/store
else
	store=$(WSUS_CONF="$etc/wsus.conf" setting store)
fi
bell=$store/fleet/content.bell heard=$state/jobs/fetch.heard # as job.sh has them

# seconds NAME VALUE
seconds() {
	if ! is_number "$2" || [ "$2" -lt 1 ]; then
		usage_error "$1 is no number of seconds: $2" "$USAGE"
	fi
	echo "$2"
}
tick=$(seconds WSUS_TICK_SECONDS "${WSUS_TICK_SECONDS:-60}")
certificate=$(seconds WSUS_TLS_SECONDS "${WSUS_TLS_SECONDS:-3600}")
health=$(seconds WSUS_HEALTH_SECONDS "${WSUS_HEALTH_SECONDS:-300}")
backup=$(seconds WSUS_BACKUP_SECONDS "${WSUS_BACKUP_SECONDS:-86400}")
sync=$(seconds WSUS_SYNC_SECONDS "${WSUS_SYNC_SECONDS:-600}")
fetch=$(seconds WSUS_FETCH_SECONDS "${WSUS_FETCH_SECONDS:-600}")
cleanup=$(seconds WSUS_CLEANUP_SECONDS "${WSUS_CLEANUP_SECONDS:-86400}")
look=$(seconds WSUS_BELL_SECONDS "${WSUS_BELL_SECONDS:-2}")

child='' sync_pid='' fetch_pid=''
# shellcheck disable=SC2317 # called by traps
end() {
	trap '' TERM INT HUP
	for pid in $child $sync_pid $fetch_pid; do
		kill "$pid" 2>/dev/null || true
	done
	wait
	exit 0
}
trap end TERM INT HUP

# in_background COMMAND...: waits for it, but a signal's trap runs at once.  The lock of the instance (9) is this
# script's, not that of what it starts: who is killed here leaves nobody behind that holds it.
in_background() {
	"$@" 9<&- &
	child=$!
	wait "$child" || true # the job has said so
	child=''
}

# due TIME: is it reached?
due() {
	[ "$(date +%s)" -ge "$1" ]
}

run() {
	in_background "$lib/job.sh" ${instance:+--state "$instance"} "$1"
}

# beside JOB [OPTION]: those that may take hours run beside the others, once each.
beside() {
	name=$1
	shift
	eval "running=\$${name}_pid"
	# One that has ended was waited for, with the sleep: its number is nobody's.
	if [ -z "$running" ] || ! kill -0 "$running" 2>/dev/null; then
		"$lib/job.sh" ${instance:+--state "$instance"} "$name" "$@" 9<&- &
		eval "${name}_pid=$!"
	fi
}

# Until the next tick, a look from time to time whether files are wanted.
wait_for_tick() {
	next=$(($(date +%s) + tick))
	until due "$next"; do
		! is_rung "$bell" "$heard" || beside fetch
		in_background sleep "$((look < tick ? look : tick))"
	done
}

# A look at a server that is only just starting would find it ill, and a start is no night.
begun=$(date +%s)
certificate_due=0 health_due=$((begun + health)) backup_due=$((begun + backup))
sync_due=$begun fetch_due=$begun cleanup_due=$((begun + cleanup))
while :; do
	run tick
	[ -z "$instance" ] || run logs # an installed server has logrotate
	if due "$certificate_due"; then
		run certificate
		certificate_due=$(($(date +%s) + certificate))
	fi
	if due "$health_due"; then
		run health
		health_due=$(($(date +%s) + health))
	fi
	if [ -z "$instance" ] && due "$backup_due"; then
		run backup
		backup_due=$(($(date +%s) + backup))
	fi
	if due "$cleanup_due"; then
		run cleanup
		cleanup_due=$(($(date +%s) + cleanup))
	fi
	if due "$sync_due"; then
		beside sync
		sync_due=$(($(date +%s) + sync))
	fi
	if due "$fetch_due"; then
		beside fetch
		fetch_due=$(($(date +%s) + fetch))
	fi
	wait_for_tick
done
