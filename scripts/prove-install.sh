#!/bin/sh
# prove-install.sh -- proves the package in a bare Debian: built from a clean clone, installed, run beside another site,
# set up anew, upgraded, removed, purged, and nothing of it left.
#   prove-install.sh [12|13]...     as root (both by default); not part of check.sh: it takes some minutes and a mirror
# Needs debootstrap and unshare.  The mirror is the one of this machine's apt.  All is below WSUS_PROVE (/tmp/wsus-prove); a
# bare Debian is kept there for the next run, and what failed, to be looked into.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"

USAGE='usage: prove-install.sh [12|13]...'
is_root || die "only root can make another Debian"
command -v debootstrap >/dev/null || die "there is no debootstrap; apt install debootstrap"
work=${WSUS_PROVE:-/tmp/wsus-prove}

# ---- a bare Debian ----

# repository LABEL: of this machine, by the label that it gives itself.
repository() {
	# shellcheck disable=SC2016 # apt-get's own variables
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$1|//p" | head -n 1
}

make_bare() {
	mirror=$(repository Debian)
	[ -n "$mirror" ] || die "apt of this machine has no repository of Debian; run apt-get update"
	say "making a bare Debian $codename"
	rm -rf "$bare.new"
	debootstrap --variant=minbase "$codename" "$bare.new" "$mirror" >"$work/debootstrap-$codename.log" 2>&1 ||
		die "debootstrap failed: see $work/debootstrap-$codename.log"
	{
		echo "deb $mirror $codename main"
		echo "deb $mirror $codename-updates main"
		security=$(repository Debian-Security)
		[ -z "$security" ] || echo "deb $security $codename-security main"
	} >"$bare.new/etc/apt/sources.list"
	apt-config dump Acquire::http Acquire::https Acquire::Check-Date Acquire::Check-Valid-Until >"$bare.new/etc/apt/apt.conf.d/99machine"
	cp -L /etc/resolv.conf /etc/hosts "$bare.new/etc/"
	# No program is started by a package's installation: there is no systemd, and this machine has its own.
	printf '#!/bin/sh\nexit 101\n' >"$bare.new/usr/sbin/policy-rc.d"
	chmod 755 "$bare.new/usr/sbin/policy-rc.d"
	inside "$bare.new" apt-get -q update >/dev/null
	mv "$bare.new" "$bare"
}

# inside ROOT COMMAND...: with its own processes and mounts, which end with it.
# alone ROOT COMMAND...: the same with a network of its own, loopback alone.
inside() {
	root=$1
	shift
	unshare --mount --pid --fork --kill-child sh -c "$ENTER" enter "$root" "$@"
}
alone() {
	root=$1
	shift
	unshare --net --mount --pid --fork --kill-child sh -c "ip link set lo up; $ENTER" enter "$root" "$@"
}
# shellcheck disable=SC2016 # for the shell in there
ENTER='root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"'

# fresh NAME: a copy of the bare Debian.
fresh() {
	rm -rf "${work:?}/$1"
	cp -a "$bare" "$work/$1"
	mkdir "$work/$1/proof"
}

# ---- the proof ----

build_package() {
	say "building in Debian $1"
	fresh "build-$1"
	git clone -q "$here" "$work/build-$1/proof/wsus-fcgi"
	cat >"$work/build-$1/proof/build" <<-'END'
		set -eu
		cd /proof/wsus-fcgi
		apt-get -q -y --no-install-recommends install dpkg-dev lintian >/proof/apt.log 2>&1
		apt-get -q -y --no-install-recommends build-dep . >>/proof/apt.log 2>&1
		make deb
		build/deb/wsus-fcgi/build/test/make-catalog --revisions 300 --content --out /proof/sample
	END
	inside "$work/build-$1" sh /proof/build
}

prove() {
	codename=$2
	bare=$work/bare-$2
	mkdir -p "$work"
	[ -d "$bare" ] || make_bare
	build_package "$1"
	root=$work/debian-$1
	fresh "debian-$1"
	cp "$work/build-$1"/proof/wsus-fcgi/build/wsus-fcgi_*.deb "$root/proof/package.deb"
	cp -r "$work/build-$1/proof/sample" "$here/test/install" "$root/proof/"
	say "installing in Debian $1"
	inside "$root" sh /proof/install/prepare.sh
	alone "$root" sh /proof/install/inside.sh || die "Debian $1: failed; look into $root"
	rm -rf "$root" "$work/build-$1"
	say "Debian $1: all of it holds"
}

for version in "${@:-12 13}"; do
	for number in $version; do
		case $number in
		12) prove 12 bookworm ;;
		13) prove 13 trixie ;;
		*) usage_error "no version of Debian that is proven: $number" "$USAGE" ;;
		esac
	done
done
