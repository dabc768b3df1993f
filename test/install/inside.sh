#!/bin/sh
# inside.sh -- the proof inside of a bare Debian, with a network of its own; scripts/prove-install.sh brings it there.
# Each step says what it saw; the first that does not hold ends it.
set -eu
cd /proof
here=/proof/install

fail() {
	echo "FAILED: $*"
	exit 1
}

step() {
	echo "  $*"
}

# holds WORDS COMMAND...: what the command must print.
says() {
	wanted=$1
	shift
	"$@" >said 2>&1 || { cat said && fail "$*"; }
	grep -qF -- "$wanted" said || { cat said && fail "$* does not say: $wanted"; }
}
refused() {
	wanted=$1
	shift
	! "$@" >said 2>&1 || fail "$* was not refused"
	grep -qF -- "$wanted" said || { cat said && fail "$* does not say: $wanted"; }
}

get() {
	perl "$here/get.pl" "$@"
}

# Every file with mode and owner, but for what dpkg, apt and logs keep.
files() {
	find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /proof -o -path /var/cache \
		-o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/log/nginx -o -path /var/lib/nginx \) \
		-prune -o -printf '%M %u:%g %p %l\n' | LC_ALL=C sort -k 3
}

start_services() {
	pids=
	for service in auth client content reporting serversync; do
		perl "$here/service.pl" "wsus-$service" 2 >>"$service.log" 2>&1 &
		pids="$pids $!"
		# shellcheck disable=SC2046,SC2034 # the number of tries is not looked at
		for try in $(seq 200); do
			! tail -n 3 "$service.log" 2>/dev/null | grep -q 'workers on stdin' || break
			sleep 0.1
		done
	done
}

