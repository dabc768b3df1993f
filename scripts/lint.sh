#!/bin/sh
# lint.sh -- what the compiler does not check.  One line a check; the findings follow a check that failed.
#   lint.sh          run from anywhere; needs gcc, clang, universal-ctags, shellcheck, mandoc
# Last line: N passed, N failed, with ", N skipped" behind it if something could not be tried here.
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/scripts/common.sh"
cd "$here" || exit 1

passed=0
failed=0
skipped=0
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# check NAME COMMAND...: the command prints findings; none is good.  "skipped: WHAT: WHY" is no finding.
check() {
	name=$1
	shift
	"$@" >"$found" 2>&1
	if grep -qv '^skipped: ' "$found"; then
		failed=$((failed + 1))
		echo "FAILED $name"
		sed 's/^/	/' "$found" | head -n 40
	elif [ -s "$found" ]; then
		skipped=$((skipped + 1))
		cat "$found"
	else
		passed=$((passed + 1))
		echo "ok     $name"
	fi
}

# Everything that git would take along; also works in an exported tree without git.
tracked() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
			[ ! -f "$file" ] || printf '%s\n' "$file"
		done
	else
		for pattern in "$@"; do
			find . -path ./build -prune -o -path ./bin -prune -o -path ./var -prune -o -type f -path "./$pattern" -print | sed 's|^\./||'
		done
	fi
}

# grep_in 'FILES...' EXPRESSION: file:line:text of matches in tracked files.
grep_in() {
	set -f
	# shellcheck disable=SC2086 # patterns, a list of words
	tracked $1 | xargs -r grep -nE -- "$2" /dev/null
	set +f
}

# Comments and string literals blanked, so that only code is looked at.  Line numbers stay.
code_only() {
	awk '
	{
		out = ""; n = length($0)
		for (i = 1; i <= n; i++) {
			c = substr($0, i, 1); d = substr($0, i, 2)
			if (comment) { if (d == "*/") { comment = 0; i++ } continue }
			if (quote != "") { if (c == "\\") i++; else if (c == quote) { quote = ""; out = out c } continue }
			if (d == "/*") { comment = 1; i++; continue }
			if (d == "//") break
			if (c == "\"" || c == "\047") quote = c
			out = out c
		}
		quote = ""
		print FILENAME ":" FNR ":" out
	}' "$@"
}

# ---- layers ----

includes() { # includes FOLDER ALLOWED...: includes of ours in FOLDER that lead elsewhere
	folder=$1
	shift
	allowed=$(printf '%s|' "$@")
	grep_in "$folder/*.[ch]" '^[ 	]*#[ 	]*include[ 	]*"' | grep -vE "include[ 	]*\"(${allowed%|})/[A-Za-z0-9_.-]+\""
}

direction() {
	includes common common
	includes store store common
	includes cgi cgi store common
	includes sync sync store common
	includes ctl ctl store common
}

lmdb_only_in_store() {
	grep_in 'common/*.[ch] cgi/*.[ch] sync/*.[ch] ctl/*.[ch] test/*.[ch] test/*/*.[ch]' '#[ 	]*include[ 	]*[<"]lmdb\.h' |
		grep -v '^test/bench/b_lmdb\.c:' # the floor under the store
}

# ---- code ----

BANNED='strcpy|strcat|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|system|popen|alloca|strncpy|scanf|sscanf|fscanf|tmpnam|mktemp|tempnam|rand|srand|setjmp|longjmp'
banned() {
	files=$(tracked 'common/*.[ch]' 'store/*.[ch]' 'cgi/*.[ch]' 'sync/*.[ch]' 'ctl/*.[ch]' 'test/*.[ch]' 'test/*/*.[ch]')
	# shellcheck disable=SC2086 # a list of words
	code_only $files | grep -E "(^|[^A-Za-z0-9_>.])($BANNED)[ 	]*\\("
}

headers_alone() {
	tracked 'common/*.h' 'store/*.h' 'cgi/*.h' 'sync/*.h' 'ctl/*.h' | while IFS= read -r header; do
		for compiler in gcc clang; do
			printf '#include "%s"\ntypedef int not_empty;\n' "$header" | "$compiler" -std=c11 -I. -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow \
				-Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Werror -fsyntax-only -xc - 2>&1 || echo "$compiler: $header"
		done
	done
}

