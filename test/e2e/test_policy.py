"""test_policy.py -- what an administrator decides, as computers see it at their next call."""
import base64
import re
import unittest

import harness
from harness import ALL_COMPUTERS, Computer, Fault, Instance, find, find_all


class Policy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("sample")
        cls.server.start()
        cls.updates = cls.server.ctl_json("update", "list", "--type", "software")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def computer(self, **kw):
        computer = Computer(self.server, **kw).handshake()
        computer.scan()
        return computer

    def action(self, computer, update):
        """What the computer's cache says after one more scan; None if it is not offered."""
        computer.scan()
        return computer.offered().get(update["id"].lower(), (0, None))[1]

    def free_update(self, computer, eula=False, files=True):
        """An update nobody approved, offered to this computer."""
        offered = computer.offered()
        for row in self.updates:
            if row["id"].lower() not in offered or row["state"] != "offered":
                continue
            shown = self.server.ctl_json("update", "show", row["id"])
            if bool(shown.get("eula")) == eula and not shown["approvals"]:
                return shown
        self.skipTest("the sample has no such update for this computer")

    def test_an_approval_reaches_the_next_scan_and_its_end_too(self):
        computer = self.computer()
        update = self.free_update(computer)
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")
        self.server.ctl("approve", update["id"], "--group", ALL_COMPUTERS, "--deadline", "2031-01-02T03:04:05")
        self.assertEqual(self.action(computer, update), "Install")
        info = computer.known[computer.offered()[update["id"].lower()][0]]
        self.assertTrue(find(info, "Deployment/Deadline").startswith("2031-01-02T03:04:05"))
        self.server.ctl("unapprove", update["id"], "--group", ALL_COMPUTERS)
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")

    def test_a_declined_update_goes_and_comes_back_without_its_approval(self):
        computer = self.computer()
        update = self.free_update(computer)
        number = computer.offered()[update["id"].lower()][0]
        self.server.ctl("approve", update["id"], "--group", ALL_COMPUTERS)
        self.server.ctl("decline", update["id"])
        results = computer.scan()
        gone = {int(e.text) for r in results for name in ("OutOfScopeRevisionIDs/int", "DeployedOutOfScopeRevisionIds/int")
                for e in find_all(r, name)}
        self.assertIn(number, gone)
        self.assertNotIn(update["id"].lower(), computer.offered())
        self.server.ctl("undecline", update["id"])
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")

    def test_server_side_targeting_holds_from_the_next_call(self):
        self.server.ctl("config", "set", "targeting", "server")
        self.server.ctl("group", "create", "Pilots")
        computer, other = self.computer(), self.computer()
        update = self.free_update(computer)
        self.server.ctl("approve", update["id"], "--group", "Pilots")
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")
        self.server.ctl("computer", "assign", computer.id, "--group", "Pilots")
        self.assertEqual(self.action(computer, update), "Install")
        self.assertEqual(self.action(other, update), "PreDeploymentCheck")
        # what the computer asks for does not matter here
        claiming = self.computer(group="Pilots")
        self.assertEqual(self.action(claiming, update), "PreDeploymentCheck")
        self.server.ctl("computer", "assign", computer.id)
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")
        self.server.ctl("group", "delete", "Pilots")

    def test_client_side_targeting_takes_the_groups_that_the_computer_names(self):
        self.server.ctl("group", "create", "Branch")
        self.server.ctl("config", "set", "targeting", "client")
        self.addCleanup(self.server.ctl, "config", "set", "targeting", "server")
        inside, outside = self.computer(group="Nowhere;branch"), self.computer(group="Nowhere")
        update = self.free_update(inside)
        self.server.ctl("approve", update["id"], "--group", "Branch")
        self.assertEqual(self.action(inside, update), "Install")
        self.assertEqual(self.action(outside, update), "PreDeploymentCheck")
        self.server.ctl("unapprove", update["id"], "--group", "Branch")

    # holds: WUSP-CONTENT-11
    def test_an_approval_waits_until_its_files_are_here(self):
        with Instance("none") as server:
            folder = harness.sample("--revisions", "300", "--content", "--languages", "2")
            server.ctl("update", "import", folder / "updates")
            computer = Computer(server).handshake()
            computer.scan()
            offered = computer.offered()
            for row in server.ctl_json("update", "list", "--type", "software"):
                if row["id"].lower() in offered and row["state"] == "offered":
                    shown = server.ctl_json("update", "show", row["id"])
                    if not shown.get("eula"):
                        break
            update = shown["id"].lower()
            server.ctl("approve", update, "--group", ALL_COMPUTERS)
            computer.scan()
            self.assertEqual(computer.offered()[update][1], "PreDeploymentCheck")
            server.ctl("content", "add", folder / "content")
            computer.scan()
            self.assertEqual(computer.offered()[update][1], "Install")

    def test_with_content_at_the_vendors_nothing_waits_and_locations_are_the_vendors(self):
        with Instance("none") as server:
            folder = harness.sample("--revisions", "300", "--content", "--languages", "2")
            server.ctl("update", "import", folder / "updates")
            server.ctl("config", "set", "content.store", "microsoft")
            computer = Computer(server).handshake()
            computer.scan()
            for row in server.ctl_json("update", "list", "--type", "software"):
                shown = server.ctl_json("update", "show", row["id"])
                bundle = any(r["relation"] == "contains" for r in shown["relations"])
                if row["id"].lower() in computer.offered() and bundle and not shown.get("eula"):
                    break
            server.ctl("approve", shown["id"], "--group", ALL_COMPUTERS)
            computer.scan()
            self.assertEqual(computer.offered()[shown["id"].lower()][1], "Install")
            for row in server.ctl_json("update", "list", "--all", "--type", "software"):
                if row["id"].lower() in computer.offered():
                    part = server.ctl_json("update", "show", f'{row["id"]}:{row["revision"]}')
                    files = [f for f in part["files"] if not f["eula"]]
                    if files and part["revision_id"] == computer.offered()[row["id"].lower()][0]:
                        break
            digest, url = files[0]["sha1"], "http://vendor.example/d/file.cab"
            server.ctl("content", "url", digest, url)
            answer = computer.extended([computer.offered()[part["id"].lower()][0]])
            urls = {find(f, "FileDigest"): find(f, "Url") for f in find_all(answer, "GetExtendedUpdateInfoResult/FileLocations/FileLocation")}
            self.assertEqual(urls.pop(base64.b64encode(bytes.fromhex(digest)).decode()), url)
            for other in urls.values():
                self.assertIn(f":{server.port}/Content/", other)

    def test_an_approval_waits_until_its_eula_is_accepted(self):
        computer = self.computer()
        update = self.free_update(computer, eula=True)
        self.server.ctl("approve", update["id"], "--group", ALL_COMPUTERS)
        self.assertEqual(self.action(computer, update), "PreDeploymentCheck")
        self.server.ctl("eula", "accept", update["id"])
        self.assertEqual(self.action(computer, update), "Install")
        self.server.ctl("unapprove", update["id"], "--group", ALL_COMPUTERS)

    # holds: WUSP-COOKIE-24 WUSP-SOAPFAULT-13
    def test_a_changed_setting_sends_clients_back_to_get_config(self):
        computer = self.computer()
        self.server.ctl("config", "set", "client.max-extended", "49")
        self.addCleanup(self.server.ctl, "config", "set", "client.max-extended", "50")
        with self.assertRaises(Fault) as caught:
            computer.sync_once()
        self.assertEqual(caught.exception.code, "ConfigChanged")
        answer = computer.get_config()
        self.assertIn("49", [find(p, "Value") for p in find_all(answer, "GetConfigResult/Properties/ConfigurationProperty")])
        computer.get_auth_cookie()
        computer.get_cookie(computer.cookie_xml("oldCookie"))
        self.assertEqual(find_all(computer.sync_once(), "NewUpdates"), [])

    # holds: WUSP-COOKIE-26 WUSP-REGISTER-07 WUSP-COOKIE-32
    def test_a_computer_that_was_deleted_registers_again(self):
        computer = self.computer()
        self.server.ctl("computer", "delete", computer.id)
        with self.assertRaises(Fault) as caught:
            computer.sync_once()
        self.assertEqual(caught.exception.code, "RegistrationRequired")
        computer.register()
        self.assertEqual(find(computer.sync_once(), "Truncated"), "false")

    # holds: WUSP-COOKIE-22 WUSP-SOAPFAULT-12
    def test_an_adopted_store_renumbers_every_cache(self):
        with Instance("sample") as server:
            computer = Computer(server).handshake()
            computer.scan()
            server.ctl("store", "adopt")
            with self.assertRaises(Fault) as caught:
                computer.sync_once()
            self.assertEqual(caught.exception.code, "ServerChanged")
            computer.handshake()
            identities = "".join(
                "<UpdateIdentity><UpdateID>%s</UpdateID><RevisionNumber>%s</RevisionNumber></UpdateIdentity>" % re.search(
                    r'UpdateID="([^"]+)" RevisionNumber="(\d+)"', find(i, "Xml")).groups() for i in computer.known.values())
            answer = computer.client("RefreshCache", computer.cookie_xml() + f"<globalIDs>{identities}</globalIDs>")
            self.assertEqual(len(find_all(answer, "RefreshCacheResult/RefreshCacheResult")), len(computer.known))

    def test_names_of_groups_are_ignored_or_refused_without_harm(self):
        for group in ("x" * 300, "a;b;c", "&lt;script&gt;", ";;;"):
            computer = Computer(self.server, group=group)
            try:
                computer.handshake()
            except Fault as fault:
                self.assertEqual(fault.code, "InvalidParameters")


if __name__ == "__main__":
    unittest.main()
