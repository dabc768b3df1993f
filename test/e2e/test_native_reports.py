"""test_native_reports.py -- the recorded report batches of a native client: what the server shows afterwards is what they say."""
import re
import unittest

import harness
from harness import Instance, find, find_all, payload
from test_native import NATIVE, headers_of

REPORTS = ("flow/000016", "flow/000017", "flow/000018")
ZERO = "00000000-0000-0000-0000-000000000000"


class Recorded:
    """An event of a recorded batch, as the server is to keep it."""

    LISTS = "UVWgh"

    def __init__(self, element):
        value = lambda path: find(element, path)
        self.client = value("BasicData/TargetID/Sid")
        self.id = int(value("BasicData/EventID"))
        self.hresult = int(value("BasicData/Win32HResult"))
        update = value("BasicData/UpdateID/UpdateID")
        self.update = None if update == ZERO else update
        self.app = value("BasicData/AppName")
        tagged = dict(e.text.split("=", 1) for e in find_all(element, "ExtendedData/MiscData/string"))
        self.lists = {tag: [g.lower() for g in tagged[tag].split(";")] for tag in self.LISTS if tag in tagged}
        self.version = tagged["G"]


@unittest.skipUnless(NATIVE.is_dir(), f"no recorded exchanges at {NATIVE}")
class Reports(unittest.TestCase):
    """The recorded batches of a native client, with a cookie of ours put in: what is kept is what they say."""
    maxDiff = 4000

    def setUp(self):
        self.server = Instance(str(harness.corpus_documents()))
        self.server.start()
        self.addCleanup(self.server.stop)
        self.requests = [(NATIVE / name / "request.body").read_bytes() for name in REPORTS]
        self.batches = [[Recorded(e) for e in find_all(payload(r), "eventBatch/ReportingEvent")] for r in self.requests]
        self.recorded = [e for b in self.batches for e in b]
        self.computer = harness.Computer(self.server, id=self.recorded[0].client).handshake()
        self.known = {row["id"].lower() for row in self.server.ctl_json("update", "list", "--all")}

    def send(self, name):
        """As recorded, byte for byte, but for the cookie."""
        folder = NATIVE / name
        body = re.sub(r"<cookie>.*?</cookie>", self.computer.cookie_xml(), (folder / "request.body").read_text()).encode()
        headers = {k: v for k, v in headers_of(folder / "request.headers").items() if k not in ("content-length", "host")}
        headers["host"] = f"127.0.0.1:{self.server.port}"
        status, head, answer = self.server.http("POST", (folder / "request.headers").read_text().split()[1], body, headers)
        if head.get("content-encoding") == "xpress":
            answer = harness.unpress(answer)
        return status, head, answer

    def shown(self):
        return self.server.ctl_json("report", "computer", self.computer.id, "--all", "--events", "0")

    def expected(self):
        """{update: status} of what the server holds, by the recorded events in their order: all of a batch have one time."""
        status = {}
        for e in self.recorded:
            if e.id == 156:
                named = {g: s for tag, s in (("U", "needed"), ("V", "installed")) for g in e.lists.get(tag, ())}
                status = {u: named.get(u, "not-applicable") for u in set(status) | set(named) if u in self.known}
            elif e.id in (161, 182) and e.update in self.known:
                status[e.update] = "failed"
        return status

    def test_answers_have_the_recorded_form(self):
        for name in REPORTS:
            status, head, answer = self.send(name)
            self.assertEqual((status, answer), (200, (NATIVE / name / "response.body").read_bytes()), name)
            wanted = headers_of(NATIVE / name / "response.headers")
            for field in ("content-type", "cache-control", "vary"):
                self.assertEqual(head.get(field), wanted.get(field), f"{name}: {field}")

    # holds: WUSP-REPORT-06, WUSP-REPORT-15, WUSP-REPORT-22, WUSP-REPORT-26, WUSP-REPORT-31, WUSP-REPORT-33
    def test_the_recorded_batches_leave_what_they_say(self):
        for name in REPORTS:
            self.assertEqual(self.send(name)[0], 200)
        shown = self.shown()
        key = lambda e: str(e)
        self.assertEqual(sorted(((e["event"], e["update"], e["application"]) for e in shown["events"]), key=key),
                         sorted(((e.id, e.update, e.app) for e in self.recorded), key=key))
        self.assertEqual(sorted(e["error"].split()[0].rstrip(":") for e in shown["events"] if e["error"]),
                         sorted(f"0x{e.hresult & 0xffffffff:08x}" for e in self.recorded if e.hresult))
        self.assertEqual({u["id"]: u["status"] for u in shown["updates"] if u["id"] in self.known}, self.expected())
        self.assertIn("failed", self.expected().values())
        self.assertEqual((shown["client_version"], shown["installations_good"], shown["installations_bad"]),
                         (self.recorded[0].version, 0, sum(e.id == 182 for e in self.recorded)))
        self.assertEqual(shown["last_sync"], "succeeded", "the last of the 147 and 148 in the order of their batches")

    def test_repeated_it_is_the_same(self):
        for name in REPORTS:
            self.send(name)
        before = self.shown()
        for name in reversed(REPORTS):
            self.assertEqual(self.send(name)[0], 200)
        after = self.shown()
        for volatile in ("last_report", "last_contact"):
            before.pop(volatile), after.pop(volatile)
        for rows in (before, after):
            rows["events"].sort(key=str)
        self.assertEqual(after, before)


if __name__ == "__main__":
    unittest.main()
