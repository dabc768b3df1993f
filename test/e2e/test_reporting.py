"""test_reporting.py -- the reporting service as computers meet it: both paths, faults, a batch whole or not at all and on disk before it
is answered, batches of one and of 10,000 events, a store that is full, and a SOAP toolkit that knows only the WSDL.

What an event does to the state of a computer is told by cases (test/case); here a batch that is sent again says what was kept
of it: events that are there count as repeated."""
import concurrent.futures
import contextlib
import gzip
import os
import re
import signal
import unittest
import uuid

import harness
from harness import REPORT, Computer, Fault, Instance, find, fault_code, wait_for

PATHS = ("/ReportingWebService/ReportingWebService.asmx", "/ReportingWebService/WebService.asmx")
NONE = "00000000-0000-0000-0000-000000000000"
CLIENT_TIME = "<clientTime>2026-10-04T15:20:47.502Z</clientTime>"
MISC = ("A=0", "B=2", "C=2", "G=1507.2601.30012.0", "J=775", "K=unknown", "L=2022-02-02T00:00:00", "O=1", "Q=1", "T=EDK II",
        "AppName=&lt;&lt;PROCESS&gt;&gt;: powershell.exe", "c=48", "k=true", "cc=powershell.exe", "WUfBOn=0", "PauseQU=1")


def strings(name, values):
    return f"<{name}>{''.join(f'<string>{v}</string>' for v in values)}</{name}>"


def event(number=147, instance=None, sid=None, update=NONE, misc=MISC, replacement=("1",), at="2026-10-04T15:20:47.502Z", hresult=0):
    """As native clients write one."""
    target = f"<TargetID><Sid>{sid}</Sid></TargetID>" if sid else ""
    return (f"<ReportingEvent><BasicData>{target}<SequenceNumber>0</SequenceNumber><TimeAtTarget>{at}</TimeAtTarget>"
            f"<EventInstanceID>{instance or uuid.uuid4()}</EventInstanceID><NamespaceID>1</NamespaceID><EventID>{number}</EventID>"
            f"<SourceID>101</SourceID><UpdateID><UpdateID>{update}</UpdateID><RevisionNumber>0</RevisionNumber></UpdateID>"
            f"<Win32HResult>{hresult}</Win32HResult></BasicData><ExtendedData>{strings('ReplacementStrings', replacement)}"
            f"{strings('MiscData', misc)}<ComputerBrand>QEMU</ComputerBrand><ComputerModel>Standard PC (Q35 + ICH9, 2009)</ComputerModel>"
            "<BiosRevision>unknown</BiosRevision><ProcessorArchitecture>Amd64Compatible</ProcessorArchitecture><OSVersion><Major>10</Major>"
            "<Minor>0</Minor><Build>26200</Build><Revision>65792</Revision><ServicePackMajor>0</ServicePackMajor>"
            "<ServicePackMinor>0</ServicePackMinor></OSVersion><OSLocaleID>1033</OSLocaleID></ExtendedData><PrivateData/></ReportingEvent>")


def batch(*events):
    return CLIENT_TIME + f"<eventBatch>{''.join(events)}</eventBatch>"


class Reporter(Computer):
    def ask(self, operation, inner, path=None):
        """Its result's text."""
        status, _, body = self.server.post(REPORT, operation, inner, self.xpress, path)
        element = harness.payload(body)
        if status != 200 or harness.local(element) == "Fault":
            raise Fault(status, body)
        return find(element, operation + "Result")

    def report(self, *events, path=None):
        return self.ask("ReportEventBatch", self.cookie_xml() + batch(*events), path)

    def code(self, inner, operation="ReportEventBatch"):
        """(ErrorCode, Message) of the fault that this is answered with."""
        status, head, body = self.server.post(REPORT, operation, inner)
        element = harness.payload(body)
        if (status, head["content-type"]) != (500, "text/xml; charset=utf-8"):
            raise AssertionError((status, head, body))
        return fault_code(body), find(element, "detail/Message")


