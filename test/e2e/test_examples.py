"""test_examples.py -- the message flows of MS-WSUSOD section 3 that concern the client protocol, by name and in
document order, with the report that ends each; the optional self-update GETs are asked first, as the flows have it."""
import base64
import re
import unittest

import harness
from harness import Computer, Fault, Instance, find, find_all


def self_update(server):
    return server.http("HEAD", "/SelfUpdate/wuident.cab")[0]


def decimal_ids(infos):
    return sorted(int(find(i, "ID")) for i in infos)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def initial(self, xpress=True):
        """Example 3 up to the end of its scans."""
        computer = Computer(self.server, xpress=xpress)
        computer.get_config()
        computer.get_auth_cookie()
        computer.get_cookie()
        computer.register()
        computer.scan()
        return computer

    def after_the_scan(self, computer, server=None):
        """The calls of the flows behind the scans; the digests whose locations were asked for."""
        install = [u for u, (n, action) in computer.offered().items() if action == "Install"]
        self.assertTrue(install)
        # members of bundles carry the files
        wanted = [n for n, i in computer.known.items() if find(i, "Deployment/Action") == "Bundle"
                  and "BundledUpdates" not in find(i, "Xml")][:30]
        answer = computer.extended(wanted)
        updates = find_all(answer, "GetExtendedUpdateInfoResult/Updates/Update")
        self.assertEqual({int(find(u, "ID")) for u in updates}, set(wanted))
        for update in updates:
            self.assertRegex(find(update, "Xml"), r"^<(ExtendedProperties|LocalizedProperties)\b")
        locations = find_all(answer, "GetExtendedUpdateInfoResult/FileLocations/FileLocation")
        self.assertTrue(locations)
        identities = "".join("<UpdateIdentity><UpdateID>%s</UpdateID><RevisionNumber>%s</RevisionNumber></UpdateIdentity>" % re.search(
            r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', find(computer.known[n], "Xml")).groups() for n in wanted[:3])
        answer = computer.client("GetExtendedUpdateInfo2", computer.cookie_xml() + f"<updateIDs>{identities}</updateIDs>"
                                 "<infoTypes><XmlUpdateFragmentType>FileUrl</XmlUpdateFragmentType>"
                                 "<XmlUpdateFragmentType>FileDecryption</XmlUpdateFragmentType></infoTypes>"
                                 "<locales><string>en</string></locales>"
                                 "<callerAttributes>Id=UpdateOrchestrator;</callerAttributes>")
        self.assertTrue(find_all(answer, "GetExtendedUpdateInfo2Result"))
        digests = [find(e, "FileDigest") for e in locations]
        self.file_locations(computer, digests, {find(e, "FileDigest"): find(e, "Url") for e in locations})
        return digests

    def file_locations(self, computer, digests, urls=None):
        answer = computer.client("GetFileLocations", computer.cookie_xml() + "<fileDigests>%s</fileDigests>" % "".join(
            f"<base64Binary>{d}</base64Binary>" for d in digests))
        found = {find(e, "FileDigest"): find(e, "Url")
                 for e in find_all(answer, "GetFileLocationsResult/FileLocations/FileLocation")}
        self.assertEqual(found if urls is None else urls, found)
        computer.take_cookie(find_all(answer, "GetFileLocationsResult/NewCookie")[0])
        return found

    def report(self, computer):
        """The last message of a flow, and what it leaves."""
        server = computer.server
        install = sorted(u for u, (n, action) in computer.offered().items() if action == "Install")
        self.assertEqual(computer.report((147,), (156,) + ("00000000-0000-0000-0000-000000000000", 0, "U=" + ";".join(install).upper())),
                         "true")
        shown = server.ctl_json("report", "computer", computer.id)
        self.assertEqual((sorted(u["id"] for u in shown["updates"] if u["status"] == "needed"), shown["last_sync"]),
                         (install, "succeeded"))

    def driver_pass(self, computer):
        result = computer.sync_once(skip=True, system_spec=(
            "<SystemSpec><Device><HardwareIDs><string>PCI\\VEN_1D0F&amp;DEV_0001</string></HardwareIDs><installedDriver>"
            "<DriverVerDate>0001-01-01T00:00:00Z</DriverVerDate><DriverVerVersion>0</DriverVerVersion>"
            "<DriverRank>-1</DriverRank></installedDriver></Device></SystemSpec>"))
        # drivers are held and can be approved, but not yet matched to devices: an honest "none" in the native form
        self.assertEqual([harness.local(e) for e in result], ["Truncated", "NewCookie", "DriverSyncNotNeeded"])
        self.assertEqual(find(result, "DriverSyncNotNeeded"), "true")

    # holds: WUSP-TRANSPORT-33 WUSP-SELFUPDATE-05
    def test_example_3_3_initial_update_synchronization(self):
        self.assertEqual(self_update(self.server), 404)
        computer = self.initial()
        self.assertGreater(len(computer.known), 100)
        self.driver_pass(computer)
        self.after_the_scan(computer)
        # a cookie may be renewed at any time in the sequence
        computer.get_auth_cookie()
        computer.get_cookie(computer.cookie_xml("oldCookie"))
        self.assertEqual(find_all(computer.sync_once(), "NewUpdates"), [])
        self.report(computer)
        self.assertEqual([c for i, c in enumerate(computer.calls) if c not in computer.calls[:i]], [
            "GetConfig", "GetAuthorizationCookie", "GetCookie", "RegisterComputer", "SyncUpdates", "GetExtendedUpdateInfo",
            "GetExtendedUpdateInfo2", "GetFileLocations", "ReportEventBatch"])

    # holds: WUSP-TRANSPORT-35
    def test_example_3_4_differential_update_synchronization(self):
        computer = self.initial()
        self.driver_pass(computer)
        before = computer.offered()
        # nothing happened: nothing comes
        for result in computer.scan():
            self.assertEqual([harness.local(e) for e in result], ["Truncated", "NewCookie", "DriverSyncNotNeeded"])
        # an approval later, only that comes, on the cookie of the scan before
        update = next(r for r in self.server.ctl_json("update", "list", "--type", "software")
                      if r["id"].lower() in before and not r["approvals"] and r["state"] == "offered")
        number, action = before[update["id"].lower()]
        self.assertEqual(action, "PreDeploymentCheck")
        self.assertEqual(self_update(self.server), 404)
        self.server.ctl("approve", update["id"], "--group", harness.ALL_COMPUTERS)
        calls = len(computer.calls)
        results = computer.scan()
        changed = [i for r in results for i in find_all(r, "ChangedUpdates/UpdateInfo")]
        self.assertIn(number, decimal_ids(changed))
        self.assertEqual([i for r in results for i in find_all(r, "NewUpdates/UpdateInfo")], [])
        self.driver_pass(computer)
        self.after_the_scan(computer)
        self.report(computer)
        self.assertEqual(sorted(set(computer.calls[calls:])), ["GetExtendedUpdateInfo", "GetExtendedUpdateInfo2",
                                                               "GetFileLocations", "ReportEventBatch", "SyncUpdates"])
        self.server.ctl("unapprove", update["id"], "--group", harness.ALL_COMPUTERS)

    # holds: WUSP-REFRESH-15 WUSP-COOKIE-29
    def test_example_3_6_client_is_pointed_to_a_new_server(self):
        computer = self.initial()
        old = dict(computer.known)
        with Instance("sample") as other:
            # another order of import gives other RevisionIDs; the catalog is the same
            computer.server = other
            self.assertEqual(self_update(other), 404)
            computer.get_config()
            with self.assertRaises(Fault) as caught:
                computer.sync_once()
            self.assertIn(caught.exception.code, ("InvalidCookie", "ServerChanged"))
            computer.get_auth_cookie()
            computer.get_cookie()
            computer.register()
            identities = {n: re.search(r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', find(i, "Xml")).groups()
                          for n, i in old.items()}
            answer = computer.client("RefreshCache", computer.cookie_xml() + "<globalIDs>%s</globalIDs>" % "".join(
                f"<UpdateIdentity><UpdateID>{u}</UpdateID><RevisionNumber>{r}</RevisionNumber></UpdateIdentity>"
                for u, r in identities.values()))
            rows = find_all(answer, "RefreshCacheResult/RefreshCacheResult")
            by_identity = {(find(r, "GlobalID/UpdateID").lower(), find(r, "GlobalID/RevisionNumber")): r for r in rows}
            self.assertEqual(set(by_identity), {(u.lower(), n) for u, n in identities.values()})
            computer.known, computer.installed, computer.other = {}, set(), set()
            for number, info in old.items():
                u, n = identities[number]
                row = by_identity[u.lower(), n]
                computer.known[int(find(row, "RevisionID"))] = info
                (computer.other if find(row, "IsLeaf") == "true" else computer.installed).add(int(find(row, "RevisionID")))
            results = computer.scan()
            self.assertEqual([i for r in results for i in find_all(r, "NewUpdates/UpdateInfo")], [], "nothing is fetched again")
            self.assertEqual([i for r in results for i in find_all(r, "OutOfScopeRevisionIDs/int")], [])
            self.driver_pass(computer)
            self.after_the_scan(computer, other)
            self.report(computer)
        computer.server = self.server


if __name__ == "__main__":
    unittest.main()