header_heads() { # every header says what it is for before anything else
	tracked 'common/*.h' 'store/*.h' 'cgi/*.h' 'sync/*.h' 'ctl/*.h' 'common/*.c' 'store/*.c' 'cgi/*.c' 'sync/*.c' 'ctl/*.c' |
		while IFS= read -r file; do
			head -n 1 "$file" | grep -q "^/\* ${file##*/} -- " || echo "$file: the first line is not \"/* ${file##*/} -- purpose\""
		done
}

LONGEST=100
long_functions() {
	tracked '*.c' '*/*.c' '*/*/*.c' '*.h' '*/*.h' | sort -u | xargs -r ctags -f - --languages=C --langmap=C:.c.h --c-kinds=f --fields=+ne |
		awk -F '\t' -v longest="$LONGEST" '{
			line = 0; end = 0
			for (i = 4; i <= NF; i++) {
				if ($i ~ /^line:/) line = substr($i, 6)
				if ($i ~ /^end:/) end = substr($i, 5)
			}
			if (end - line + 1 > longest) print $2 ":" line ": " $1 " has " end - line + 1 " lines"
		}'
}

unfinished() {
	grep_in '*.c *.h *.sh *.py *.in *.conf Makefile *.md *.[0-9]' "\\b(TODO|FIXME|XXX|HACK|not (yet )?implemented)\\b" |
		grep -v '^scripts/lint\.sh:'
}

machine_paths() {
	tracked | xargs -r grep -nIE -- "(^|[^A-Za-z0-9_./-])/(work|home|root)/" /dev/null
}

# ---- scripts, pages, limits ----

shell_scripts() {
	{
		tracked '*.sh' '*/*.sh' '*/*/*.sh'
		tracked '.ci/*' debian/postinst debian/postrm debian/prerm
	} | sort -u | xargs -r shellcheck -x
}

pages() {
	tracked 'doc/*.[0-9]' | xargs -r mandoc -T lint -W warning
}

# nginx repeats these limits of common/limits.h.
nginx_limits() {
	while read -r limit file directive; do
		size=$(sed -n "s/^#define $limit ((size_t)\([0-9]*\) << 20).*/\1m/p" common/limits.h)
		grep -q "^[[:space:]]*$directive $size;" "nginx/$file" || echo "nginx/$file: $directive is not $limit ($size)"
	done <<-END
		LIMIT_BODY http.conf client_max_body_size
		LIMIT_BODY_REPORT services.conf client_max_body_size
		LIMIT_REPLY fastcgi.conf fastcgi_max_temp_file_size
	END
}

nginx_syntax() {
	work=$(mktemp -d)
	mkdir -p "$work/nginx/tmp" "$work/run" "$work/log" "$work/keys"
	cp nginx/*.conf "$work/nginx/"
	sed 's|@USER_LINE@||' nginx/nginx.conf.in >"$work/nginx/nginx.conf"
	sed 's|@PLAIN_SERVICES@|services|' nginx/site.conf.in >"$work/nginx/site.conf"
	echo 'listen unix:run/plain.sock;' >"$work/nginx/listen-plain.conf"
	echo 'listen unix:run/tls.sock ssl;' >"$work/nginx/listen-tls.conf"
	echo 'listen unix:run/downstream.sock ssl;' >"$work/nginx/listen-downstream.conf"
	for part in downstream sync-elsewhere; do
		sed 's|@DOWNSTREAM_PORT@|8532|' "nginx/$part.conf.in" >"$work/nginx/$part.conf"
	done
	for part in http server; do
		WSUS_CONF=/dev/null bin/wsusctl --store "$work/store" config nginx "$part" >"$work/nginx/admission-$part.conf"
	done
	scripts/tls.sh "$work/keys" localhost
	scripts/tls.sh --downstream "$work/keys"
	cp "$work/keys/downstream-ca.crt" "$work/nginx/"
	(cd "$work" && nginx -q -t -p ./ -c nginx/nginx.conf -e log/error.log) 2>&1
	rm -rf "$work"
}

conformance() {
	scripts/conformance.sh --quiet
}

check 'includes go cgi, sync, ctl -> store -> common' direction
check 'only store/ includes lmdb.h' lmdb_only_in_store
check 'no banned function' banned
check 'headers compile alone (gcc, clang)' headers_alone
check 'files say what they are for' header_heads
check "no function over $LONGEST lines" long_functions
check 'no unfinished words' unfinished
check 'no paths of one machine' machine_paths
check 'shellcheck' shell_scripts
check 'manual pages' pages
check 'limits of nginx equal common/limits.h' nginx_limits
check 'nginx takes its configuration' nginx_syntax
check 'doc/conformance.tsv fits the tests' conformance

if [ "$skipped" -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
