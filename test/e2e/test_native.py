"""test_native.py -- the recorded requests of a native client against our server, cookies exchanged for real ones.

Our answers are compared with the recorded ones byte for byte after the values that must differ (numbers, times,
cookies, the server's own name) are replaced by a mark; their lexical form is part of the mark.
"""
import base64
import re
import unittest

import harness
from harness import AUTH, CLIENT, CORPUS, REPORT, Instance, find, find_all, parse, payload

NATIVE = CORPUS / "native"
NOT_IN_THE_BUNDLE = {"7366a74a-ef29-44e1-b738-570b516aca1f"}

DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?Z"
BASE64 = r"[A-Za-z0-9+/]+={0,2}"
# What differs from server to server, in the form in which it has to come.
MARKS = [
    (re.compile(rf"<LastChange>{DATE_TIME}</LastChange>"), "<LastChange>TIME</LastChange>"),
    (re.compile(r"<Value>\\\\[^\\<]+\\UpdateServicesPackages</Value>"), "<Value>SHARE</Value>"),
    (re.compile(rf"<CookieData>{BASE64}</CookieData>"), "<CookieData>DATA</CookieData>"),
    (re.compile(rf"<Expiration>{DATE_TIME}</Expiration>"), "<Expiration>TIME</Expiration>"),
    (re.compile(rf"<EncryptedData>{BASE64}</EncryptedData>"), "<EncryptedData>DATA</EncryptedData>"),
    (re.compile(r"<ID>[1-9]\d*</ID>"), "<ID>NUMBER</ID>"),
    (re.compile(r"<LastChangeTime>\d{4}-\d\d-\d\d</LastChangeTime>"), "<LastChangeTime>DATE</LastChangeTime>"),
    (re.compile(r"<Url>http://[^/<]+/"), "<Url>http://SERVER/"),
]


def marked(body):
    text = body.decode("utf-8")
    for pattern, mark in MARKS:
        text = pattern.sub(mark, text)
    return text


def headers_of(path):
    rows = path.read_bytes().decode("latin-1").splitlines()[1:]
    return {k.strip().lower(): v.strip() for k, v in (r.split(":", 1) for r in rows if ":" in r)}


