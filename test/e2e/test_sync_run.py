"""test_sync_run.py -- one synchronization as a whole: one at a time, what faults mean, what it tells to whom, how it is ended, when it is
due.  Its parent is that of parent.py."""
import datetime
import hashlib
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import threading
import time
import unittest

import harness
import parent
from parent import Parent, document, number, small_catalog

SYNC = harness.ROOT / "bin/wsus-sync"
CTL = harness.ROOT / "bin/wsusctl"
QUICK = {"WSUS_SYNC_DELAY_MS": "0"}  # before a call is made again
PHASES = ["authorization", "configuration", "categories", "updates"]
DONE, FAILED, USAGE, CANCELLED, RUNS_ALREADY = 0, 1, 2, 4, 75


class Child:
    """A store with a parent, and no services."""

    def __init__(self, server=None, **settings):
        self.state = harness.temporary("wsus-run-")
        self.store = self.state / "store"
        self.ctl("store", "create", self.store)
        settings = {"sync.filter": "all", "upstream.url": server.url if server else "", **settings}
        for name, value in settings.items():
            self.ctl("config", "set", name, value)

    def ctl(self, *arguments, check=True, **kw):
        return harness.run(CTL, "--store", self.store, *arguments, check=check, env={**os.environ, **QUICK}, **kw)

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def status(self):
        return self.json("sync", "status")

    def history(self):
        return self.json("sync", "history")

    def command(self, *options):
        return [str(SYNC), "run", "--store", str(self.store), *options]

    def sync(self, *options, status=DONE, **env):
        done = harness.run(*self.command(*options), check=False, env={**os.environ, **QUICK, **env})
        if done.returncode != status:
            raise AssertionError(f"status {done.returncode}, not {status}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *options, before=(), **kw):
        return subprocess.Popen([*before, *self.command(*options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, **QUICK}, **kw)

    def keys(self):
        return {(r["id"].lower(), r["revision"]) for r in self.json("update", "list", "--all")}


class Held:
    """A run whose nth call of an operation is not answered until release(); ended in any case."""

    def __init__(self, child, server, operation, *options, nth=1, **kw):
        self.gate = threading.Event()
        self.there = threading.Event()
        server.on(operation, nth=nth, hang=self.gate, before=lambda _: self.there.set())
        self.run = child.start(*options, **kw)

    def __enter__(self):
        if not self.there.wait(30):
            self.run.kill()
            raise AssertionError("the call did not come: " + "".join(self.run.communicate()))
        return self

    def __exit__(self, *_):
        self.gate.set()
        if self.run.poll() is None:
            self.run.kill()
        self.run.communicate()

    def release(self):
        self.gate.set()
        self.out, self.err = self.run.communicate(timeout=30)
        return self.run.returncode


class OneAtATime(unittest.TestCase):
    # holds: WSUSSS-DSS-INIT-07
    def test_a_second_run_says_who_runs_and_leaves(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            with Held(child, server, "GetRevisionIdList") as first:
                who = rf"runs already, as process {first.run.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC"
                second = child.sync(status=RUNS_ALREADY)
                self.assertRegex(second.stderr, who)
                self.assertIn("`wsusctl sync status`", second.stderr)
                self.assertEqual(second.stdout, "")
                self.assertRegex(child.ctl("sync", "run", check=False).stderr, who)
                self.assertEqual(child.ctl("sync", "run", check=False).returncode, RUNS_ALREADY)
                detached = child.ctl("sync", "run", "--detach", check=False)
                self.assertEqual(detached.returncode, 1)
                self.assertRegex(detached.stderr, who)
                status = child.status()
                self.assertEqual((status["running"], status["pid"], status["phase"]), (True, first.run.pid, "categories"))
                self.assertIsNone(status["last"])
                self.assertEqual([r["result"] for r in child.history()], ["running"])
                self.assertEqual(first.release(), DONE)
            self.assertEqual([r["result"] for r in child.history()], ["done"])
            self.assertFalse(child.status()["running"])
            self.assertEqual(list(child.store.glob("sync.status*")), [])

    def test_in_the_background(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            gate = threading.Event()
            server.on("GetRevisionIdList", hang=gate)
            pid = child.json("sync", "run", "--detach", "--categories")["pid"]
            self.assertEqual(child.status()["pid"], pid)
            gate.set()
            harness.wait_for(lambda: not child.status()["running"], what="the end of the run")
            self.assertEqual([(r["result"], r["categories_only"]) for r in child.history()], [("done", True)])


class Ended(unittest.TestCase):
    # holds: WSUSSS-DSS-INIT-05
    def test_signals_end_it_and_the_next_run_goes_on(self):
        for number_of in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(number_of.name), Parent(small_catalog(250), limit=100) as server:
                child = Child(server, **{"upstream.connections": "1"})
                with Held(child, server, "GetUpdateData", "--json", nth=3) as run:
                    run.run.send_signal(number_of)
                    out, err = run.run.communicate(timeout=20)
                    self.assertEqual(run.run.returncode, CANCELLED, err)
                end = json.loads(out.splitlines()[-1])
                self.assertEqual((end["event"], end["result"], end["phase"]), ("end", "cancelled", "updates"))
                row, = child.history()
                self.assertEqual((row["result"], row["phase"], row["why"]), ("cancelled", "updates", "it was cancelled"))
                self.assertIn("goes on where it stopped", row["remedy"])
                server.calm()
                server.forget_what_was_seen()
                child.sync()
                self.assertEqual(child.keys(), set(server.items))
                asked = sum(len(r.fields["updateIds"]["UpdateIdentity"]) for r in server.calls("GetUpdateData"))
                self.assertEqual(asked, 150)  # the first 100 were there

    def test_cancel(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            self.assertEqual(child.ctl("sync", "cancel").stdout, "no synchronization runs\n")
            self.assertEqual(child.json("sync", "cancel"), {"cancelled": False})
            with Held(child, server, "GetUpdateData") as run:
                self.assertEqual(child.ctl("sync", "cancel").stdout,
                                 f"process {run.run.pid} has ended; the next run goes on where it stopped\n")
                self.assertEqual(run.run.wait(timeout=10), CANCELLED)
            self.assertFalse(child.status()["running"])

    def test_a_killed_run_is_noted(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            with Held(child, server, "GetUpdateData", nth=2) as run:
                run.run.kill()
                run.run.wait()
            status = child.status()
            self.assertEqual((status["running"], status["result"], status.get("ended_in")), (False, "interrupted", None))
            self.assertEqual([r["result"] for r in child.history()], ["interrupted"])
            child.sync()
            self.assertEqual([r["result"] for r in child.history()], ["done", "interrupted"])
            old = child.history()[1]
            self.assertIn("killed", old["why"])
            self.assertIn("goes on where it stopped", old["remedy"])
            self.assertEqual(child.keys(), set(server.items))


class Phases(unittest.TestCase):
    # holds: WSUSSS-DSS-INIT-01 WSUSSS-DSS-AUTH-01 WSUSSS-DSS-META-24 WSUSSS-DSS-INIT-03
    def test_their_order(self):
        metadata = ["GetAuthConfig", "GetAuthorizationCookie", "GetCookie", "GetConfigData", "GetRevisionIdList", "GetUpdateData",
                    "GetRevisionIdList", "GetUpdateData"]
        for mode, after in (("autonomous", []), ("replica", ["GetDeployments"])):
            with self.subTest(mode), Parent(small_catalog()) as server:
                child = Child(server, **{"upstream.mode": mode})
                child.sync()
                self.assertEqual([p for p in server.phases() if p != "GetUpdateDecryptionData"], metadata + after)
                self.assertEqual([r.fields["filter"]["GetConfig"] for r in server.calls("GetRevisionIdList")], ["true", "false"])
                server.assert_well_behaved(self)

    # holds: WSUSSS-DSS-META-25 WSUSSS-ADM-08 WSUSSS-TIMERS-05 (rows are written; t_parent prunes them)
    def test_history(self):
        for mode in ("autonomous", "replica"):
            with self.subTest(mode), Parent(small_catalog()) as server:
                child = Child(server, **{"upstream.mode": mode})
                child.sync()
                server.add(document(number(500), categories=(parent.PRODUCT, parent.CLASSIFICATION)))
                child.sync()
                child.sync()
                rows = child.history()
                self.assertEqual([(r["result"], r["added"], r["changed"], r["replica"]) for r in rows],
                                 [("done", 0, "nothing new", mode == "replica"), ("done", 1, "1 new revision", mode == "replica"),
                                  ("done", 5, "5 new revisions", mode == "replica")])
                self.assertEqual([r["phase"] for r in rows], ["deployments" if mode == "replica" else "updates"] * 3)
                self.assertTrue(all(r["server"] == server.url and r["received"] > 1000 and r["ended"] > r["began"] for r in rows))
                self.assertEqual(len(child.json("sync", "history", "--limit", "2")), 2)
                changes = [(r["admin"], r["what"]) for r in child.json("store", "history") if r["what"].startswith("synchronized")]
                self.assertEqual(sorted(changes), [("wsus-sync", f"synchronized with {server.url}: {n}") for n in
                                                   ("1 new revision", "5 new revisions")])

    def test_nothing_chosen(self):
        with Parent(small_catalog()) as server:
            child = Child(server, **{"sync.filter": "chosen"})
            for _ in range(2):
                done = child.sync()
                self.assertIn("wsusctl product select", done.stdout)
            self.assertEqual({r.fields["filter"]["GetConfig"] for r in server.calls("GetRevisionIdList")}, {"true"})
            self.assertEqual(child.keys(), {(parent.PRODUCT, 1), (parent.CLASSIFICATION, 1)})
            self.assertTrue(child.history()[0]["categories_only"])

    def test_categories_only(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.sync("--categories")
            self.assertEqual(child.keys(), {(parent.PRODUCT, 1), (parent.CLASSIFICATION, 1)})
            child.sync()
            self.assertEqual(child.keys(), set(server.items))

    # holds: WSUSSS-DSS-INIT-02
    def test_who_it_says_it_is(self):
        with Parent(small_catalog()) as server:
            child = Child(server, **{"server.name": "branch.example.net"})
            mine = child.json("store", "stat")["server_id"]
            child.sync()
            server.expire_cookies()
            child.sync()
            said = {(r.fields["accountName"], r.fields["accountGuid"].lower()) for r in server.calls("GetAuthorizationCookie")}
            self.assertEqual(said, {("branch.example.net", mine)})
            child.ctl("config", "set", "server.name", "")
            server.forget_what_was_seen()
            server.expire_cookies()
            child.sync()
            name, = {r.fields["accountName"] for r in server.calls("GetAuthorizationCookie")}
            self.assertTrue(name and name != "branch.example.net")

    # partly: WSUSSS-ADM-02 WSUSSS-ADM-03 (the Parent USS State; other tables have their tests)
    def test_state_is_kept_between_runs(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.sync()
            first = [r.fields["filter"].get("Anchor") for r in server.calls("GetRevisionIdList")]
            self.assertEqual([a for a in first if a], [])  # NULL on a new installation
            server.forget_what_was_seen()
            child.sync()
            second = [r.fields["filter"].get("Anchor") for r in server.calls("GetRevisionIdList")]
            self.assertTrue(all(second) and len(second) == 2)

    # holds: WSUSSS-TIMERS-07 (the child; t_damage and test_damage have the rest)
    def test_begun_from_empty_after_a_reset(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.sync()
            child.ctl("store", "reset", "--keep-policy")
            self.assertEqual((child.keys(), child.history()), (set(), []))
            server.forget_what_was_seen()
            server.expire_cookies()
            child.sync()
            self.assertEqual(child.keys(), set(server.items))

    def test_first_trim(self):
        with Parent(small_catalog()) as server:
            server.add(document(number(600), title="2026-11 Preview of Something", categories=(parent.PRODUCT, parent.CLASSIFICATION)))
            child = Child(server, **{"sync.trim": "preview"})
            self.assertIn("sync.trim", child.sync().stdout)

            def declined():
                return {r["id"] for r in child.json("update", "list", "--all") if r["state"] == "declined"}
            self.assertEqual(declined(), {number(600)})
            child.ctl("undecline", number(600))
            server.add(document(number(601), title="2026-12 Preview of Something", categories=(parent.PRODUCT, parent.CLASSIFICATION)))
            self.assertNotIn("sync.trim", child.sync().stdout)
            self.assertEqual(declined(), set())


class Behind(unittest.TestCase):
    """Files are fetched by a process of its own, which outlives the run."""

    def setUp(self):
        self.body = random.Random(1).randbytes(30000)
        self.server = self.enterContext(Parent(small_catalog()))
        self.key = self.server.add(document(number(700), categories=(parent.PRODUCT, parent.CLASSIFICATION), files=(("a.cab", self.body, ""),)))
        digest = hashlib.sha1(self.body).digest()
        self.server.content[digest] = self.body
        self.server.deploy(self.key)
        self.child = Child(self.server, **{"upstream.mode": "replica"})
        name = digest.hex().upper()
        self.path = self.child.state / "content" / name[-2:] / name

    def test_files_are_fetched(self):
        gate = threading.Event()
        self.server.on("content", hang=gate)
        done = self.child.sync()
        self.assertIn("note: 1 file (30 KB) is being fetched", done.stdout)
        self.assertFalse(self.path.exists())
        gate.set()
        harness.wait_for(self.path.exists, what="the file")
        self.assertEqual(self.path.read_bytes(), self.body)
        harness.wait_for(lambda: self.child.json("store", "stat")["files_stored"] == 1, what="its mark")
        self.assertNotIn("fetched", self.child.sync().stdout)

    def test_or_not(self):
        for options, settings in ((("--no-content",), {}), (("--categories",), {}), ((), {"content.store": "microsoft"})):
            with self.subTest(options=options, settings=settings):
                child = Child(self.server, **{"upstream.mode": "replica", **settings})
                self.assertNotIn("file", child.sync(*options).stdout.replace("files of what is approved", ""))
        self.assertEqual(self.server.gets, [])


class Faults(unittest.TestCase):
    def restarts(self, child):
        row = child.history()[0]
        return row["result"], row["restarts"]

    # holds: WSUSSS-FAULT-14
    def test_cookies_are_dropped_and_the_run_begins_anew(self):
        for code in ("InvalidCookie", "InvalidAuthorizationCookie"):
            for operation in ("GetCookie", "GetConfigData", "GetRevisionIdList", "GetUpdateData"):
                with self.subTest(code=code, operation=operation), Parent(small_catalog()) as server:
                    child = Child(server)
                    server.on(operation, fault=code)
                    done = child.sync()
                    self.assertIn(f"answers {code}: begun anew (1 of at most 3)", done.stdout)
                    names = [r.operation for r in server.calls()]
                    self.assertEqual(names.count("GetAuthConfig"), 2)
                    at = names.index(operation)
                    self.assertEqual(names[at + 1], "GetAuthConfig")  # nothing else is sent before
                    self.assertFalse([r for r in server.calls("GetCookie")[1:] if r.fields.get("oldCookie")])
                    self.assertEqual(self.restarts(child), ("done", 1))
                    self.assertEqual(child.keys(), set(server.items))
                    if operation != "GetUpdateData":  # there the list that came has no anchor yet: it is asked for again
                        server.assert_well_behaved(self)

    # holds: WSUSSS-FAULT-16
    def test_server_changed_drops_anchors_once(self):
        with Parent(small_catalog()) as server:
            child = Child(server, **{"upstream.mode": "replica"})
            child.sync()
            server.change_identity()
            server.forget_what_was_seen()
            self.assertIn("ServerChanged", child.sync().stdout)
            names = [r.operation for r in server.calls()]
            later = server.calls()[names.index("GetAuthConfig", 1):]
            anchors = [r.fields.get("anchor") or r.fields.get("configAnchor") or (r.fields.get("filter") or {}).get("Anchor")
                       or r.fields.get("deploymentAnchor") for r in later]
            self.assertEqual([a for a in anchors if a], [])
            self.assertEqual(self.restarts(child), ("done", 1))
            server.on("GetRevisionIdList", times=-1, fault="ServerChanged")
            failed = child.sync(status=FAILED)
            self.assertEqual(self.restarts(child), ("failed", 1))
            self.assertIn("two servers answer under", failed.stderr)

    # holds: WSUSSS-FAULT-20
    def test_restarts_are_bounded(self):
        for code in ("InvalidCookie", "InvalidAuthorizationCookie"):
            with self.subTest(code), Parent(small_catalog()) as server:
                child = Child(server)
                server.on("GetConfigData", times=-1, fault=code)
                failed = child.sync(status=FAILED)
                self.assertEqual(len(server.calls("GetConfigData")), 4)
                self.assertEqual(self.restarts(child), ("failed", 3))
                self.assertIn("begun anew 3 times, and still", failed.stderr)
                self.assertIn("what to do: ", failed.stderr)
                server.calm()
                child.sync()
                self.assertEqual(child.keys(), set(server.items))

    # partly: WSUSSS-TIMERS-04 (the child takes the parent's instant)
    def test_cookies_that_end_soon_are_renewed(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.sync()
            server.expire_cookies()
            child.sync()
            self.assertEqual(self.restarts(child)[0], "done")
        for minutes, times in ((240, 1), (8, 1), (2, 1)):  # in so short a run none comes near its end, however short it lasts
            with self.subTest(minutes), Parent(small_catalog(250), limit=50) as server:
                server.cookie_life = datetime.timedelta(minutes=minutes)
                child = Child(server)
                child.sync()
                self.assertEqual(len(server.calls("GetCookie")), times)
                server.assert_well_behaved(self)


class Learned(unittest.TestCase):
    """What the parent said in one run is what the next one goes on with."""

    def shown(self, child):
        return json.loads(child.ctl("upstream", "show", "--json").stdout)

    # holds: WSUSSS-COOKIE-04 WSUSSS-CONFIGDATA-03 WSUSSS-CONFIGDATA-16 WSUSSS-DSS-META-02 WSUSSS-DSS-META-03 WSUSSS-PING-01
    def test_the_next_run_goes_on_with_cookie_anchor_and_flags(self):
        for microsoft in (False, True):  # whose anchor has another form: it is opaque
            with self.subTest(microsoft=microsoft), Parent(small_catalog(), form=parent.microsoft() if microsoft else parent.Form()) as server:
                server.catalog_only, server.lazy, server.hosts_psf, server.decryption_limit = True, False, True, 77
                child = Child(server)
                child.sync()
                said = self.shown(child)
                self.assertEqual((said["catalog_only"], said["lazy"], said["express"], said["max_decryption"], said["max_updates"]),
                                 (True, False, True, 77, server.limit))
                self.assertEqual(said["protocol"], server.form.version)
                self.assertEqual(said["configuration_anchor"], server.config_anchors[-1])
                own = {r["name"]: r["value"] for r in child.json("config", "show")}
                self.assertEqual((own["content.store"], own["content.download"], own["content.express"]), ("local", "approved", "false"))
                given = server.last_cookie
                child.sync()
                first, second = (c.fields for c in server.calls("GetCookie"))
                self.assertNotIn("oldCookie", first)
                self.assertEqual(second["oldCookie"]["EncryptedData"], given)
                first, second = (c.fields for c in server.calls("GetConfigData"))
                self.assertNotIn("configAnchor", first)
                self.assertEqual(second["configAnchor"], said["configuration_anchor"])
                self.assertNotIn("Ping", {c.operation for c in server.calls()})
                server.assert_well_behaved(self)

    # holds: WSUSSS-CONFIGDATA-19
    def test_languages_are_merged_and_an_empty_list_means_no_change(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.sync()
            before = self.shown(child)["languages"]
            self.assertEqual([r["id"] for r in before], [row[0] for row in server.languages])
            child.sync()
            self.assertEqual(self.shown(child)["languages"], before)
            (changed, short, name, on), *rest = server.languages[3:]
            whole = server.languages
            server.languages, server.config_since = [(changed, short, name, not on)], server.tick()
            child.sync()
            server.languages = whole
            after = {r["id"]: r for r in self.shown(child)["languages"]}
            self.assertEqual(after.pop(changed)["enabled"], not on)
            self.assertEqual(list(after.values()), [r for r in before if r["id"] != changed])


class Told(unittest.TestCase):
    # holds: WSUSSS-TIMERS-06
    def test_a_failure_is_told_alike_everywhere(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            server.on("GetConfigData", times=-1, fault="InternalServerError", message="the database is away")
            people = child.sync(status=FAILED)
            why, remedy = re.fullmatch(r"wsus-sync: configuration: (.*)\nwsus-sync: what to do: (.*)\n", people.stderr).groups()
            self.assertIn("the database is away", why)
            self.assertIn("wsusctl upstream check", remedy)
            row = child.history()[0]
            self.assertEqual((row["result"], row["phase"], row["why"], row["remedy"]), ("failed", "configuration", why, remedy))
            end = json.loads(child.sync("--json", status=FAILED).stdout.splitlines()[-1])
            self.assertEqual((end["event"], end["result"], end["why"], end["remedy"]), ("end", "failed", why, remedy))
            log = child.sync("--log", status=FAILED).stdout.splitlines()[-1]
            self.assertRegex(log, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ sync: configuration: failed: ")
            self.assertIn(f"{why}; do: {remedy}", log)
            quiet = child.sync("--quiet", status=FAILED)
            self.assertEqual((quiet.stdout, quiet.stderr), ("", people.stderr))
            status = child.status()
            self.assertEqual((status["why"], status["remedy"], status["ended_in"]), (why, remedy, "configuration"))
            shown = child.ctl("sync", "status").stdout
            self.assertIn(why, shown)
            self.assertIn(remedy, shown)
            self.assertIn(why, child.ctl("sync", "history").stdout)

    def test_nobody_is_there(self):
        child = Child()
        child.ctl("config", "set", "upstream.url", f"http://127.0.0.1:{harness.free_ports(1)[0]}")
        failed = child.sync(status=FAILED)
        self.assertIn("127.0.0.1", failed.stderr)
        self.assertIn("wsusctl upstream check", failed.stderr)

    def test_no_server_is_set(self):
        child = Child()
        failed = child.sync(status=FAILED)
        self.assertIn("no upstream server is set", failed.stderr)
        self.assertIn("wsusctl upstream set", failed.stderr)
        silent = child.sync("--scheduled")
        self.assertEqual((silent.stdout, silent.stderr), ("", ""))
        self.assertEqual(child.history(), [])
        self.assertIn("none; `wsusctl upstream set`", child.ctl("sync", "status").stdout)

    def test_events(self):
        with Parent(small_catalog(300), limit=100) as server:
            server.on("GetUpdateData", nth=2, times=-1, slow=(20000, 0.15))
            child = Child(server)
            events = [json.loads(line) for line in child.sync("--json").stdout.splitlines()]
            self.assertEqual({e["job"] for e in events}, {"sync"})
            self.assertEqual([e["phase"] for e in events if e["event"] == "phase"], PHASES)
            self.assertEqual([e["phase"] for e in events if e["event"] == "result"], PHASES)
            self.assertEqual((events[-1]["event"], events[-1]["result"], events[-1]["why"]), ("end", "done", None))
            self.assertIn("302 new revisions", events[-1]["summary"])
            progress = [e for e in events if e["event"] == "progress" and e["phase"] == "updates" and e["unit"] == "documents"]
            self.assertEqual((progress[-1]["done"], progress[-1]["total"]), (300, 300))
            self.assertEqual([e["done"] for e in progress], sorted(e["done"] for e in progress))
            self.assertEqual(sorted(e["time"] for e in events), [e["time"] for e in events])

    def test_log_lines(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            done = child.sync("--log")
            lines = done.stdout.splitlines()
            self.assertTrue(all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ sync: \S", line) for line in lines), lines)
            self.assertEqual([line.split(": ")[1] for line in lines[:-1]], PHASES)
            self.assertIn("5 new revisions", lines[-1])
            self.assertEqual(done.stderr, "")

    def test_a_terminal_sees_progress(self):
        with Parent(small_catalog(300, size=9000), limit=100) as server:
            server.pack = None
            server.on("GetUpdateData", nth=2, times=-1, slow=(100000, 0.1))
            child = Child(server)
            master, slave = pty.openpty()
            run = subprocess.Popen(child.command(), stdin=slave, stdout=subprocess.PIPE, stderr=slave, env={**os.environ, **QUICK})
            os.close(slave)
            seen = b""
            while select.select([master], [], [], 30)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
            out = run.communicate()[0].decode()
            os.close(master)
            self.assertEqual(run.returncode, DONE)
            text = seen.decode()
            self.assertRegex(text, r"\r\x1b\[Kupdates: \d+ of 300 documents, \d+ %")
            self.assertRegex(text, r"[\d.]+/s, [\d.]+ [KM]B received, \d.* left")
            self.assertNotIn("\n", text)
            self.assertTrue(text.endswith("\r\x1b[K"))
            self.assertNotIn("\x1b", out)
            self.assertEqual([line.split()[0] for line in out.splitlines()[:-1]], PHASES)

    def test_nothing_from_the_network_reaches_a_terminal_as_it_is(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            server.on("GetConfigData", times=-1, fault="InternalServerError", message="red \u009b31m \u202e \t text")
            for form in ((), ("--log",), ("--json",)):
                done = child.sync(*form, status=FAILED)
                self.assertFalse(re.search("[\x00-\x08\x0b-\x1f\x7f]" if "--json" in form else "[\x00-\x08\x0b-\x1f\x7f-\x9f]",
                                           done.stdout + done.stderr), form)
                self.assertIn("red ", done.stdout + done.stderr)


class Due(unittest.TestCase):
    # partly: WSUSSS-TIMERS-02 WSUSSS-TIMERS-08 WSUSSS-DSS-INIT-04 (t_schedule has the times)
    def test_by_the_schedule(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            child.ctl("sync", "schedule", "off")
            silent = child.sync("--scheduled", "--log")
            self.assertEqual((silent.stdout, silent.stderr, server.calls()), ("", "", []))
            child.ctl("sync", "schedule", "every", "6h")
            self.assertIn("5 new revisions", child.sync("--scheduled", "--log").stdout)  # it never ran
            self.assertTrue(child.history()[0]["scheduled"])
            server.forget_what_was_seen()
            silent = child.sync("--scheduled", "--log")
            self.assertEqual((silent.stdout, silent.stderr, server.calls()), ("", "", []))
            self.assertEqual(len(child.history()), 1)

    def test_a_failed_run_is_tried_again_later(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            server.on("GetAuthConfig", times=-1, fault="InternalServerError")
            child.sync("--scheduled", status=FAILED)
            server.forget_what_was_seen()
            child.sync("--scheduled")
            self.assertEqual(server.calls(), [])

            def wait():
                status = child.status()
                return seconds(status["next"]) - seconds(status["last"])
            self.assertAlmostEqual(wait(), 1800, delta=60)
            child.sync(status=FAILED)
            self.assertAlmostEqual(wait(), 3600, delta=60)
            child.sync(status=FAILED)
            self.assertAlmostEqual(wait(), 7200, delta=60)
            child.ctl("sync", "schedule", "every", "1h")
            self.assertLessEqual(wait(), 3600)

    def test_schedule(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            self.assertEqual(child.json("sync", "schedule")["schedule"], "daily 03:00")
            self.assertEqual(child.json("sync", "schedule", "daily", "04:30")["schedule"], "daily 04:30")
            self.assertEqual(child.ctl("config", "get", "sync.schedule").stdout.strip(), "daily 04:30")
            child.sync()
            at = child.json("sync", "schedule")["next"]
            self.assertRegex(at, r"T04:(3|4)\d:")
            self.assertIsNone(child.json("sync", "schedule", "off")["next"])
            for wrong in (("weekly",), ("every", "0h"), ("daily", "24:00"), ("every", "6", "h")):
                done = child.ctl("sync", "schedule", *wrong, check=False)
                self.assertNotEqual(done.returncode, 0, wrong)
            self.assertEqual(child.json("sync", "schedule")["schedule"], "off")


def seconds(text):
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()


class Usage(unittest.TestCase):
    def test_what_is_wrong_is_said(self):
        for arguments, words in ((("nix",), "no command nix"), (("run", "--nix"), "no option --nix"), (("run", "--json", "--log"), "one of"),
                                 (("run", "there"), "does not know"), (("run", "--store"), "needs a value"), (("run", "--json=1"), "takes no value"),
                                 (("count", "--scheduled"), "no option --scheduled")):
            done = harness.run(SYNC, *arguments, check=False)
            self.assertEqual(done.returncode, USAGE, arguments)
            self.assertIn(words, done.stderr)
        missing = harness.run(SYNC, "run", "--store", "/nowhere", check=False)
        self.assertEqual(missing.returncode, FAILED)
        self.assertIn("no store", missing.stderr)

    def test_help(self):
        self.assertEqual(harness.run(SYNC, check=False).returncode, USAGE)
        for arguments in (("help",), ("--help",), ("-h",)):
            self.assertIn("Exit status: 0 done", harness.run(SYNC, *arguments).stdout)
        for verb in ("run", "content", "check", "count"):
            self.assertIn(f"wsus-sync {verb}", harness.run(SYNC, verb, "--help").stdout)
            self.assertEqual(harness.run(SYNC, "help", verb).stdout, harness.run(SYNC, verb, "--help").stdout)


class Confined(unittest.TestCase):
    def test_no_privilege_comes_back(self):
        with Parent(small_catalog()) as server:
            child = Child(server)
            with Held(child, server, "GetUpdateData") as run:
                with open(f"/proc/{run.run.pid}/status") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                self.assertEqual(status["NoNewPrivs"], "1")
                few = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4  # chown, dac_override, fowner, fsetid
                for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"):
                    if name != "CapBnd" or os.geteuid() == 0:
                        self.assertEqual(int(status[name], 16) & ~few, 0, name)
                self.assertEqual(run.release(), DONE)


if __name__ == "__main__":
    unittest.main()
