# state.sh -- the directories, the store and the secret of a server; read with ".", never run.
# Those who read it have set: bin, state, and user and group, whom services run as (empty: who calls).
# shellcheck shell=sh
# shellcheck disable=SC2154 # see above

control() {
	"$bin/wsusctl" --store "$state/store" "$@" 9<&-
}

# Root keeps the catalog; services read it and write fleet/ through their group.  Files that clients may download are
# for everybody.
fill_state() {
	mkdir -p "$state/store" "$state/content" "$state/selfupdate" "$state/keys"
	chmod 700 "$state/keys"
	if [ -n "$group" ]; then
		# The store takes the group of its directory.
		chgrp "$group" "$state/keys" "$state/store"
		chmod 750 "$state/keys" "$state/store"
	fi
	[ -d "$state/store/catalog" ] || control store create >&2
	rm -f "$state/keys/master.new"
	[ -e "$state/keys/master" ] || make_master
}

# The secret that cookies are sealed with.  Lost, every client starts anew; known, anyone can write cookies.
make_master() {
	control store key "$state/keys/master.new" >/dev/null
	[ -z "$user" ] || chown "$user:$group" "$state/keys/master.new"
	mv "$state/keys/master.new" "$state/keys/master"
}