stop_services() {
	# shellcheck disable=SC2086 # a list of numbers
	kill $pids
	wait
	rm -f ./*.log
}

scan() { # scan PORT
	says ' ' wsus-probe "https://localhost:$1" --ca /etc/wsus-fcgi/tls/ca.crt --download
}

# answers PORT WORDS [PATH]: nginx may still be taking something up.
answers() {
	# shellcheck disable=SC2034 # the number of tries is not looked at
	for try in $(seq 100); do
		! get "$1" "${3:-/}" 2>/dev/null | grep -qF -- "$2" || return 0
		sleep 0.1
	done
	get "$1" "${3:-/}" || true
	fail "port $1 does not answer: $2"
}

closed() {
	# shellcheck disable=SC2034 # the number of tries is not looked at
	for try in $(seq 100); do
		get "$1" / >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "port $1 still answers"
}

install_package() {
	dpkg -i "$1" >said 2>&1 || { cat said && fail "dpkg -i $1"; }
}

# ---- another site ----

cat >/etc/nginx/sites-enabled/other <<'END'
server {
	listen 127.0.0.1:8080 default_server;
	location / { return 200 "the other site\n"; }
}
END
rm -f /etc/nginx/sites-enabled/default
files >before
nginx
answers 8080 'the other site'
step "nginx serves another site: $(nginx -v 2>&1)"

# ---- a bad start: nginx refuses its configuration, for a reason that is not ours ----

echo 'nonsense;' >/etc/nginx/conf.d/broken.conf
install_package package.deb
grep -qF 'nginx has what it had before' said || { cat said && fail "the other site's error is not told"; }
grep -qF 'it is installed, but not set up' said || fail "it is not told that it is not set up"
[ ! -e /etc/nginx/conf.d/wsus-fcgi.conf ] || fail "a site was joined that does not work"
rm /etc/nginx/conf.d/broken.conf
nginx -q -t || fail "nginx is worse off than before"
step "installed beside a broken site: told, nginx left alone, dpkg went on"

says 'nginx'"'"'s configuration' wsus-setup
[ -L /etc/nginx/conf.d/wsus-fcgi.conf ] || fail "nginx was not joined"
nginx -q -t
says 'all is as /etc/wsus-fcgi/wsus.conf says' wsus-setup
step "wsus-setup joined nginx, and changes nothing the second time"

# ---- installed as a Debian package is ----

[ "$(stat -c '%U %a' /var/lib/wsus-fcgi/keys/master)" = 'wsus 600' ] || fail "mode of the master secret"
[ "$(stat -c '%U %a' /var/lib/wsus-fcgi/store/catalog/data.mdb)" = 'root 640' ] || fail "mode of the catalog"
[ "$(stat -c '%U %a' /etc/wsus-fcgi/tls/ca.key)" = 'root 600' ] || fail "mode of the authority's key"
for unit in wsus-auth.socket wsus-client.socket wsus-content.socket wsus-reporting.socket wsus-serversync.socket wsus-tick.timer wsus-fcgi.target; do
	says enabled systemctl is-enabled "$unit"
done
systemd-analyze verify --man=no /lib/systemd/system/wsus-* 2>&1 | grep wsus >said || true
[ ! -s said ] || { cat said && fail "systemd-analyze verify"; }
for page in wsusctl wsus.conf wsus-fcgi wsus-setup; do
	[ -n "$(find /usr/share/man -name "$page.[578].gz")" ] || fail "no page $page"
done
step "units enabled, and nothing against them: $(systemctl --version | head -n 1)"

# ---- a scan ----

wsusctl update import sample/updates >said
wsusctl content add sample/content >said
wsusctl approve "$(wsusctl update list | awk '/ Software / && / offered / { print $1; exit }')" --group all >said || { cat said && fail approve; }
start_services
scan 8531
step "scan through TLS by services as their units start them: $(tail -n 1 said)"
answers 8530 '403 Forbidden' /ClientWebService/client.asmx
answers 8080 'the other site'
step "the plain port has no web services, the other site answers"
wsusctl computer list --json >computers
wsusctl health >said 2>&1 || { cat said && fail health; }
step "health: $(head -n 1 said)"

# ---- another setting ----

sed -i 's/^#https.port = .*/https.port = 9531/' /etc/wsus-fcgi/wsus.conf
says 'https.port: was "8531", is "9531"' wsus-setup
scan 9531
closed 8531
perl -MIO::Socket::INET -e '$| = 1; $s = IO::Socket::INET->new(LocalPort => 9000, Listen => 1) or die; print "\n"; sleep 600' >taken &
other=$!
while [ ! -s taken ]; do sleep 0.1; done
sed -i 's/^https.port = .*/https.port = 9000/' /etc/wsus-fcgi/wsus.conf
refused "port 9000 is in use by perl, process $other" wsus-setup
kill "$other"
nginx -q -t
scan 9531
sed -i 's/^https.port = .*/https.port = 8531/' /etc/wsus-fcgi/wsus.conf
wsus-setup >said 2>&1
scan 8531
step "another port: taken up, an other program's port refused by its name"
sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
wsus-setup >said 2>&1
! grep -q '\[' /etc/wsus-fcgi/nginx/listen-tls.conf || fail "IPv6 is listened on where there is none"
echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo down 2>/dev/null && ip link set lo up
wsus-setup >said 2>&1
grep -q '\[::\]' /etc/wsus-fcgi/nginx/listen-tls.conf || fail "IPv6 is not listened on"
step "without IPv6 it listens on IPv4 alone"

# ---- upgrade ----

sha256sum /var/lib/wsus-fcgi/keys/master /etc/wsus-fcgi/tls/ca.crt /etc/wsus-fcgi/wsus.conf >sums
dpkg-deb -R package.deb higher
sed -i 's/^Version: .*/&+1/' higher/DEBIAN/control
dpkg-deb -b higher higher.deb >said
echo 'workers = 3' >>/etc/wsus-fcgi/wsus.conf
sed -i '$d' /etc/wsus-fcgi/wsus.conf
install_package higher.deb
sha256sum --quiet -c sums || fail "an upgrade changed keys or configuration"
stop_services
start_services
scan 8531
[ "$(wsusctl computer list --json | grep -c '"id"')" -ge "$(grep -c '"id"' computers)" ] || fail "computers are gone"
step "upgrade: $(dpkg-query -W wsus-fcgi), the store and keys are as before"

# ---- remove, install again, purge ----

dpkg -r wsus-fcgi >said 2>&1 || { cat said && fail remove; }
[ ! -e /etc/nginx/conf.d/wsus-fcgi.conf ] || fail "nginx still includes our servers"
[ -e /var/lib/wsus-fcgi/store/catalog/data.mdb ] || fail "a removal took the store"
kill -HUP "$(cat /run/nginx.pid)" # policy-rc.d forbids it to the package here
closed 8530
answers 8080 'the other site'
stop_services
step "removed: our ports are closed, the other site answers, the data is there"
install_package package.deb
start_services
scan 8531
sha256sum --quiet -c sums || fail "another installation changed keys or configuration"
stop_services
step "installed again: scan through TLS with the same keys"
dpkg -r wsus-fcgi >said 2>&1
kill -HUP "$(cat /run/nginx.pid)"
mkdir -p /srv/elsewhere
echo 'content = /srv/elsewhere' >>/etc/wsus-fcgi/wsus.conf
dpkg -P wsus-fcgi >said 2>&1 || { cat said && fail purge; }
grep -qF '/srv/elsewhere stays' said || fail "it is not told what stays"
rmdir /srv/elsewhere
closed 8530
answers 8080 'the other site'
nginx -q -t
kill "$(cat /run/nginx.pid)"
files >after
diff before after >left || true
if grep -v '^[0-9]' left | grep -vE '/etc/(passwd|group|shadow|gshadow)-?( |$)' >others; then
	cat others
	fail "purge leaves something else"
fi
step "purged: nothing is left but the user wsus, as of every package of Debian"
