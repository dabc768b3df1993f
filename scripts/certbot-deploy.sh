#!/bin/sh
# certbot-deploy.sh -- a deploy hook of certbot: what it renewed is checked and served by wsus-fcgi, without a restart.
#   certbot certonly ... -d updates.example.org --deploy-hook .../certbot-deploy.sh
# certbot sets RENEWED_LINEAGE, the directory of fullchain.pem and privkey.pem.  WSUS_TLS is WHERE of tls.sh
# (/etc/wsus-fcgi/tls).  In certbot's directory of hooks it is run for every certificate of the machine: one that names
# nothing the server is known by is left alone.
set -euf
lib=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=scripts/common.sh
. "$lib/common.sh"

where=${WSUS_TLS:-/etc/wsus-fcgi/tls}
lineage=${RENEWED_LINEAGE:-}
[ -n "$lineage" ] || usage_error "RENEWED_LINEAGE is not set: certbot runs this as its deploy hook" \
	"usage: certbot certonly ... --deploy-hook $0"
keys=$where
[ ! -d "$where/keys" ] || keys=$where/keys

# Names the server has, as it was told and as its present certificate has them; every machine is localhost.
known_names() {
	{
		tr ',' '\n' <"$keys/server.names" 2>/dev/null || true
		openssl x509 -noout -ext subjectAltName -in "$keys/server.crt" 2>/dev/null | sed 1d | tr ',' '\n' | tr -d ' '
	} | sed -n 's/^DNS:\*\./any./p; s/^DNS://p' | grep -v '^localhost$' | sort -u
}

is_for_us() {
	for name in $(known_names); do
		if openssl x509 -noout -checkhost "$name" -in "$lineage/fullchain.pem" | grep -q 'does match'; then
			return 0
		fi
	done
	return 1
}

[ -r "$lineage/fullchain.pem" ] || die "$lineage/fullchain.pem cannot be read"
if ! is_for_us; then
	say "$lineage names nothing that the update server is known by; left alone"
	exit 0
fi
exec "$lib/tls.sh" --install "$where" "$lineage/fullchain.pem" "$lineage/privkey.pem"
