#!/bin/sh
# setup.sh -- puts wsus.conf in force: makes what is missing of directories, store, master secret and certificate, writes
# nginx's configuration and what units need to know, and has those that run take it up.  Installed as wsus-setup(8).
#   wsus-setup     as root: after the installation, and after every change of wsus.conf
# Says what changed.  What nginx or wsusctl refuse stays as it was.
set -eu
lib=$(dirname "$(readlink -f "$0")")
# shellcheck source=scripts/common.sh
. "$lib/common.sh"
# shellcheck source=scripts/paths.sh
. "$lib/paths.sh"
# shellcheck source=scripts/state.sh
. "$lib/state.sh"
# shellcheck source=scripts/listen.sh
. "$lib/listen.sh"

USAGE='usage: wsus-setup     (the settings are in wsus.conf)'
case ${1:-} in
-h | --help) printf '%s\n' "$USAGE" && exit 0 ;;
?*) usage_error "unknown argument $1" "$USAGE" ;;
esac

changed=''

note() {
	changed="${changed:+$changed, }$1"
}

# ---- the configuration file ----

# Every setting is in it, commented out at its default.  One that is there is the administrator's.
install_conf() {
	export WSUS_CONF="$etc/wsus.conf"
	mkdir -p "$etc"
	[ -e "$WSUS_CONF" ] || cp "$share/wsus.conf" "$WSUS_CONF"
	if ! findings=$("$bin/wsusctl" config check); then
		say "$findings"
		die "nothing was changed: correct $WSUS_CONF, then run this again"
	fi
}

read_conf() {
	values=$("$bin/wsusctl" config values)
	store=$(setting store) content=$(setting content) selfupdate=$(setting selfupdate) keys=$(setting keys)
	tls=$(setting tls) names=$(setting names) workers=$(setting workers)
	backup_to=$(setting backup.to)
	port=$(setting http.port) tls_port=$(setting https.port)
	downstream_port=$(setting downstream.port) downstream_ca=$(setting downstream.client-ca)
	listen=''
	for address in $(setting listen); do
		add_listen "$address"
	done
	leave_out_ipv6
	plain_services='tls-only'
	if loopback || [ "$(setting plain-http)" = true ]; then
		plain_services=services
	fi
}

# What was in force before is kept beside the store, to tell what changed.
applied=$state/applied

was() {
	[ ! -e "$applied" ] || sed -n "s/^$1 = *//p" "$applied"
}

# A new place has to have the store already, else all computers and approvals would be gone.
check_move() {
	before=$(was store)
	if [ -n "$before" ] && [ "$before" != "$store" ] && [ -d "$before/catalog" ] && [ ! -d "$store/catalog" ]; then
		die "nothing was changed: the store is in $before, and in $store, where $WSUS_CONF has it now, is none.  Stop the \
services (systemctl stop wsus-fcgi.target), move or copy the directory there, then run this again"
	fi
}

tell_changes() {
	printf '%s\n' "$values" | while IFS= read -r line; do
		[ ! -e "$applied" ] || grep -qxF -- "$line" "$applied" || say "${line%% =*}: was \"$(was "${line%% =*}")\", is \
\"$(setting "${line%% =*}")\""
	done
}

# ---- the certificate ----

# The names of the last time, if those of the file are among them: a certificate loses no name by itself, since computers
# may know the server by it.
certificate_names() {
	known=$([ ! -e "$tls/server.names" ] || sed 's/DNS://g; s/IP://g' "$tls/server.names" | tr ',' '\n')
	missing=''
	for name in $names; do
		printf '%s\n' "$known" | grep -qxF -- "$name" || missing=yes
	done
	printf '%s\n' "$known"
	if [ -z "$known" ] || [ -n "$missing" ]; then
		printf '%s\n' "$names"
		host_names
	fi
}

make_certificate() {
	mkdir -p "$tls"
	before=$(readlink "$tls/server" 2>/dev/null || true)
	# shellcheck disable=SC2046 # a list of words
	"$lib/tls.sh" "$tls" $(certificate_names)
	[ "$(readlink "$tls/server" 2>/dev/null || true)" = "$before" ] || note "the certificate of the server"
	if [ -n "$downstream_port" ] && [ -z "$downstream_ca" ] && [ ! -s "$tls/downstream-ca.crt" ]; then
		"$lib/tls.sh" --downstream "$tls"
		note "the authority of downstream servers"
	fi
}

# ---- nginx ----