class Service(unittest.TestCase):
    """With a server of its own."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        cls.computer = Reporter(cls.server).handshake()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def last_line(self, op="ReportEventBatch", server=None):
        return [r for r in (server or self.server).requests("reporting") if r["op"] == op][-1]

    def counts(self, *events, computer=None):
        """What came of these events: {"kept": 1, "repeated": 2 ...}."""
        computer = computer or self.computer
        self.assertEqual(computer.report(*events), "true")
        told = self.last_line(server=computer.server)["events"].strip('"')
        return {words: int(n) for n, words in re.findall(r"(\d+) ([a-z ]+)", told)}


class Reports(Service):
    # holds: WUSP-TRANSPORT-09 WUSP-REPORT-06
    def test_both_paths_in_any_spelling(self):
        for path in (*PATHS, "/reportingwebservice/reportingwebservice.asmx", "//ReportingWebService/WEBSERVICE.asmx"):
            self.assertEqual(self.computer.report(event(), path=path), "true")
        for path in ("/ReportingWebService/Reporting.asmx", "/ReportingWebService/", "/WebService.asmx"):
            self.assertEqual(self.server.http("POST", path, b"")[0], 404, path)
        for path in PATHS:
            status, head, _ = self.server.http("GET", path)
            self.assertEqual((status, head["allow"]), (405, "POST"))

    # holds: WUSP-TRANSPORT-15
    def test_answers_have_the_form_of_real_servers(self):
        status, head, body = self.server.post(REPORT, "ReportEventBatch", self.computer.cookie_xml() + batch(event()))
        self.assertEqual((status, head["content-type"], head["cache-control"]), (200, "text/xml; charset=utf-8", "private, max-age=0"))
        self.assertEqual(body.decode(), (
            '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>'
            '<ReportEventBatchResponse xmlns="http://www.microsoft.com/SoftwareDistribution"><ReportEventBatchResult>true'
            "</ReportEventBatchResult></ReportEventBatchResponse></soap:Body></soap:Envelope>"))

    # holds: WUSP-REPORT-01 WUSP-REPORT-03 WUSP-REPORT-04 WUSP-REPORT-06
    def test_faults(self):
        cookie, events = self.computer.cookie_xml(), f"<eventBatch>{event()}</eventBatch>"
        for inner, code, message in (
                (CLIENT_TIME + events, "InvalidCookie", ""),
                ("<cookie/>" + CLIENT_TIME + events, "InvalidCookie", ""),
                (cookie.replace("<EncryptedData>", "<EncryptedData>AAAA") + CLIENT_TIME + events, "InvalidCookie", ""),
                (cookie.replace("<EncryptedData>", "<EncryptedData>%") + CLIENT_TIME + events, "InvalidCookie", ""),
                ("<eventBatch/>", "InvalidCookie", ""),  # the cookie comes first
                (cookie + events, "InvalidParameters", "clientTime"),
                (cookie + "<clientTime>yesterday</clientTime>" + events, "InvalidParameters", "clientTime"),
                (cookie + CLIENT_TIME, "InvalidParameters", "eventBatch"),
                (cookie + CLIENT_TIME + "<eventBatch><ReportingEvent/></eventBatch>", "InvalidParameters", "eventBatch.BasicData")):
            with self.subTest(inner=inner[-80:]):
                self.assertEqual(self.computer.code(inner), (code, message))
        status, _, body = self.server.post(REPORT, "RollupComputers", cookie)
        self.assertEqual((status, fault_code(body)), (500, ""))  # no operation of this service, and no code that starts a recovery

    # holds: WUSP-REPORT-04
    def test_an_empty_batch_is_fine(self):
        self.assertEqual(self.counts(), {"kept": 0})

    # holds: WUSP-REPORT-01
    def test_neither_an_old_configuration_nor_no_registration_is_a_reason(self):
        stranger = Reporter(self.server)
        stranger.get_config()
        stranger.get_auth_cookie()
        stranger.get_cookie()
        self.assertEqual(self.counts(event(), computer=stranger), {"kept": 1})
        before = self.server.ctl_json("config", "show")
        pages = next(s["value"] for s in before if s["name"] == "client.max-extended")
        self.server.ctl("config", "set", "client.max-extended", str(int(pages) + 1))
        with self.assertRaises(Fault) as caught:
            stranger.sync_once()
        self.assertEqual(caught.exception.code, "ConfigChanged")
        self.assertEqual(self.counts(event(), computer=stranger), {"kept": 1})

    def test_a_computer_that_was_deleted_begins_anew(self):
        gone = Reporter(self.server).handshake()
        self.server.ctl("computer", "delete", gone.id)
        self.assertEqual(gone.code(gone.cookie_xml() + batch(event())), ("InvalidCookie", ""))
        gone.handshake()
        self.assertEqual(self.counts(event(), computer=gone), {"kept": 1})

    # holds: WUSP-REPORT-13 WUSP-REPORT-09 WUSP-REPORT-10
    def test_what_came_of_the_events_is_in_the_log(self):
        one, two = str(uuid.uuid4()), str(uuid.uuid4())
        self.assertEqual(self.counts(event(instance=one), event(instance=one.upper())), {"kept": 1, "repeated": 1})
        mine = event(instance=two, sid=self.computer.id.upper())
        other = event(sid=str(uuid.uuid4()))
        self.assertEqual(self.counts(event(instance=one), mine, other), {"kept": 1, "repeated": 1, "of another computer": 1})
        line = self.last_line()
        self.assertEqual((line["client"], line["name"], line["rc"]), (self.computer.id, self.computer.name, "0"))

    # holds: WUSP-REPORT-07
    def test_a_batch_is_taken_whole_or_not_at_all(self):
        ids = [str(uuid.uuid4()) for _ in range(9)]
        good = [event(instance=i) for i in ids]
        for bad, message in (
                (event(number="many"), "eventBatch.BasicData.EventID"),
                (event(number=40000), "eventBatch.BasicData.EventID"),
                (event(at="1 April"), "eventBatch.BasicData.TimeAtTarget"),
                (event(instance="1"), "eventBatch.BasicData.EventInstanceID"),
                (re.sub("<EventInstanceID>.*</EventInstanceID>", "", event()), "eventBatch.BasicData.EventInstanceID"),
                (re.sub("<TimeAtTarget>.*</TimeAtTarget>", "", event()), "eventBatch.BasicData.TimeAtTarget"),
                (re.sub("<EventID>.*</EventID>", "", event()), "eventBatch.BasicData.EventID"),
                (re.sub("<BasicData>.*</BasicData>", "", event()), "eventBatch.BasicData"),
                (event(misc=["x"] * 501), "eventBatch.ExtendedData.MiscData"),
                (event(update="none"), "eventBatch.BasicData.UpdateID.UpdateID")):
            with self.subTest(message=message):
                inner = self.computer.cookie_xml() + batch(*good[:5], bad, *good[5:])
                self.assertEqual(self.computer.code(inner), ("InvalidParameters", message))
        self.assertEqual(self.server.post(REPORT, "ReportEventBatch", self.computer.cookie_xml() + batch(*good) + "</x>")[0], 500)
        self.assertEqual(self.counts(*good), {"kept": 9})

    # holds: WUSP-REPORT-05 WUSP-REPORT-11 WUSP-REPORT-12 WUSP-REPORT-15 WUSP-REPORT-16 WUSP-REPORT-19 WUSP-REPORT-22
    def test_what_is_tolerated(self):
        basic = re.sub("<ExtendedData>.*</ExtendedData><PrivateData/>", "", event())
        private = "<PrivateData><ComputerDnsName>x</ComputerDnsName><UserAccountName>y</UserAccountName><More/></PrivateData>"
        good = [basic, event().replace("<PrivateData/>", private), event(number=9999), event(number=-1), event(at="2026-10-04T15:20:47"),
                event(at="0001-01-01T00:00:00"), event(at="9999-12-31T23:59:59.9999999"), event().replace("Amd64Compatible", "RISC-V"),
                event().replace("<NamespaceID>1<", "<NamespaceID>7<"), event().replace("Win32HResult", "Win32Hresult"),
                event(misc=["", "=", "=x", "x", "U", "U=", "U=;;", "U=;x;", "long=" + "y" * 100000]), event(replacement=["%1 %2 %%"] * 500),
                re.sub("<UpdateID>.*</UpdateID>", "", event()), event(replacement=["&#x1F600;&lt;b&gt;", "\t", "&#xD;"])]
        counts = self.counts(*good)
        self.assertEqual(counts.pop("of unknown updates", 0), 0)
        self.assertEqual(counts, {"kept": len(good)})
        self.assertEqual(self.counts(event(number=162, update="d67661eb-2423-451d-bf5d-13199e37df28"))["kept"], 1)

    # holds: WUSP-REPORT-41
    def test_ten_thousand_events(self):
        events = [event(instance=str(uuid.uuid4())) for _ in range(10000)]
        size = sum(map(len, events))
        self.assertGreater(size, 12 << 20)
        self.assertEqual(self.counts(*events), {"kept": 10000})
        self.assertEqual(self.counts(*events[:3], *events[-3:]), {"kept": 0, "repeated": 6})

        def worker_kb(pid):
            with contextlib.suppress(OSError):
                return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
            return 0
        wait_for(lambda: max(map(worker_kb, self.server.workers("reporting"))) < 12 << 10, what="the memory of a large batch to go back")

    # holds: WUSP-REPORT-41
    def test_more_than_the_limit_is_refused(self):
        large = self.computer.cookie_xml() + batch(event(misc=["x" * (24 << 20)]))
        self.assertEqual(self.computer.code(large), ("InvalidParameters", "Content-Length"))
        many = self.computer.cookie_xml() + batch("<ReportingEvent/>" * 20001)
        self.assertEqual(self.computer.code(many), ("InvalidParameters", "eventBatch"))

    def test_a_list_of_a_hundred_thousand_updates(self):
        ids = ";".join(f"{n:08X}-0000-4000-8000-000000000000" for n in range(100000))
        counts = self.counts(event(156, misc=["U=" + ids], replacement=[]), event(147))
        self.assertEqual(counts["kept"], 2)

    # holds: WUSP-REPORT-07
    def test_what_was_answered_survives_a_kill(self):
        for _ in range(5):
            instance, killed = str(uuid.uuid4()), self.server.workers("reporting")
            self.assertEqual(self.counts(event(instance=instance)), {"kept": 1})
            for pid in killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not set(killed) & set(self.server.workers("reporting")) and self.server.workers("reporting"),
                     what="the workers that were killed")
            self.assertEqual(self.counts(event(instance=instance)), {"kept": 0, "repeated": 1})

    def test_many_computers_at_once(self):
        """None is lost and none is taken twice, whichever workers they meet."""
        computers = [Reporter(self.server).handshake() for _ in range(12)]
        ids = {c.id: [str(uuid.uuid4()) for _ in range(20)] for c in computers}

        def tell(c):
            return {c.report(*(event(instance=i, sid=c.id) for i in ids[c.id][n:n + 5])) for n in range(0, 20, 5)}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(set.union(*pool.map(tell, computers)), {"true"})
        for c in computers:
            self.assertEqual(self.counts(*(event(instance=i) for i in ids[c.id]), computer=c), {"kept": 0, "repeated": 20})

    def test_codings(self):
        """Answers are packed if that is asked for; a request that is packed is none that anybody sends."""
        packed = Reporter(self.server, xpress=True).handshake()
        status, head, body = self.server.post(REPORT, "ReportEventBatch", packed.cookie_xml() + batch(event()), xpress=True)
        self.assertEqual((status, head["content-encoding"], fault_code(body)), (200, "xpress", None))
        text = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><ReportEventBatch xmlns="{REPORT}">{packed.cookie_xml()}{batch(event())}'
                "</ReportEventBatch></s:Body></s:Envelope>").encode()
        before = len(self.server.requests("reporting"))
        status, _, body = self.server.http("POST", PATHS[0], gzip.compress(text), {
            "Content-Type": "text/xml; charset=utf-8", "Content-Encoding": "gzip", "SOAPAction": f'"{REPORT}/ReportEventBatch"'})
        self.assertEqual((status, fault_code(body)), (500, ""))
        self.assertEqual(self.server.requests("reporting")[before]["op"], "-")


class Others(Service):
    """The operations that no native client was seen to use."""

    # holds: WUSP-REPORT-42
    def test_a_batch_without_a_cookie(self):
        instance = str(uuid.uuid4())
        inner = f"<computerId>{self.computer.id.upper()}</computerId>" + batch(event(instance=instance))
        self.assertEqual(self.computer.ask("ReportEventBatch2", inner), "true")
        line = self.last_line("ReportEventBatch2")
        self.assertEqual((line["client"], line["events"]), (self.computer.id, '"1 kept"'))
        self.assertEqual(self.counts(event(instance=instance)), {"kept": 0, "repeated": 1})
        unregistered = Reporter(self.server)
        unregistered.get_config()
        unregistered.get_auth_cookie()
        for given in ("", "<computerId/>", f"<computerId>{uuid.uuid4()}</computerId>", f"<computerId>{unregistered.id}</computerId>",
                      f"<computerId>{'x' * 1024}</computerId>", f"<computerId>{'x' * 1025}</computerId>"):
            self.assertEqual(self.computer.code(given + batch(event()), "ReportEventBatch2"), ("InvalidParameters", "computerId"))
        known = f"<computerId>{self.computer.id}</computerId>"
        self.assertEqual(self.computer.code(known + "<eventBatch/>", "ReportEventBatch2"), ("InvalidParameters", "clientTime"))
        self.assertEqual(self.computer.code(known + CLIENT_TIME, "ReportEventBatch2"), ("InvalidParameters", "eventBatch"))

    # holds: WUSP-REPORT-42
    def test_no_inventory_is_asked_for(self):
        rules = f"<rulesId>{uuid.uuid4()}</rulesId><rulesVersion>1.0</rulesVersion>"
        self.assertEqual(self.computer.ask("GetRequiredInventoryType", self.computer.cookie_xml() + rules), "0")
        self.assertEqual(self.computer.code(rules, "GetRequiredInventoryType"), ("InvalidCookie", ""))
        properties = {find(p, "Name"): find(p, "Value") for p in harness.find_all(
            self.computer.get_config(), "GetConfigResult/Properties/ConfigurationProperty")}
        self.assertEqual(properties["IsInventoryRequired"], "0")

    # holds: WUSP-REPORT-42
    def test_one_that_comes_is_accepted(self):
        cookie, what = self.computer.cookie_xml(), "<inventory><IsCompressed>false</IsCompressed><RawXml>&lt;a/&gt;</RawXml></inventory>"
        self.assertEqual(self.computer.ask("ReportInventory", cookie + CLIENT_TIME + what), "true")
        for inner, expected in ((CLIENT_TIME + what, ("InvalidCookie", "")), (cookie + what, ("InvalidParameters", "clientTime")),
                                (cookie + CLIENT_TIME, ("InvalidParameters", "inventory"))):
            self.assertEqual(self.computer.code(inner, "ReportInventory"), expected)

    def test_ping(self):
        monitor = "http://www.microsoft.com/SoftwareDistribution/Server/IMonitorable"
        status, _, body = self.server.post(monitor, "Ping", "<pingLevel>0</pingLevel>", path=PATHS[0])
        self.assertEqual((status, find(harness.payload(body), "PingResult/ServicesName")), (200, "reporting"))


class NoRoom(Service):
    """fleet/ has a cap: what does not fit is kept by the computers."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("none")
        os.environ["WSUS_FLEET_MAP_MB"] = "4"
        try:
            cls.server.start()
        finally:
            del os.environ["WSUS_FLEET_MAP_MB"]
        cls.computer = Reporter(cls.server).handshake()

    # holds: WUSP-REPORT-07
    def test_server_busy_and_later_fine(self):
        long = ["m=" + "x" * 4000]
        first = [event(misc=long) for _ in range(50)]
        self.assertEqual(self.counts(*first), {"kept": 50})
        huge = [event(misc=long) for _ in range(3000)]
        self.assertEqual(self.computer.code(self.computer.cookie_xml() + batch(*huge))[0], "ServerBusy")
        line = self.last_line()
        self.assertNotIn("events", line)
        self.assertIn("do", line)
        self.assertEqual(self.counts(huge[0]), {"kept": 1})  # nothing of it was kept, and the rest goes on


if __name__ == "__main__":
    unittest.main()
