#!/bin/sh
# prepare.sh -- in a bare Debian, with a network: what the package depends on, all but itself; what another site leaves.
set -eu
cd /proof
apt-get -q -y --no-install-recommends --simulate install ./package.deb >plan
sed -n 's/^Inst \([^ ]*\) .*/\1/p' plan | grep -v '^wsus-fcgi$' >dependencies
xargs apt-get -q -y --no-install-recommends install <dependencies >apt.log 2>&1 || {
	tail apt.log
	exit 1
}
echo "depends on $(wc -l <dependencies) packages that a bare Debian has not"
