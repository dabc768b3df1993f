# wsus-fcgi.  make            build everything into bin/
#             make check      every test, without looking for packages; SAN=1 with any target builds with sanitizers
#             make fuzz       libFuzzer targets into build/fuzz/
#             make lint       include direction, banned functions, headers alone, shellcheck
#             make deb        the Debian package, into build/
#             make install    with DESTDIR, prefix and the other directories below; make uninstall takes the same
# STRICT=-Werror, which the tests use, makes a warning an error; without it a newer compiler's new warning stops nobody.
# One Makefile, no recursion.  Knobs first, then lists, then rules.

CC = gcc
CLANG = clang
SAN =
STRICT =
BUILD = build$(if $(SAN),/$(SAN))
BIN = $(if $(SAN),$(BUILD)/bin,bin)
OPT = $(if $(SAN),-O1,-O2)
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wwrite-strings -Wformat=2 -Wundef $(STRICT)
CFLAGS = -std=c11 -g $(OPT) $(WARN) -fstack-protector-strong -D_FORTIFY_SOURCE=$(if $(SAN),0,2)
CPPFLAGS = -I. -D_GNU_SOURCE
ifneq ($(SAN),)
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DARENA_DEBUG
LDFLAGS += -fsanitize=address,undefined
endif
# Services digest nothing and are not linked to libcrypto.
LDLIBS = -llmdb -lmbedcrypto -Wl,--as-needed -lcrypto

