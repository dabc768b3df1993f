"""test_run.py -- scripts/run.sh: setting up, refusing, stopping, and leaving nothing behind."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import unittest

from lxml import etree

import harness
from harness import ROOT, Computer, Instance, alive, find_all, run, temporary, wait_for


def tree(path):
    """Everything below path with size and time of change: equal trees were not touched."""
    out = {}
    for p in sorted(pathlib.Path(path).rglob("*")):
        s = p.lstat()
        out[str(p.relative_to(path))] = (s.st_mode, s.st_size if not p.is_dir() else 0, s.st_mtime_ns)
    return out


def processes_in(path):
    """Processes whose working directory is path."""
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(p / "cwd") == str(path):
                found.append(int(p.name))
        except OSError:
            pass
    return found


def in_the_foreground(case, server, **kw):
    """run.sh as a process that has said it can be interrupted.  Tests in the background may have been started with
    the interrupt ignored, which a shell cannot undo."""
    process = subprocess.Popen([str(c) for c in server.command("--catalog", "none")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **kw)
    case.addCleanup(process.stdout.close)
    case.addCleanup(run, harness.RUN, "--state", server.state, "--stop")
    case.assertIn("Ctrl-C ends it.\n", iter(process.stdout.readline, ""))
    return process


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_it_lays_out_the_state_directory(self):
        state = self.server.state
        for name in ("store/catalog", "store/fleet", "content", "selfupdate", "keys", "nginx", "run", "log"):
            self.assertTrue((state / name).is_dir(), name)
        self.assertRegex((state / "VERSION").read_text(), r"\Awsus-fcgi state \d+\n\Z")

    def test_keys_are_closed_to_others(self):
        for name in ("master", "ca.key", "server.key"):
            mode = stat.S_IMODE((self.server.state / "keys" / name).stat().st_mode)
            self.assertEqual(mode, 0o600, name)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to drop from")
    def test_services_and_nginx_workers_are_unprivileged(self):
        import pwd
        expected = pwd.getpwnam("www-data").pw_uid
        for part in ("nginx", "auth", "client", "content", "reporting", "serversync"):
            workers = self.server.workers(part)
            self.assertGreaterEqual(len(workers), 1, part)
            for pid in workers:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                uids = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")][0]
                self.assertEqual(set(uids), {str(expected)}, f"{part} {pid}")

    def test_workers_option_gives_the_number(self):
        for part in ("auth", "client", "content", "reporting", "serversync"):
            self.assertEqual(len(self.server.workers(part)), 4, part)

    def test_second_start_on_the_same_state_is_refused_and_changes_nothing(self):
        before = {k: v for k, v in tree(self.server.state).items() if not k.startswith("log")}
        pids = [self.server.pid(p) for p in ("nginx", "auth", "client", "content", "reporting", "serversync")]
        done = self.server.start(check=False)
        self.server.running = True
        self.assertEqual(done.returncode, 1)
        self.assertIn("runs already", done.stderr)
        self.assertIn("--stop", done.stderr)
        self.assertEqual({k: v for k, v in tree(self.server.state).items() if not k.startswith("log")}, before)
        self.assertTrue(all(alive(p) for p in pids))
        self.assertTrue(self.server.answers())

    def test_port_in_use_is_named_with_what_to_do_and_nothing_is_left_running(self):
        for which, option in (("port", "--port"), ("tls_port", "--tls-port")):
            with self.subTest(which), socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                s.listen()
                other = Instance("none")
                setattr(other, which, s.getsockname()[1])
                done = other.start(check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"port {s.getsockname()[1]} is in use", done.stderr)
                self.assertIn(f"process {os.getpid()}", done.stderr)
                self.assertIn(option, done.stderr.split("in use", 1)[1])
                self.assertEqual(processes_in(other.state), [])

    def test_two_instances_side_by_side(self):
        with Instance("none") as other:
            for server in (self.server, other):
                self.assertTrue(server.answers())
            self.assertFalse(set(processes_in(other.state)) & set(processes_in(self.server.state)))
        self.assertTrue(self.server.answers())

    # holds: WUSP-TRANSPORT-02
    def test_tls_is_on_with_a_certificate_of_our_authority(self):
        done = run("curl", "-sS", "--noproxy", "*", "--cacert", self.server.state / "keys/ca.crt", "-H",
                   "Content-Type: text/xml; charset=utf-8", "--data-binary",
                   f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><GetConfig xmlns="{harness.CLIENT}">'
                   "<protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>",
                   f"https://localhost:{self.server.tls_port}/ClientWebService/client.asmx")
        self.assertIn("<GetConfigResult>", done.stdout)

    def test_the_certificate_names_every_name_and_address(self):
        text = run("openssl", "x509", "-in", self.server.state / "keys/server.crt", "-noout", "-ext",
                   "subjectAltName").stdout
        for name in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1", f"DNS:{socket.gethostname()}"):
            self.assertIn(name, text)


class Refusals(unittest.TestCase):
    def test_a_state_of_another_version(self):
        state = temporary() / "state"
        state.mkdir()
        (state / "VERSION").write_text("wsus-fcgi state 999\n")
        before = tree(state)
        done = Instance("none", state=state).start(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another version", done.stderr)
        self.assertIn("state 999", done.stderr)
        self.assertEqual(tree(state), before)

    def test_a_directory_that_is_none_of_ours(self):
        state = temporary() / "state"
        state.mkdir()
        (state / "thesis.tex").write_text("precious")
        done = Instance("none", state=state).start(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no state directory", done.stderr)
        self.assertEqual(os.listdir(state), ["thesis.tex"])

    def test_wrong_usage_has_status_2_and_says_how(self):
        for arguments in (["--port", "none"], ["--port"], ["--nonsense"], ["--port", "70000"],
                          ["--port", "8530", "--tls-port", "8530"], ["--listen", "example net"],
                          ["--catalog", "/nonexistent/catalog"]):
            done = run(harness.RUN, *arguments, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("usage: run.sh", done.stderr)

    def test_stop_of_nothing(self):
        self.assertEqual(run(harness.RUN, "--state", temporary(), "--stop", check=False).returncode, 1)


class Stopping(unittest.TestCase):
    def test_stop_ends_everything_and_a_new_start_works(self):
        server = Instance("none")
        server.start()
        pids = processes_in(server.state)
        self.assertGreaterEqual(len(pids), 4 + 3 * 4)
        server.stop()
        self.assertEqual(processes_in(server.state), [])
        self.assertEqual([p.name for p in (server.state / "run").glob("*.sock")], [])
        server.start()
        self.assertTrue(server.answers())
        server.stop()

    # holds: WUSP-TRANSPORT-36
    def test_a_new_start_finds_what_was_there_and_serves_every_address(self):
        server = Instance("none")
        server.start()
        server.ctl("update", "import", ROOT / "test/case/data/plain.xml")
        server.ctl("group", "create", "Pilots")
        server.ctl("approve", "a0000000-0000-4000-8000-000000000006", "--group", "Pilots", "--action", "detect")
        (server.state / "selfupdate/hello.txt").write_text("hello")
        stored = server.state / "content/AA" / ("0" * 38 + "AA")
        stored.parent.mkdir(exist_ok=True)
        stored.parent.chmod(0o755)
        stored.write_text("stored")
        computer = Computer(server).handshake()
        server.ctl("computer", "assign", computer.id, "--group", "Pilots")
        with_cookie = computer.cookie
        before = computer.sync_once()
        server.stop()
        server.start()
        computer.cookie = with_cookie  # a cookie of before, and a registration of before
        after = computer.sync_once()
        text = [[etree.tostring(e) for e in find_all(r, "NewUpdates")] for r in (before, after)]
        self.assertEqual(len(text[0]), 1)
        self.assertEqual(text[0], text[1])
        computer.get_auth_cookie()
        self.assertEqual(server.http("GET", "/SelfUpdate/hello.txt")[::2], (200, b"hello"))
        self.assertEqual(server.http("GET", f"/Content/AA/{stored.name}.txt")[::2], (200, b"stored"))
        server.stop()

    def test_interrupt_in_the_foreground_ends_everything(self):
        server = Instance("none")
        process = in_the_foreground(self, server)
        self.assertIsNone(process.poll())
        self.assertTrue(server.answers())
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(processes_in(server.state), [])

    def test_stop_from_elsewhere_ends_the_foreground_too(self):
        server = Instance("none")
        process = in_the_foreground(self, server)
        run(harness.RUN, "--state", server.state, "--stop")
        process.wait(60)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(processes_in(server.state), [])


def copy_of_the_clone(clone):
    """With what is built, so that nothing is built again."""
    ignore = shutil.ignore_patterns("var", "check", "fuzz", "1", ".git", "*.gcda")
    return pathlib.Path(shutil.copytree(ROOT, clone, ignore=ignore, symlinks=True))


class Places(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "needs a directory that only root may enter")
    def test_a_clone_below_a_directory_that_only_root_may_enter(self):
        closed = temporary()
        closed.chmod(0o700)
        clone = copy_of_the_clone(closed / "clone")
        server = Instance("none", root=clone, state=clone / "var")
        server.start()
        self.addCleanup(server.stop)
        data = b"content behind closed doors"
        folder = server.state / "content/AB"
        folder.mkdir()
        name = "2F88DF42DA48AA980FB748D13BAA2DE49CD154AB"
        (folder / name).write_bytes(data)
        status, _, body = server.http("GET", f"/Content/AB/{name}.exe")
        self.assertEqual((status, body), (200, data))
        computer = harness.Computer(server).handshake()
        self.assertEqual(harness.find(computer.sync_once(), "Truncated"), "false")
        self.assertIn(computer.id, server.ctl("computer", "list").stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_an_ordinary_user_starts_and_stops(self):
        clone = copy_of_the_clone(temporary() / "clone")
        run("chown", "-R", "nobody", clone)
        server = Instance("none", root=clone, state=clone / "var")
        nobody = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        stop = [clone / "scripts/run.sh", "--state", server.state, "--stop"]
        self.addCleanup(run, *stop)
        run(*server.command("--detach", "--catalog", "none"), **nobody)
        self.assertTrue(server.answers())
        run(*stop, **nobody)
        self.assertEqual(processes_in(server.state), [])
        process = in_the_foreground(self, server, **nobody)
        self.assertTrue(server.answers())
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(processes_in(server.state), [])

    def test_plain_web_services_stay_closed_on_other_than_loopback(self):
        server = Instance("none", options=["--listen", "0.0.0.0"])
        server.start()
        self.addCleanup(server.stop)
        status, _, body = server.post(harness.CLIENT, "GetConfig", "")
        self.assertEqual(status, 403)
        self.assertIn(b"TLS port", body)
        self.assertEqual(server.http("GET", "/Content/AB/none")[0], 404)
        self.assertEqual(server.http("GET", "/SelfUpdate/none")[0], 403)

    def test_plain_web_services_can_be_opened_by_hand(self):
        server = Instance("none", options=["--listen", "0.0.0.0", "--plain-http"])
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.answers())


if __name__ == "__main__":
    unittest.main()
