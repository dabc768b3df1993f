#!/bin/sh
# t_commands.sh -- what documents and messages tell people to type exists: each `wsusctl COMMAND --option`, each option of
# wsus-probe, each setting.
# usage: test/unit/t_commands.sh [DIR]      (from the project's root; DIR holds the programs)
# shellcheck disable=SC2016,SC2317 # backticks are meant as such; the checks are called by name
# shellcheck source=test/unit/begin.sh
. test/unit/begin.sh
bin=${1:-bin}

# told FILE...: "FILE: COMMAND", one a line.  In Markdown code stands between backticks or is indented by four blanks, in
# manual pages it follows .Ql or .Dl or is a literal block, in programs it stands between backticks.
told()
{
	for file; do
		case $file in
		*.md) sed -n 's/^    //p' "$file" && grep -v '^    ' "$file" | tr '\n' ' ' | tr '`' '\n' | sed -n 'n;p' ;;
		*.[578]) sed -n -e 's/^\.[DQ]l //p' -e '/^\.Bd -literal/,/^\.Ed/p' "$file" ;;
		*) grep -o '`[^`]*`' "$file" | tr -d '`' ;;
		esac | sed "s|^|$file: |"
	done
}

# of PROGRAM: the arguments of what is told to be typed, up to the end of a command.
of()
{
	sed -n "s/^\([^:]*\): \(.*[^A-Za-z0-9_.-]\)\{0,1\}$1 \([a-zA-Z-].*\)/\1: \3/p" "$tmp/told" | sed 's/[|>;&#)`\\].*//'
}

# has COMMAND OPTION: by what the command says of itself.
has()
{
	name=$(echo "$1" | tr ' ' _)
	# shellcheck disable=SC2086 # a noun and its verb
	[ -e "$tmp/help.$name" ] || "$bin/wsusctl" $1 --help >"$tmp/help.$name"
	grep -q -- "^ *$2\( \|\[\|\$\)" "$tmp/help.$name"
}

# known WORDS...: a command of wsusctl with options that it has; what is wrong goes to standard output.
known()
{
	while [ "${1:-}" = --store ] || [ "${1:-}" = --admin ]; do
		shift 2
	done
	[ "${1:-}" != help ] && [ "${2:-}" != help ] || return 0
	if grep -qx "${1:-} ${2:-}" "$tmp/commands"; then
		command="$1 $2"
	elif grep -qx "${1:-}" "$tmp/commands"; then
		command=$1
	else
		echo "there is no command wsusctl $*"
		return
	fi
	for word; do
		case $word in
		--?*) has "$command" "${word%%[=,.]*}" || echo "wsusctl $command has no option $word" ;;
		esac
	done
	case $command in
	'config get' | 'config set')
		case ${3:-} in
		[a-z]*) grep -q "^#$3 =" "$tmp/settings" || echo "there is no setting $3" ;;
		esac
		;;
	esac
}

# all_known PROGRAM FUNCTION: FUNCTION finds nothing wrong with what is told of PROGRAM, of which there is something.
all_known()
{
	of "$1" >"$tmp/of"
	[ -s "$tmp/of" ] || return 1
	while IFS=: read -r file words; do
		# shellcheck disable=SC2086 # words
		set -f && "$2" $words | sed "s|^|$file: |" && set +f
	done <"$tmp/of" | tee "$tmp/wrong"
	[ ! -s "$tmp/wrong" ]
}

commands_of_wsusctl_exist()
{
	all_known wsusctl known
}

known_to_probe()
{
	for word; do
		case $word in
		--?*) grep -q -- "^  $word\( \|\$\)" "$tmp/probe" || echo "wsus-probe has no option $word" ;;
		esac
	done
}

options_of_wsus_probe_exist()
{
	all_known wsus-probe known_to_probe
}

"$bin/wsusctl" help | awk -F '  +' '/^  [a-z]/ { print $2 }' >"$tmp/commands"
"$bin/wsusctl" config template >"$tmp/settings"
"$bin/wsus-probe" --help >"$tmp/probe" 2>&1 || true # wrong usage, as it names no server
# shellcheck disable=SC2046 # names without blanks
told README.md doc/*.md doc/*.[578] $(git ls-files 'common/*.c' 'store/*.c' 'cgi/*.c' 'ctl/*.c' 'scripts/*.sh') >"$tmp/told"
check commands_of_wsusctl_exist
check options_of_wsus_probe_exist
exit $failed
