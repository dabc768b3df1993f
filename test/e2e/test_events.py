"""test_events.py -- what a computer reports is kept, and `wsusctl computer events` shows it: over the wire, for people and for programs."""
import csv
import datetime
import io
import unittest
import uuid

import harness
from harness import REPORT, Computer, Instance, find

NONE = str(uuid.UUID(int=0))


def strings(name, values):
    return f"<{name}>" + "".join(f"<string>{v}</string>" for v in values) + f"</{name}>" if values is not None else ""


class Reporter(Computer):
    """A computer that reports, with a clock of its own."""

    def event(self, number, ago=0, update=NONE, revision=0, hresult=0, source=101, namespace=1, texts=None, misc=(), app="", device="",
              instance=None):
        at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
        return (
            f"<ReportingEvent><BasicData><TargetID><Sid>{self.id}</Sid></TargetID><SequenceNumber>0</SequenceNumber>"
            f"<TimeAtTarget>{at:%Y-%m-%dT%H:%M:%S.000Z}</TimeAtTarget><EventInstanceID>{instance or uuid.uuid4()}</EventInstanceID>"
            f"<NamespaceID>{namespace}</NamespaceID><EventID>{number}</EventID><SourceID>{source}</SourceID>"
            f"<UpdateID><UpdateID>{update}</UpdateID><RevisionNumber>{revision}</RevisionNumber></UpdateID>"
            f"<Win32HResult>{hresult}</Win32HResult><AppName>{app}</AppName></BasicData><ExtendedData>"
            + strings("ReplacementStrings", texts) + strings("MiscData", misc)
            + "<ComputerBrand>Example</ComputerBrand><ComputerModel>Model 1</ComputerModel><BiosRevision>1</BiosRevision>"
            "<ProcessorArchitecture>Amd64Compatible</ProcessorArchitecture><OSVersion><Major>10</Major><Minor>0</Minor><Build>26200</Build>"
            "<Revision>65792</Revision><ServicePackMajor>0</ServicePackMajor><ServicePackMinor>0</ServicePackMinor></OSVersion>"
            f"<OSLocaleID>1033</OSLocaleID><DeviceID>{device}</DeviceID></ExtendedData><PrivateData/></ReportingEvent>")

    def report(self, *events):
        now = datetime.datetime.now(datetime.timezone.utc)
        answer = self.call(REPORT, "ReportEventBatch", self.cookie_xml() + (
            f"<clientTime>{now:%Y-%m-%dT%H:%M:%S.000Z}</clientTime><eventBatch>{''.join(events)}</eventBatch>"))
        return find(answer, "ReportEventBatchResult")


class Events(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance(catalog="sample")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)
        cls.update = cls.server.ctl_json("update", "list")[0]

    def setUp(self):
        self.pc = Reporter(self.server, name=f"{self._testMethodName[-8:]}.example.net").handshake()

    def events(self, *options):
        return self.server.ctl_json("computer", "events", self.pc.id, *options)

    # holds: WUSP-REPORT-07, WUSP-REPORT-16, WUSP-REPORT-18, WUSP-REPORT-22, WUSP-REPORT-24
    def test_all_that_is_kept_is_shown_to_programs(self):
        instance = str(uuid.uuid4())
        self.assertEqual(self.pc.report(
            self.pc.event(147, ago=40, texts=["12"], misc=["A=0", "D=12", "G=10.0.1", "Q=1"]),
            self.pc.event(182, ago=30, update=self.update["id"], revision=self.update["revision"], hresult=-2145107943,
                          texts=["0x80244019", "An &amp; update"], misc=["C=1", "words", "zz=1"], app="Windows Update", device="PCI",
                          source=105, instance=instance),
            self.pc.event(999, ago=20, source=7), self.pc.event(147, ago=10, namespace=2)), "true")
        other, unknown, failed, found = self.events()
        self.assertEqual(found["what"], "Looked for updates, found 12")
        self.assertEqual((found["group"], found["source_name"], found["update"], found["hresult"]), ("detection", "agent", None, None))
        self.assertEqual(found["misc"], "NumberApplicable=12; EventType=1")
        self.assertEqual(failed["what"], "Could not be installed (0x80244019): An & update")
        self.assertEqual((failed["event"], failed["name"], failed["group"]), (182, "AGENT_INSTALLING_FAILED", "install"))
        self.assertEqual((failed["hresult"], failed["source"], failed["source_name"]), ("0x80244019", 105, "handler"))
        self.assertIn("404", failed["result"])
        self.assertEqual((failed["update"], failed["revision"]), (self.update["id"], self.update["revision"]))
        self.assertEqual((failed["title"], failed["kb"]), (self.update["title"], self.update["kb"]))
        self.assertEqual((failed["instance"], failed["application"], failed["device"]), (instance, "Windows Update", "PCI"))
        self.assertEqual((failed["strings"], failed["misc"]), ("0x80244019; An & update", "RepeatFailFlag=1; words; zz=1"))
        self.assertEqual((unknown["what"], unknown["name"], unknown["source"], unknown["source_name"]), ("event 999", None, 7, None))
        self.assertEqual((other["what"], other["namespace"]), ("event 147 of namespace 2", 2))
        self.assertLess(found["at"], failed["at"])
        self.assertLess(failed["at"], failed["received"])

    # holds: WUSP-REPORT-13
    def test_a_batch_that_comes_twice_counts_once(self):
        batch = [self.pc.event(167, ago=5), self.pc.event(162, ago=4)]
        self.assertEqual([self.pc.report(*batch), self.pc.report(*batch)], ["true", "true"])
        self.assertEqual([e["event"] for e in self.events()], [162, 167])

    def test_the_newest_and_since_when(self):
        self.pc.report(*(self.pc.event(167, ago=7200 - i) for i in range(250)), self.pc.event(162, ago=60))
        self.assertEqual([e["event"] for e in self.events("--last", "2")], [162, 167])
        self.assertEqual([e["event"] for e in self.events("--since", "1h")], [162])
        self.assertEqual(len(self.events()), 200)
        self.assertEqual(len(self.events("--since", "1d")), 251)
        text = self.server.ctl("computer", "events", self.pc.name).stdout
        self.assertIn("The download began", text)
        self.assertIn("newest 200; --last N", text)
        rows = list(csv.DictReader(io.StringIO(self.server.ctl("computer", "events", self.pc.id, "--csv", "--last", "1").stdout)))
        self.assertEqual([(r["event"], r["name"]) for r in rows], [("162", "AGENT_DOWNLOAD_SUCCEEDED")])
        for wrong in (("--last", "0"), ("--last", "x"), ("--since", "yesterday")):
            self.assertEqual(self.server.ctl("computer", "events", self.pc.id, *wrong, check=False).returncode, 2)

    def test_figures_and_a_backup_have_them(self):
        self.pc.report(self.pc.event(167))
        stat = self.server.ctl_json("store", "stat")
        self.assertGreaterEqual(stat["events"], 1)
        self.assertGreater(stat["event_bytes"], 0)
        self.assertIsNotNone(stat["events_since"])
        self.server.ctl("store", "audit")
        to = harness.temporary() / "backup"
        self.server.ctl("backup", str(to))
        kept = harness.run(harness.ROOT / "bin/wsusctl", "--store", next(to.rglob("fleet")).parent, "computer", "events", self.pc.id).stdout
        self.assertIn("The download began", kept)


if __name__ == "__main__":
    unittest.main()
