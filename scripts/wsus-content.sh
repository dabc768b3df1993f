#!/bin/sh
# wsus-content.sh -- fetches the files that approvals, downstream servers or settings need: what timer, bell and cron start.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)

USAGE='usage: wsus-content.sh [--rung] [--state DIR] [--delay SECONDS] [--log FILE]
  --rung          only if a file was asked for since the last time
  --state DIR     of an instance of run.sh; without, the installed server
  --delay SECONDS wait for up to that long first, so that not all servers come at once
  --log FILE      add what there is to say to FILE instead of standard output
Exit status: 0 all is here, cancelled or nothing is due, 1 failed, 2 wrong usage, 75 somebody fetches already'
case "${1:-}" in
-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
esac
exec "$lib/job.sh" fetch "$@"
