#!/bin/sh
# tls.sh -- the certificates of one server: a private authority and what it signs, or a certificate of your own.
set -eu
lib=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"

USAGE='usage: tls.sh KEYS NAME...                      make what is missing, renew what ends soon; nginx is left alone
       tls.sh --renew WHERE [NAME...]           the same, with the names of the last time; nginx takes it up
       tls.sh --install WHERE CERT KEY [CHAIN]  check this certificate and serve it from now on
       tls.sh --switch WHERE                    let the next authority sign: every computer has it
       tls.sh --show WHERE                      what is served, and what is wrong with it
       tls.sh --downstream WHERE                make the authority of downstream servers if there is none
       tls.sh --client WHERE NAME DIR           a certificate for the downstream server NAME, signed by it, into DIR
  KEYS    directory of ca.crt, ca.key, server.crt, server.key
  WHERE   KEYS of an installed server, or the state directory of run.sh
  NAME    host name or address, IPv4 or IPv6'

# Certificates live 825 days, for which no client of ours has a limit, and are renewed 30 days before their end: a job
# that fails has a month of tries.  An authority lives ten years; its successor is made two years before the end, so
# that computers which are rarely switched on have met it before it signs.
SERVER_DAYS=825
SOON=$((30 * 86400))
AUTHORITY_DAYS=3650
AUTHORITY_SOON=$((730 * 86400))

# ---- where ----

