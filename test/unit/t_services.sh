#!/bin/sh
# t_services.sh -- what the service programs are able to do, as their symbols tell.
# usage: test/unit/t_services.sh [DIR]      (from the project's root; DIR holds the programs)
# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=test/unit/begin.sh
. test/unit/begin.sh
bin=${1:-bin}

# A server that never begins an exchange has no way to name anybody on the network.  Its one connect() asks its own
# socket whether another instance lives.
# holds: WUSP-TRANSPORT-37
services_cannot_name_a_peer()
{
	for service in wsus-auth wsus-client wsus-content wsus-reporting wsus-serversync; do
		nm -D --undefined-only "$bin/$service" >"$tmp/symbols" || return 1
		grep -q ' accept' "$tmp/symbols" || { echo "$service accepts nothing" && return 1; }
		! grep -E ' (getaddrinfo|gethostbyname|inet_|sendto|curl_|popen|system|exec)' "$tmp/symbols" || return 1
	done
}

check services_cannot_name_a_peer
exit $failed
