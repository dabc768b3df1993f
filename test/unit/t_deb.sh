#!/bin/sh
# t_deb.sh -- `make deb` builds a package that lintian finds nothing against, of the version and with the files that
# `make install` has, and its scripts start and stop what it has.  scripts/prove-install.sh installs it.
# usage: test/unit/t_deb.sh     (from the project's root)
# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=test/unit/begin.sh
. test/unit/begin.sh

if ! command -v dh >/dev/null || ! dpkg-checkbuilddeps 2>/dev/null; then
	echo "skipped: make deb: what it needs is not here; scripts/install-packages.sh deb"
	echo "[  SKIPPED ] builds_without_a_finding"
	exit 0
fi

builds_without_a_finding()
{
	scripts/deb.sh >"$tmp/log" 2>&1 && cp build/wsus-fcgi_*.deb "$tmp/package.deb" &&
		dpkg-deb -e "$tmp/package.deb" "$tmp/control" && return
	cat "$tmp/log"
	return 1
}

has_the_version_of_the_programs()
{
	[ "wsus-client $(dpkg-deb -f "$tmp/package.deb" Version)" = "$(bin/wsus-client -V)" ]
}

# Debian packs pages, has units where it wants them, and documents besides.
has_what_make_install_has()
{
	sed 's/^[^/]* //; s/ -> .*//' test/unit/install.list | LC_ALL=C sort >"$tmp/wanted"
	dpkg-deb --fsys-tarfile "$tmp/package.deb" | tar -t | sed 's|^\./||; s|\.gz$||; s|^lib/systemd|usr/lib/systemd|' |
		grep -v -e '/$' -e '^$' -e '^usr/share/doc/' -e '^usr/share/lintian/' | LC_ALL=C sort | diff -u "$tmp/wanted" -
}

no_file_of_etc_is_asked_about_that_a_program_writes()
{
	! grep -q wsus.conf "$tmp/control/conffiles"
}

# named SCRIPT VERB: the units that a verb of the package's script is for, one a line.
named()
{
	sed -n "s/.*deb-systemd-invoke $2 //p" "$tmp/control/$1" | tr ' ' '\n' | sed -n "s/^'\(.*\)'$/\1/p" | LC_ALL=C sort
}

starts_sockets_and_timers_and_restarts_services()
{
	grep -o 'wsus-[a-z]*\.\(socket\|timer\|path\|target\)$' test/unit/install.list | LC_ALL=C sort >"$tmp/started"
	sed -n 's/socket$/service/p' "$tmp/started" >"$tmp/restarted"
	named postinst start | diff -u "$tmp/started" - && named prerm stop | diff -u "$tmp/started" - &&
		named postinst try-restart | diff -u "$tmp/restarted" -
}

check builds_without_a_finding
if [ "$failed" -eq 0 ]; then
	check has_the_version_of_the_programs
	check has_what_make_install_has
	check no_file_of_etc_is_asked_about_that_a_program_writes
	check starts_sockets_and_timers_and_restarts_services
fi
exit "$failed"
