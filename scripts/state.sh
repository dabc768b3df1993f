# state.sh -- the directories, the store and the secret of a server; read with ".", never run.
# Those who read it have set: bin, store, content, selfupdate, keys, and user and group, whom services run as (empty: who
# calls).
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

control() {
	"$bin/wsusctl" --store "$store" "$@" 9<&-
}

# Root keeps the catalog; services read it and write fleet/ through their group.  Files that clients may download are
# for everybody.
fill_state() {
	mkdir -p "$store" "$content" "$selfupdate" "$keys"
	chmod 700 "$keys"
	if [ -n "$group" ]; then
		# The store takes the group of its directory.
		chgrp "$group" "$keys" "$store"
		chmod 750 "$keys" "$store"
	fi
	[ -d "$store/catalog" ] || control store create >&2
	rm -f "$keys/master.new"
	[ -e "$keys/master" ] || make_master
}

# The secret that cookies are sealed with.  Lost, every client starts anew; known, anyone can write cookies.
make_master() {
	control store key "$keys/master.new" >/dev/null
	[ -z "$user" ] || chown "$user:$group" "$keys/master.new"
	mv "$keys/master.new" "$keys/master"
}

# expect_jobs NAME...: jobs that run here from now on (job.sh); `wsusctl health` misses one that does not.
expect_jobs() {
	mkdir -p "$state/jobs"
	chmod 755 "$state/jobs"
	for job in "$@"; do
		[ -e "$state/jobs/$job.since" ] || : >"$state/jobs/$job.since"
	done
}

# render_downstream TEMPLATES TLS DIR: what nginx has in addition, and otherwise, with downstream.port.  Who may come is said
# by downstream_ca; where that is empty, by the authority that tls.sh makes in TLS.  Its certificates are copied, so that nginx
# has another one once it was told, and nothing else of the file: DIR may be read by everybody.
render_downstream() {
	[ -n "$downstream_port" ] || return 0
	ca=${downstream_ca:-$2/downstream-ca.crt}
	awk '/^-----BEGIN CERTIFICATE-----/ { on = 1 } on { print } /^-----END CERTIFICATE-----/ { on = 0 }' "$ca" >"$3/downstream-ca.crt" || true
	if [ ! -s "$3/downstream-ca.crt" ]; then
		say "downstream.client-ca: $ca has no certificate in PEM form"
		return 1
	fi
	cp "$1/downstream.conf.in" "$3/downstream.conf"
	sed "s|@DOWNSTREAM_PORT@|$downstream_port|" "$1/sync-elsewhere.conf.in" >"$3/sync-elsewhere.conf"
	listen_lines "$downstream_port" ssl >"$3/listen-downstream.conf"
}

# render_admission DIR: what nginx must know of who may come.  Tokens stand there: nginx reads it while it is root.
render_admission() {
	if [ "$(setting clients.admission)" = token ] && [ ! -s "$keys/client-tokens" ]; then
		control client token --new >/dev/null
		say "made a token that computers need: \`wsusctl client token\` shows it, \`wsusctl client setup\` gives it to them"
	fi
	for part in http server; do
		(umask 077 && control config nginx "$part" >"$1/admission-$part.conf") || return 1
	done
}
