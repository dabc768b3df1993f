"""test_conf.py -- the configuration file: what `config check` finds in it, the shipped file and the pages against the tables."""
import json
import os
import re
import unittest

import test_wsusctl
from harness import ROOT, run, temporary
from test_wsusctl import CTL, Place


def table():
    return json.loads(run(CTL, "config", "template", "--json").stdout)


class File:
    """A configuration file in a directory of its own."""

    def __init__(self, *lines):
        self.path = temporary() / "wsus.conf"
        self.write(*lines)

    def write(self, *lines):
        self.path.write_text("".join(f"{line}\n" for line in lines))

    def check(self):
        """Exit status and the findings, which are the same for people and for programs."""
        people = run(CTL, "config", "check", self.path, check=False)
        programs = run(CTL, "config", "check", self.path, "--json", check=False)
        found = json.loads(programs.stdout)
        if people.returncode != programs.returncode or people.stderr or programs.stderr:
            raise AssertionError(f"{people} {programs}")
        if found and [f"{f['file']}:{f['line']}: {f['finding']}" for f in found] != people.stdout.splitlines():
            raise AssertionError(f"{people.stdout} {found}")
        return people.returncode, [(f["line"], f["setting"], f["finding"]) for f in found]


class Check(unittest.TestCase):
    def test_every_setting_at_its_default_is_understood(self):
        lines = [line[1:] for line in run(CTL, "config", "template").stdout.splitlines() if re.match(r"#[a-z.-]+ =", line)]
        self.assertEqual([line.split(" =")[0] for line in lines], [r["name"] for r in table()])
        file = File(*lines)
        self.assertEqual(file.check(), (0, []))
        self.assertEqual(run(CTL, "config", "check", file.path).stdout,
                         f"{file.path}: {len(lines)} settings, all understood\n")

    def test_every_finding_has_its_line_what_is_allowed_and_what_to_do(self):
        for line, setting, words in (
                ("stor = /x", "stor", 'there is no setting "stor"; perhaps store is meant'),
                ("scan.scop = all", "scan.scop", "perhaps scan.scope is meant"),
                ("nonsense = 1", "nonsense", "`wsusctl config template` shows them all"),
                ("store = var/store", "store", 'store takes an absolute path without blanks or quotes, not "var/store"; correct it'),
                ('store = "/x"', "store", "values stand without quotes"),
                ("http.port = 80 # x", "http.port", 'takes 1..65535, not "80 # x"; a comment has a line of its own'),
                ("scan.scope = some", "scan.scope", 'scan.scope takes all|approved, not "some"; correct it, or put #'),
                ("content.url = ftp://x", "content.url", "http[s]://HOST[:PORT]"),
                ("keys = /a", "keys", "keys is set in line 2 already; keep one of the two"),
                ("https.port = 8530", "https.port", "http.port and https.port are the same; change one of them"),
                ("nothing", None, 'there is no "="; write NAME = VALUE'),
                ("= 1", None, "no name stands before"),
                ("tls = /\x07", None, "a control character"),
                ("tls = /" + "x" * 4096, None, "longer than 4,096 bytes")):
            with self.subTest(line=line):
                status, found = File("# mine", "keys = /k", "", line).check()
                self.assertEqual((status, len(found), found[0][:2]), (1, 1, (4, setting)))
                self.assertIn(words, found[0][2])

    def test_all_findings_are_told_in_the_order_of_the_lines(self):
        status, found = File("a = 1", "workers = 4", "targeting = both", "listen = x").check()
        self.assertEqual((status, [f[:2] for f in found]), (1, [(1, "a"), (3, "targeting"), (4, "listen")]))

    def test_a_file_that_cannot_be_judged_fails_in_words(self):
        big = File("#" * 65536)
        for path, words in (("/nonexistent/x", "there is no such file"), (ROOT, "is no file"),
                            (big.path, "larger than 65536 bytes")):
            done = run(CTL, "config", "check", path, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(words, done.stderr)
        self.assertEqual(run(CTL, "config", "check", "a", "b", check=False).returncode, 2)


class Installed:
    """A store and its configuration file; commands find both by WSUS_CONF alone."""

    def __init__(self, *lines):
        self.place = Place(filled=False)
        self.file = File(f"store = {self.place.store}", *lines)

    def run(self, *arguments, **environment):
        env = {k: v for k, v in os.environ.items() if k != "WSUS_STORE"} | {"WSUS_CONF": str(self.file.path)}
        return run(CTL, *arguments, check=False, cwd=temporary(), env=env | environment)

    def __call__(self, *arguments, **environment):
        done = self.run(*arguments, **environment)
        if done.returncode != 0:
            raise AssertionError(f"{arguments}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments, **environment):
        return json.loads(self(*arguments, "--json", **environment))

    def refused(self, *arguments, **environment):
        done = self.run(*arguments, **environment)
        if done.returncode != 1 or done.stdout:
            raise AssertionError(f"{arguments}: {done.returncode} {done.stdout}{done.stderr}")
        return done.stderr


class Found(unittest.TestCase):
    def found(self, installed, *arguments, **environment):
        stat = installed.json(*arguments, "store", "stat", **environment)
        return stat["store"], stat["found_by"]

    def test_the_store_is_that_of_the_option_the_environment_the_file_in_this_order(self):
        here, other, third = Installed("# x"), Place(filled=False), Place(filled=False)
        named = (str(here.place.store), f"{here.file.path}:1")
        self.assertEqual(self.found(here), named)
        self.assertEqual(self.found(here, WSUS_STORE=""), named)
        self.assertEqual(self.found(here, WSUS_STORE=str(other.store)), (str(other.store), "WSUS_STORE"))
        self.assertEqual(self.found(here, "--store", third.store, WSUS_STORE=str(other.store)), (str(third.store), "--store"))

    def test_a_clone_is_looked_for_only_where_the_file_is_silent(self):
        here, clone = Installed(), Place(filled=False)
        (clone.state / "var").mkdir()
        (clone.state / "var/store").symlink_to(clone.store)
        env = {k: v for k, v in os.environ.items() if k != "WSUS_STORE"} | {"WSUS_CONF": str(here.file.path)}
        stat = lambda: json.loads(run(CTL, "store", "stat", "--json", cwd=clone.state, env=env).stdout)
        self.assertEqual(stat()["found_by"], f"{here.file.path}:1")
        here.file.write("workers = 1")
        self.assertEqual((stat()["store"], stat()["found_by"]), ("var/store", "./var/store"))

    def test_what_is_wrong_with_the_file_is_told(self):
        here = Installed()
        here.file.write("", "store = var/store")
        self.assertIn(f"{here.file.path}:2: store takes an absolute path", here.refused("store", "stat"))
        here.file.write("store = /nonexistent/store")
        self.assertIn(f"/nonexistent/store: no store here, where {here.file.path}:1 says it is; give its place",
                      here.refused("store", "stat"))
        self.assertIn("/nonexistent/x: there is no such file", here.refused("store", "stat", WSUS_CONF="/nonexistent/x"))

    def test_content_goes_where_the_file_says(self):
        here, content = Installed(), temporary()
        here.place = Place()
        here.file.write(f"store = {here.place.store}", f"content = {content}")
        here("content", "add", test_wsusctl.documents() / "content")
        self.assertGreater(len([p for p in content.rglob("*") if p.is_file()]), 0)
        self.assertFalse((here.place.state / "content").exists())
        # a store that the file is not for has its content beside it
        other = Place()
        here("--store", other.store, "content", "add", test_wsusctl.documents() / "content")
        self.assertTrue((other.state / "content").exists())

    def test_a_setting_of_the_server_needs_no_store(self):
        here = Installed("http.port = 80", "workers = many")
        here.file.write("store = /nonexistent", "http.port = 80", "workers = many")
        self.assertEqual(here("config", "get", "http.port"), "80\n")
        self.assertEqual(here.json("config", "get", "names"), "")
        self.assertEqual(here("config", "get", "https.port"), "8531\n")
        self.assertEqual(here("config", "get", "http.port", WSUS_CONF="/dev/null"), "8530\n")
        self.assertIn(f"{here.file.path}:3: workers takes 1..1024 or empty", here.refused("config", "get", "workers"))
        self.assertIn("no store here", here.refused("config", "get", "xpress"))


    def test_all_values_of_the_server_for_scripts(self):
        here = Installed("http.port = 80", "names = a b", "xpress = off")
        lines = here("config", "values").splitlines()
        self.assertEqual([line.split(" =")[0] for line in lines], [r["name"] for r in table() if not r["in_store"]])
        for line in ("http.port = 80", "https.port = 8531", "names = a b", "workers =", f"store = {here.place.store}"):
            self.assertIn(line, lines)
        rows = {r["name"]: r for r in here.json("config", "values")}
        self.assertEqual(rows["http.port"], {"name": "http.port", "value": "80", "set_in": f"{here.file.path}:2"})
        self.assertEqual((rows["workers"]["value"], rows["workers"]["set_in"]), ("", None))
        here.file.write("", "workers = many")
        self.assertIn(f"{here.file.path}:2: workers takes 1..1024 or empty", here.refused("config", "values"))


class Apply(unittest.TestCase):
    def values(self, here):
        return {r["name"]: r["value"] for r in here.json("config", "show")}

    def test_lines_go_into_the_store_and_what_changed_is_told(self):
        here = Installed("scan.scope = Approved", "xpress = mixed", "http.port = 80", "client.max-extended = 070")
        before = self.values(here)
        changed = here.json("config", "apply")
        self.assertEqual(changed, [
            {"name": "scan.scope", "before": "all", "value": "approved", "set_in": f"{here.file.path}:2"},
            {"name": "client.max-extended", "before": "50", "value": "70", "set_in": f"{here.file.path}:5"}])
        self.assertEqual(self.values(here), before | {"scan.scope": "approved", "client.max-extended": "70"})
        self.assertEqual(here.place.noted(), ['config apply scan.scope = "approved"', 'config apply client.max-extended = "70"'])
        here.place.audit()
        # again: nothing
        stat = here.json("store", "stat")
        self.assertEqual(here("config", "apply"), f"the store holds what {here.file.path} says: nothing to change\n")
        self.assertEqual(here.json("config", "apply"), [])
        self.assertEqual(here.json("store", "stat"), stat)
        self.assertEqual(len(here.place.noted()), 2)
        # a line that goes leaves its value, and the name is free again
        here.file.write(f"store = {here.place.store}")
        here("config", "apply")
        self.assertEqual(self.values(here)["scan.scope"], "approved")
        here("config", "set", "scan.scope", "all")

    def test_nothing_of_a_file_with_errors_is_applied(self):
        here = Installed("scan.scope = approved", "xpres = off", "targeting = both")
        words = here.refused("config", "apply")
        for part in (":3: there is no setting", "perhaps xpress is meant", ":4: targeting takes server|client",
                     "has errors: nothing was applied"):
            self.assertIn(part, words)
        self.assertEqual(here.place.noted(), [])
        self.assertEqual(self.values(here)["scan.scope"], "all")

    def test_a_name_that_stands_in_the_file_is_changed_there(self):
        here = Installed("", "scan.scope = approved")
        self.assertIn(f"scan.scope is set in {here.file.path}:3; change it there, then `wsusctl config apply`",
                      here.refused("config", "set", "scan.scope", "all"))
        self.assertIn(f"names is a setting of the configuration file; write it there: {here.file.path}",
                      here.refused("config", "set", "names", "a"))
        self.assertEqual(here("config", "set", "xpress", "off"), "off\n")
        shown = {r["name"]: r["set_in"] for r in here.json("config", "show")}
        self.assertEqual({k: v for k, v in shown.items() if v}, {"scan.scope": f"{here.file.path}:3"})
        # whatever way the same store is named
        self.assertIn(":3;", here.refused("--store", here.place.state, "config", "set", "scan.scope", "all"))

    def test_a_file_says_nothing_about_another_store(self):
        here, other = Installed("scan.scope = approved"), Place(filled=False)
        at = ["--store", other.store]
        self.assertIn(f"{here.file.path} is for another store than {other.store}", here.refused(*at, "config", "apply"))
        self.assertEqual(here(*at, "config", "set", "scan.scope", "approved"), "approved\n")
        self.assertEqual({r["set_in"] for r in here.json(*at, "config", "show")}, {None})


class Pages(unittest.TestCase):
    """What is shipped and what the program's tables say are the same."""

    def test_the_shipped_file_is_what_the_program_prints(self):
        self.assertEqual((ROOT / "etc/wsus.conf").read_text(), run(CTL, "config", "template").stdout)
        self.assertEqual(File(*(ROOT / "etc/wsus.conf").read_text().splitlines()).check(), (0, []))

    def test_every_server_setting_is_in_its_page_and_no_other(self):
        page = test_wsusctl.Manual().entries("wsus.conf.5")
        rows = {r["name"]: r for r in table() if not r["in_store"]}
        self.assertEqual(list(page), list(rows))
        for name, row in rows.items():
            unit = f"; unit: {row['unit']}" if row["unit"] else ""
            self.assertIn(f"\n.D1 Values: {row['values']}{unit}; default: {row['default'] or 'empty'}\n", page[name])
            self.assertIn(row["why"][1:], page[name].replace("\n", " "))

    def test_every_store_setting_may_stand_in_the_file(self):
        rows = {r["name"] for r in table() if r["in_store"]}
        self.assertEqual(rows, {r["name"] for r in Place(filled=False).json("config", "show")})
