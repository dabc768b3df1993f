#!/bin/sh
# run.sh -- set up, start and stop one instance of wsus-fcgi.
#
# From a fresh clone on Debian 12 or 13, as root or with sudo.  Everything but packages stays in the state
# directory.  Services and nginx are started with it as working directory, while still root, and use relative
# paths after they gave up root: so a clone below a directory that only root may enter works too.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"
. "$here/scripts/state.sh"
. "$here/scripts/listen.sh"
bin=${WSUS_BIN:-$here/bin} # tests run instrumented programs this way

USAGE='usage: run.sh [--state DIR] [--listen ADDR]... [--port N] [--tls-port N] [--catalog sample|none|DIR]
              [--downstream-port N [--downstream-ca FILE]] [--workers N] [--name HOST]... [--plain-http] [--detach | --stop]
  --state DIR      where everything is kept (default: var in the clone)
  --listen ADDR    address to listen on, IPv4 or IPv6, as often as wanted (default 127.0.0.1 and ::1);
                   0.0.0.0 is every IPv4 address, :: every address of both kinds
  --port N         plain HTTP (default 8530)
  --tls-port N     HTTPS (default 8531)
  --downstream-port N   HTTPS for downstream servers with a certificate, which then have nothing on the others
  --downstream-ca FILE  who signs these (default: an authority that tls.sh makes for it)
  --catalog WHAT   load the sample catalog, nothing, or every update document below DIR;
                   a new state gets the sample catalog, an old one keeps what it has
  --workers N      worker processes of each service (default: what the service thinks best)
  --name HOST      one more name for the certificate
  --plain-http     web services on the plain port too when listening on other than loopback
  --detach         return when the servers answer
  --stop           end the instance of this state directory'
STATE_FORMAT='wsus-fcgi state 1'
SERVICES='auth client content reporting serversync'
PARTS="nginx $SERVICES jobs" # in the order of the end: the front first

state=$here/var listen='' port=8530 tls_port=8531 downstream_port='' downstream_ca='' catalog='' workers='' names='' plain_http='' mode=foreground

options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--state | --listen | --port | --tls-port | --downstream-port | --downstream-ca | --catalog | --workers | --name)
			[ -n "${2:-}" ] || usage_error "$1 needs a value" "$USAGE"
			;;
		esac
		case $1 in
		--state) state=$(absolute "$2") && shift ;;
		--listen)
			add_listen "$2" || usage_error "--listen wants an address, not $2" "$USAGE"
			shift
			;;
		--port) port=$2 && shift ;;
		--tls-port) tls_port=$2 && shift ;;
		--downstream-port) downstream_port=$2 && shift ;;
		--downstream-ca) downstream_ca=$(absolute "$2") && shift ;;
		--catalog) catalog=$2 && shift ;;
		--workers) workers=$2 && shift ;;
		--name) names="$names $2" && shift ;;
		--plain-http) plain_http=yes ;;
		--detach) mode=detach ;;
		--stop) mode=stop ;;
		-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
		*) usage_error "unknown option $1" "$USAGE" ;;
		esac
		shift
	done
	for number in "$port" "$tls_port" "${downstream_port:-1}" "${workers:-1}"; do
		if ! is_number "$number" || [ "$number" -lt 1 ] || [ "$number" -gt 65535 ]; then
			usage_error "$number is no port or count" "$USAGE"
		fi
	done
	[ "$port" -ne "$tls_port" ] || usage_error "--port and --tls-port must differ" "$USAGE"
	case $downstream_port in
	"$port" | "$tls_port") usage_error "--downstream-port must differ from --port and --tls-port" "$USAGE" ;;
	esac
	listen=${listen:-127.0.0.1 ::1}
	leave_out_ipv6
	[ -z "$downstream_ca" ] || [ -r "$downstream_ca" ] || usage_error "--downstream-ca: there is no file $downstream_ca" "$USAGE"
	case $names in
	*[!A-Za-z0-9.:\ -]*) usage_error "--name wants a host name or an address" "$USAGE" ;;
	esac
	case $catalog in
	'' | sample | none) ;;
	*)
		catalog=$(absolute "$catalog")
		[ -d "$catalog" ] || usage_error "--catalog: there is no directory $catalog" "$USAGE"
		;;
	esac
}

