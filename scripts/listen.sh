# listen.sh -- what our servers listen on; read with ".", never run.
# listen: addresses, IPv4 and IPv6 without brackets, with blanks between them; add_listen fills it.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # see above

# add_listen ADDR: :: is two sockets, so that an IPv4 client is known by its IPv4 address.
add_listen() {
	address=${1#[}
	address=${address%]}
	case $address in
	*[!0-9a-fA-F.:]* | '') return 1 ;;
	::) add_word 0.0.0.0 ;;
	esac
	add_word "$address"
}

add_word() {
	case " $listen " in
	*" $1 "*) ;;
	*) listen="${listen:+$listen }$1" ;;
	esac
}

# Where the machine has no IPv6, :: and ::1 go, unless nothing would be left: then nginx says what is wrong.
leave_out_ipv6() {
	! has_ipv6 || return 0
	without=''
	for address in $listen; do
		case $address in
		:: | ::1) ;;
		*) without="${without:+$without }$address" ;;
		esac
	done
	listen=${without:-$listen}
}

has_ipv6() {
	grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6 2>/dev/null
}

# Does nobody else reach any of the addresses?
loopback() {
	for address in $listen; do
		case $address in
		127.* | ::1) ;;
		*) return 1 ;;
		esac
	done
}

bracketed() {
	case $1 in
	*:*) printf '[%s]' "$1" ;;
	*) printf '%s' "$1" ;;
	esac
}

# listen_lines PORT [ssl]: for nginx.
listen_lines() {
	for address in $listen; do
		echo "listen $(bracketed "$address"):$1 default_server backlog=1024${2:+ $2};"
	done
}
