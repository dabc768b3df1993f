"""test_probe_notices.py -- wsus-probe between us and a server that does wrong: each wrong is noticed and named,
and each fault that the protocol has a way back from is recovered from.

A proxy changes answers on their way.  Answers are plain, so that they can be changed as text; content passes
through too, since its addresses follow the Host of the request.
"""
import http.client
import http.server
import json
import re
import threading
import unittest

import harness
from harness import run, shared

FAULT = ('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>'
         "<faultstring>Fault occurred</faultstring><detail><ErrorCode>{}</ErrorCode><Message></Message>"
         "<ID>c4ee3a5c-2d4f-4b0c-9a67-4d4f0a2f9b11</ID><Method></Method></detail></s:Fault></s:Body></s:Envelope>")
NOBODY = "11111111-2222-4333-8444-555555555555"


class Answer:
    """What a change may touch: op is the operation, or "Content"; seen counts the answers to it."""

    def __init__(self, op, seen, status, headers, body):
        self.op, self.seen, self.status, self.headers, self.body = op, seen, status, headers, body

    def replace(self, old, new, count=1):
        changed = re.sub(old.encode(), new.encode(), self.body, count=count)
        self.body = changed

    def fault(self, code):
        self.status, self.body = 500, FAULT.format(code).encode()