# ---- lists: a program is its main file plus the layers below it ----
COMMON = $(wildcard common/*.c)
STORE = $(wildcard store/*.c)
CGI = $(filter-out cgi/main_%.c,$(wildcard cgi/*.c))
CTL = $(filter-out ctl/main_%.c,$(wildcard ctl/*.c))
SYNC = $(filter-out sync/main_%.c,$(wildcard sync/*.c))
READERS = ctl/health.c ctl/health_state.c ctl/json.c  # of CTL, what is fuzzed
SERVICES = $(patsubst cgi/main_%.c,$(BIN)/wsus-%,$(wildcard cgi/main_*.c))
TOOLS = $(patsubst ctl/main_%.c,$(BIN)/%,$(wildcard ctl/main_*.c))
JOBS = $(patsubst sync/main_%.c,$(BIN)/%,$(wildcard sync/main_*.c))
UNIT = $(patsubst test/unit/t_%.c,$(BUILD)/test/t_%,$(wildcard test/unit/t_*.c))
MODEL = $(patsubst test/model/m_%.c,$(BUILD)/test/m_%,$(wildcard test/model/m_*.c))
BENCH = $(patsubst test/bench/b_%.c,$(BUILD)/test/b_%,$(wildcard test/bench/b_*.c))
CATALOG = $(if $(wildcard test/catalog/*.c),$(BUILD)/test/make-catalog)
CASES = $(if $(wildcard test/case/run.c),$(BUILD)/test/case-run)
FUZZ = $(patsubst test/fuzz/f_%.c,build/fuzz/f_%,$(wildcard test/fuzz/f_*.c))

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

all: $(SERVICES) $(TOOLS) $(JOBS) $(CATALOG)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libcommon.a: $(call obj,$(COMMON))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/libstore.a: $(call obj,$(STORE))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/libctl.a: $(call obj,$(CTL))
	@rm -f $@
	$(AR) rcs $@ $^

$(SERVICES): $(BIN)/wsus-%: $(BUILD)/cgi/main_%.o $(call obj,$(CGI)) $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

$(JOBS): $(BIN)/%: $(BUILD)/sync/main_%.o $(call obj,$(SYNC)) $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcurl -lmspack -lz $(LDLIBS)

# Of ctl/ each takes what it needs: libcurl comes with thirty libraries, and to load them is most of what a command
# of wsusctl, which has no use for it, would take.
$(TOOLS): $(BIN)/%: $(BUILD)/ctl/main_%.o $(BUILD)/libctl.a $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -Wl,--as-needed -o $@ $^ -lfcgi -lcurl $(LDLIBS)

$(UNIT) $(MODEL): $(BUILD)/test/%: $(BUILD)/libstore.a $(BUILD)/libcommon.a
$(UNIT): $(BUILD)/test/t_%: $(BUILD)/test/unit/t_%.o $(call obj,$(CGI)) $(call obj,$(CTL)) $(call obj,$(SYNC))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libstore.a $(BUILD)/libcommon.a -lcmocka -lfcgi -lcurl -lmspack -lz $(LDLIBS)
$(MODEL): $(BUILD)/test/m_%: $(BUILD)/test/model/m_%.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libstore.a $(BUILD)/libcommon.a -lcmocka $(LDLIBS)
$(BUILD)/test/b_%: $(BUILD)/test/bench/b_%.o $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/test/b_count: $(BUILD)/test/bench/b_count.o $(call obj,$(CGI)) $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)
$(BUILD)/test/b_storm: $(BUILD)/test/bench/b_storm.o $(call obj,$(wildcard test/bench/storm_*.c)) $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/test/b_floor: LDLIBS += -lfcgi
$(CATALOG): $(call obj,$(wildcard test/catalog/*.c)) $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lm
$(CASES): $(call obj,$(wildcard test/case/*.c)) $(call obj,$(CGI)) $(BUILD)/libstore.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lfcgi $(LDLIBS)

# ---- fuzz targets: everything once more under clang with libFuzzer and sanitizers ----
FUZZ_FLAGS = -std=c11 -g -O1 $(WARN) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DARENA_DEBUG
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
build/fuzz/libwsus.a: $(patsubst %.c,build/fuzz/%.o,$(COMMON) $(STORE) $(CGI) $(SYNC) $(READERS))
	@rm -f $@
	$(AR) rcs $@ $^
$(FUZZ): build/fuzz/f_%: build/fuzz/test/fuzz/f_%.o build/fuzz/libwsus.a
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ -lfcgi -lcurl -lmspack -lz $(LDLIBS)
fuzz: $(FUZZ)

# The shipped configuration file; a test compares it with what the program prints.
etc/wsus.conf: $(BIN)/wsusctl
	@mkdir -p $(@D)
	$< config template >$@.new && mv $@.new $@

benches: $(BENCH)
tests: $(UNIT) $(MODEL) $(CASES) $(CATALOG)

# ---- install: the usual directories.  Configuration and data are where the programs look by themselves, whatever the
# prefix.  Scripts that administrators do not call lie beside the services.  What is installed is said once, in INSTALLED:
# a row is MODE|FILE|TARGET, and uninstall removes the targets. ----
DESTDIR =
prefix = /usr/local
bindir = $(prefix)/bin
sbindir = $(prefix)/sbin
libexecdir = $(prefix)/lib
datadir = $(prefix)/share
mandir = $(datadir)/man
sysconfdir = /etc
localstatedir = /var
runstatedir = /run
completiondir = $(datadir)/bash-completion/completions
logrotatedir = $(sysconfdir)/logrotate.d
unitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
# Whom the services run as.
user = wsus
group = wsus
libexec = $(libexecdir)/wsus-fcgi
share = $(datadir)/wsus-fcgi
RENDERED = $(BUILD)/install
RENDER = sed -e 's|@bindir@|$(bindir)|g' -e 's|@libexec@|$(libexec)|g' -e 's|@share@|$(share)|g' \
	-e 's|@etc@|$(sysconfdir)/wsus-fcgi|g' -e 's|@state@|$(localstatedir)/lib/wsus-fcgi|g' -e 's|@run@|$(runstatedir)/wsus-fcgi|g' \
	-e 's|@log@|$(localstatedir)/log/wsus-fcgi|g' -e 's|@user@|$(user)|g' -e 's|@group@|$(group)|g' \
	-e 's|@backups@|$(localstatedir)/backups/wsus-fcgi|g' -e 's|@nginx@|$(sysconfdir)/nginx|g' -e 's|@started@|$(STARTED)|g' -e 's|@units@|$(unitdir)|g' -e 's|@systemd@|$(sysconfdir)/systemd/system|g'
# What the programs do not find at its default is named in the configuration file that is shipped.
PLACES = $(if $(filter-out /var,$(localstatedir)),-e 's|^\#\([a-z.]* = \)/var/|\1$(localstatedir)/|') \
	$(if $(filter-out /etc,$(sysconfdir)),-e 's|^\#\([a-z]* = \)/etc/|\1$(sysconfdir)/|')
UNITS = $(patsubst systemd/%.in,%,$(wildcard systemd/*.service.in systemd/*.timer.in systemd/*.path.in systemd/*.target.in))
SOCKETS = $(patsubst $(BIN)/%,%.socket,$(SERVICES))
STARTED = $(SOCKETS) $(filter %.timer %.path,$(UNITS))

INSTALLED = $(foreach f,$(TOOLS),755|$(f)|$(bindir)/$(notdir $(f))) \
	$(foreach f,$(SERVICES) $(JOBS),755|$(f)|$(libexec)/$(notdir $(f))) \
	$(foreach f,tls certbot-deploy job jobs rotate setup wsus-sync wsus-content wsus-cleanup,755|scripts/$(f).sh|$(libexec)/$(f).sh) \
	$(foreach f,common state listen,644|scripts/$(f).sh|$(libexec)/$(f).sh) 644|$(RENDERED)/paths.sh|$(libexec)/paths.sh \
	$(foreach f,$(UNITS) $(SOCKETS),644|$(RENDERED)/$(f)|$(unitdir)/$(f)) \
	644|$(RENDERED)/wsus-fcgi.cron|$(sysconfdir)/cron.d/wsus-fcgi 644|$(RENDERED)/wsus-fcgi.sysusers|$(sysusersdir)/wsus-fcgi.conf \
	$(foreach f,$(wildcard nginx/*.conf nginx/*.in),644|$(f)|$(share)/nginx/$(notdir $(f))) \
	$(foreach n,5 7 8,$(foreach f,$(wildcard doc/*.$(n)),644|$(f)|$(mandir)/man$(n)/$(notdir $(f)))) \
	644|$(RENDERED)/logrotate|$(logrotatedir)/wsus-fcgi \
	644|$(RENDERED)/wsusctl|$(completiondir)/wsusctl 644|$(RENDERED)/wsus.conf|$(share)/wsus.conf \
	755|$(RENDERED)/wsus-setup|$(sbindir)/wsus-setup

install: $(SERVICES) $(TOOLS) $(JOBS)
	mkdir -p $(RENDERED)
	$(BIN)/wsusctl help --completion >$(RENDERED)/wsusctl
	$(RENDER) scripts/paths.sh.in >$(RENDERED)/paths.sh
	$(RENDER) etc/logrotate.in >$(RENDERED)/logrotate
	$(RENDER) systemd/wsus-fcgi.sysusers.in >$(RENDERED)/wsus-fcgi.sysusers
	sed -e '' $(PLACES) etc/wsus.conf >$(RENDERED)/wsus.conf
	ln -sf $(libexec)/setup.sh $(RENDERED)/wsus-setup
	$(RENDER) etc/wsus-fcgi.cron.in >$(RENDERED)/wsus-fcgi.cron
	set -e; for unit in $(UNITS); do \
		case $$unit in *.service) more="systemd/sandbox.in $$(ls systemd/$${unit%.service}.wider.in 2>/dev/null || :)" ;; *) more= ;; esac; \
		$(RENDER) systemd/$$unit.in $$more >$(RENDERED)/$$unit; \
	done
	set -e; for name in $(SOCKETS:wsus-%.socket=%); do \
		$(RENDER) -e "s|@service@|$$name|g" systemd/socket.in >$(RENDERED)/wsus-$$name.socket; \
	done
	umask 022; set -e; for row in $(foreach row,$(INSTALLED),'$(row)'); do \
		mode=$${row%%|*}; row=$${row#*|}; to='$(DESTDIR)'$${row#*|}; \
		mkdir -p "$${to%/*}"; \
		if [ -L "$${row%|*}" ]; then ln -sf "$$(readlink "$${row%|*}")" "$$to"; \
		else install -m "$$mode" "$${row%|*}" "$$to"; fi; \
	done
uninstall:
	rm -f $(foreach row,$(INSTALLED),'$(DESTDIR)$(lastword $(subst |, ,$(row)))')
	-rmdir $(foreach d,$(share)/nginx $(share) $(libexec),'$(DESTDIR)$(d)') 2>/dev/null

deb:
	scripts/deb.sh
check:
	scripts/check.sh --built
lint:
	scripts/lint.sh
clean:
	rm -rf build bin

.PHONY: all fuzz benches tests install uninstall deb check lint clean
.SECONDARY:
-include $(shell find build -path build/deb -prune -o -type f -name '*.d' -print 2>/dev/null)