# The templates name what is below a state directory, as scripts/run.sh has it; here each part has its place.
absolute_paths() {
	sed -e "s|\.\./keys/|$tls/|" -e "s|\(ssl_client_certificate \)|\1$etc/nginx/|" -e "s|\(include \)\([^/]\)|\1$etc/nginx/\2|" \
		-e "s|\(alias \)content/|\1$content/|" -e "s|\(alias \)selfupdate/|\1$selfupdate/|" -e "s|unix:run/|unix:$run/|" -e "s|\(access_log \)log/|\1$log/|"
}

# render_nginx DIR
render_nginx() {
	mkdir "$1"
	for file in "$share"/nginx/*.conf; do
		absolute_paths <"$file" >"$1/${file##*/}"
	done
	for network in $(setting status.allow); do
		echo "$network allowed;"
	done >>"$1/status-allow.conf"
	sed "s|@PLAIN_SERVICES@|$plain_services|" "$share/nginx/site.conf.in" | absolute_paths >"$1/site.conf"
	listen_lines "$port" >"$1/listen-plain.conf"
	listen_lines "$tls_port" ssl >"$1/listen-tls.conf"
	absolute_paths <"$share/nginx/wsus-fcgi.conf.in" >"$1/wsus-fcgi.conf"
	render_downstream "$share/nginx" "$tls" "$1" || die "nginx has what it had before: correct $WSUS_CONF, then run this again"
	[ -z "$downstream_port" ] || absolute_paths <"$share/nginx/downstream.conf.in" >"$1/downstream.conf"
	render_admission "$1" || die "nginx has what it had before: correct $WSUS_CONF, then run this again"
}

# In nginx's own words what is wrong with its configuration; fails if nothing is.
nginx_refuses() {
	! said=$(nginx -q -t -c "$nginx/nginx.conf" -e stderr 2>&1) || return 1
	printf '%s\n' "$said"
}

has_nginx() {
	command -v nginx >/dev/null && [ -e "$nginx/nginx.conf" ]
}

nginx_pid() {
	pid=$(cat "${WSUS_NGINX_PID:-/run/nginx.pid}" 2>/dev/null) && is_number "$pid" &&
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = nginx ]
}

# Who of other programs listens on one of our ports: nginx -t does not see that.  Of an address of its own it may be
# another one that they have, so then only nginx's word counts.
port_taken() {
	case " $listen " in
	*' 0.0.0.0 '* | *' :: '*) ;;
	*) return 1 ;;
	esac
	for number in "$port" "$tls_port" $downstream_port; do
		port_holder "$number" >/dev/null || continue
		holder=$(port_user "$number")
		case $holder in
		nginx,*) ;;
		*) echo "port $number is in use by $holder" && return ;;
		esac
	done
	return 1
}

# At first we join the sites of a Debian nginx; who takes the link away later has a reason.
include_first() {
	link=''
	if [ ! -e "$applied" ] && has_nginx && [ -d "$nginx/conf.d" ] && [ ! -e "$nginx/conf.d/wsus-fcgi.conf" ]; then
		link=$nginx/conf.d/wsus-fcgi.conf
		ln -sf "$etc/nginx/wsus-fcgi.conf" "$link"
	fi
}

back_to_before() {
	rm -rf "$etc/nginx"
	[ ! -e "$etc/nginx.before" ] || mv "$etc/nginx.before" "$etc/nginx"
	[ -z "$link" ] || rm -f "$link"
	die "nginx has what it had before: $1; correct that, then run this again"
}

write_nginx() {
	rm -rf "$etc/nginx.new" "$etc/nginx.before"
	render_nginx "$etc/nginx.new"
	include_first
	if diff -rq "$etc/nginx.new" "$etc/nginx" >/dev/null 2>&1 && [ -z "$link" ]; then
		rm -rf "$etc/nginx.new"
		return
	fi
	[ ! -e "$etc/nginx" ] || mv "$etc/nginx" "$etc/nginx.before"
	mv "$etc/nginx.new" "$etc/nginx"
	if why=$(port_taken) || { has_nginx && why=$(nginx_refuses); }; then
		back_to_before "$why"
	fi
	rm -rf "$etc/nginx.before"
	note "nginx's configuration"
}

reload_nginx() {
	has_nginx || { say "there is no nginx here that could take in $etc/nginx/wsus-fcgi.conf" && return; }
	if why=$(nginx_refuses); then
		say "nginx refuses its configuration, so it was not reloaded: $why"
		return 0
	fi
	if ! nginx -q -T -c "$nginx/nginx.conf" -e stderr 2>/dev/null | grep -qF "configuration file $etc/nginx/site.conf:"; then
		say "nginx does not include $etc/nginx/wsus-fcgi.conf; to have it do so: ln -s $etc/nginx/wsus-fcgi.conf $nginx/conf.d/"
	fi
	[ -n "$changed" ] || return 0
	if nginx_pid; then
		kill -HUP "$pid"
	else
		say "nginx does not run: once it is started, it has our servers"
	fi
}

