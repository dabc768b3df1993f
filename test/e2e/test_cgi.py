"""test_cgi.py -- each service answers one request as a plain CGI program, and all of them do when started by spawn-fcgi
and fcgiwrap, as wsus-fcgi.7 says."""
import contextlib
import grp
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import ssl
import stat
import subprocess
import unittest

import harness
from harness import AUTH, CLIENT, ROOT, children, run, wait_for
from installed import GROUP, USER, Beside

CASES = {
    "auth": (AUTH, "/SimpleAuthWebService/SimpleAuth.asmx", "GetAuthorizationCookie",
             "<clientId>6f9619ff-8b86-d011-b42d-00c04fc964ff</clientId><dnsName>cgi.example.net</dnsName>", b"<CookieData>"),
    "client": (CLIENT, "/ClientWebService/client.asmx", "GetConfig", "<protocolVersion>2.90</protocolVersion>",
               b"<GetConfigResult>"),
    "reporting": ("http://www.microsoft.com/SoftwareDistribution/Server/IMonitorable", "/ReportingWebService/ReportingWebService.asmx", "Ping",
                  "<pingLevel>1</pingLevel>", b"<ServicesName>reporting</ServicesName>"),
}


def split(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    rows = (line.split(":", 1) for line in head.decode().splitlines() if ":" in line)
    return {k.strip().lower(): v.strip() for k, v in rows}, body


class Cgi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()

    def environment(self, path, body, method="POST", **more):
        return {"PATH": os.environ["PATH"], "REQUEST_METHOD": method, "SCRIPT_NAME": path, "QUERY_STRING": "",
                "CONTENT_TYPE": "text/xml; charset=utf-8", "CONTENT_LENGTH": str(len(body)), "SERVER_NAME": "cgi.example.net",
                "SERVER_PORT": "80", "HTTP_HOST": "cgi.example.net", "REQUEST_SCHEME": "http", "REMOTE_ADDR": "127.0.0.1",
                "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1"} | more

    def command(self, part):
        if part == "content":
            return [str(ROOT / "bin/wsus-content"), "-U", str(self.server.state / "selfupdate")]
        return [str(ROOT / f"bin/wsus-{part}"), "-C", str(self.server.state), "-S", "store", "-K", "keys/master"]

    def test_one_soap_request_each(self):
        for part, (ns, path, operation, inner, wanted) in CASES.items():
            body = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}></s:Body>'
                    "</s:Envelope>").encode()
            done = subprocess.run(self.command(part), input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                                  env=self.environment(path, body, HTTP_SOAPACTION=f'"{ns}/{operation}"'))
            self.assertEqual(done.returncode, 0, done.stderr)
            head, answer = split(done.stdout)
            self.assertIn(head.get("status", "200").split()[0], ("200",), part)
            self.assertEqual(head["content-type"], "text/xml; charset=utf-8")
            self.assertIn(wanted, answer)
            self.assertEqual(int(head.get("content-length", len(answer))), len(answer))

    def test_a_fault_has_status_500(self):
        body = b"this is no XML"
        done = subprocess.run(self.command("client"), input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              env=self.environment("/ClientWebService/client.asmx", body))
        head, answer = split(done.stdout)
        self.assertEqual(head["status"].split()[0], "500")
        self.assertEqual(harness.fault_code(answer), "")

    def test_content_names_the_internal_place(self):
        file = next((self.server.state / "content").glob("[0-9A-F][0-9A-F]/*"))
        done = subprocess.run(self.command("content"), input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              cwd=self.server.state, env=self.environment(f"/content/{file.name[-2:].lower()}/{file.name.lower()}.cab",
                                                                          b"", "GET"))
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _ = split(done.stdout)
        self.assertEqual(head["x-accel-redirect"], f"/_content/{file.name[-2:]}/{file.name}")


MANUAL = (ROOT / "doc/wsus-fcgi.7").read_text()
SERVICES = ("auth", "client", "content", "reporting", "serversync")
ARGUMENTS = {"content": "-U selfupdate -N content/names -J jobs"}  # the others have those of the manual's example


def examples(section):
    """The literal blocks of a section of wsus-fcgi.7."""
    text = re.search(rf"^\.Ss {section}\n(.*?)^\.S[sh] ", MANUAL, re.M | re.S)[1]
    return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)


