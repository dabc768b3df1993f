#!/bin/sh
# deb.sh -- builds the Debian package of what is here, with the ordinary tools, in a copy below build/deb.
#   deb.sh     as any user; installs nothing.  The package goes to build/, lintian judges it if it is there.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"
cd "$here"

for tool in dpkg-buildpackage dh; do
	command -v "$tool" >/dev/null || die "there is no $tool; install what a build needs: scripts/install-packages.sh deb"
done

# Uncommitted changes too, but nothing that git does not know: programs built here are for here.
copy() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files -z --cached --others --exclude-standard
	else
		find . \( -path ./build -o -path ./bin -o -path ./var \) -prune -o \( -type f -o -type l \) -print0
	fi | tar --create --null --no-recursion --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory="$1"
}

umask 022
work=$here/build/deb
rm -rf "$work"
mkdir -p "$work/wsus-fcgi"
copy "$work/wsus-fcgi"
cd "$work/wsus-fcgi"
dpkg-checkbuilddeps || die "install what a build needs: scripts/install-packages.sh deb"
if ! dpkg-buildpackage -b -us -uc -j"$(cores)" >"$work/log" 2>&1; then
	tail -n 30 "$work/log" >&2
	die "the package could not be built; the whole log: $work/log"
fi
cd "$here"
rm -f build/wsus-fcgi*.deb
mv "$work"/wsus-fcgi*.deb build/
package=$(find build -maxdepth 1 -name 'wsus-fcgi_*.deb')
say "built $package; install it: apt install ./$package"
if command -v lintian >/dev/null; then
	lintian --allow-root --fail-on error,warning "$package"
else
	say "there is no lintian here to judge it"
fi