# ---- systemd ----

# drop_in UNIT: of its directives those that wsus.conf says otherwise, each anew with all its lines; nothing if none does.
drop_in() {
	MOVES="$state/store $store
$state/content $content
$state/selfupdate $selfupdate
$state/keys $keys
$etc/tls $tls
$backups ${backup_to:-$backups}" WORKERS=$workers LIBEXEC=$libexec awk '
	BEGIN {
		n = split(ENVIRON["MOVES"], pair, "[ \n]")
		service = "^ExecStart=" ENVIRON["LIBEXEC"] "/wsus-"
	}
	function moved(line, i, at, out, rest, end) {
		for (i = 1; i < n; i += 2) {
			out = ""
			rest = line
			while ((at = index(rest, pair[i])) > 0) {
				end = at + length(pair[i])
				out = out substr(rest, 1, at - 1) (substr(rest, end) ~ "^[A-Za-z0-9._-]" ? pair[i] : escaped(pair[i + 1]))
				rest = substr(rest, end)
			}
			line = out rest
		}
		return line
	}
	function escaped(path) {
		gsub("%", "%%", path)
		return path
	}
	/^\[/ { section = $0 }
	/^[A-Za-z]+=/ {
		key = section SUBSEP substr($0, 1, index($0, "="))
		line = moved($0)
		if (line ~ service && ENVIRON["WORKERS"] != "")
			line = line " -w " ENVIRON["WORKERS"]
		if (!(key in lines))
			order[++keys] = key
		lines[key] = lines[key] line "\n"
		differs[key] = differs[key] || line != $0
	}
	END {
		for (i = 1; i <= keys; i++)
			if (differs[order[i]]) {
				split(order[i], part, SUBSEP)
				if (part[1] != said)
					print said = part[1]
				printf "%s\n%s", part[2], lines[order[i]]
			}
	}' "$1"
}

write_units() {
	restart=''
	for unit in "$units"/wsus-*.service "$units"/wsus-*.socket "$units"/wsus-*.timer "$units"/wsus-*.path; do
		[ -e "$unit" ] || continue
		name=${unit##*/}
		to=$systemd/$name.d/wsus-conf.conf
		text=$(drop_in "$unit")
		[ -z "$text" ] || text="# Written by wsus-setup: what $etc/wsus.conf says otherwise than the unit.
$text"
		[ "$text" != "$(cat "$to" 2>/dev/null || true)" ] || continue
		restart="$restart $name"
		if [ -n "$text" ]; then
			mkdir -p "${to%/*}"
			printf '%s\n' "$text" >"$to"
		else
			rm -f "$to"
			rmdir "${to%/*}" 2>/dev/null || true
		fi
	done
	[ -z "$restart" ] || note "units:$restart"
}

# Only the machine's own systemd, not that of a directory that was installed into.
restart_units() {
	if [ -n "$restart" ] && [ "$systemd" = /etc/systemd/system ] && [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		# shellcheck disable=SC2086 # a list of words
		systemctl try-restart $restart
	fi
}

apply_store_settings() {
	said=$(control config apply)
	case $said in
	'the store holds'*) ;;
	*) say "$said" ;;
	esac
}

# It says who asked for what: for root and the group adm, as nginx's own logs are.  By itself nginx makes it readable by
# everybody; it becomes its workers' when it is rotated.
make_log() {
	[ ! -e "$log/access.log" ] || return 0
	(umask 027 && : >"$log/access.log")
	chgrp adm "$log/access.log" 2>/dev/null || true # there is no such group everywhere
}

# ---- all of it ----

[ -n "$units" ] || die "this is a clone, where scripts/run.sh sets up and starts a server; wsus-setup is for an installed one"
is_root || die "only root can set up a server"
id "$user" >/dev/null 2>&1 || die "there is no user $user; systemd-sysusers makes it from the file that was installed"

umask 022
install_conf
read_conf
check_move
mkdir -p "$state" "$log"
make_log
fill_state
expect_jobs tick health backup certificate sync fetch cleanup
[ -z "$backup_to" ] || [ -d "$backup_to" ] || (umask 077 && mkdir -p "$backup_to")
make_certificate
write_nginx
write_units
restart_units
reload_nginx
apply_store_settings
tell_changes
printf '%s\n' "$values" >"$applied"
if [ -n "$changed" ]; then
	say "set up: $changed"
else
	say "all is as $WSUS_CONF says"
fi
