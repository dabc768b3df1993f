"""test_conf.py -- the configuration file: what `config check` finds in it, the shipped file and the pages against the tables."""
import json
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
