"""test_log.py -- one line a request, of the service or of nginx, and wsusctl log, which finds it."""
import datetime
import json
import os
import signal
import subprocess
import threading
import unittest
import uuid

import harness
from harness import AUTH, CLIENT, REPORT, ROOT, Computer, Fault, Instance, find, payload, run, wait_for
from test_reporting import Reporter, event


def lines(server):
    """All requests that have a line, by service, as wsusctl log reads them."""
    return server.ctl_json("log", "--last", "100000")


def fault_id(body):
    return find(payload(body), "detail/ID")


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none").__enter__()
        cls.addClassCleanup(cls.server.stop)

    def new_lines(self, act, n):
        """What act() returned, and the n lines that came of it, no more."""
        before = len(lines(self.server))
        result = act()
        wait_for(lambda: len(lines(self.server)) >= before + n, what=f"{n} lines")
        return result, lines(self.server)[before:]

    def by_id(self, id):
        found = wait_for(lambda: self.server.ctl("log", "--id", id, "--json", check=False).stdout, what=f"the line of {id}")
        return json.loads(found)

    def assert_found(self, body, **want):
        id = fault_id(body)
        row, = self.by_id(id)
        self.assertEqual(row["fault_id"], id)
        self.assertEqual({k: row[k] for k in want}, want)
        self.assertTrue(row["why"] and row["remedy"], row)
        self.assertIn(f"[{id}]", self.server.ctl("log", "--id", id.upper()).stdout)

    def test_each_operation_leaves_its_line(self):
        computer = Computer(self.server, name="Lines-1.example.net")

        def calls():
            computer.get_config()
            computer.get_auth_cookie()
            computer.get_cookie()
            computer.register()
            computer.sync_once()
        _, rows = self.new_lines(calls, 5)
        rows.sort(key=lambda r: r["service"])  # a line is written after its answer: two services may be either way round
        self.assertEqual([(r["service"], r["operation"]) for r in rows], [
            ("auth", "GetAuthorizationCookie"), ("client", "GetConfig"), ("client", "GetCookie"), ("client", "RegisterComputer"),
            ("client", "SyncUpdates")])
        for r in rows:
            self.assertEqual((r["result"], r["status"], r["address"], r["why"], r["more"]), ("ok", 200, "127.0.0.1", None, 0))
            self.assertGreater(r["microseconds"], 0)
        anonymous = rows.pop(1)
        self.assertEqual((anonymous["client"], anonymous["name"]), (None, None))
        self.assertEqual({(r["client"], r["name"]) for r in rows}, {(computer.id, computer.name)})

    def test_bytes_are_those_of_the_messages(self):
        body = b'<s:Envelope xmlns:s="%s"><s:Body><GetConfig xmlns="%s"><protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>' % (
            harness.SOAP.encode(), CLIENT.encode())
        (_, _, answer), (row,) = self.new_lines(lambda: self.server.post_bytes(CLIENT, "GetConfig", body), 1)
        self.assertEqual((row["in"], row["out"]), (len(body), len(answer)))

    def test_a_batch_says_how_many_of_its_events_were_kept(self):
        computer = Reporter(self.server, name="Lines-2.example.net").handshake()
        one = event(instance=uuid.uuid4())

        def act():
            computer.report(one, event())
            computer.report(one)
        _, rows = self.new_lines(act, 2)
        self.assertEqual([(r["operation"], r["result"], r["events"], r["why"]) for r in rows], [
            ("ReportEventBatch", "ok", "2 kept", None), ("ReportEventBatch", "ok", "0 kept, 1 repeated", None)])
        told = self.server.ctl("log", computer.name).stdout.splitlines()
        self.assertEqual([row["events"] for row in self.server.ctl_json("log", computer.name, "--service", "client")][-1], None)
        self.assertRegex(told[-2], r"ReportEventBatch +ok .* 2 kept$")
        self.assertRegex(told[-1], r"ReportEventBatch +ok .* 0 kept, 1 repeated$")

    def test_nginx_says_what_no_service_answered(self):
        name = "A" * 40

        def act():
            self.assertEqual(self.server.http("GET", "/ClientWebService/client.asmx")[0], 405)
            self.assertEqual(self.server.http("GET", f"/Content/AA/{name}.cab")[0], 404)
            self.assertEqual(self.server.http("GET", '/a"b%20c')[0], 404)
        _, rows = self.new_lines(act, 3)
        self.assertEqual([(r["service"], r["result"], r["operation"]) for r in rows], [
            ("nginx", "HTTP 405", "GET /ClientWebService/client.asmx"), ("nginx", "HTTP 404", f"GET /Content/AA/{name}.cab"),
            ("nginx", "HTTP 404", 'GET /a"b%20c')])
        self.assertEqual(rows[0]["why"], "not by POST")

    def test_a_look_at_the_health_is_no_fault(self):
        self.server.ctl("health", check=False)
        self.assertEqual([r["result"] for r in self.server.ctl_json("log", "wsusctl-health")], ["ok"])
        self.assertEqual([r for r in self.server.ctl_json("log") if "HEAD" in (r["why"] or "")], [])

    def fault(self, act):
        with self.assertRaises(Fault) as caught:
            act()
        return caught.exception.body

    # holds: WUSP-SOAPFAULT-07
    def test_the_id_of_each_fault_of_a_service_leads_to_its_line(self):
        computer = Computer(self.server, name="Faults-1.example.net").handshake()
        good = computer.cookie
        who = {"client": computer.id, "name": computer.name, "service": "client"}
        computer.cookie = (good[0], good[1][:-8] + "AAAAAAA=")
        self.assert_found(self.fault(computer.sync_once), result="InvalidCookie", operation="SyncUpdates", client=None, name=None)
        computer.cookie = good
        last_change, computer.last_change = computer.last_change, "2001-01-01T00:00:00Z"
        self.assert_found(self.fault(computer.get_cookie), result="ConfigChanged", operation="GetCookie", **who)
        computer.last_change = last_change
        auth, computer.auth = computer.auth, "AAAA"
        self.assert_found(self.fault(computer.get_cookie), result="InvalidAuthorizationCookie", operation="GetCookie", client=None)
        computer.auth = auth
        self.assert_found(self.fault(lambda: computer.client("GetConfig", "<protocolVersion>x</protocolVersion>")),
                          result="InvalidParameters", operation="GetConfig", why="protocolVersion")
        bad = Computer(self.server, name='a" rc=0 client=victim b')
        self.assert_found(self.fault(bad.get_auth_cookie), result="InvalidParameters", service="auth", why="dnsName", client=None)

    def test_a_computer_that_is_refused_is_told_why_by_name(self):
        with Instance("none") as server:
            computer = Computer(server, name="Refused-1.example.net").handshake()
            server.ctl("store", "adopt")
            body = self.fault(computer.sync_once)
            self.assertEqual(harness.fault_code(body), "ServerChanged")
            wait_for(lambda: server.ctl_json("log", "refused-1", "--faults"), what="the line")
            row, = server.ctl_json("log", "refused-1", "--faults")
            self.assertEqual((row["result"], row["fault_id"], row["client"]), ("ServerChanged", fault_id(body), computer.id))
            self.assertIn("cookie of generation 1", row["why"])
            self.assertIn("renumbers its cache", row["remedy"])

    def test_the_id_of_each_fault_of_nginx_leads_to_its_line(self):
        for ns, operation, megabytes in ((CLIENT, "GetConfig", 8), (REPORT, "ReportEventBatch", 24)):
            self.assert_found(self.server.post_bytes(ns, operation, b"x" * ((megabytes << 20) + 1))[2], result="InvalidParameters",
                              service="nginx", why="larger than a message may be")
        with Instance("none") as server:
            os.kill(server.pid("auth"), signal.SIGTERM)
            wait_for(lambda: not harness.alive(server.pid("auth")) or not server.workers("auth"), what="the service's end")
            wait_for(lambda: server.post(AUTH, "GetAuthorizationCookie", "")[0] == 500, what="the fault")
            _, _, body = server.post(AUTH, "GetAuthorizationCookie", "")
            row, = wait_for(lambda: server.ctl_json("log", "--id", fault_id(body)), what="the line")
            self.assertEqual((row["result"], row["why"]), ("ServerBusy", "the service does not run, or ended"))
            self.assertIn("start the service", row["remedy"])

    def test_the_same_refusal_again_and_again(self):
        with Instance("none") as server:
            ids = []
            for _ in range(400):
                ids.append(fault_id(server.post(CLIENT, "SyncUpdates", "")[2]))
                server.post(CLIENT, "Nonsense", "")
            self.assertEqual(len(set(ids)), 400, "each has its own")
            for id in ids[::40]:
                found = wait_for(lambda: server.ctl_json("log", "--id", id), what="the line of a refusal that has none")
                self.assertEqual({r["fault_id"][:18] for r in found}, {id[:18]})
            server.stop()
            for operation in ("SyncUpdates", None):
                rows = [r for r in server.ctl_json("log", "--faults") if r["operation"] == operation]
                self.assertEqual(sum(1 + r["more"] for r in rows), 400)
                self.assertLess(len(rows), 50, "10 of each of 4 workers, and one for the others")
            text = server.ctl("log", "--faults").stdout
            self.assertRegex(text, r"no cookie -> .* \(and [1-9]\d* more\) \[")

    def test_nobody_makes_a_line_of_another(self):
        awkward = 'x" rc=0 client=victim why="\\x22&#10;2026-11-22T00:00:00.000Z notice wsus-client[1] req rc=0 client=victim'
        _, rows = self.new_lines(lambda: self.server.post(awkward.replace('"', "&quot;"), "Forged", "", path=harness.PATHS[CLIENT]), 1)
        self.assertEqual((rows[0]["result"], rows[0]["client"], rows[0]["status"]), ("HTTP 500", None, 500))
        self.assertIn('client=victim why="\\x22', rows[0]["why"])
        self.assertEqual(self.server.ctl_json("log", "victim"), [])

    def test_a_computer_by_its_names(self):
        computer = Computer(self.server, name="Names-1.Example.net").handshake()
        other = Computer(self.server, name="Names-2.example.net").handshake()
        for word in (computer.id, computer.id.upper(), "names-1", "NAMES-1.example.NET"):
            rows = self.server.ctl_json("log", word)
            self.assertEqual({r["client"] for r in rows}, {computer.id}, word)
            self.assertEqual(len(rows), 3)
        again = Computer(self.server, name="names-1.other.example.net")
        again.get_auth_cookie()
        done = self.server.ctl("log", "names-1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(again.id, done.stderr)
        self.assertEqual(self.server.ctl_json("log", "names-9"), [])
        self.assertEqual(self.server.ctl("log", "names-9").stdout, "none\n")
        self.assertIn("GetAuthorizationCookie", self.server.ctl("log", other.id, "--service", "auth").stdout)

    def test_what_makes_no_sense_is_refused(self):
        for words, said in ((["--since", "yesterday"], "is written"), (["--service", "x"], "auth, client, content, reporting, serversync or nginx"),
                            (["--last", "0"], "from 1 to"), (["--id", "12"], "is no ID")):
            done = self.server.ctl("log", *words, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(said, done.stderr)
        unknown = "00000000-0000-4000-8000-000000000000"
        done = self.server.ctl("log", "--id", unknown, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no line has this ID", done.stderr)

    def test_lines_as_they_come_through_a_rotation(self):
        with Instance("none") as server:
            out = server.state / "followed"
            with open(out, "wb") as f:
                process = subprocess.Popen([str(server.root / "bin/wsusctl"), "--store", str(server.state / "store"), "log", "followed-1",
                                            "--follow", "--json"], stdout=f, stderr=subprocess.STDOUT)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            computer = Computer(server, name="Followed-1.example.net")

            def followed():
                return [json.loads(line)["operation"] for line in out.read_text().splitlines()]

            def calls_until(operation):
                """It has looked when it shows one: calls before its start are none of its business."""
                n = followed().count(operation)
                computer.handshake()
                return followed().count(operation) > n
            wait_for(lambda: calls_until("RegisterComputer"), what="the first lines")
            Computer(server, name="Followed-2.example.net").handshake()
            (server.state / "log/client.log").rename(server.state / "log/client.log.1")
            (server.state / "log/client.log").write_text("")
            os.chown(server.state / "log/client.log", *[getattr(os.stat(server.state / "log/client.log.1"), m) for m in ("st_uid", "st_gid")])
            wait_for(lambda: [computer.sync_once()] and (server.state / "log/client.log").read_text(), what="a line in the new file")
            wait_for(lambda: "SyncUpdates" in followed(), what="the line")

            def same():
                """A line is written after its answer: both are looked at again."""
                made = [r["operation"] for r in server.ctl_json("log", computer.id)]
                return followed().count("SyncUpdates") == made.count("SyncUpdates")
            wait_for(same, what="lines of both files")
            self.assertNotIn("Followed-2", out.read_text())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20), 0)
            done = server.ctl("log", "--follow", "--last", "5", check=False)
            self.assertEqual(done.returncode, 2)

    def test_messages_and_times(self):
        rows = self.server.ctl_json("log", "--messages", "--since", "1h")
        self.assertIn("4 workers on run/client.sock", [r["message"] for r in rows])
        times = [datetime.datetime.fromisoformat(r["time"]) for r in rows]
        self.assertEqual(times, sorted(times))
        self.assertEqual(self.server.ctl_json("log", "--since", "2099-01-01"), [])
        self.assertEqual(self.server.ctl_json("log", "--until", "2020-01-01T00:00"), [])
        self.assertIn("GetConfig", self.server.ctl("log", "--last", "100000").stdout)


class Rotation(unittest.TestCase):
    GET_CONFIG = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><GetConfig xmlns="{CLIENT}"><protocolVersion>2.90</protocolVersion>'
                  f"</GetConfig></s:Body></s:Envelope>").encode()

    def load(self, server, end, count):
        """Requests for the client service and for nginx until the end, counted where they were answered."""
        while not end.is_set():
            self.assertEqual(server.post_bytes(CLIENT, "GetConfig", self.GET_CONFIG)[0], 200)
            self.assertEqual(server.http("GET", "/Content/nothing")[0], 404)
            count.append(1)

    def rotate(self, server):
        return run(ROOT / "scripts/rotate.sh", server.state / "log", server.state / "run/nginx.pid",
                   env={**os.environ, "WSUS_LOG_BYTES": "0", "WSUS_LOG_KEEP": "20"})

    def wait_for_new(self, server):
        """Services look once a second whether their log is another."""
        def line():
            server.post_bytes(CLIENT, "GetConfig", self.GET_CONFIG)
            return self.writers(server, "client.log")
        wait_for(line, what="a line in the new log")

    def writers(self, server, name):
        """Processes that have written to the log of this name since it has it."""
        lines = (server.state / "log" / name).read_text().splitlines()
        return {line.split("[")[1].split("]")[0] for line in lines if " req " in line}

    def test_under_load_no_line_is_lost(self):
        with Instance("none") as server:
            before = len(lines(server))
            end, counts = threading.Event(), [[] for _ in range(4)]
            threads = [threading.Thread(target=self.load, args=(server, end, c)) for c in counts]
            for t in threads:
                t.start()
            try:
                for _ in range(6):
                    self.assertRegex(self.rotate(server).stdout, "set aside:.* client.* access")
                    # What is packed next time has no writer any more: all have the new one.
                    wait_for(lambda: len(self.writers(server, "client.log")) == 4, what="lines of all workers")
                    wait_for(lambda: self.writers(server, "access.log"), what="lines of nginx")
            finally:
                end.set()
                for t in threads:
                    t.join()
            made = sum(map(len, counts))
            self.assertGreater(made, 100)
            wait_for(lambda: len(lines(server)) >= before + 2 * made, what="the last lines")
            rows = lines(server)[before:]
            self.assertEqual([sum(r["service"] == s for r in rows) for s in ("client", "nginx")], [made, made])
            names = sorted(p.name for p in (server.state / "log").glob("client.log*"))
            self.assertEqual(names, ["client.log", "client.log.1"] + [f"client.log.{n}.gz" for n in range(2, 7)])
            for name in ("client", "access"):
                modes = {oct(p.stat().st_mode & 0o777) for p in (server.state / "log").glob(f"{name}.log*")}
                self.assertEqual(modes, {"0o640"}, "nobody else reads old or new ones")
            owners = {p.stat().st_uid for p in (server.state / "log").glob("client.log*")}
            self.assertEqual(len(owners), 1, "old and new belong to the same")

    def test_the_job_of_an_instance(self):
        with Instance("none") as server:
            env = {**os.environ, "WSUS_LOG_BYTES": "0"}

            def job():
                """When the instance's own run is over."""
                done = run(ROOT / "scripts/job.sh", "--state", server.state, "logs", env=env, check=False)
                return done.returncode != 75 and done
            done = wait_for(job, what="the job")
            self.assertRegex(done.stdout, r"Z logs: set aside: auth client content reporting serversync\n\Z")
            self.wait_for_new(server)
            del env["WSUS_LOG_BYTES"]
            self.assertEqual(wait_for(job, what="the job").stdout, "")

    def test_small_logs_stay_and_old_ones_go(self):
        with harness.tempfile.TemporaryDirectory() as d:
            log = harness.pathlib.Path(d, "client.log")
            env = {**os.environ, "WSUS_LOG_BYTES": "10", "WSUS_LOG_KEEP": "3"}
            for n in range(6):
                log.write_text(f"line {n}, more than ten bytes\n")
                run(ROOT / "scripts/rotate.sh", d, env=env)
                self.assertEqual(log.read_bytes(), b"")
            log.write_text("short\n")
            self.assertEqual(run(ROOT / "scripts/rotate.sh", d, env=env).stdout, "")
            self.assertEqual(sorted(os.listdir(d)), ["client.log", "client.log.1", "client.log.2.gz", "client.log.3.gz"])
            self.assertIn("line 3,", run("gzip", "-dc", f"{d}/client.log.3.gz").stdout)

    def test_what_logrotate_would_do(self):
        """The installed file is one that logrotate takes, and does with a service's log what rotate.sh does."""
        logrotate = harness.shutil.which("logrotate") or "/usr/sbin/logrotate"
        if not os.path.exists(logrotate):
            self.skipTest("logrotate is not installed")
        with Instance("none") as server:
            conf = server.state / "logrotate.conf"
            text = (ROOT / "etc/logrotate.in").read_text()
            conf.write_text(text.replace("@log@", str(server.state / "log")).replace("/run/nginx.pid", str(server.state / "run/nginx.pid")))
            os.chmod(conf, 0o644)
            server.http("GET", "/Content/nothing")
            wait_for(lambda: self.writers(server, "access.log"), what="a line to set aside")
            run(logrotate, "--force", "--state", server.state / "logrotate.state", conf)
            self.wait_for_new(server)
            server.http("GET", "/Content/nothing")
            for name in ("client.log", "access.log"):
                wait_for(lambda: len(self.writers(server, name)) == 1, what=f"the line in the new {name}")
                self.assertTrue((server.state / "log" / f"{name}.1").exists())
