#!/bin/sh
# jobs.sh -- what has to be done from time to time beside the services: every minute, let what is due take effect.
#   jobs.sh STORE
# Says something only if something happened or failed, a failure that repeats itself once.  SIGTERM ends it.
# WSUS_TICK_SECONDS is the time between two rounds (60).
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"

USAGE='usage: jobs.sh STORE'
[ $# -eq 1 ] || usage_error "the store is missing" "$USAGE"
store=$1
period=${WSUS_TICK_SECONDS:-60}
if ! is_number "$period" || [ "$period" -lt 1 ]; then
	usage_error "WSUS_TICK_SECONDS is no number of seconds: $period" "$USAGE"
fi

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

failure=''
while :; do
	in_background tick
	words=$(awk '{ $1 = $1; printf "%s%s", between, $0; between = ", " }' "$said")
	if [ "$status" -eq 0 ]; then
		[ -z "$words" ] || log_line "$words"
		[ -z "$failure" ] || log_line "it works again"
		failure=''
	elif words=${words:-status $status} && [ "$words" != "$failure" ]; then
		failure=$words
		log_line "failed: $words"
	fi
	in_background sleep "$period"
done