# places WHERE: sets keys, and state if that is an instance of run.sh.
places() {
	state=''
	keys=$(cd "$1" 2>/dev/null && pwd -P) || die "there is no directory $1"
	if [ -e "$keys/VERSION" ] && [ -d "$keys/keys" ]; then
		keys=$keys/keys
	fi
	if [ -e "${keys%/*}/VERSION" ] && [ "${keys##*/}" = keys ]; then
		state=${keys%/*}
	fi
	case $keys in
	*[\"\\\$]*) [ -n "$state" ] || die "nginx takes no path with quotes, backslashes or dollars: $keys" ;;
	esac
}

# One at a time; what is made is made inside the directory, so that it appears by rename.
begin() {
	umask 077
	exec 7>>"$keys/.lock"
	flock 7
	rm -rf "$keys"/.new.*
	work=$(mktemp -d "$keys/.new.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
}

# ---- what a certificate says ----

field() { # field CERT OPTION: "subject=..." without the word
	openssl x509 -noout "-$2" -nameopt RFC2253,utf8 -in "$1" | sed "s/^[A-Za-z]*= *//"
}

seconds_left() {
	echo $(($(date -d "$(field "$1" enddate)" +%s) - $(date +%s)))
}

day_of_end() {
	date -u -d "$(field "$1" enddate)" +%Y-%m-%d
}

# ends_within SECONDS CERT: also if it cannot be read.
ends_within() {
	! openssl x509 -checkend "$1" -noout -in "$2" >/dev/null 2>&1
}

signed_by() { # signed_by AUTHORITY CERT
	openssl verify -no_check_time -partial_chain -trusted "$1" "$2" >/dev/null 2>&1
}

# Names and addresses, one a line.
names_in() {
	openssl x509 -noout -ext subjectAltName -in "$1" 2>/dev/null | sed 1d | tr ',' '\n' |
		sed 's/^ *//; s/^IP Address:/IP:/; s/ *$//' | grep . || true
}

# An administrator's own: there, and signed by no authority of ours.
is_own() {
	[ -s "$keys/server.crt" ] || return 1
	for authority in "$keys/ca.crt" "$keys/ca-next.crt" "$keys/ca-old.crt"; do
		if [ -s "$authority" ] && signed_by "$authority" "$keys/server.crt"; then
			return 1
		fi
	done
}

# ---- the authority ----

make_authority() { # make_authority FILE [KIND]: FILE.crt and FILE.key
	cat >"$work/ca.cnf" <<-END
		[req]
		distinguished_name = dn
		x509_extensions = ext
		prompt = no
		[dn]
		O = wsus-fcgi
		CN = wsus-fcgi ${2:+$2 }authority $(date -u +%Y-%m-%d) $(openssl rand -hex 4)
		[ext]
		basicConstraints = critical, CA:true, pathlen:0
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
	END
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
	openssl req -x509 -new -config "$work/ca.cnf" -key "$work/ca.key" -sha256 -days "$AUTHORITY_DAYS" -out "$work/ca.crt"
	chmod 644 "$work/ca.crt"
	mv "$work/ca.key" "$keys/$1.key"
	mv "$work/ca.crt" "$keys/$1.crt"
}

# Nothing changes for computers until an administrator says --switch.
prepare_successor() {
	ends_within "$AUTHORITY_SOON" "$keys/ca.crt" || return 0
	[ ! -s "$keys/ca-next.crt" ] || [ ! -s "$keys/ca-next.key" ] || return 0
	make_authority ca-next
	say "the authority $keys/ca.crt ends on $(day_of_end "$keys/ca.crt"); its successor is $keys/ca-next.crt: import it on \
every computer beside the old one, then run tls.sh --switch"
}

switch_authority() {
	if [ ! -s "$keys/ca-next.crt" ] || [ ! -s "$keys/ca-next.key" ]; then
		die "there is no next authority in $keys; --renew makes it when the present one has less than two years left"
	fi
	names=$(cat "$keys/server.names" 2>/dev/null) || die "$keys/server.names is missing; run --renew with all names first"
	make_certificate "$keys/ca-next"
	adopt "$pair" || return 1
	# Copies first: cut short anywhere, a second --switch finds the next authority whole and finishes.
	cmp -s "$keys/ca-next.crt" "$keys/ca.crt" || ln -f "$keys/ca.crt" "$keys/ca-old.crt"
	for suffix in key crt; do
		cp -p "$keys/ca-next.$suffix" "$work/ca.$suffix"
		mv "$work/ca.$suffix" "$keys/ca.$suffix"
	done
	rm "$keys/ca-next.crt" "$keys/ca-next.key"
	say "certificates are signed by the authority that ends on $(day_of_end "$keys/ca.crt") from now on; computers may forget \
$keys/ca-old.crt"
}

# ---- the server's certificate ----

# The subjectAltName of the names, in a fixed order so that it can be compared.
alt_names() {
	for name in "$@"; do
		case $name in
		*[!A-Za-z0-9._*:-]* | -* | '') usage_error "$name is no host name or address" "$USAGE" ;;
		*:*) echo "IP:$name" ;;
		*[!0-9.]*) echo "DNS:$name" ;;
		*) echo "IP:$name" ;;
		esac
	done | sort -u | paste -s -d , -
}

# It cannot outlive the authority: a chain is as good as the first of its ends.
days_to_sign() {
	left=$(($(seconds_left "$1") / 86400))
	[ "$left" -ge "$SERVER_DAYS" ] || { echo "$left" && return 0; }
	echo "$SERVER_DAYS"
}

# sign AUTHORITY USE CN: makes $work/server.key and server.crt, for $names; fails with the reason in $work/log.  Keys are
# ECDSA P-256, which every Windows since Vista verifies; nginx/tls.conf says what that choice buys.
sign() {
	cat >"$work/server.cnf" <<-END
		[req]
		distinguished_name = dn
		prompt = no
		[dn]
		O = wsus-fcgi
		CN = $3
		[ext]
		basicConstraints = critical, CA:false
		keyUsage = critical, digitalSignature
		extendedKeyUsage = $2
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		subjectAltName = $names
	END
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/server.key"
	{
		openssl req -new -config "$work/server.cnf" -key "$work/server.key" -sha256 -out "$work/server.csr" &&
			openssl x509 -req -in "$work/server.csr" -CA "$1.crt" -CAkey "$1.key" \
				-set_serial "0x4$(openssl rand -hex 15)" -days "$(days_to_sign "$1.crt")" -sha256 \
				-extfile "$work/server.cnf" -extensions ext -out "$work/server.crt"
	} 2>"$work/log"
}