class Proxy:
    def __init__(self, server, change):
        seen = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                upstream.request(self.command, self.path, body or None, dict(self.headers))
                got = upstream.getresponse()
                action = self.headers.get("SOAPAction")
                op = action.strip('"').rsplit("/", 1)[1] if action else "Content"
                seen[op] = seen.get(op, 0) + 1
                keep = ("content-type", "content-range", "content-encoding")
                a = Answer(op, seen[op], got.status, {k: v for k, v in got.getheaders() if k.lower() in keep}, got.read())
                upstream.close()
                change(a)
                self.send_response(a.status)
                for name, value in {**a.headers, "Content-Length": str(len(a.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(a.body)

            do_GET = do_POST = pass_on

            def log_message(self, *_):
                pass

        self.seen = seen
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def at(op, seen=1):
    """The change is made to the answer of this number to this operation; 0: to every one."""
    def wrap(change):
        def only(a):
            if a.op == op and seen in (0, a.seen):
                change(a)
        return only
    return wrap


class Notices(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = shared("sample")

    def probe(self, change, *options):
        with Proxy(self.server, change) as proxy:
            url = f"http://127.0.0.1:{proxy.http.server_port}"
            done = run(harness.ROOT / "bin/wsus-probe", url, "--json", "--plain", *options, check=False)
            said = json.loads(done.stdout)
            self.assertEqual(said["ok"], done.returncode == 0)
            return said

    def notices(self, change, words, *options):
        said = self.probe(change, *options)
        self.assertFalse(said["ok"])
        self.assertRegex("\n".join([said["error"] or ""] + said["problems"]), words)

    def test_nothing_is_noticed_where_nothing_is_wrong(self):
        said = self.probe(lambda a: None, "--download")
        self.assertTrue(said["ok"])
        self.assertEqual(said["problems"], [])
        self.assertEqual(said["files"]["listed"], said["files"]["downloaded"])
        self.assertGreater(said["files"]["listed"], 0)

    # ---- scan ----

    def test_an_update_before_its_prerequisites(self):
        early = (f'&lt;Relationships&gt;&lt;Prerequisites&gt;&lt;UpdateIdentity UpdateID="{NOBODY}" /&gt;'
                 "&lt;/Prerequisites&gt;&lt;/Relationships&gt;&lt;ApplicabilityRules")
        self.notices(at("SyncUpdates")(lambda a: a.replace("&lt;ApplicabilityRules", early)),
                     f"prerequisite clause 0 .{NOBODY}")

    def test_an_update_twice(self):
        self.notices(at("SyncUpdates")(lambda a: a.replace("(<UpdateInfo>.*?</UpdateInfo>)", r"\1\1")),
                     "was sent although it is cached")

    def test_an_update_under_two_numbers(self):
        again = lambda a: a.replace("(<UpdateInfo><ID>)([0-9]+)(.*?</UpdateInfo>)", r"\g<1>\g<2>\g<3>\g<1>9\g<2>\g<3>")
        self.notices(at("SyncUpdates")(again), "cached under another number")

    def test_each_missing_field_of_a_deployment(self):
        for field in "ID", "IsAssigned", "LastChangeTime", "AutoSelect", "AutoDownload", "SupersedenceBehavior":
            with self.subTest(field):
                drop = at("SyncUpdates")(lambda a: a.replace(f"(<Deployment>.*?)<{field}>[^<]*</{field}>", r"\1"))
                self.notices(drop, f"Deployment has no {field}")

    def test_a_missing_deployment(self):
        self.notices(at("SyncUpdates")(lambda a: a.replace("<Deployment>.*?</Deployment>", "")), "has no Deployment")

    def test_an_unknown_action(self):
        self.notices(at("SyncUpdates")(lambda a: a.replace("<Action>Evaluate<", "<Action>Evolve<")), 'unknown Action "Evolve"')

    def test_a_fragment_that_is_not_well_formed(self):
        self.notices(at("SyncUpdates")(lambda a: a.replace("&lt;Properties ", "&lt;Properties &lt;")), "its Core fragment")

    def test_truncated_without_anything(self):
        def change(a):
            if a.op == "SyncUpdates" and b"<NewUpdates>" not in a.body:
                a.replace("<Truncated>false", "<Truncated>true")
        self.notices(change, "brings nothing")

    def test_a_scan_that_does_not_end(self):
        self.notices(lambda a: None, "not at its end after 3 calls", "--max-calls", "3")

    def test_out_of_scope_ids_that_nobody_has(self):
        gone = "<OutOfScopeRevisionIDs><int>987654</int></OutOfScopeRevisionIDs><Truncated>"
        self.notices(at("SyncUpdates")(lambda a: a.replace("<Truncated>", gone)), "987654 is said to be out of scope")

    def test_a_leaf_that_others_need(self):
        root = []

        def change(a):
            if a.op == "SyncUpdates" and a.seen == 1:
                root.extend(re.findall(b"<UpdateInfo>(<ID>[0-9]+</ID><Deployment>.*?</Deployment>)", a.body))
            elif a.op == "SyncUpdates" and a.seen == 2:
                leaves = "".join(f"<UpdateInfo>{r.decode()}<IsLeaf>true</IsLeaf></UpdateInfo>" for r in root)
                a.replace("<Truncated>", f"<ChangedUpdates>{leaves}</ChangedUpdates><Truncated>")
        self.notices(change, "is said to be a leaf, but is a prerequisite of")

    def test_a_category_that_nobody_knows(self):
        self.notices(lambda a: None, "does not know the category", "--filter", NOBODY)
        self.assertTrue(self.probe(lambda a: None, "--filter", "28bc880e-0592-4cbf-8f95-c79b17911d5f")["ok"])

    # ---- metadata and content ----

    def test_an_update_without_its_fragments(self):
        self.notices(at("GetExtendedUpdateInfo")(lambda a: a.replace("<Update>.*?</Update>", "")), "0 Extended and 1 Localized")

    def test_a_file_without_a_location(self):
        drop = lambda a: a.replace("<FileLocation>.*?</FileLocation>", "")
        self.notices(at("GetFileLocations")(drop), "GetFileLocations gives no location")

    def test_content_of_other_bytes(self):
        def change(a):
            a.body = bytes([a.body[0] ^ 1]) + a.body[1:]
        self.notices(at("Content")(change), "its SHA-1 is not the metadata's", "--download")

    def test_another_sha256_in_the_metadata(self):
        other = "Algorithm=\"SHA256\"&gt;" + "A" * 43 + "=&lt;"
        change = at("GetExtendedUpdateInfo")(lambda a: a.replace('Algorithm="SHA256"&gt;[^&]*&lt;', other))
        self.notices(change, "its SHA-256 is not the metadata's", "--download")

    def test_content_that_is_short_whole_or_of_another_range(self):
        def short(a):
            a.body = a.body[:-1]

        def whole(a):
            a.status = 200

        def elsewhere(a):
            a.headers = {"Content-Range": "bytes 0-1/2"}

        def missing(a):
            a.status, a.body = 404, b""
        for change, words in ((short, "bytes for bytes 0-"), (whole, "HTTP 200 instead of 206"),
                              (elsewhere, 'Content-Range is "bytes 0-1/2"'), (missing, "HTTP 404 instead of 206")):
            with self.subTest(words):
                self.notices(at("Content")(change), words, "--download")

    # ---- the transport ----

    def test_answers_that_are_no_answers(self):
        def cut(a):
            a.body = a.body[:len(a.body) // 2]

        def other(a):
            a.replace("GetConfigResponse", "GetCookieResponse", 0)

        def coded(a):
            a.headers["Content-Encoding"] = "gzip"

        def page(a):
            a.status, a.body = 502, b"<html>Bad Gateway</html>"
        for change, words in ((cut, "GetConfig: "), (other, "not GetConfigResponse"), (coded, "gzip.*was not asked for"),
                              (page, "HTTP 502 without a SOAP fault")):
            with self.subTest(words):
                self.notices(at("GetConfig")(change), words)

    # ---- faults and the way back ----

    def test_faults_that_have_a_way_back(self):
        for code, steps in (("InvalidCookie", {"refresh": 1, "config": 2}), ("ServerChanged", {"refresh": 1, "config": 2}),
                            ("ConfigChanged", {"config": 2, "cookie": 2}), ("CookieExpired", {"config": 1, "cookie": 2}),
                            ("RegistrationRequired", {"register": 2, "cookie": 1})):
            with self.subTest(code):
                said = self.probe(at("SyncUpdates", 3)(lambda a: a.fault(code)))
                self.assertTrue(said["ok"], said)
                self.assertEqual(said["recoveries"], 1)
                calls = {s["name"]: s["calls"] for s in said["steps"]}
                self.assertEqual({name: min(calls[name], 2) for name in steps}, steps)

    def test_a_busy_server_is_asked_again(self):
        said = self.probe(at("SyncUpdates", 2)(lambda a: a.fault("ServerBusy")))
        self.assertTrue(said["ok"])
        self.assertEqual(said["recoveries"], 0)

    def test_moved_files_are_located_anew(self):
        said = self.probe(at("GetFileLocations")(lambda a: a.fault("FileLocationChanged")))
        self.assertTrue(said["ok"], said)

    def test_a_fault_that_never_ends_is_given_up(self):
        self.notices(at("SyncUpdates", 0)(lambda a: a.fault("CookieExpired")), "gave up after 8 recoveries.*CookieExpired")

    def test_a_fault_without_a_way_back_ends_the_walk(self):
        self.notices(at("SyncUpdates", 2)(lambda a: a.fault("InvalidParameters")), "SyncUpdates: .*ErrorCode InvalidParameters")


if __name__ == "__main__":
    unittest.main()
