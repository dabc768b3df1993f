#!/bin/sh
# jobs.sh -- what has to be done from time to time beside the services: every minute, let what is due take effect;
# every hour, renew the server's certificate if it ends soon.
#   jobs.sh STORE [WHERE]     WHERE: whose certificate, as for tls.sh --renew; without, nobody's
# Says something only if something happened or failed, a failure that repeats itself once.  SIGTERM ends it.
# WSUS_TICK_SECONDS is the time between two rounds (60), WSUS_TLS_SECONDS between two looks at the certificate (3600).
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"

USAGE='usage: jobs.sh STORE [WHERE]'
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	usage_error "a store is wanted, and perhaps whose certificate" "$USAGE"
fi
store=$1
where=${2:-}

# seconds NAME VALUE
seconds() {
	if ! is_number "$2" || [ "$2" -lt 1 ]; then
		usage_error "$1 is no number of seconds: $2" "$USAGE"
	fi
	echo "$2"
}
period=$(seconds WSUS_TICK_SECONDS "${WSUS_TICK_SECONDS:-60}")
tls_period=$(seconds WSUS_TLS_SECONDS "${WSUS_TLS_SECONDS:-3600}")

child=''
# shellcheck disable=SC2317 # called by traps
end() {
	trap '' TERM INT HUP
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	wait
	exit 0
}
trap end TERM INT HUP

# What a round said, in a file without a name: nothing is left behind however this ends.
name=$(mktemp)
exec 8<>"$name"
rm -f "$name"
said=/proc/$$/fd/8

# in_background COMMAND...: waits for it, but a signal's trap runs at once.  The lock of the instance (9) is this
# script's, not that of what it starts: who is killed here leaves nobody behind that holds it.
in_background() {
	"$@" 8<&- 9<&- &
	child=$!
	status=0
	wait "$child" || status=$?
	child=''
}

# One line for the log: when, and all that was said.
log_line() {
	printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1"
}

# In the background only: it becomes the program, so that a signal reaches it.
tick() {
	exec "$bin/wsusctl" --store "$store" --admin jobs store tick --quiet >"$said" 2>&1
}

certificates() {
	exec "$lib/tls.sh" --renew "$where" >"$said" 2>&1
}

# round NAME FAILURE COMMAND: runs it and says what is new; sets failure to what it said if it failed.
round() {
	in_background "$3"
	failure=''
	words=$(awk '{ $1 = $1; printf "%s%s", between, $0; between = ", " }' "$said")
	if [ "$status" -eq 0 ]; then
		[ -z "$words" ] || log_line "$1$words"
		[ -z "$2" ] || log_line "$1it works again"
	else
		failure=${words:-status $status}
		[ "$failure" = "$2" ] || log_line "${1}failed: $failure"
	fi
}

tick_failure='' tls_failure='' tls_due=0
while :; do
	round '' "$tick_failure" tick
	tick_failure=$failure
	if [ -n "$where" ] && [ "$(date +%s)" -ge "$tls_due" ]; then
		round 'certificate: ' "$tls_failure" certificates
		tls_failure=$failure
		tls_due=$(($(date +%s) + tls_period))
	fi
	in_background sleep "$period"
done
