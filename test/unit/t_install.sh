#!/bin/sh
# t_install.sh -- `make install` puts exactly the files of test/unit/install.list into place, what it put there works
# from there, and `make uninstall` takes all of it away.
# usage: test/unit/t_install.sh [--update]     (from the project's root)
# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=test/unit/begin.sh
. test/unit/begin.sh
list=test/unit/install.list

# make_target TARGET: another umask than the usual one, which must not show, and the INSTALL that packagers give.
make_target()
{
	(umask 077 && make -s "$1" INSTALL=install DESTDIR="$tmp/root" prefix=/usr) >"$tmp/log" 2>&1 || { cat "$tmp/log" && return 1; }
}

installed()
{
	find "$tmp/root" -mindepth 1 \( -type d ! -perm 755 -printf 'directory %m %P\n' \) -o \( -type f -printf '%m %P\n' \) -o \( -type l -printf 'link %P -> %l\n' \) | LC_ALL=C sort -k 2
}

installs_what_the_list_says()
{
	make_target install && installed >"$tmp/list" && diff -u "$list" "$tmp/list"
}

installing_again_changes_nothing()
{
	make_target install && installed | diff -u "$list" -
}

tools_run_from_there()
{
	"$tmp/root/usr/bin/wsusctl" --help >"$tmp/help" && grep -q 'update import' "$tmp/help" &&
		"$tmp/root/usr/bin/wsusctl" --store "$tmp/store" store create "$tmp/store" >"$tmp/said" &&
		"$tmp/root/usr/bin/wsusctl" --store "$tmp/store" store audit >"$tmp/said"
}

services_run_from_there()
{
	for service in auth client content reporting serversync; do
		"$tmp/root/usr/lib/wsus-fcgi/wsus-$service" -h >"$tmp/help" && grep -q "usage: wsus-$service" "$tmp/help" || return 1
	done
}

# What it reads stands beside it; the names it is given become a certificate.
scripts_run_from_there()
{
	mkdir -p "$tmp/keys" && "$tmp/root/usr/lib/wsus-fcgi/tls.sh" "$tmp/keys" wsus.example.net &&
		openssl x509 -in "$tmp/keys/server.crt" -noout -checkhost wsus.example.net | grep -q 'does match'
}

no_file_names_the_build_or_leaves_a_place_open()
{
	! grep -rIlE "@[a-z]+@|$(pwd)|$tmp" "$tmp/root/usr/lib/wsus-fcgi" "$tmp/root/usr/share/bash-completion" "$tmp/root/usr/share/man"
}

# offered WORDS...: what bash offers for the last of them.
offered()
{
	bash -c '. "$0/usr/share/bash-completion/completions/wsusctl"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wsusctl
		printf "%s " "${COMPREPLY[@]}"' "$tmp/root" "$@"
}

completes_nouns_verbs_and_options()
{
	[ "$(offered wsusctl upd)" = 'update ' ] || return 1
	[ "$(offered wsusctl --store /x update i)" = 'import ' ] || return 1
	case $(offered wsusctl approve KB5 --) in
	*--deadline*--store*) ;;
	*) return 1 ;;
	esac
	[ "$(offered wsusctl update list --d)" = '--declined ' ] || return 1
	[ "$(offered wsusctl expl)" = 'explain ' ] && [ "$(offered wsusctl report s)" = 'summary ' ] || return 1
	[ "$(offered wsusctl computer list --stale)" = '--stale ' ] && [ "$(offered wsusctl report computers --csv)" = '--csv ' ]
}

uninstall_leaves_no_file()
{
	make_target uninstall && [ -z "$(installed)" ] && [ ! -e "$tmp/root/usr/lib/wsus-fcgi" ] && [ ! -e "$tmp/root/usr/share/wsus-fcgi" ]
}

if [ "${1:-}" = --update ]; then
	make_target install
	installed >"$list"
	exit
fi
check installs_what_the_list_says
check installing_again_changes_nothing
check tools_run_from_there
check services_run_from_there
check scripts_run_from_there
check no_file_names_the_build_or_leaves_a_place_open
check completes_nouns_verbs_and_options
check uninstall_leaves_no_file
exit $failed
