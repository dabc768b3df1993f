# begin.sh -- what shell tests share; read with "." from the project's root, never run: a directory $tmp that is gone at
# the end, and check(), whose lines scripts/check.sh counts.
# shellcheck shell=sh
set -eu
program=${0##*/}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/${program%.sh}.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
failed=0

# check NAME [COMMAND...]: the function of that name, or the command.
check()
{
	checked=$1
	[ $# -eq 1 ] || shift
	if "$@"; then
		echo "[       OK ] $checked"
	else
		echo "[  FAILED  ] $checked"
		# shellcheck disable=SC2034 # the tests' exit status
		failed=1
	fi
}
