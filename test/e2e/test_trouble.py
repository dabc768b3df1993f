"""test_trouble.py -- slow, silent and vanishing clients, killed processes, a full disk: others are served meanwhile and
nothing is lost afterwards."""
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import CLIENT, Computer, Fault, Instance, find, find_all, open_files, run, temporary, wait_for

GET_CONFIG = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><GetConfig xmlns="{CLIENT}"><protocolVersion>2.90</protocolVersion>'
              "</GetConfig></s:Body></s:Envelope>").encode()
HEAD = (b"POST /ClientWebService/client.asmx HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml; charset=utf-8\r\n"
        b"Content-Length: %d\r\n\r\n")
PARTS = ("nginx", "auth", "client", "content", "reporting", "serversync")


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def connection(self):
        s = socket.create_connection(("127.0.0.1", self.server.port), 30)
        self.addCleanup(s.close)
        return s

    def workers(self):
        return {part: self.server.workers(part) for part in PARTS}

    def files(self):
        """Open files of each worker once it is at rest."""
        return {pid: open_files(pid) for part in PARTS for pid in self.server.workers(part)}

    def serve_others(self, n=20):
        for _ in range(n):
            self.assertEqual(self.server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)[0], 200)

    # holds: WUSP-TRANSPORT-38 WUSP-TRANSPORT-34
    def test_a_hundred_slow_stalled_and_aborting_connections(self):
        computer = Computer(self.server).handshake()
        computer.scan()
        self.serve_others(40)  # every worker has opened what it opens at its first request
        before, files = self.workers(), self.files()
        content = max((self.server.state / "content").glob("[0-9A-F][0-9A-F]/*"), key=lambda p: p.stat().st_size)
        sync = self.large_request(computer)
        held = []
        for i in range(100):
            s = self.connection()
            kind = i % 6
            if kind == 0:    # never says anything
                pass
            elif kind == 1:  # half a header
                s.sendall(HEAD[:40])
            elif kind == 2:  # a body that stops in the middle
                s.sendall(HEAD % len(GET_CONFIG) + GET_CONFIG[:50])
            elif kind == 3:  # asks for a large answer and does not read it
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(HEAD % len(sync) + sync)
            elif kind == 4:  # the same, and gone at once, with a reset
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.sendall(HEAD % len(sync) + sync)
                s.close()
            else:            # a download that stalls
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(f"GET /content/{content.name[-2:]}/{content.name.lower()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            held.append(s)
        self.serve_others()
        fresh = Computer(self.server).handshake()
        fresh.scan()
        self.assertEqual(set(fresh.known), set(computer.known), "somebody else's whole scan beside them")
        # a slow one that does end gets its answer
        slow = self.connection()
        request = HEAD % len(GET_CONFIG) + GET_CONFIG
        for i in range(0, len(request), 16):
            slow.sendall(request[i:i + 16])
        self.assertTrue(slow.recv(65536).startswith(b"HTTP/1.1 200"))
        for s in held + [slow]:
            s.close()
        self.serve_others(40)
        self.assertEqual(self.workers(), before, "no worker was lost")
        wait_for(lambda: all(n <= files[pid] + (2 if pid in before["nginx"] else 0) for pid, n in self.files().items()),
                 what="all connections to be closed again")

    @staticmethod
    def large_request(computer):
        """A SyncUpdates that brings a full page."""
        return (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><SyncUpdates xmlns="{CLIENT}">{computer.cookie_xml()}<parameters>'
                f"<ExpressQuery>false</ExpressQuery>{computer.ids('InstalledNonLeafUpdateIDs', computer.installed)}"
                "<SkipSoftwareSync>false</SkipSoftwareSync></parameters></SyncUpdates></s:Body></s:Envelope>").encode()

    def test_many_clients_at_once_get_the_same_answer(self):
        answers, errors = [], []

        def one():
            try:
                computer = Computer(self.server, xpress=True).handshake()
                computer.scan()
                answers.append(frozenset(computer.known))
            except Exception as e:  # collected for the assertion below
                errors.append(repr(e))
        threads = [threading.Thread(target=one) for _ in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])
        self.assertEqual(len(set(answers)), 1)
        self.assertEqual(len(answers), 24)

    def test_a_killed_worker_is_replaced_and_clients_notice_nothing_later(self):
        for part in ("client", "auth", "content"):
            before = self.server.workers(part)
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: len(self.server.workers(part)) == 4 and before[0] not in self.server.workers(part),
                     what=f"a new worker of {part}")
            self.assertEqual(set(before[1:]) - set(self.server.workers(part)), set())
        self.serve_others()
        computer = Computer(self.server).handshake()
        computer.scan()
        self.assertGreater(len(computer.known), 100)

    # holds: WUSP-SOAPFAULT-19
    def test_a_service_that_is_gone_is_server_busy(self):
        with Instance("none") as server:
            os.kill(server.pid("client"), signal.SIGTERM)
            wait_for(lambda: not harness.alive(server.pid("client")) or not server.workers("client"), what="the service's end")
            wait_for(lambda: server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)[0] == 500, what="the fault")
            status, head, body = server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)
            self.assertEqual((status, head["content-type"]), (500, "text/xml; charset=utf-8"))
            self.assertEqual(harness.fault_code(body), "ServerBusy")
            self.assertTrue(body.startswith(b"<s:Envelope"))

    # holds: WUSP-SOAPFAULT-07 WUSP-SOAPFAULT-02
    def test_a_body_over_the_limit_gets_the_defined_fault(self):
        ids = set()
        for chunked in (False, True):
            size = (8 << 20) + 1
            connection = self.server.connect()
            body = (b"x" * 65536 for _ in range(size // 65536 + 1)) if chunked else b"x" * size
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", "/ClientWebService/client.asmx", body, {"Content-Type": "text/xml"},
                                   encode_chunked=chunked)
            answer = connection.getresponse()
            text = answer.read()
            connection.close()
            self.assertEqual(answer.status, 500)
            self.assertEqual(harness.fault_code(text), "InvalidParameters")
            detail = find_all(harness.payload(text), "detail")[0]
            self.assertEqual([e.tag for e in detail][:3], ["ErrorCode", "Message", "ID"])
            ids.add(find(detail, "ID"))
        self.assertEqual(len(ids), 2, "each fault has its own ID")
        log = self.server.state / "log/access.log"
        wait_for(lambda: all(f" fault=InvalidParameters:{i} " in log.read_text() for i in ids), what="the faults' IDs in nginx's log")

    def test_other_methods_are_refused_shortly(self):
        for method in ("GET", "HEAD", "PUT", "OPTIONS"):
            status, head, body = self.server.http(method, "/ClientWebService/Client.asmx")
            self.assertEqual((status, head.get("allow")), (405, "POST"), method)
            self.assertLess(len(body), 100)

    def test_one_log_line_for_each_request(self):
        before = len(self.server.requests())
        computer = Computer(self.server)
        computer.get_config()
        wait_for(lambda: len(self.server.requests()) > before, what="the log line")
        line = self.server.requests()[-1]
        self.assertEqual((line["op"], line["status"]), ("GetConfig", "200"))


class Store(unittest.TestCase):
    def documents(self):
        return harness.sample("--revisions", "2000", "--languages", "3")

    def audit(self, server):
        done = server.ctl("store", "audit", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_an_import_that_is_killed_leaves_a_sound_store_and_can_be_repeated(self):
        documents = self.documents() / "updates"
        with Instance("none") as server:
            computer = Computer(server).handshake()
            killed = 0
            for delay in (0.02, 0.05, 0.1, 0.2, 0.4):
                process = subprocess.Popen([str(server.root / "bin/wsusctl"), "--store", str(server.state / "store"), "update",
                                            "import", str(documents)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(delay)
                process.kill()
                killed += process.wait() == -signal.SIGKILL
                self.audit(server)
                self.assertEqual(find(computer.sync_once(), "Truncated"), "false", "clients are served as before")
            self.assertGreater(killed, 0)
            done = server.ctl_json("update", "import", documents)
            self.assertEqual(done["refused"], 0)
            again = server.ctl_json("update", "import", documents)
            self.assertEqual((again["new"], again["known"]), (0, 2000))
            self.audit(server)
            computer.scan()
            self.assertGreater(len(computer.known), 300)

    def test_a_full_map_stops_the_import_in_words_and_clients_go_on(self):
        documents = self.documents() / "updates"
        with Instance("none") as server:
            done = server.ctl("update", "import", documents, check=False, env=os.environ | {"WSUS_CATALOG_MAP_MB": "4"})
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.lower(), "full|space")
            self.audit(server)
            computer = Computer(server).handshake()
            computer.scan()
            # with room again the same command goes through
            self.assertEqual(server.ctl_json("update", "import", documents)["refused"], 0)
            self.audit(server)

    @unittest.skipUnless(os.geteuid() == 0, "needs a small file system of its own")
    def test_a_full_disk_stops_the_import_in_words_and_nothing_is_torn(self):
        mount = temporary()
        if run("mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", mount, check=False).returncode != 0:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(run, "umount", "-l", mount, check=False)
        documents = self.documents() / "updates"
        server = Instance("none", state=mount / "state")
        server.start()
        self.addCleanup(server.stop)
        server.ctl("update", "import", harness.corpus_documents() if harness.CORPUS.is_dir() else documents / "00", check=False)
        held = len(server.ctl_json("update", "list", "--all"))
        filler = mount / "filler"
        with open(filler, "wb") as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(65536))
                f.flush()
        done = server.ctl("update", "import", documents, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.lower(), "full|space")
        self.audit(server)
        self.assertGreaterEqual(len(server.ctl_json("update", "list", "--all")), held)
        # readers are served; a write that cannot be kept is refused, not half done
        self.assertEqual(server.post_bytes(CLIENT, "GetConfig", GET_CONFIG)[0], 200)
        computer = Computer(server)
        with contextlib.suppress(Fault):
            computer.handshake()
        self.audit(server)
        filler.unlink()
        computer = Computer(server).handshake()
        computer.scan()
        self.audit(server)


if __name__ == "__main__":
    unittest.main()