@unittest.skipUnless(os.geteuid() == 0, "only root can start services for another user")
class WithoutSystemd(unittest.TestCase):
    """The manual's own commands, with the places of this installation, behind nginx."""

    @classmethod
    def setUpClass(cls):
        cls.here = Beside()
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        sample = harness.sample("--revisions", "300", "--content")
        cls.here.ctl("update", "import", sample / "updates")
        cls.here.ctl("content", "add", sample / "content")
        offered = [u["id"] for u in json.loads(cls.here.ctl("update", "list", "--type", "software", "--json").stdout)]
        for update in offered[-5:]:
            cls.here.ctl("approve", update, "--group", "all")
        cls.tested = stack.enter_context(cls.here.served())
        cls.errors = cls.here.root / "error.log"

    def setUp(self):
        self.assertEqual(self.tested.returncode, 0, self.tested.stderr)
        self.pids = {}
        self.addCleanup(self.stop)

    def here_for(self, text, service="client"):
        """The text of the manual for this installation and service."""
        places = {"PREFIX/lib": self.here.root / "usr/lib", "/run/wsus-fcgi": self.here.run_dir,
                  "/var/lib/wsus-fcgi": self.here.state, "/etc/wsus-fcgi": self.here.etc, "-u wsus -g wsus -U wsus":
                  f"-u {USER} -g {GROUP} -U {USER}", "client": service}
        text = re.sub("|".join(sorted(map(re.escape, places), key=len, reverse=True)), lambda m: str(places[m[0]]), text)
        return text.replace("-S store -K keys/master", ARGUMENTS[service]) if service in ARGUMENTS else text

    def sh(self, text):
        """Starts what stays, of which standard error is a file."""
        self.here.run_dir.mkdir(parents=True, exist_ok=True)
        with open(self.here.root / "spawn.log", "ab") as log:
            return subprocess.Popen(["sh", "-c", text], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def spawn(self, service, command):
        """In the background; the numbers in its file."""
        process = self.sh(command)
        self.assertEqual(process.wait(30), 0, (self.here.root / "spawn.log").read_text())
        self.pids[service] = [int(p) for p in (self.here.run_dir / f"{service}.pid").read_text().split()]

    def in_the_background(self, service):
        pid = self.here.run_dir / f"{service}.pid"
        log = self.log(service)
        log.touch()
        shutil.chown(log, USER, GROUP)
        self.spawn(service, self.here_for(examples("Without systemd")[0], service).replace(" -n ", f" -P {pid} ").strip() + f" -l {log}")

    def log(self, service):
        return self.here.root / f"{service}.log"

    def stop(self):
        for pid in [p for found in self.pids.values() for p in found]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not any(living(p) for found in self.pids.values() for p in found), what="the end of the services")
        self.pids = {}

    def scan(self, *more):
        done = run(self.here.root / "usr/bin/wsus-probe", f"https://127.0.0.1:{self.here.tls_port}", "--ca",
                   self.here.etc / "tls/ca.crt", "--download", "--json", *more, check=False)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        told = json.loads(done.stdout)
        self.assertGreater(told["updates"]["new"], 200)
        self.assertGreater(told["files"]["downloaded"], 0)
        self.assertEqual(told["files"]["listed"], told["files"]["downloaded"])

    def post(self, body, path=harness.PATHS[CLIENT]):
        context = ssl.create_default_context(cafile=str(self.here.etc / "tls/ca.crt"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.here.tls_port, timeout=60, context=context)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": "text/xml; charset=utf-8",
                                                    "SOAPAction": f'"{CLIENT}/GetConfig"'})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get_config(self, padding=0):
        return (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body>{" " * padding}<GetConfig xmlns="{CLIENT}">'
                "<protocolVersion>2.90</protocolVersion></GetConfig></s:Body></s:Envelope>").encode()

    def assert_faults_and_bodies(self):
        """What a front could spoil: a fault, a body of many records, one over the limit."""
        status, body = self.post(b"this is no XML")
        self.assertEqual((status, harness.fault_code(body)), (500, ""))
        status, body = self.post(self.get_config(7 << 20))
        self.assertEqual(status, 200)
        self.assertIn(b"<GetConfigResult>", body)
        status, body = self.post(self.get_config(9 << 20))
        self.assertEqual((status, harness.fault_code(body)), (500, "InvalidParameters"))

    def assert_socket(self, service):
        """nginx's by its group, and nobody else's."""
        found = (self.here.run_dir / f"{service}.sock").stat()
        self.assertEqual((stat.S_IMODE(found.st_mode), pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name),
                         (0o660, USER, "www-data"))

    def assert_dropped(self, pid):
        """All user and group ids of a process are the services', and there is no other group."""
        rows = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        user, group = str(pwd.getpwnam(USER).pw_uid), str(grp.getgrnam(GROUP).gr_gid)
        self.assertEqual((set(rows["Uid"].split()), set(rows["Gid"].split())), ({user}, {group}))
        self.assertLessEqual(set(rows["Groups"].split()), {group})

    @unittest.skipUnless(shutil.which("spawn-fcgi"), "spawn-fcgi is missing")
    def test_spawn_fcgi_in_the_foreground(self):
        started = {}
        for service in SERVICES:
            text = self.here_for(examples("Without systemd")[0], service)
            self.assertIn("spawn-fcgi -n", text)
            process = started[service] = self.sh(re.sub("(?m)^spawn-fcgi", "exec spawn-fcgi", text))
            self.pids[service] = [process.pid]
            self.addCleanup(process.wait, 20)
        wait_for(lambda: all(children(p.pid) for p in started.values()), what="workers")
        for service, process in started.items():
            self.assert_socket(service)
            for pid in [process.pid, *children(process.pid)]:
                self.assert_dropped(pid)
        self.scan()
        self.assert_faults_and_bodies()
        before = children(started["client"].pid)
        started["client"].send_signal(signal.SIGHUP)
        wait_for(lambda: not set(before) & set(children(started["client"].pid)), what="other workers")
        self.scan()
        for process in started.values():
            process.terminate()
            self.assertEqual(process.wait(20), 0)
        self.assertRegex(self.post(self.get_config())[1], b"<ErrorCode>ServerBusy<")

    @unittest.skipUnless(shutil.which("spawn-fcgi"), "spawn-fcgi is missing")
    def test_spawn_fcgi_in_the_background(self):
        for service in SERVICES:
            self.in_the_background(service)
            self.assertEqual(len(self.pids[service]), 1)
            self.assert_socket(service)
            self.assert_dropped(self.pids[service][0])
        self.scan()
        parent, = self.pids["client"]
        before = children(parent)
        os.kill(parent, signal.SIGHUP)
        wait_for(lambda: children(parent) and not set(before) & set(children(parent)), what="other workers")
        self.assertIn("replacing the workers", self.log("client").read_text())
        self.assert_faults_and_bodies()
        workers = children(parent)
        self.stop()
        self.assertFalse([p for p in workers if living(p)])
        self.assertTrue((self.here.run_dir / "client.sock").exists())
        for service in SERVICES:
            self.in_the_background(service)
        self.scan()

    @unittest.skipUnless(shutil.which("spawn-fcgi"), "spawn-fcgi is missing")
    def test_a_socket_that_nginx_may_not_open_is_server_busy(self):
        pid = self.here.run_dir / "client.pid"
        self.spawn("client", self.here_for(examples("Without systemd")[0]).replace(" -n ", f" -P {pid} ").replace("0660", "0600"))
        status, body = self.post(self.get_config())
        self.assertEqual((status, harness.fault_code(body)), (500, "ServerBusy"))
        self.assertIn("client.sock failed (13: Permission denied)", self.errors.read_text())

    @unittest.skipUnless(shutil.which("spawn-fcgi") and os.path.exists("/usr/sbin/fcgiwrap"), "spawn-fcgi or fcgiwrap is missing")
    def test_fcgiwrap(self):
        parameter, script, command = examples("As plain CGI")
        (self.here.etc / "param-cgi.conf").write_text(self.here_for(parameter))
        (self.here.etc / "cgi").write_text(script.replace("PREFIX", f"{self.here.root}/usr").replace(
            "/var/lib/wsus-fcgi", str(self.here.state)))
        (self.here.etc / "cgi").chmod(0o755)
        self.reload_nginx()
        for service in SERVICES:
            self.spawn(service, self.here_for(command, service))
            self.assertEqual(len(self.pids[service]), 4)
            self.assert_socket(service)
            for pid in self.pids[service]:
                self.assert_dropped(pid)
        self.scan()
        self.assert_faults_and_bodies()
        self.assertRegex(self.errors.read_text(), r"FastCGI sent in stderr: .* req id=\S+ .*op=GetConfig")
        self.assertIn("probe", self.here.ctl("computer", "list").stdout)
        self.stop()
        self.assertRegex(self.post(self.get_config())[1], b"<ErrorCode>ServerBusy<")

    def reload_nginx(self):
        """Until workers with the new configuration alone are there."""
        master = int((self.here.root / "nginx.pid").read_text())
        before = set(children(master))
        os.kill(master, signal.SIGHUP)
        wait_for(lambda: children(master) and not before & set(children(master)), what="nginx's new workers")


def living(pid):
    """A process that has not ended; its parent need not have noticed."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    unittest.main()
