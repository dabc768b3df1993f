#!/bin/sh
# wsus-cleanup.sh -- removes what nobody needs any more, of files and of records: what timer and cron start each night.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)

USAGE='usage: wsus-cleanup.sh [--state DIR] [--delay SECONDS] [--log FILE]
  --state DIR     of an instance of run.sh; without, the installed server
  --delay SECONDS wait for up to that long first
  --log FILE      add what there is to say to FILE instead of standard output
What it would do says: wsusctl cleanup --dry-run
Exit status: 0 done, 1 failed, 2 wrong usage, 75 it runs already'
case "${1:-}" in
-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
esac
exec "$lib/job.sh" cleanup "$@"
