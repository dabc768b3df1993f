#!/bin/sh
# wsus-sync.sh -- synchronizes with the server above this one if its time has come: what timer and cron start.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)

USAGE='usage: wsus-sync.sh [--now] [--state DIR] [--delay SECONDS] [--log FILE]
  --now           whatever the schedule says (wsusctl sync schedule)
  --state DIR     of an instance of run.sh; without, the installed server
  --delay SECONDS wait for up to that long first, so that not all servers come at once
  --log FILE      add what there is to say to FILE instead of standard output
Exit status: 0 done, cancelled or not yet time, 1 failed, 2 wrong usage, 75 somebody synchronizes already'
case "${1:-}" in
-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
esac
exec "$lib/job.sh" sync "$@"
