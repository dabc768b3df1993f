# paths.sh -- where programs, templates and the server's own directories are; read with ".", never run.
# This one is for a clone, all of which is below one directory; `make install` writes another with the directories that
# it was given, and with whom services run as and where the configuration of nginx and systemd is.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # used by those who read it; lib is theirs
bin=${WSUS_BIN:-${lib%/*}/bin} # tests run instrumented programs this way
libexec=$bin
share=${lib%/*}
state=${lib%/*}/var
etc=$state
run=$state/run
log=$state/log
backups='' user='' group='' nginx='' units='' systemd=''
