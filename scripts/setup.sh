#!/bin/sh
# setup.sh -- what an installed server needs before its services can start: directories, store, master secret,
# certificate.  Run as root; what is there already stays as it is.
#   setup.sh [--user USER[:GROUP]] [--name NAME]...
# USER is whom the services run as (wsus), NAME one more host name or address for the certificate.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"
# shellcheck source=scripts/state.sh
. "$lib/state.sh"

USAGE='usage: setup.sh [--user USER[:GROUP]] [--name NAME]...'
user=wsus names=
while [ $# -gt 0 ]; do
	case $1 in
	--user | --name) [ -n "${2:-}" ] || usage_error "$1 needs a value" "$USAGE" ;;
	esac
	case $1 in
	--user) user=$2 && shift ;;
	--name) names="$names $2" && shift ;;
	-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
	*) usage_error "unknown option $1" "$USAGE" ;;
	esac
	shift
done
group=${user#*:}
user=${user%%:*}
is_root || die "only root can set up a server"
id "$user" >/dev/null 2>&1 || die "there is no user $user; systemd-sysusers makes it from the file that was installed"
[ "$group" != "$user" ] || group=$(id -gn "$user")

umask 022
mkdir -p "$state" "$etc/tls"
fill_state
# A certificate that is there names what it names; clients were pointed at it.
if [ -n "$names" ] || [ ! -s "$etc/tls/server.crt" ]; then
	# shellcheck disable=SC2046,SC2086 # lists of words
	"$lib/tls.sh" "$etc/tls" $names $(host_names)
fi
say "set up: $state, $etc/tls"