# ---- the state directory ----

# Refuses what is not ours before anything is touched.
check_state() {
	if [ -e "$state/VERSION" ]; then
		found=$(head -c 100 "$state/VERSION" | head -n 1)
		[ "$found" = "$STATE_FORMAT" ] || die "$state was made by another version (\"$found\", this one makes \
\"$STATE_FORMAT\"); use that version, or another directory with --state"
	elif [ -e "$state" ] && [ -n "$(ls -A "$state" 2>/dev/null || echo unreadable)" ]; then
		die "$state is not empty and is no state directory of wsus-fcgi; choose another with --state"
	elif [ -e "$state" ] && [ ! -d "$state" ]; then
		die "$state is no directory; choose another with --state"
	fi
}

make_state() {
	umask 022
	if [ ! -e "$state/VERSION" ]; then
		mkdir -p "$state/run"
		# What a new state is to be filled with; a set-up that was cut short goes on from here.
		printf '%s\n' "${catalog:-sample}" >"$state/run/pending-catalog"
		printf '%s\n' "$STATE_FORMAT" >"$state/VERSION"
	fi
	state=$(cd "$state" && pwd -P)
}

# One instance a state: the lock is held by this script and by everything it starts.
lock_state() {
	mkdir -p "$state/run"
	exec 9>>"$state/run/lock"
	flock -n 9 || die "an instance runs already from $state; end it with: $0 --state $state --stop"
	rm -f "$state/run/stopping" "$state"/run/*.pid "$state"/run/*.started "$state"/run/*.sock
}

fill_instance() {
	mkdir -p "$state/nginx/tmp" "$state/log"
	store=$state/store content=$state/content selfupdate=$state/selfupdate keys=$state/keys
	if [ -n "$group" ]; then
		chgrp "$group" "$state/run"
		chmod 750 "$state/run"
	fi
	make_logs
	fill_state
	expect_jobs tick health certificate sync fetch cleanup
}

# They say who asked for what: for root and whom it runs as.  nginx makes its own readable by everybody.
make_logs() (
	umask 027
	for name in $SERVICES access nginx-error; do
		: >>"$state/log/$name.log"
	done
)

# Who may come stands in a file wsus.conf in the state directory, whose line store names its store; no other file counts.
name_conf() {
	WSUS_CONF=$state/wsus.conf
	[ -e "$WSUS_CONF" ] || WSUS_CONF=/dev/null
	export WSUS_CONF
}

# ---- the catalog ----

load_catalog() {
	pending=$(cat "$state/run/pending-catalog" 2>/dev/null || true)
	case ${catalog:-$pending} in
	'' | none) ;;
	sample) load_sample ;;
	*) control update import "${catalog:-$pending}" >&2 || die "not every document could be imported" ;;
	esac
	rm -f "$state/run/pending-catalog"
}

# A catalog of our own making that shows everything at work: categories, bundles, files to download.
load_sample() {
	say "loading the sample catalog"
	rm -rf "$state/sample"
	"$here/build/test/make-catalog" --revisions 500 --content --out "$state/sample" >&2 9<&-
	control update import "$state/sample/updates" >&2
	control content add "$state/sample/content" >&2
	for id in $(control update list | awk '$1 ~ /^[0-9a-f]+-.*-/ && / Software / && / offered / { print $1 }' | tail -n 5); do
		control approve "$id" --group 'All Computers' >/dev/null
		say "approved for all computers: $id"
	done
}

# ---- nginx and the certificate ----

all_names() {
	host_names
	for address in $listen; do
		case $address in
		0.0.0.0 | ::) ;;
		*) printf '%s
' "$address" ;;
		esac
	done
	# shellcheck disable=SC2086 # a list of words
	[ -z "$names" ] || printf '%s\n' $names
}

render_nginx() {
	to=$state/nginx
	services=tls-only
	if loopback || [ -n "$plain_http" ]; then
		services=services
	fi
	cp "$here"/nginx/*.conf "$to/"
	listen_lines "$port" >"$to/listen-plain.conf"
	listen_lines "$tls_port" ssl >"$to/listen-tls.conf"
	sed "s|@USER_LINE@|${user:+user $user $group;}|" "$here/nginx/nginx.conf.in" >"$to/nginx.conf"
	sed "s|@PLAIN_SERVICES@|$services|" "$here/nginx/site.conf.in" >"$to/site.conf"
	render_downstream "$here/nginx" "$state/keys" "$to" || die "nothing was started"
	render_admission "$to" || die "nothing was started: correct $WSUS_CONF"
}

# ---- processes ----

check_ports() {
	for option in port tls-port downstream-port; do
		case $option in
		port) number=$port ;;
		tls-port) number=$tls_port ;;
		*) number=$downstream_port ;;
		esac
		if [ -n "$number" ] && port_holder "$number" >/dev/null; then
			die "port $number is in use by $(port_user "$number"); end that, or choose another with --$option"
		fi
	done
}

# start_service NAME OPTIONS...: in the background, in a session of its own, so that Ctrl-C reaches this script only
# and it decides the order of the end.
start_service() {
	service=$1
	shift
	(
		cd "$state"
		# shellcheck disable=SC2094 # what is said before -l is read goes there, too
		exec setsid "$bin/wsus-$service" -s "run/$service.sock" ${workers:+-w "$workers"} ${user:+-u "$user:$group" -g "$group"} \
			-l "log/$service.log" "$@" </dev/null >>"log/$service.log" 2>&1
	) &
	started $! >"$state/run/$service.started"
	echo $! >"$state/run/$service.pid"
}

# The jobs belong to the administrator: they write the catalog, which services only read, and the authority's key signs.
start_jobs() {
	(
		cd "$state"
		exec setsid "$here/scripts/jobs.sh" . </dev/null >>log/jobs.log 2>&1
	) &
	echo $! >"$state/run/jobs.pid"
}

# A buffer above the threshold goes back to the kernel when it is free.  By itself malloc raises the threshold with the
# first one: after 256 requests of 1.4 MB nginx kept 234 MB, with this 13 MB, at the same CPU time.
start_nginx() {
	(cd "$state" && MALLOC_MMAP_THRESHOLD_=131072 nginx -p ./ -c nginx/nginx.conf -e log/nginx-error.log) >"$state/run/nginx.out" 2>&1 </dev/null || {
		if grep -q 'Address already in use' "$state/run/nginx.out"; then
			say "a port was taken meanwhile; choose others with --port, --tls-port and --downstream-port"
		fi
		cat "$state/run/nginx.out" >&2
		return 1
	}
}

pid_of() {
	cat "$state/run/$1.pid" 2>/dev/null || true
}

# lives PART: its process is there and is the one that was started.
lives() {
	pid=$(pid_of "$1")
	is_ours "${pid:-none}" "$(program_of "$1")" "$state" "$(cat "$state/run/$1.started" 2>/dev/null || true)"
}

program_of() {
	case $1 in
	nginx) echo nginx ;;
	jobs) echo jobs.sh ;;
	*) echo "wsus-$1" ;;
	esac
}

# The front first (PARTS), so that requests in the services still find their way out.
stop_all() {
	stopped=
	for part in $PARTS; do
		if lives "$part"; then
			signal=TERM
			[ "$part" != nginx ] || signal=QUIT
			end_process "$pid" "$signal" 10
			stopped=yes
		fi
		rm -f "$state/run/$part.pid" "$state/run/$part.started" "$state/run/$part.sock"
	done
}

# The first part that does not live, if any.
dead_part() {
	for part in $PARTS; do
		if ! lives "$part"; then
			echo "$part"
			return 0
		fi
	done
	return 1
}

# ---- do they answer? ----

GETCONFIG='<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetConfig xmlns="http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService"><protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>'

ask() {
	curl -sS -m 5 --noproxy '*' --cacert "$state/keys/ca.crt" "$@" 2>>"$state/run/ask.out"
}

answers() {
	if ! loopback && [ -z "$plain_http" ]; then
		ask -o /dev/null -w '%{http_code}' "$plain_url/Content/" | grep -q 404 || return 1
	else
		getconfig "$plain_url" || return 1
	fi
	getconfig "$tls_url"
}

getconfig() {
	ask -H 'Content-Type: text/xml; charset=utf-8' --data-binary "$GETCONFIG" \
		-H 'SOAPAction: "http://www.microsoft.com/SoftwareDistribution/Server/ClientWebService/GetConfig"' \
		"$1/ClientWebService/client.asmx" | grep -q '<GetConfigResult>'
}

wait_until_answering() {
	tries=0
	until answers; do
		# A service that cannot start says so at once; one that is slow gets half a minute.
		if part=$(dead_part) || [ "$tries" -ge 150 ]; then
			say "the servers do not answer${part:+; $part has ended}. What they say:"
			tail -n 5 "$state"/log/*.log "$state/run/ask.out" >&2 || true
			return 1
		fi
		sleep 0.2
		tries=$((tries + 1))
	done
}

urls() {
	first=${listen%% *}
	case $first in
	0.0.0.0) host=127.0.0.1 ;;
	*) host=$(bracketed "$first") ;;
	esac
	plain_url=http://$host:$port
	tls_url=https://$host:$tls_port
}

# As it can be typed again.
typed() {
	case $1 in
	*[!A-Za-z0-9_./:-]*) printf "'%s'" "$1" ;;
	*) printf '%s' "$1" ;;
	esac
}

tell() {
	again=$(typed "$0")
	[ "$state" = "$here/var" ] || again="$again --state $(typed "$state")"
	cat <<-END

		wsus-fcgi is running.
		  plain HTTP   $plain_url$(loopback || [ -n "$plain_http" ] || echo "   (content only)")
		  TLS          $tls_url   (authority: $state/keys/ca.crt)$([ -z "$downstream_port" ] || printf '\n  downstream   https://%s   (with a certificate, see below)' "$host:$downstream_port")
		  state        $state
		  logs         $state/log
		  processes    $(for part in $PARTS; do printf '%s %s  ' "$part" "$(pid_of "$part")"; done)

		Try next:
		  bin/wsus-probe $tls_url --ca $(typed "$state/keys/ca.crt")
		  bin/wsusctl --store $(typed "$state/store") update list
		  bin/wsusctl --store $(typed "$state/store") computer list$([ -z "$downstream_port" ] || printf '\n  scripts/tls.sh --client %s branch.example.org .' "$(typed "$state/keys")")
		  $again --stop
	END
}

# ---- the three modes ----

stop_instance() {
	[ -e "$state/VERSION" ] || die "$state is no state directory of wsus-fcgi"
	state=$(cd "$state" && pwd -P)
	: >"$state/run/stopping"
	stop_all
	if [ -n "$stopped" ]; then
		say "stopped"
	else
		say "nothing was running from $state"
	fi
}

start_instance() {
	check_state
	"$here/scripts/install-packages.sh" run
	make_state
	lock_state
	check_ports
	user='' group=''
	if is_root; then
		user=nobody
		! id www-data >/dev/null 2>&1 || user=www-data
		group=$(id -gn "$user")
	fi
	make -s -C "$here" -j "$(cores)" all >&2 9<&- || die "the build failed"
	fill_instance
	name_conf
	load_catalog
	# shellcheck disable=SC2046 # a list of words
	"$here/scripts/tls.sh" "$state/keys" $(all_names) 9<&-
	[ -z "$downstream_port" ] || [ -n "$downstream_ca" ] || "$here/scripts/tls.sh" --downstream "$state/keys" 9<&-
	render_nginx
	urls
	printf '%s\n' "$tls_url" >"$state/run/url"

	trap 'stop_all' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	: >"$state/run/ask.out"
	start_service auth -S store -K keys/master
	start_service client -S store -K keys/master
	start_service content -U selfupdate -N content/names -J jobs
	start_service reporting -S store -K keys/master
	start_service serversync -S store -K keys/master
	start_jobs
	start_nginx || exit 1
	wait_until_answering || exit 1
}

options "$@"
case $mode in
stop)
	stop_instance
	;;
detach)
	start_instance
	trap - EXIT
	tell
	;;
foreground)
	start_instance
	tell
	say "Ctrl-C ends it."
	while ! part=$(dead_part); do
		sleep 1 &
		wait $! # a signal's trap runs at once, not after the sleep
	done
	if [ ! -e "$state/run/stopping" ]; then
		die "$part has ended unexpectedly; see $state/log"
	fi
	;;
esac
