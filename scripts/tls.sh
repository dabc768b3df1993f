#!/bin/sh
# tls.sh -- a private certificate authority and a server certificate for one instance.
#   tls.sh KEYS NAME...     KEYS: directory for ca.crt, ca.key, server.crt, server.key; NAME: host name or address
# Does nothing while the certificate names exactly these names and is good for another 30 days.  An administrator's
# own certificate (one that our authority did not sign) is left alone.  Keys are ECDSA P-256, which every Windows
# since Vista verifies; see nginx/tls.conf for what that choice buys.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"

[ $# -ge 2 ] || usage_error "too few arguments" "usage: tls.sh KEYS NAME..."
keys=$1
shift
umask 077
soon=$((30 * 86400))

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

make_authority() {
	cat >"$work/ca.cnf" <<-END
		[req]
		distinguished_name = dn
		x509_extensions = ext
		prompt = no
		[dn]
		O = wsus-fcgi
		CN = wsus-fcgi authority $(date -u +%Y-%m-%d) $(openssl rand -hex 4)
		[ext]
		basicConstraints = critical, CA:true, pathlen:0
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
	END
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
	openssl req -x509 -new -config "$work/ca.cnf" -key "$work/ca.key" -sha256 -days 3650 -out "$work/ca.crt"
	mv "$work/ca.key" "$work/ca.crt" "$keys/"
	chmod 644 "$keys/ca.crt"
}

# The subjectAltName of the names, in a fixed order so that it can be compared.
alt_names() {
	for name in "$@"; do
		case $name in
		*:*) echo "IP:$name" ;;
		*[!0-9.]*) echo "DNS:$name" ;;
		*) echo "IP:$name" ;;
		esac
	done | sort -u | paste -s -d , -
}

make_certificate() {
	cat >"$work/server.cnf" <<-END
		[req]
		distinguished_name = dn
		prompt = no
		[dn]
		O = wsus-fcgi
		CN = $(printf '%.60s' "$1")
		[ext]
		basicConstraints = critical, CA:false
		keyUsage = critical, digitalSignature
		extendedKeyUsage = serverAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		subjectAltName = $names
	END
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/server.key"
	openssl req -new -config "$work/server.cnf" -key "$work/server.key" -sha256 -out "$work/server.csr"
	openssl x509 -req -in "$work/server.csr" -CA "$keys/ca.crt" -CAkey "$keys/ca.key" \
		-set_serial "0x4$(openssl rand -hex 15)" -days 825 -sha256 \
		-extfile "$work/server.cnf" -extensions ext -out "$work/server.crt" 2>"$work/log" ||
		{ cat "$work/log" >&2; die "no server certificate could be made"; }
	rm -f "$keys/server.names" # missing names make the next run begin anew if this one is cut short here
	mv "$work/server.key" "$work/server.crt" "$keys/"
	chmod 644 "$keys/server.crt"
	printf '%s\n' "$names" >"$keys/server.names"
}

[ -s "$keys/ca.crt" ] || [ -s "$keys/server.crt" ] || make_authority
if [ ! -s "$keys/ca.crt" ] || { [ -s "$keys/server.crt" ] &&
	! openssl verify -no_check_time -CAfile "$keys/ca.crt" "$keys/server.crt" >/dev/null 2>&1; }; then
	openssl x509 -checkend "$soon" -noout -in "$keys/server.crt" >/dev/null ||
		say "warning: $keys/server.crt, which is your own, ends within 30 days"
	exit 0
fi
openssl x509 -checkend "$soon" -noout -in "$keys/ca.crt" >/dev/null ||
	say "warning: the authority $keys/ca.crt ends within 30 days; remove keys/ca.* and keys/server.* to make a new one"

names=$(alt_names "$@")
if [ ! -s "$keys/server.crt" ] || [ ! -s "$keys/server.key" ] ||
	[ "$(cat "$keys/server.names" 2>/dev/null)" != "$names" ] ||
	! openssl x509 -checkend "$soon" -noout -in "$keys/server.crt" >/dev/null; then
	make_certificate "$@"
fi
