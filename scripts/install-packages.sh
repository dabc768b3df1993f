#!/bin/sh
# install-packages.sh -- install the Debian packages that are missing.
#   install-packages.sh [run] [test] [deb]     run: to build and run (the default); test: what scripts/check.sh needs;
#                                              deb: what `make deb` needs
# As root, or by sudo.  Debian starts a freshly installed nginx on port 80; a policy-rc.d forbids that for the
# duration and is put back as it was.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"

RUN='gcc libc6-dev make libfcgi-dev liblmdb-dev libmbedtls-dev libssl-dev libcurl4-openssl-dev libmspack-dev zlib1g-dev nginx
	openssl curl ca-certificates'
DEB='build-essential debhelper dpkg-dev lintian'
TEST='clang libclang-rt-dev libcmocka-dev cabextract fcgiwrap spawn-fcgi shellcheck mandoc jq universal-ctags
	lmdb-utils logrotate python3 python3-zeep python3-lxml libfwnt-dev git strace valgrind'

wanted=
for set in "${@:-run}"; do
	case $set in
	run) wanted="$wanted $RUN" ;;
	test) wanted="$wanted $RUN $TEST" ;;
	deb) wanted="$wanted $RUN $DEB" ;;
	*) usage_error "unknown set of packages: $set" "usage: install-packages.sh [run] [test] [deb]" ;;
	esac
done

missing=
for package in $wanted; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || die "these packages are missing, and this is no Debian:$missing"
if ! is_root; then
	command -v sudo >/dev/null || die "packages are missing; as root: apt-get install$missing"
	exec sudo "$0" "$@"
fi

say "installing:$missing"
exec 8<"$0"
flock 8 # two runs at a time would restore each other's policy

policy=/usr/sbin/policy-rc.d
saved=$(mktemp -d)
restore() {
	rm -f "$policy"
	if [ -e "$saved/policy" ] || [ -L "$saved/policy" ]; then
		mv "$saved/policy" "$policy"
	fi
	rmdir "$saved"
}
if [ -e "$policy" ] || [ -L "$policy" ]; then
	mv "$policy" "$saved/policy"
fi
trap restore EXIT
trap 'exit 130' INT TERM HUP
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
apt_get() {
	apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
log=$saved.log
# shellcheck disable=SC2086 # a list of words
if ! { apt_get update && apt_get install -y --no-install-recommends $missing; } >"$log" 2>&1 8<&-; then
	tail -n 20 "$log" >&2
	die "the packages could not be installed; the whole log: $log"
fi
rm -f "$log"
case " $missing " in
*' nginx '*)
	[ ! -d /run/systemd/system ] || say "Debian's own nginx was not started, but it will be at the next boot, on port 80;" \
		"systemctl disable nginx prevents that"
	;;
esac