@unittest.skipUnless(NATIVE.is_dir(), f"no recorded exchanges at {NATIVE}")
class Replay(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.server = Instance(str(harness.corpus_documents()))
        cls.server.start()
        cls.last_change = cls.auth = cls.cookie = None
        cls.number = {}  # recorded RevisionID -> ours
        cls.told = set()  # deployments as the client was told them

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ours(self, body):
        """The recorded request with the values that our server gave."""
        text = body.decode("utf-8")
        if self.auth:
            text = re.sub(r"<CookieData>[^<]*</CookieData>", f"<CookieData>{self.auth}</CookieData>", text)
        if self.last_change:
            text = re.sub(r"<lastChange>[^<]*</lastChange>", f"<lastChange>{self.last_change}</lastChange>", text)
        if self.cookie:
            text = re.sub(r"<cookie>.*?</cookie>", "<cookie><Expiration>%s</Expiration><EncryptedData>%s</EncryptedData></cookie>"
                          % self.cookie, text)
        return re.sub(r"<int>(\d+)</int>", lambda m: f"<int>{self.number.get(int(m[1]), int(m[1]))}</int>", text).encode()

    def send(self, exchange, xpress=True):
        """Sends request EXCHANGE with the recorded headers; (status, headers, body as text)."""
        folder = NATIVE / exchange
        body = self.ours((folder / "request.body").read_bytes())
        recorded = headers_of(folder / "request.headers")
        path = (folder / "request.headers").read_text().split()[1]
        headers = {k: v for k, v in recorded.items() if k not in ("content-length", "host")}
        headers["host"] = f"127.0.0.1:{self.server.port}"
        if not xpress:
            headers.pop("accept-encoding")
        status, head, answer = self.server.http("POST", path, body, headers)
        if xpress and status == 200:
            self.assertEqual(head.get("content-encoding"), "xpress", exchange)
            answer = harness.unpress(answer)
        return status, head, answer

    def without_repetition(self, text):
        """A filtered pass does not advance the point in the cookie, so what the client holds already may be told again:
        to be harmless it has to say what the client was told."""
        def same(m):
            for row in re.findall(r"<UpdateInfo>(.*?)</UpdateInfo>", m[1]):
                deployment = re.search(r"<Deployment>.*?</IsLeaf>", row)[0]
                self.assertIn(deployment, self.told)
            return ""
        text = re.sub(r"<ChangedUpdates>(.*?)</ChangedUpdates>", same, text)
        self.told.update(re.findall(r"<Deployment>.*?</IsLeaf>", text))
        return text

    def exchange(self, name):
        """The answer must have the recorded form; what later requests need is taken from it."""
        status, head, answer = self.send(name)
        recorded = NATIVE / name / "response.body"
        self.assertEqual(status, 200, answer[:500])
        self.assertEqual(self.without_repetition(marked(answer)), marked(recorded.read_bytes()), name)
        wanted = headers_of(NATIVE / name / "response.headers")
        for field in ("content-type", "cache-control", "vary"):
            self.assertEqual(head.get(field), wanted.get(field), f"{name}: {field}")
        self.assertNotIn("transfer-encoding", head)
        # the same question without Accept-Encoding gives the same text, plain
        if "SyncUpdates" not in (NATIVE / name / "request.headers").read_text():
            self.assertNotIn("content-encoding", self.send(name, xpress=False)[1])
        return payload(answer), payload(recorded.read_bytes())

    def take_numbers(self, mine, theirs):
        by_update = {}
        for info in find_all(mine, "SyncUpdatesResult/NewUpdates/UpdateInfo"):
            by_update[harness.update_id(info)] = int(find(info, "ID"))
        for info in find_all(theirs, "SyncUpdatesResult/NewUpdates/UpdateInfo"):
            self.number[int(find(info, "ID"))] = by_update[harness.update_id(info)]
        self.take_cookie(find_all(mine, "SyncUpdatesResult/NewCookie")[0])

    def take_cookie(self, element):
        type(self).cookie = (find(element, "Expiration"), find(element, "EncryptedData"))

    # holds: WUSP-TRANSPORT-01 WUSP-TRANSPORT-08 WUSP-TRANSPORT-18 WUSP-TRANSPORT-22 WUSP-TRANSPORT-24 WUSP-TRANSPORT-27
    # holds: WUSP-TRANSPORT-29 WUSP-TRANSPORT-32
    def test_the_recorded_scan(self):
        mine, _ = self.exchange("scan/000001")
        type(self).last_change = find(mine, "GetConfigResult/LastChange")
        mine, _ = self.exchange("scan/000002")
        type(self).auth = find(mine, "GetAuthorizationCookieResult/CookieData")
        mine, _ = self.exchange("scan/000003")
        self.take_cookie(find_all(mine, "GetCookieResult")[0])
        expiration = self.cookie[0]
        self.exchange("scan/000004")
        self.exchange("scan/000005")
        for name in ("scan/000006", "scan/000007", "scan/000008"):
            mine, theirs = self.exchange(name)
            self.take_numbers(mine, theirs)
            self.assertEqual(self.cookie[0], expiration, "a new cookie keeps the expiry")
        mine, _ = self.exchange("scan/000009")
        self.take_cookie(find_all(mine, "SyncUpdatesResult/NewCookie")[0])

    def test_what_a_filtered_scan_offered_has_extended_information(self):
        computer = harness.Computer(self.server).handshake()
        category = re.search(r"<CategoryId>([^<]+)", (NATIVE / "scan/000005/request.body").read_text())[1]
        computer.scan(filters=[category])
        self.assertEqual(len(computer.known), 3)
        type(self).cookie = computer.cookie
        by_update = {u: n for u, (n, _) in computer.offered().items()}
        before = dict(self.number)
        for name in ("scan/000006", "scan/000007", "scan/000008"):
            for info in find_all(payload((NATIVE / name / "response.body").read_bytes()), "SyncUpdatesResult/NewUpdates/UpdateInfo"):
                self.number[int(find(info, "ID"))] = by_update[harness.update_id(info)]
        mine, theirs = self.extended("scan/000010")
        type(self).number = before
        self.assertEqual(sorted(mine), sorted(theirs))

    def extended(self, name):
        """Fragments (as escaped on the wire) of our answer and of the recorded one."""
        status, _, answer = self.send(name)
        self.assertEqual(status, 200, answer[:500])
        recorded = (NATIVE / name / "response.body").read_bytes()
        fragments = re.compile(r"<Update><ID>\d+</ID><Xml>([^<]*)</Xml></Update>")
        frame = re.compile(r"(?:<Update><ID>\d+</ID><Xml>[^<]*</Xml></Update>)+")
        self.assertEqual(frame.sub("UPDATES", answer.decode()).split("<FileLocations>")[0],
                         frame.sub("UPDATES", recorded.decode()).split("<FileLocations>")[0])
        return fragments.findall(answer.decode()), fragments.findall(recorded.decode())

    def fresh(self, id=None):
        """A cookie of our own for exchanges of the second recording."""
        computer = harness.Computer(self.server, id=id).handshake()
        type(self).cookie = computer.cookie
        return computer

    def test_the_recorded_later_scan_with_ids_of_another_server(self):
        self.fresh()
        for name in ("flow/000001", "flow/000003", "flow/000012", "flow/000013"):
            status, _, answer = self.send(name)
            self.assertEqual(status, 200, answer[:500])
            result = find_all(payload(answer), "SyncUpdatesResult")[0]
            sent = {int(i) for i in re.findall(r"<int>(\d+)</int>", (NATIVE / name / "request.body").read_text())}
            held = {row["revision_id"] for row in self.all_revisions()}
            gone = {int(e.text) for e in find_all(result, "OutOfScopeRevisionIDs/int")}
            self.assertEqual({i for i in sent if i not in held} - gone, set(), "ids nobody knows are out of scope")
            self.assertEqual([harness.local(e) for e in result if harness.local(e) not in ("NewUpdates", "OutOfScopeRevisionIDs", "ChangedUpdates", "DeployedOutOfScopeRevisionIds")],
                             ["Truncated", "NewCookie", "DriverSyncNotNeeded"])
            self.take_cookie(find_all(result, "NewCookie")[0])

    def all_revisions(self):
        rows = []
        for row in self.server.ctl_json("update", "list", "--all"):
            rows.append(self.server.ctl_json("update", "show", f"{row['id']}:{row['revision']}"))
        return rows

    def test_the_recorded_driver_pass(self):
        self.fresh()
        status, _, answer = self.send("flow/000014")
        self.assertEqual(status, 200)
        mine = marked(answer)
        self.assertEqual(re.sub(r"<OutOfScopeRevisionIDs>.*?</OutOfScopeRevisionIDs>", "", mine),
                         marked((NATIVE / "flow/000014/response.body").read_bytes()))

    def offered_software(self):
        """RevisionIDs of the recorded software updates that our server offers."""
        computer = self.fresh()
        # whatever prerequisite a document names that we do not hold is never met; those that need none are asked for by id
        return computer, sorted(r["revision_id"] for r in self.all_revisions()
                                if r["type"] == "Software" and r["id"].lower() not in NOT_IN_THE_BUNDLE)

    def test_recorded_fragments_of_the_same_documents(self):
        _, software = self.offered_software()
        request = (NATIVE / "flow/000015/request.body").read_text()
        recorded_ids = [int(i) for i in re.findall(r"<int>(\d+)</int>", request)]
        before = dict(self.number)
        self.number.update(dict.fromkeys(recorded_ids, software[-1]))
        self.number.update(zip(recorded_ids, software))
        try:
            mine, theirs = self.extended("flow/000015")
        finally:
            type(self).number = before
        self.assertEqual(len(mine), 2 * len(software))
        # some of the recorded links are blanked out
        def link(text):
            return re.sub(r"(?i)linkid=\w+", "LinkId=", text)
        theirs = [link(f) for f in theirs]
        self.assertEqual([f for f in map(link, mine) if f not in theirs], [], "each of our fragments is one of the recorded")

    def test_locations_have_the_recorded_paths(self):
        computer, software = self.offered_software()
        answer = computer.extended(software)
        recorded = payload((NATIVE / "flow/000015/response.body").read_bytes())
        place = "GetExtendedUpdateInfoResult/FileLocations/FileLocation"
        theirs = {find(e, "FileDigest"): find(e, "Url").split("/Content/")[1] for e in find_all(recorded, place)}
        mine = {find(e, "FileDigest"): find(e, "Url").split("/Content/")[1] for e in find_all(answer, place)}
        self.assertGreaterEqual(len(set(mine) & set(theirs)), 2)
        for digest in set(mine) & set(theirs):
            self.assertEqual(mine[digest], theirs[digest])

    # holds: WUSP-TRANSPORT-09
    # holds: WUSP-TRANSPORT-15 WUSP-REPORT-06 WUSP-REPORT-13
    def test_the_recorded_reports(self):
        """All three, whole; and once more by the other path, when nothing of them is new.  The client of the record is ours here: a cookie
        of another computer would have its events put aside."""
        events = {"flow/000016": 4, "flow/000017": 9, "flow/000018": 2}
        sids = {m for name in events for m in re.findall(r"<Sid>([^<]+)</Sid>", (NATIVE / name / "request.body").read_text())}
        self.assertEqual(len(sids), 1)
        self.fresh(*sids)
        for name, n in events.items():
            self.exchange(name)
            first, second = self.server.requests("reporting")[-2:]  # with Xpress, and without
            self.assertRegex(first["events"], f'^"{n} kept(, [0-9]+ of unknown updates)?"$')
            self.assertEqual(second["events"], f'"0 kept, {n} repeated"')
        for name, n in events.items():
            status, _, answer = self.server.post_bytes(REPORT, "ReportEventBatch", self.ours((NATIVE / name / "request.body").read_bytes()),
                                                       path="/reportingwebservice/webservice.asmx")
            self.assertEqual((status, find(payload(answer), "ReportEventBatchResult")), (200, "true"))
            self.assertEqual(self.server.requests("reporting")[-1]["events"], f'"0 kept, {n} repeated"')


@unittest.skipUnless(NATIVE.is_dir(), f"no recorded exchanges at {NATIVE}")
class Ranges(unittest.TestCase):
    """The four recorded content requests, answered for a file of ours of the recorded kind."""

    def test_recorded_headers(self):
        server = harness.shared()
        file = max((server.state / "content").glob("[0-9A-F][0-9A-F]/*"), key=lambda p: p.stat().st_size)
        size = file.stat().st_size
        for folder in sorted((NATIVE / "content-headers").iterdir()):
            asked = headers_of(folder / "request.headers")
            wanted = headers_of(folder / "response.headers")
            first, last, total = map(int, re.match(r"bytes (\d+)-(\d+)/(\d+)", wanted["content-range"]).groups())
            # the same place in a smaller file
            a, b = first * size // total, (size - 1 if last == total - 1 else min(last * size // total, size - 1))
            headers = {k: v for k, v in asked.items() if k not in ("host",)} | {"range": f"bytes={a}-{b}", "host": "x"}
            status, head, body = server.http("GET", f"/Content/{file.name[-2:]}/{file.name}.exe", None, headers)
            self.assertEqual(status, 206)
            self.assertEqual(head["content-range"], f"bytes {a}-{b}/{size}")
            self.assertEqual(int(head["content-length"]), b - a + 1)
            for field in ("content-type", "accept-ranges"):
                # a part carries Content-Range in place of Accept-Ranges on our side
                if field in head:
                    self.assertEqual(head[field], wanted[field], folder.name)
            self.assertRegex(head["etag"], r'^"[^"]+"$')
            self.assertIn("last-modified", head)
            self.assertNotIn("content-encoding", head)
            self.assertNotIn("vary", head)


if __name__ == "__main__":
    unittest.main()
