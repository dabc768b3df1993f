#!/bin/sh
# rotate.sh -- sets logs aside that have grown large, where logrotate does not: NAME.log becomes NAME.log.1, that one
# NAME.log.2.gz, and so on; the oldest goes.
#   rotate.sh DIR [PIDFILE]     DIR: where the logs are; PIDFILE: of the nginx that writes two of them
# A log of more than WSUS_LOG_BYTES (64 MiB) is large; WSUS_LOG_KEEP (10) old ones of each are kept.
# Nothing is lost: services open a log anew when another has its name, nginx when it is told to, and what they write
# until then lands in NAME.log.1, which is packed the next time only.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"

USAGE='usage: rotate.sh DIR [PIDFILE]'
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	usage_error "the directory of the logs is wanted" "$USAGE"
fi
dir=$1
pid_file=${2:-}
large=${WSUS_LOG_BYTES:-67108864}
keep=${WSUS_LOG_KEEP:-10}
if ! is_number "$large" || ! is_number "$keep" || [ "$keep" -lt 2 ]; then
	usage_error "WSUS_LOG_BYTES is a number, and WSUS_LOG_KEEP one from 2 on" "$USAGE"
fi

# shift_old LOG: makes room for a LOG.1.
shift_old() {
	n=$keep
	rm -f "$1.$n.gz"
	while [ "$n" -gt 2 ]; do
		n=$((n - 1))
		[ ! -e "$1.$n.gz" ] || mv "$1.$n.gz" "$1.$((n + 1)).gz"
	done
	if [ -e "$1.1" ]; then
		mv "$1.1" "$1.2"
		gzip -f "$1.2"
	fi
}

# rotate LOG: there is a file of this name at any moment, and it belongs to whom it belonged.
rotate() {
	shift_old "$1"
	: >"$1.new"
	chmod --reference="$1" "$1.new"
	! is_root || chown --reference="$1" "$1.new"
	ln "$1" "$1.1"
	mv "$1.new" "$1"
}

rotated=''
for name in auth client content reporting serversync access nginx-error; do
	log=$dir/$name.log
	if [ -f "$log" ] && [ "$(stat -c %s "$log")" -gt "$large" ]; then
		rotate "$log"
		rotated="$rotated $name"
	fi
done
case $rotated in
*access* | *nginx*)
	if [ -n "$pid_file" ] && [ -s "$pid_file" ]; then
		kill -USR1 "$(cat "$pid_file")" || die "nginx could not be told to open its logs anew"
	fi
	;;
esac
[ -z "$rotated" ] || echo "set aside:$rotated"
