# common.sh -- what the other scripts share; read with ".", never run.  POSIX sh.
# shellcheck shell=sh

# Words for people go to stderr, results to stdout.
say() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

usage_error() {
	printf '%s: %s\n%s\n' "${0##*/}" "$1" "$2" >&2
	exit 2
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

is_number() {
	case $1 in
	'' | *[!0-9]*) return 1 ;;
	esac
}

cores() {
	getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1
}

# setting NAME: its value in wsus.conf (WSUS_CONF), the default where the file is silent; $bin is where wsusctl is.
setting() {
	"${bin:?}/wsusctl" config get "$1"
}

# absolute PATH: PATH without a leading ./ or relation to the working directory; it need not exist.
absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s/%s\n' "$(pwd)" "$1" ;;
	esac
}

# What this machine may be called: names and addresses, one a line.
host_names() {
	hostname
	hostname -f 2>/dev/null || true
	printf '%s\n' localhost 127.0.0.1 ::1
	hostname -I 2>/dev/null | tr ' ' '\n' | grep -v '%' || true
}

# is_rung BELL HEARD: was the one file touched since the other was?
is_rung() {
	[ -e "$1" ] && { [ ! -e "$2" ] || [ -n "$(find "$1" -newer "$2")" ]; }
}

# port_holder PORT: the socket inodes that listen on this TCP port, whatever the address; fails if none does.
# Reads /proc, so that no package is needed.
port_holder() {
	awk -v port="$(printf '%04X' "$1")" '
		$4 == "0A" && substr($2, length($2) - 3) == port { print $10; found = 1 }
		END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# port_user PORT: "NAME, process PID" of who listens there, as far as we may see it.
port_user() {
	for inode in $(port_holder "$1"); do
		for link in $(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n 1); do
			pid=${link#/proc/}
			pid=${pid%%/*}
			printf '%s, process %s\n' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
			return 0
		done
	done
	echo "another program"
}

# started PID: when the process began, in ticks since the machine did.
started() {
	sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# is_ours PID PROGRAM DIR [STARTED]: the process lives, is that program, and works in that directory.  A pid file may
# be older than the process that now has its number.  What keeps secrets shows its directory to root only; then it
# must have begun when our process did.
is_ours() {
	is_number "$1" && [ -d "/proc/$1" ] || return 1
	if directory=$(readlink "/proc/$1/cwd" 2>/dev/null); then
		[ "$directory" = "$3" ] || return 1
	elif [ -z "${4:-}" ] || [ "$(started "$1")" != "$4" ]; then
		return 1
	fi
	tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -q -- "$2"
}

# end_process PID SIGNAL SECONDS: signals and waits; kills what has not ended by then.  The caller has made sure
# that it is ours.
end_process() {
	kill "-$2" "$1" 2>/dev/null || return 0
	waited=0
	while kill -0 "$1" 2>/dev/null; do
		case $(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) in
		Z | '') return 0 ;; # ended; its parent has yet to collect it
		esac
		if [ "$waited" -ge $(($3 * 10)) ]; then
			say "process $1 does not end, killing it"
			kill -KILL "$1" 2>/dev/null || return 0
			return 0
		fi
		sleep 0.1
		waited=$((waited + 1))
	done
}