# make_certificate AUTHORITY: for $names, in a directory of its own; sets pair.
make_certificate() {
	first=${names#*:}
	sign "$1" serverAuth "$(printf '%.60s' "${first%%,*}")" || {
		cat "$work/log" >&2
		die "no certificate could be made; what was served is served on.  Names: $names"
	}
	new_pair
}

# new_pair: $work/server.{crt,key} become a directory that nothing is served from yet; sets pair.
new_pair() {
	pair=$(mktemp -d "$keys/pair.XXXXXX")
	chmod 644 "$work/server.crt"
	mv "$work/server.crt" "$work/server.key" "$pair/"
	chmod 755 "$pair"
	pair=${pair##*/}
}

link_to() { # link_to NAME TARGET: appears in one step
	ln -s "$2" "$work/link" && mv -fT "$work/link" "$keys/$1"
}

# nginx reads a certificate and its key one after the other.  It gets both names from this one file, and a pair stays
# where it is until the one after the next is made: whatever moment nginx reads at, they fit.
write_conf() {
	prefix=$keys
	[ -z "$state" ] || prefix=../keys # nginx of run.sh: its paths are relative to STATE/nginx
	dir=$prefix
	[ ! -L "$keys/server" ] || dir=$prefix/$(readlink "$keys/server")
	printf '%s\n' '# Written by tls.sh with every certificate.' "ssl_certificate \"$dir/server.crt\";" \
		"ssl_certificate_key \"$dir/server.key\";" >"$work/server.conf" || return 1
	cmp -s "$work/server.conf" "$keys/server.conf" || mv "$work/server.conf" "$keys/server.conf"
}

# serve PAIR: files of these names lead there from now on.
serve() {
	link_to server "$1" && link_to server.key server/server.key && link_to server.crt server/server.crt && write_conf
}

# adopt PAIR: serve it, and nginx takes it up; if it does not, what was served before is.
adopt() {
	before=$(readlink "$keys/server" 2>/dev/null || true)
	keep_plain_files
	for old in "$keys"/pair.*; do
		[ "${old##*/}" = "$before" ] || [ "${old##*/}" = "$1" ] || rm -rf "$old"
	done
	if serve "$1" && reload_nginx; then
		return 0
	fi
	[ -z "$before" ] || serve "$before"
	return 1
}

# Files that were put here by hand become a pair too, so that there is a way back.
keep_plain_files() {
	if [ -z "$before" ] && [ -s "$keys/server.crt" ] && [ -s "$keys/server.key" ]; then
		before=pair.before
		mkdir -p "$keys/$before"
		cp -L "$keys/server.crt" "$keys/server.key" "$keys/$before/"
		chmod 644 "$keys/$before/server.crt"
		chmod 755 "$keys/$before"
	fi
}

# A backup has the files but not the links: they come back from what nginx was told, so that a certificate that was
# given is not taken for missing.
find_again() {
	[ ! -L "$keys/server" ] && [ -s "$keys/server.conf" ] || return 0
	pair=$(sed -n 's|^ssl_certificate ".*/\(pair\.[A-Za-z0-9]*\)/server\.crt";|\1|p' "$keys/server.conf")
	if [ -n "$pair" ] && [ -s "$keys/$pair/server.crt" ] && [ ! -e "$keys/server.crt" ]; then
		serve "$pair"
	fi
}

# ---- nginx ----

# The process that reads these files: of the instance, or the machine's.
nginx_pid() {
	if [ -n "$state" ]; then
		pid=$(cat "$state/run/nginx.pid" 2>/dev/null) && is_ours "$pid" nginx "$state"
	else
		pid=$(cat "${WSUS_NGINX_PID:-/run/nginx.pid}" 2>/dev/null) && is_number "$pid" &&
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = nginx ]
	fi
}

nginx_test() {
	if [ -n "$state" ]; then
		(cd "$state" && nginx -q -t -p ./ -c nginx/nginx.conf -e log/nginx-error.log)
	else
		nginx -q -t
	fi
}

# Its workers end what they have begun and new ones take what comes: nothing is lost.  One that does not run reads
# the files when it starts.
reload_nginx() {
	[ -n "$reload" ] && nginx_pid || return 0
	if ! nginx_test >"$work/nginx" 2>&1; then
		say "nginx refuses its configuration, so it was not reloaded and the certificate is the one of before: \
$(paste -s -d ' ' "$work/nginx"); correct that, then run tls.sh --renew or --install again"
		return 1
	fi
	kill -HUP "$pid"
	reloaded=yes
}

# The first of our addresses as one to connect to; nothing where we do not know of one.
tls_address() {
	conf=$state/nginx/listen-tls.conf
	# shellcheck source=scripts/paths.sh
	[ -n "$state" ] || conf=$(. "$lib/paths.sh" && [ -n "$units" ] && echo "$etc/nginx/listen-tls.conf") || return 0
	sed -n '1s/^listen \([^ ]*\) .*/\1/p' "$conf" 2>/dev/null | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/'
}

fingerprint() {
	openssl x509 -noout -fingerprint -sha256 2>/dev/null
}

# is_served ADDRESS: nginx shows the certificate that is in the file there; sets seen.
is_served() {
	seen=$(timeout 5 openssl s_client -connect "$1" -noservername </dev/null 2>/dev/null | fingerprint) &&
		[ "$seen" = "$(fingerprint <"$keys/server.crt")" ]
}

not_served() {
	if [ -n "$seen" ]; then
		echo "nginx shows another certificate than $keys/server.crt on $1: look at its error log, then start it again"
	else
		echo "nginx does not answer on $1: look at its error log, then start it again"
	fi
}

# It says nothing to a signal: what it shows afterwards tells whether it took the files up.
expect_served() {
	[ -n "$reloaded" ] && address=$(tls_address) && [ -n "$address" ] || return 0
	tries=0
	until is_served "$address"; do
		[ "$tries" -lt 40 ] || die "nginx was told to take up the new certificate, but $(not_served "$address")"
		sleep 0.2
		tries=$((tries + 1))
	done
}

# ---- make and renew ----

# Why another certificate is needed, in words; fails if none is.
reason_to_make() {
	if [ ! -s "$keys/server.crt" ] || [ ! -s "$keys/server.key" ]; then
		echo "there was none"
	elif [ "$(cat "$keys/server.names" 2>/dev/null)" != "$names" ]; then
		echo "the names changed"
	elif ends_within "$SOON" "$keys/server.crt"; then
		echo "the old one ended on $(day_of_end "$keys/server.crt")"
	elif ! signed_by "$keys/ca.crt" "$keys/server.crt"; then
		echo "the authority changed"
	else
		return 1
	fi
}

# A job fails with these words; a start says them and goes on with what there is.
not_now() {
	say "$*"
	[ -z "$reload" ] && write_conf
}

watch_own() {
	write_conf
	ends_within "$SOON" "$keys/server.crt" || return 0
	not_now "$keys/server.crt is your own and ends on $(day_of_end "$keys/server.crt"): renew it where it came from, then \
tls.sh --install (certbot: see certbot-deploy.sh)"
}

renew() {
	if [ ! -s "$keys/ca.crt" ] && [ ! -s "$keys/server.crt" ]; then
		make_authority ca
	fi
	if is_own; then
		watch_own
		return
	fi
	if [ $# -gt 0 ]; then
		names=$(alt_names "$@")
	else
		names=$(cat "$keys/server.names" 2>/dev/null) || die "$keys/server.names is missing: give all names once"
	fi
	[ -n "$names" ] || usage_error "no usable name" "$USAGE"
	prepare_successor
	why=$(reason_to_make) || { write_conf && return 0; }
	make_certificate_of_ours "$why"
}

make_certificate_of_ours() {
	if ends_within "$SOON" "$keys/ca.crt"; then
		not_now "the authority $keys/ca.crt ends on $(day_of_end "$keys/ca.crt") and signs no more: see that every computer \
has $keys/ca-next.crt, then run tls.sh --switch"
		return
	fi
	make_certificate "$keys/ca"
	adopt "$pair" || return 1
	printf '%s\n' "$names" >"$work/names"
	mv "$work/names" "$keys/server.names"
	[ -z "$reload" ] || say "new server certificate, good until $(day_of_end "$keys/server.crt"): $1"
}

# ---- downstream servers ----

# An authority that signs nothing else: who wants to take all their certificates back makes another one, and no computer
# notices.  A server whose own certificate is not of ours has it, too.
make_downstream_authority() {
	[ -s "$keys/downstream-ca.crt" ] || make_authority downstream-ca downstream
}

# make_client NAME DIR: PKCS#12 is what Windows imports.  It is no more secret than the key beside it, so it has no password,
# and the old algorithms, which Server 2016 and before read, are good enough.
make_client() {
	case $1 in
	*[!A-Za-z0-9._-]* | [.-]* | '') usage_error "$1 is no host name" "$USAGE" ;;
	esac
	[ -d "$2" ] || die "there is no directory $2; make one that nobody else may read"
	make_downstream_authority
	[ -s "$keys/downstream-ca.key" ] || die "$keys/downstream-ca.key is not here, without which nothing can be signed; put it back, or \
remove downstream-ca.crt to begin with another authority"
	if ends_within "$SOON" "$keys/downstream-ca.crt"; then
		die "the authority $keys/downstream-ca.crt ends on $(day_of_end "$keys/downstream-ca.crt") and signs no more: wsus-tls(8) says how to \
make another"
	fi
	names=DNS:$1
	if ! sign "$keys/downstream-ca" clientAuth "$(printf '%.60s' "$1")" || ! openssl pkcs12 -export -inkey "$work/server.key" \
		-in "$work/server.crt" -name "$1" -passout pass: -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 \
		-out "$work/server.p12" 2>"$work/log"; then
		cat "$work/log" >&2
		die "no certificate could be made for $1"
	fi
	chmod 644 "$work/server.crt"
	chmod 600 "$work/server.key" "$work/server.p12"
	for suffix in key p12 crt; do
		mv "$work/server.$suffix" "$2/$1.$suffix" || die "$2/$1.$suffix cannot be written"
	done
	say "$2/$1.crt, .key and .p12 (without a password) are good until $(day_of_end "$2/$1.crt")$(is_own || echo "; it knows this server by \
$keys/ca.crt")"
}

# ---- check and install one that is given ----

errors=0

ok() {
	printf 'ok: %s\n' "$*"
}

warning() {
	printf 'warning: %s\n' "$*"
}

wrong() {
	printf 'error: %s\n' "$*"
	errors=$((errors + 1))
}

# split FILE...: the certificates of these files as $work/1.pem and on; sets count.
split() {
	rm -f "$work"/[0-9]*.pem
	count=$(cat "$@" | awk -v dir="$work" '
		/^-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/ { n++; inside = 1 }
		inside && n <= 10 { print >(dir "/" n ".pem") }
		/^-----END / { inside = 0 }
		END { print n + 0 }')
	if [ "$count" -eq 0 ] || [ "$count" -gt 10 ]; then
		wrong "$count certificates in PEM form (-----BEGIN CERTIFICATE-----) in $*"
		return 1
	fi
	n=1
	while [ "$n" -le "$count" ]; do
		openssl x509 -noout -in "$work/$n.pem" 2>/dev/null || { wrong "certificate $n of $* cannot be read" && return 1; }
		n=$((n + 1))
	done
}

public_of() {
	openssl x509 -noout -pubkey -in "$1"
}

check_key() {
	public=$(openssl pkey -passin pass: -pubout -in "$1" 2>/dev/null) ||
		{ wrong "$1 is no private key in PEM form without a pass phrase" && return 0; }
	if [ "$(public_of "$work/1.pem")" = "$public" ]; then
		ok "the key belongs to the certificate"
		return 0
	fi
	n=2
	while [ "$n" -le "$count" ]; do
		if [ "$(public_of "$work/$n.pem")" = "$public" ]; then
			wrong "the key belongs to certificate $n; the server's own must be the first, then who signed it, and so on"
			return 0
		fi
		n=$((n + 1))
	done
	wrong "the key belongs to another certificate"
}

is_self_issued() {
	[ "$(field "$1" subject)" = "$(field "$1" issuer)" ]
}

check_dates() { # check_dates CERT WHAT
	if [ "$(date -d "$(field "$1" startdate)" +%s)" -gt "$(date +%s)" ]; then
		wrong "$2 is not valid before $(field "$1" startdate)"
	fi
	if ends_within 0 "$1"; then
		wrong "$2 has expired on $(day_of_end "$1")"
	elif ends_within "$SOON" "$1"; then
		warning "$2 ends on $(day_of_end "$1"), within 30 days"
	else
		ok "$2 is good until $(day_of_end "$1")"
	fi
}

# What Schannel of Windows 7 SP1 to 11 verifies by default: no P-521, no Ed25519, nothing below 2048 bits, no SHA-1.
check_strength() { # check_strength CERT WHAT
	text=$(openssl x509 -noout -text -in "$1")
	kind=$(printf '%s\n' "$text" | sed -n 's/^ *Public Key Algorithm: *//p')
	bits=$(printf '%s\n' "$text" | sed -n 's/^ *Public-Key: (\([0-9]*\) bit.*/\1/p')
	case $kind/$bits in
	rsaEncryption/*)
		if [ "$bits" -lt 2048 ] || [ "$bits" -gt 16384 ]; then
			wrong "$2 has an RSA key of $bits bits; Windows wants 2048 to 16384"
		fi
		;;
	id-ecPublicKey/256 | id-ecPublicKey/384) ;;
	*) wrong "$2 has a key Windows does not take ($kind, ${bits:-?} bits): use RSA from 2048 bits, or ECDSA P-256 or P-384" ;;
	esac
	if [ "$1" != "$work/1.pem" ] && is_self_issued "$1"; then
		return 0 # nobody verifies what a root says of itself
	fi
	signature=$(printf '%s\n' "$text" | sed -n 's/^ *Signature Algorithm: *//p' | head -n 1)
	case $signature in
	sha256With* | sha384With* | sha512With* | ecdsa-with-SHA256 | ecdsa-with-SHA384 | ecdsa-with-SHA512) ;;
	*) wrong "$2 is signed with $signature; Windows wants SHA-256 or better with RSA (PKCS #1) or ECDSA" ;;
	esac
}

