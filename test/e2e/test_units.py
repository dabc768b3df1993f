"""test_units.py -- the systemd units: well-formed, tight, and what they start works for two users at one store."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import unittest

from harness import Computer, run, wait_for
from installed import GROUP, USER, Beside, Installation

SERVICES = ("auth", "client", "content", "reporting", "serversync")
# systemd's own figure, 0 to 100; a unit that loses one larger protection is above it.
EXPOSURE = 12
WIDER = {"wsus-backup.service": 17, "wsus-certificate.service": 26, "wsus-health.service": 30, "wsus-sync.service": 20,
         "wsus-fetch.service": 20}


@unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = Installation()

    def all_units(self):
        units = sorted(self.here.units.iterdir())
        self.assertEqual(len(units), 26)
        return units

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
    def test_systemd_finds_nothing_wrong(self):
        done = run("systemd-analyze", "verify", "--man=no", *self.all_units(), check=False)
        ours = [line for line in done.stderr.splitlines() if "wsus" in line]
        self.assertEqual((done.returncode, ours), (0, []))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
    def test_services_are_exposed_to_little(self):
        for unit in self.all_units():
            if unit.suffix == ".service":
                with self.subTest(unit.name):
                    run("systemd-analyze", "security", "--offline=true", f"--threshold={WIDER.get(unit.name, EXPOSURE)}", "--no-pager", unit)

    def test_one_target_stands_for_all(self):
        target = (self.here.units / "wsus-fcgi.target").read_text()
        also = next(line for line in target.splitlines() if line.startswith("Also=")).removeprefix("Also=").split()
        started = [u.name for u in self.all_units() if u.suffix in (".socket", ".timer", ".path")]
        self.assertEqual(sorted(also), started)
        for unit in self.all_units():
            text = unit.read_text().splitlines()
            if unit.suffix != ".target":
                self.assertIn("PartOf=wsus-fcgi.target", text, unit.name)
            if unit.name in started:
                self.assertIn(f"WantedBy={unit.suffix[1:]}s.target wsus-fcgi.target", text, unit.name)

    def test_nothing_is_writable_that_needs_not_be(self):
        for name in SERVICES:
            writable = self.here.unit(f"wsus-{name}.service").get("ReadWritePaths", "")
            self.assertEqual(writable, "" if name == "content" else str(self.here.state / "store"))

    def test_a_set_up_that_is_repeated_changes_nothing(self):
        def tree():
            return {p: (p.stat().st_mode, p.stat().st_uid, p.stat().st_gid, p.stat().st_ino)
                    for top in (self.here.state, self.here.etc) for p in top.rglob("*")}
        before = tree()
        self.here.setup()
        self.assertEqual(tree(), before)

    def test_modes_let_in_whom_they_should(self):
        def who(path):
            s = path.stat()
            return pwd.getpwuid(s.st_uid).pw_name, oct(s.st_mode & 0o7777)
        state = self.here.state
        self.assertEqual(who(state / "keys/master"), (USER, "0o600"))
        self.assertEqual(who(state / "keys"), ("root", "0o750"))
        self.assertEqual(who(state / "store/catalog/data.mdb"), ("root", "0o640"))
        self.assertEqual(who(state / "store/catalog/lock.mdb"), ("root", "0o660"))
        self.assertEqual(who(state / "content"), ("root", "0o755"))
        self.assertEqual(who(self.here.etc / "tls/ca.key"), ("root", "0o600"))

    def as_service(self, *command):
        """Exit status of a command as the services' user."""
        return subprocess.run(["setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", *map(str, command)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def tick(self):
        """The timer's command as its unit starts it: root, of the services' group, without a capability."""
        unit = self.here.unit("wsus-tick.service")
        self.assertEqual((unit["User"], unit["CapabilityBoundingSet"]), ("root", ""))
        return self.here.job("tick")

    def scan(self):
        """A new computer is served, and its row is written by the service."""
        computer = Computer(self.here).handshake()
        computer.sync_once()
        listed = self.here.ctl("computer", "list", "--json", umask=0o077).stdout
        self.assertIn(computer.id, listed)

    def test_services_and_root_share_the_store(self):
        with self.here.service("auth"), self.here.service("client"):
            self.scan()
            self.here.ctl("group", "create", "Pilot", umask=0o077)
            self.assertEqual((self.tick().returncode, self.tick().stderr), (0, ""))
            self.scan()

    def test_lock_files_that_a_service_makes_do_not_lock_out_root(self):
        lock = self.here.state / "store/fleet/lock.mdb"
        lock.unlink()
        with self.here.service("auth"), self.here.service("client"):
            wait_for(lock.exists, what="a new lock file")
            self.assertEqual(pwd.getpwuid(lock.stat().st_uid).pw_name, USER)
            tick = self.tick()
            self.assertEqual((tick.returncode, tick.stderr), (0, ""))
            self.scan()

    def test_lock_files_that_root_makes_do_not_lock_out_services(self):
        for kind in ("catalog", "fleet"):
            (self.here.state / "store" / kind / "lock.mdb").unlink()
        self.here.ctl("store", "audit", umask=0o077)
        with self.here.service("auth"), self.here.service("client"):
            self.scan()

    def test_a_service_cannot_write_policy(self):
        catalog = self.here.state / "store/catalog"
        self.assertEqual(self.as_service("test", "-r", catalog / "data.mdb"), 0)
        self.assertNotEqual(self.as_service("test", "-w", catalog / "data.mdb"), 0)
        self.assertNotEqual(self.as_service("touch", catalog / "new"), 0)
        self.assertEqual(self.as_service("test", "-w", self.here.state / "store/fleet/data.mdb"), 0)
        self.assertNotEqual(self.as_service("cat", self.here.etc / "tls/ca.key"), 0)

    def test_a_reload_replaces_the_workers_and_keeps_the_socket(self):
        with self.here.service("auth"), self.here.service("client") as client:
            self.assertEqual(self.here.unit("wsus-client.service")["ExecReload"], '/bin/sh -c "kill -HUP ${MAINPID}"')
            client.send_signal(signal.SIGHUP)
            wait_for(lambda: "replacing the workers" in self.here.log("client"), what="the reload")
            self.scan()
            self.assertIsNone(client.poll())

    def test_the_socket_outlives_its_service(self):
        """systemd keeps it: neither the end of a service nor its start may remove it."""
        path = self.here.run_dir / "content.sock"
        with self.here.service("content"):
            self.assertTrue(path.exists())
        self.assertTrue(path.exists())


def calls_of(name):
    """The system calls of a set of systemd's."""
    words = [line.strip() for line in run("systemd-analyze", "syscall-filter", name).stdout.splitlines()[1:]]
    return set().union(*(calls_of(word) if word[0] == "@" else {word} for word in words if word and word[0] != "#"))


class Trace:
    """What a job did, by strace, from the moment its unit's command began."""

    def __init__(self, text, command):
        self.text = text[text.rindex("\n", 0, text.index(f'execve("{command}"')):]

    def calls(self):
        return set(re.findall(r"^\d+ +([a-z_0-9]+)\(", self.text, re.M))

    def writes(self):
        """Absolute paths of files that were opened for writing, made, moved or removed."""
        paths = set()
        for call, arguments in re.findall(r"^\d+ +(\w+)\((.*)\) += 0?[0-9]+ *$", self.text, re.M):
            if call in ("open", "openat", "creat") and not re.search("O_WRONLY|O_RDWR|O_CREAT", arguments):
                continue
            if re.match("open|creat|rename|unlink|mkdir|rmdir|f?chmodat|chmod|.*chown|symlink|link|utimens|truncate", call):
                paths.update(re.findall(r'"(/[^"]*)"', arguments))
        return {path for path in paths if not path.startswith(("/dev/", "/proc/self/", "/tmp/tmp."))}


@unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
@unittest.skipUnless(shutil.which("strace") and shutil.which("systemd-analyze"), "there is no strace or no systemd-analyze")
class Confined(unittest.TestCase):
    """Without systemd here the sandbox is compared with what jobs do: no call that it forbids, no write that it prevents."""

    @classmethod
    def setUpClass(cls):
        cls.here = Beside()
        cls.here.set(names="localhost wsus.example.net")
        cls.here.setup()
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        for service in SERVICES:
            stack.enter_context(cls.here.service(service))
        stack.enter_context(cls.here.served())
        if subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode != 0:
            raise unittest.SkipTest("nothing may be traced here")

    def traced(self, job):
        file = self.here.root / f"{job}.trace"
        tracer = ["strace", "-f", "-qq", "-o", str(file)]
        done = self.here.renew(tracer) if job == "certificate" else self.here.job(job, tracer)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        trace = Trace(file.read_text(), self.here.unit(f"wsus-{job}.service")["ExecStart"].split()[0])
        self.assertIn(str(self.here.state / f"jobs/{job}.lock"), trace.writes())
        return done, trace

    def settings(self, job, name):
        """All words of a setting, in the order of its lines."""
        text = (self.here.units / f"wsus-{job}.service").read_text()
        return [line.split() for line in re.findall(rf"^{name}=(.*)$", text, re.M)]

    def allowed_calls(self, job):
        allowed = set()
        for words in self.settings(job, "SystemCallFilter"):
            names = set().union(*(calls_of(w) if w[0] == "@" else {w} for w in (w.lstrip("~") for w in words)))
            allowed = allowed - names if words[0][0] == "~" else allowed | names
        return allowed

    def check(self, job, said=""):
        done, trace = self.traced(job)
        self.assertIn(said, done.stdout)
        self.assertEqual(trace.calls() - self.allowed_calls(job), set())
        families = {word for words in self.settings(job, "RestrictAddressFamilies") for word in words}
        self.assertLessEqual(set(re.findall(r"^\d+ +socket\((\w+),", trace.text, re.M)), families)
        if self.settings(job, "ProtectSystem")[-1] == ["strict"]:
            places = [word.lstrip("-") for words in self.settings(job, "ReadWritePaths") for word in words]
            self.assertEqual({path for path in trace.writes() if not any(path.startswith(f"{p}/") or path == p for p in places)}, set())

    def test_tick(self):
        self.here.ctl("group", "create", "Traced")
        self.check("tick")

    def test_health(self):
        self.check("health", "WSUS OK")

    def test_backup(self):
        self.check("backup", "verified")

    def test_cleanup(self):
        """With a file that it removes."""
        digest = "0" * 40
        file = self.here.state / "content/.partial" / digest
        file.parent.mkdir(mode=0o755, exist_ok=True)
        file.touch()
        self.check("cleanup", "Parts of files 1")
        self.assertFalse(file.exists())

    def test_sync_and_fetch_look_whether_there_is_something_to_do(self):
        self.check("sync")
        self.check("fetch")

    def test_certificate(self):
        self.here.end_soon()
        self.check("certificate", "new server certificate")
