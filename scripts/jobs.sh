#!/bin/sh
# jobs.sh -- runs the jobs of a server (job.sh) from time to time, where neither systemd nor cron does.
#   jobs.sh [STATE]     STATE: the directory of an instance of run.sh; without, the installed server
# Says what the jobs say.  SIGTERM ends it.
# Seconds between two runs: WSUS_TICK_SECONDS (60), WSUS_HEALTH_SECONDS (300), WSUS_TLS_SECONDS (3600),
# WSUS_BACKUP_SECONDS (86400; an instance of run.sh has no backups).
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"

USAGE='usage: jobs.sh [STATE]'
[ $# -le 1 ] || usage_error "one state directory at most" "$USAGE"
instance=${1:-}

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

child=''
# shellcheck disable=SC2317 # called by traps
end() {
	trap '' TERM INT HUP
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
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

# A look at a server that is only just starting would find it ill, and a start is no night.
begun=$(date +%s)
certificate_due=0 health_due=$((begun + health)) backup_due=$((begun + backup))
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
	in_background sleep "$tick"
done