check_chain() {
	n=1
	while [ "$n" -lt "$count" ]; do
		if ! signed_by "$work/$((n + 1)).pem" "$work/$n.pem"; then
			wrong "certificate $((n + 1)) ($(field "$work/$((n + 1)).pem" subject)) did not sign certificate $n, whose issuer is \
$(field "$work/$n.pem" issuer): the order is the server's own, who signed it, and so on"
			return 0
		fi
		n=$((n + 1))
	done
	if [ "$count" -gt 1 ] && is_self_issued "$work/$count.pem"; then
		warning "the chain holds its root; computers have that already, leave it out"
	fi
	cat "$work"/[0-9]*.pem >"$work/all.pem"
	if [ -s "$keys/ca.crt" ] && signed_by "$keys/ca.crt" "$work/1.pem"; then
		ok "signed by our authority, good until $(day_of_end "$keys/ca.crt")"
	elif openssl verify -no_check_time -untrusted "$work/all.pem" "$work/1.pem" >/dev/null 2>&1; then
		ok "the chain leads to an authority that this machine trusts"
	else
		warning "this machine does not know who signed it ($(field "$work/$count.pem" issuer)): computers must have that \
authority, and the chain everything between"
	fi
}

check_names() {
	names_in "$work/1.pem" >"$work/has"
	if [ ! -s "$work/has" ]; then
		wrong "the certificate names no host (subjectAltName)"
		return 0
	fi
	ok "names: $(paste -s -d ' ' "$work/has")"
	openssl x509 -noout -ext extendedKeyUsage -in "$work/1.pem" >"$work/usage" 2>/dev/null || true
	if [ -s "$work/usage" ] && ! grep -q 'TLS Web Server Authentication' "$work/usage"; then
		wrong "the certificate is not meant for servers (extendedKeyUsage without serverAuth)"
	fi
	missing=$(tr ',' '\n' <"$keys/server.names" 2>/dev/null | while IFS=: read -r kind name; do
		option=-checkhost
		[ "$kind" = DNS ] || option=-checkip
		openssl x509 -noout "$option" "$name" -in "$work/1.pem" | grep -q 'does match' || printf ' %s' "$name"
	done)
	[ -z "$missing" ] || warning "computers that know the server as one of these will refuse it:$missing"
}

