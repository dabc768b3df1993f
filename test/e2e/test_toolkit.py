"""test_toolkit.py -- every operation through a SOAP toolkit that knows only the WSDLs, and every field it reads
compared with what wsusctl says of the same store."""
import base64
import unittest
import uuid

import harness
from harness import SPEC, Instance

WSDL = SPEC / "wsdl"

try:
    import zeep
    import zeep.helpers
except ImportError:
    zeep = None


def content(value):
    """A result as plain dictionaries and lists; arrays lose their wrapper."""
    value = zeep.helpers.serialize_object(value, dict)

    def strip(v):
        if isinstance(v, dict):
            if len(v) == 1 and isinstance(next(iter(v.values())), list):
                return [strip(x) for x in next(iter(v.values()))]
            return {k: strip(x) for k, x in v.items()}
        return [strip(x) for x in v] if isinstance(v, list) else v
    return strip(value)


@unittest.skipIf(zeep is None, "python3-zeep is missing")
@unittest.skipUnless(WSDL.is_dir(), f"no WSDLs at {WSDL}")
class Toolkit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server = Instance("sample")
        server.start()
        base = f"http://127.0.0.1:{server.port}"
        auth = zeep.Client(str(WSDL / "SimpleAuth.wsdl"))
        client = zeep.Client(str(WSDL / "Client.wsdl"))
        cls.auth = auth.create_service("{%s}SimpleAuthSoap" % harness.AUTH, base + harness.PATHS[harness.AUTH])
        cls.client = client.create_service("{%s}ClientSoap" % harness.CLIENT, base + harness.PATHS[harness.CLIENT])
        cls.operations = set(client.bind("Client", "ClientSoap")._binding._operations)
        cls.computer_id = str(uuid.uuid4())
        cls.used = set()
        cls.handshake()
        cls.known = cls.scan()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def call(cls, operation, **arguments):
        cls.used.add(operation)
        return content(getattr(cls.client, operation)(**arguments))

    @classmethod
    def handshake(cls):
        cls.config = cls.call("GetConfig", protocolVersion="2.90")
        cls.auth_cookie = content(cls.auth.GetAuthorizationCookie(clientId=cls.computer_id, targetGroupName="", dnsName="kit.example.net"))
        # the toolkit reads times to the microsecond only; this one has to come back as it was
        plain = harness.Computer(cls.server)
        plain.get_config()
        cls.cookie = cls.call("GetCookie", authCookies={"AuthorizationCookie": [cls.auth_cookie]}, oldCookie=None,
                              lastChange=plain.last_change, currentTime=plain.last_change, protocolVersion="2.90")
        cls.registered = cls.call("RegisterComputer", cookie=cls.cookie, computerInfo={
            "DnsName": "kit.example.net", "OSMajorVersion": 10, "OSMinorVersion": 0, "OSBuildNumber": 26200,
            "OSServicePackMajorNumber": 0, "OSServicePackMinorNumber": 0, "OSLocale": "en-US",
            "ComputerManufacturer": "Example & Sons", "ComputerModel": "Model <1>", "BiosVersion": "1", "BiosName": "B",
            "BiosReleaseDate": "2022-02-02T00:00:00Z", "ProcessorArchitecture": "AMD64", "SuiteMask": 256,
            "OldProductType": 1, "NewProductType": 48, "SystemMetrics": 0, "ClientVersionMajorNumber": 1507,
            "ClientVersionMinorNumber": 2601, "ClientVersionBuildNumber": 30012, "ClientVersionQfeNumber": 0,
            "OSDescription": "Windows 11 Pro", "OEM": "E", "DeviceType": "D", "FirmwareVersion": "F",
            "MobileOperator": "Not Present"})

    @classmethod
    def sync(cls, installed, other, **more):
        parameters = {"ExpressQuery": False, "InstalledNonLeafUpdateIDs": {"int": sorted(installed)},
                      "OtherCachedUpdateIDs": {"int": sorted(other)}, "SkipSoftwareSync": False,
                      "NeedTwoGroupOutOfScopeUpdates": True, "ComputerSpec": {}} | more
        result = cls.call("SyncUpdates", cookie=cls.cookie, parameters=parameters)
        cls.cookie = result["NewCookie"]
        return result

    @classmethod
    def scan(cls):
        installed, other, known = set(), set(), {}
        for _ in range(200):
            result = cls.sync(installed, other)
            new = result["NewUpdates"] or []
            for info in new:
                known[info["ID"]] = info
                (other if info["IsLeaf"] else installed).add(info["ID"])
            if not result["Truncated"] and all(i["IsLeaf"] for i in new):
                return known
        raise AssertionError("a scan without an end")

    # holds: WUSP-TRANSPORT-12 WUSP-TRANSPORT-13 WUSP-TRANSPORT-14
    def test_config_is_what_is_configured(self):
        properties = {p["Name"]: p["Value"] for p in self.config["Properties"]}
        settings = {s["name"]: s for s in self.server.ctl_json("config", "show")}
        self.assertEqual(properties["MaxExtendedUpdatesPerRequest"], str(settings["client.max-extended"]["value"]))
        self.assertEqual(properties["ProtocolVersion"], "3.2")
        self.assertEqual(self.config["AuthInfo"][0]["PlugInID"], "SimpleTargeting")
        self.assertIs(self.config["IsRegistrationRequired"], True)

    def test_the_computer_is_known_with_what_it_said(self):
        # what a call tells about the computer is written together with that of others, within seconds
        shown = harness.wait_for(lambda: (c := self.server.ctl_json("computer", "show", self.computer_id))["protocol"] and c,
                                 what="the computer's row")
        self.assertEqual(shown["id"], self.computer_id)
        self.assertEqual(shown["name"], "kit.example.net")
        self.assertEqual(shown["protocol"], "2.90")
        self.assertEqual(shown["registered"], True)
        self.assertEqual(shown["address"], "127.0.0.1")
        listed = next(c for c in self.server.ctl_json("computer", "list") if c["id"] == self.computer_id)
        self.assertEqual((shown["os"], listed["os"]), ("Windows 11 Pro", "Windows 11 Pro"))

    def test_every_offered_revision_is_one_the_store_holds(self):
        import re
        held = {(r["id"].lower(), r["revision"]): r for r in self.server.ctl_json("update", "list", "--all")}
        self.assertGreater(len(self.known), 100)
        for number, info in self.known.items():
            m = re.match(r'<UpdateIdentity UpdateID="([^"]+)" RevisionNumber="(\d+)" />', info["Xml"])
            self.assertIn((m[1].lower(), int(m[2])), held)
            row = held[m[1].lower(), int(m[2])]
            self.assertNotEqual(row["state"], "declined")
            self.assertNotEqual(row["type"], "Driver")
            deployment = info["Deployment"]
            self.assertIs(deployment["IsAssigned"], True)
            self.assertRegex(deployment["LastChangeTime"], r"^\d{4}-\d\d-\d\d$")
            if row["type"] in ("Category", "Detectoid"):
                self.assertEqual(deployment["Action"], "Evaluate")

    def test_fields_of_some_revisions_are_those_of_the_store(self):
        import re
        for number in sorted(self.known)[::25]:
            info = self.known[number]
            m = re.match(r'<UpdateIdentity UpdateID="([^"]+)" RevisionNumber="(\d+)" />', info["Xml"])
            shown = self.server.ctl_json("update", "show", f"{m[1]}:{m[2]}")
            self.assertEqual(shown["revision_id"], number)
            core = self.server.ctl("update", "show", f"{m[1]}:{m[2]}", "--fragment", "core").stdout
            self.assertEqual(info["Xml"], core)

    def test_approved_updates_and_only_they_are_installed(self):
        approved = {r["id"].lower() for r in self.server.ctl_json("update", "list", "--approved")}
        self.assertGreaterEqual(len(approved), 3)
        import re
        install = {re.search(r'UpdateID="([^"]+)"', i["Xml"])[1].lower() for i in self.known.values()
                   if i["Deployment"]["Action"] == "Install"}
        self.assertLessEqual(install, approved)
        self.assertTrue(install)

    def test_driver_pass(self):
        result = self.sync(set(), set(), SkipSoftwareSync=True, SystemSpec={"Device": [
            {"HardwareIDs": {"string": ["PCI\\VEN_1D0F&DEV_0000"]}, "CompatibleIDs": None,
             "installedDriver": {"DriverVerDate": "0001-01-01T00:00:00Z", "DriverVerVersion": 0, "DriverRank": -1},
             "DeviceFlags": 0}]})
        self.assertIn(result["DriverSyncNotNeeded"], ("true", "false"))
        self.assertIs(result["Truncated"], False)

    def extended_of(self, ids):
        return self.call("GetExtendedUpdateInfo", cookie=self.cookie, revisionIDs={"int": ids},
                         infoTypes={"XmlUpdateFragmentType": ["Extended", "LocalizedProperties"]},
                         locales={"string": ["en", "de"]}, GeoId="USA")

    def with_files(self):
        """Members of bundles that are no bundles themselves: they carry the files."""
        ids = [n for n in sorted(self.known) if self.known[n]["Deployment"]["Action"] == "Bundle"
               and "BundledUpdates" not in self.known[n]["Xml"]]
        self.assertTrue(ids)
        return ids[:40]

    def test_extended_fragments_and_locations(self):
        import re
        ids = self.with_files()
        result = self.extended_of(ids)
        texts = {}
        for row in result["Updates"]:
            texts.setdefault(row["ID"], []).append(row["Xml"])
        self.assertEqual(sorted(texts), ids)
        locations = {row["FileDigest"]: row["Url"] for row in result["FileLocations"]}
        files = set()
        for number in ids:
            m = re.search(r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', self.known[number]["Xml"])
            name = f"{m[1]}:{m[2]}"
            shown = self.server.ctl_json("update", "show", name)
            wanted = [self.server.ctl("update", "show", name, "--fragment", "extended").stdout]
            for language in ("en", "de"):
                done = self.server.ctl("update", "show", name, "--fragment", f"localized:{language}", check=False)
                if done.returncode == 0:
                    wanted.append(done.stdout)
            self.assertEqual(sorted(texts[number]), sorted(wanted), name)
            files |= {f["sha1"].upper() for f in shown["files"] if not f["eula"]}
        self.assertEqual({d.hex().upper() for d in locations}, files)

    def test_get_extended_update_info_2(self):
        import re
        number = next(n for n in sorted(self.known) if self.known[n]["Deployment"]["Action"] == "Bundle"
                      and self.known[n]["IsLeaf"])
        m = re.search(r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', self.known[number]["Xml"])
        result = self.call("GetExtendedUpdateInfo2", cookie=self.cookie,
                           updateIDs={"UpdateIdentity": [{"UpdateID": m[1], "RevisionNumber": int(m[2])}]},
                           infoTypes={"XmlUpdateFragmentType": ["Extended", "FileUrl"]}, locales={"string": ["en"]})
        self.assertEqual({row["ID"] for row in result["Updates"]}, {number})
        for row in result["FileLocations"] or []:
            self.assertEqual(len(row["FileDigest"]), 20)
            self.assertEqual(row["FileDigestAlgorithm"], "SHA1")

    def test_file_locations(self):
        known = self.with_files()
        digests = [row["FileDigest"] for row in self.extended_of(known)["FileLocations"]]
        result = self.call("GetFileLocations", cookie=self.cookie, fileDigests={"base64Binary": digests + [bytes(20)]})
        self.assertEqual({row["FileDigest"] for row in result["FileLocations"]}, set(digests))
        self.assertIsNotNone(result["NewCookie"]["EncryptedData"])

    def test_start_category_scan(self):
        category = next(r["id"] for r in self.server.ctl_json("update", "list", "--type", "category")
                        if 'CategoryType="Product"' in self.server.ctl("update", "show", r["id"], "--fragment", "extended").stdout)
        unknown = str(uuid.uuid4())
        result = self.call("StartCategoryScan", requestedCategories={"CategoryRelationship": [
            {"IndexOfAndGroup": 0, "CategoryId": category}, {"IndexOfAndGroup": 1, "CategoryId": unknown}]})
        self.assertEqual([g.lower() for g in result["preferredCategoryIds"]], [category.lower()])
        self.assertEqual([g.lower() for g in result["requestedCategoryIdsInError"]], [unknown])

    def test_refresh_cache(self):
        import re
        some = sorted(self.known)[:20]
        asked = []
        for number in some:
            m = re.search(r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', self.known[number]["Xml"])
            asked.append({"UpdateID": m[1], "RevisionNumber": int(m[2])})
        result = self.call("RefreshCache", cookie=self.cookie,
                           globalIDs={"UpdateIdentity": asked + [{"UpdateID": str(uuid.uuid4()), "RevisionNumber": 1}]})
        self.assertEqual([row["RevisionID"] for row in result], some)
        for row, identity in zip(result, asked):
            self.assertEqual(row["GlobalID"]["UpdateID"].lower(), identity["UpdateID"].lower())
            self.assertEqual(row["IsLeaf"], self.known[row["RevisionID"]]["IsLeaf"])
            self.assertEqual(row["Deployment"]["Action"], self.known[row["RevisionID"]]["Deployment"]["Action"])

    def test_sync_printer_catalog(self):
        result = self.call("SyncPrinterCatalog", cookie=self.cookie, installedNonLeafUpdateIDs=None, printerUpdateIDs=None)
        self.assertIsNotNone(result["NewCookie"]["EncryptedData"])
        self.assertIs(result["Truncated"], False)

    def event(self, instance, **more):
        return {"BasicData": {
            "TargetID": {"Sid": self.computer_id}, "SequenceNumber": 0, "TimeAtTarget": "2026-10-04T15:20:47Z", "EventInstanceID": instance,
            "NamespaceID": 1, "EventID": 182, "SourceID": 101, "UpdateID": {"UpdateID": str(uuid.uuid4()), "RevisionNumber": 1},
            "Win32HResult": -2145124329, "AppName": "<a & b>"},
            "ExtendedData": {"ReplacementStrings": {"string": ["0x80240017", "Title"]}, "MiscData": {"string": ["F=0", "Q=1"]},
                             "ProcessorArchitecture": "Amd64Compatible", "OSVersion": {
                                 "Major": 10, "Minor": 0, "Build": 26200, "Revision": 1, "ServicePackMajor": 0, "ServicePackMinor": 0},
                             "OSLocaleID": 1033}, "PrivateData": {}} | more

    # holds: WUSP-REPORT-06 WUSP-REPORT-42
    def test_reports(self):
        wsdl = zeep.Client(str(WSDL / "Reporting.wsdl"))
        service = wsdl.create_service("{%s}WebServiceSoap" % harness.REPORT,
                                      f"http://127.0.0.1:{self.server.port}{harness.PATHS[harness.REPORT]}")
        one, two = str(uuid.uuid4()), str(uuid.uuid4())
        when = "2026-10-04T15:20:47Z"
        self.assertIs(service.ReportEventBatch(cookie=self.cookie, clientTime=when, eventBatch={"ReportingEvent": [self.event(one)]}), True)
        self.assertIs(service.ReportEventBatch2(computerId=self.computer_id, clientTime=when, eventBatch={
            "ReportingEvent": [self.event(one), self.event(two, ExtendedData=None, PrivateData=None)]}), True)
        self.assertEqual([r["events"].split(",")[0] for r in self.server.requests("reporting")[-2:]], ['"1 kept', '"1 kept'])
        self.assertEqual(service.GetRequiredInventoryType(cookie=self.cookie, rulesId=one, rulesVersion="1"), 0)
        self.assertIs(service.ReportInventory(cookie=self.cookie, clientTime=when, inventory={
            "IsCompressed": True, "RawXml": None, "CompressedXml": b"abc"}), True)
        with self.assertRaises(zeep.exceptions.Fault) as caught:
            service.ReportEventBatch(cookie=self.cookie, clientTime=when, eventBatch=None)
        self.assertEqual([caught.exception.detail.findtext(n) for n in ("ErrorCode", "Message")], ["InvalidParameters", "eventBatch"])

    def test_zz_every_operation_of_the_wsdl_was_called(self):
        self.assertEqual(self.operations - self.used, set())

    def test_a_fault_is_one_that_a_toolkit_reads(self):
        with self.assertRaises(zeep.exceptions.Fault) as caught:
            self.client.SyncUpdates(cookie={"Expiration": "2026-10-04T15:03:36Z", "EncryptedData": b"nonsense"}, parameters=None)
        self.assertEqual(caught.exception.message, "Fault occurred")
        detail = caught.exception.detail
        self.assertEqual([harness.local(e) for e in detail], ["ErrorCode", "Message", "ID", "Method"])
        self.assertEqual(detail.findtext("ErrorCode"), "InvalidCookie")


if __name__ == "__main__":
    unittest.main()
