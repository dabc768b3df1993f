#!/bin/sh
# setup.sh -- what an installed server needs before its services can start: directories, store, master secret,
# certificate, nginx's configuration.  Run as root; all but the last stays as it is if it is there.
#   setup.sh [--user USER[:GROUP]] [--name NAME]... [--listen ADDR]... [--port N] [--tls-port N] [--plain-http]
# USER is whom the services run as (wsus), NAME one more host name or address for the certificate; ADDR an address to
# listen on (every one); --plain-http lets the web services be reached without TLS.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"
# shellcheck source=scripts/state.sh
. "$lib/state.sh"

USAGE='usage: setup.sh [--user USER[:GROUP]] [--name NAME]... [--listen ADDR]... [--port N] [--tls-port N] [--plain-http]'
user=wsus names='' listen='' port=8530 tls_port=8531 services=tls-only
while [ $# -gt 0 ]; do
	case $1 in
	--user | --name | --listen | --port | --tls-port) [ -n "${2:-}" ] || usage_error "$1 needs a value" "$USAGE" ;;
	esac
	case $1 in
	--user) user=$2 && shift ;;
	--name) names="$names $2" && shift ;;
	--listen) listen="$listen $2" && shift ;;
	--port) port=$2 && shift ;;
	--tls-port) tls_port=$2 && shift ;;
	--plain-http) services=services ;;
	-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
	*) usage_error "unknown option $1" "$USAGE" ;;
	esac
	shift
done
case $listen in
*[!0-9a-fA-F.:\ ]*) usage_error "--listen wants an address:$listen" "$USAGE" ;;
esac
if ! is_number "$port" || ! is_number "$tls_port" || [ "$port" -eq "$tls_port" ]; then
	usage_error "--port and --tls-port are two numbers" "$USAGE"
fi
group=${user#*:}
user=${user%%:*}
is_root || die "only root can set up a server"
id "$user" >/dev/null 2>&1 || die "there is no user $user; systemd-sysusers makes it from the file that was installed"
[ "$group" != "$user" ] || group=$(id -gn "$user")

# The templates name what is below a state directory, as scripts/run.sh has it; here each part has its place.
absolute_paths() {
	sed -e "s|\.\./keys/|$etc/tls/|" -e "s|\(include \)\([^/]\)|\1$etc/nginx/\2|" -e "s|\(alias \)|\1$state/|" \
		-e "s|unix:run/|unix:$run/|" -e "s|\(access_log \)log/|\1$log/|"
}

# listen_lines PORT [ssl]
listen_lines() {
	for address in ${listen:-0.0.0.0 ::}; do
		case $address in
		*:*)
			# Two sockets, so that an IPv4 client is known by its IPv4 address; without IPv6 there is but one.
			[ -e /proc/net/if_inet6 ] || continue
			echo "listen [$address]:$1 default_server ipv6only=on backlog=1024${2:+ $2};"
			;;
		*) echo "listen $address:$1 default_server backlog=1024${2:+ $2};" ;;
		esac
	done
}

render_nginx() {
	to=$etc/nginx
	for file in "$templates"/*.conf; do
		absolute_paths <"$file" >"$to/${file##*/}"
	done
	sed "s|@PLAIN_SERVICES@|$services|" "$templates/site.conf.in" | absolute_paths >"$to/site.conf"
	listen_lines "$port" >"$to/listen-plain.conf"
	listen_lines "$tls_port" ssl >"$to/listen-tls.conf"
	absolute_paths <"$templates/wsus-fcgi.conf.in" >"$to/wsus-fcgi.conf"
}

umask 022
mkdir -p "$state" "$etc/tls" "$etc/nginx" "$log"
fill_state
# A certificate that is there names what it names; clients were pointed at it.
if [ -n "$names" ] || [ ! -s "$etc/tls/server.crt" ] || [ ! -s "$etc/tls/server.conf" ]; then
	# shellcheck disable=SC2046,SC2086 # lists of words
	"$lib/tls.sh" "$etc/tls" $names $(host_names)
fi
render_nginx
say "set up: $state, $etc/tls"