# check KEY FILE...: prints findings; counts errors.
check() {
	key=$1
	shift
	split "$@" || return 0
	check_key "$key"
	n=1
	while [ "$n" -le "$count" ]; do
		what="certificate $n"
		[ "$n" -gt 1 ] || what="the server's certificate"
		check_dates "$work/$n.pem" "$what"
		check_strength "$work/$n.pem" "$what"
		n=$((n + 1))
	done
	check_chain
	check_names
}

install_given() {
	given_key=$2
	for file in "$@"; do
		[ -r "$file" ] || die "$file cannot be read"
	done
	cert=$1
	shift 2
	check "$given_key" "$cert" "$@"
	[ "$errors" -eq 0 ] || die "not installed; what was served is served on"
	n=1
	while [ "$n" -le "$count" ]; do
		cat "$work/$n.pem"
		n=$((n + 1))
	done >"$work/server.crt"
	openssl pkey -passin pass: -in "$given_key" -out "$work/server.key"
	new_pair
	adopt "$pair" || return 1
	say "$keys serves this certificate from now on"
}

show() {
	[ -s "$keys/server.crt" ] || die "there is no certificate in $keys; tls.sh --renew with names makes one"
	printf 'certificate: %s, serial %s\n' "$keys/server.crt" "$(field "$keys/server.crt" serial)"
	check "$keys/server.key" "$keys/server.crt"
	[ ! -s "$keys/ca-next.crt" ] ||
		warning "the next authority $keys/ca-next.crt waits: see that every computer has it, then tls.sh --switch"
	[ ! -s "$keys/downstream-ca.crt" ] || check_dates "$keys/downstream-ca.crt" "the authority of downstream servers"
	if nginx_pid && address=$(tls_address) && [ -n "$address" ] && ! is_served "$address"; then
		wrong "$(not_served "$address")"
	fi
	[ "$errors" -eq 0 ]
}

# ---- the command line ----

at_least() {
	[ "$1" -ge "$2" ] || usage_error "too few arguments" "$USAGE"
}

reload=yes
reloaded=''
verb=${1:-}
case $verb in
-h | --help)
	printf '%s\n' "$USAGE"
	exit 0
	;;
--renew | --install | --switch | --show | --downstream | --client)
	at_least $# 2
	shift
	;;
-*) usage_error "unknown option $verb" "$USAGE" ;;
*)
	at_least $# 2
	verb=--renew
	reload=''
	;;
esac
where=$1
shift
places "$where"
begin
find_again
case $verb in
--renew) renew "$@" ;;
--switch) switch_authority ;;
--show) show ;;
--downstream) make_downstream_authority ;;
--client)
	at_least $# 2
	make_client "$1" "$(absolute "$2")"
	;;
--install)
	at_least $# 2
	install_given "$@"
	;;
esac
expect_served
