"""test_client.py -- `wsusctl client setup`: each format is read back by a small reader of its own, hostile names included;
applying a file twice changes nothing, and undoing leaves nothing."""
import base64
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import unittest

from harness import ROOT, run, temporary
from test_wsusctl import CTL, Place

WU = r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
AU = WU + r"\AU"
URL = "https://updates.example.net:8531"
HOSTILE = ["a\"b", "a'b", "$(calc)", "`calc`", "a\\", "\\\"", "'&calc&'", "\u2019&calc&\u2019", "\u201b + (calc) + \u201b",
           "{0}%s%n", "a#>b", "a\u2028b", "Büro \U0001f600", "]\"=-", "@'", "\"&calc&", "--undo", "hex(1):00"]


def expected(group, url=URL, hours=22):
    """What a computer's registry must hold: path and name to type and value."""
    one = ("REG_DWORD", 1)
    return {
        (WU, "WUServer"): ("REG_SZ", url), (WU, "WUStatusServer"): ("REG_SZ", url), (WU, "UpdateServiceUrlAlternate"): ("REG_SZ", ""),
        (WU, "TargetGroupEnabled"): one, (WU, "TargetGroup"): ("REG_SZ", group),
        (WU, "SetPolicyDrivenUpdateSourceForFeatureUpdates"): one, (WU, "SetPolicyDrivenUpdateSourceForQualityUpdates"): one,
        (WU, "SetPolicyDrivenUpdateSourceForDriverUpdates"): one, (WU, "SetPolicyDrivenUpdateSourceForOtherUpdates"): one,
        (AU, "UseWUServer"): one, (AU, "DetectionFrequencyEnabled"): one, (AU, "DetectionFrequency"): ("REG_DWORD", hours),
        (AU, "UseUpdateClassPolicySource"): one}


def apply_reg(data, registry):
    """What regedit does with a .reg file; refuses what it would not understand."""
    if not data.startswith(b"\xff\xfe"):
        raise AssertionError("no BOM")
    text = data[2:].decode("utf-16-le")
    if text.count("\n") != text.count("\r\n"):
        raise AssertionError("a bare line feed")
    lines = text.replace("\\\r\n  ", "").split("\r\n")
    if lines[0] != "Windows Registry Editor Version 5.00":
        raise AssertionError(lines[0])
    key = None
    for line in lines[1:]:
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            key = line[1:-1]
            if key.startswith("-"):
                for name in [n for n in registry if n[0] == key[1:]]:
                    del registry[name]
            continue
        name, value = re.fullmatch(r'"(\w+)"=(-|dword:[0-9a-f]{8}|hex:[0-9a-f,]+|"(?:[^"\\]|\\["\\])*")', line).groups()
        if value == "-":
            registry.pop((key, name), None)
        elif value.startswith("dword:"):
            registry[key, name] = "REG_DWORD", int(value[6:], 16)
        elif value.startswith("hex:"):
            registry[key, name] = "REG_BINARY", bytes(int(b, 16) for b in value[4:].split(","))
        else:
            registry[key, name] = "REG_SZ", re.sub(r"\\(.)", r"\1", value[1:-1])


TEXT = r"\('(?:[ -&(-~]|'')*'(?: \+ \[char\]0x[0-9A-F]{4} \+ '(?:[ -&(-~]|'')*')*\)|\(''(?: \+ .*)?\)"


def ps_string(expression):
    """The value of a parenthesised sum of single-quoted strings and [char]s, as PowerShell computes it."""
    at, units = 1, []
    while expression[at:] != ")":
        if expression.startswith("[char]0x", at):
            units.append(int(expression[at + 8:at + 12], 16).to_bytes(2, "little"))
            at += 12
        else:
            literal = re.compile(r"'((?:[ -&(-~]|'')*)'").match(expression, at)
            units.append(literal[1].replace("''", "'").encode("utf-16-le"))
            at = literal.end()
        if expression.startswith(" + ", at):
            at += 3
    return b"".join(units).decode("utf-16-le")


def blob_parts(blob):
    """The properties of a certificate as its registry store keeps them."""
    parts, at = {}, 0
    while at < len(blob):
        number, one, size = (int.from_bytes(blob[at + i:at + i + 4], "little") for i in (0, 4, 8))
        if one != 1:
            raise AssertionError(one)
        parts[number] = blob[at + 12:at + 12 + size]
        at += 12 + size
    return parts


def entries(rows):
    """The entries of the table as the page has them."""
    return "\n".join(f"## {r['code']} {r['name']}\n\n{r['means']}\n\n* Usual cause here: {r['cause']}\n* What to do: {r['todo']}\n"
                     f"* Shown by: {r['shows']}\n" for r in rows)


class Setup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place(filled=False)
        keys = temporary()
        run(ROOT / "scripts/tls.sh", keys, "updates.example.net")
        cls.keys, cls.pem = keys, (keys / "ca.crt").read_text()
        cls.der = ssl.PEM_cert_to_DER_cert(cls.pem)
        cls.thumbprint = hashlib.sha1(cls.der).hexdigest().upper()
        cls.place("group", "create", "Lab")
        for name in HOSTILE:
            cls.place("group", "create", "--", name)

    def setup(self, group, form, *more, url=URL, ca="none"):
        group = [] if group is None else [f"--group={group}"]
        return subprocess.run([CTL, "--store", self.place.store, "client", "setup", *group, "--format", form, f"--url={url}", f"--ca={ca}",
                               *more], check=True, stdout=subprocess.PIPE).stdout

    def test_reg_sets_exactly_the_values_twice_alike_and_undo_removes_them(self):
        other = {(WU, "AcceptTrustedPublisherCerts"): ("REG_DWORD", 1)}
        registry = dict(other)
        for _ in range(2):
            apply_reg(self.setup("lab", "reg", "--frequency", "4", ca=self.keys / "ca.crt"), registry)
            root = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\SystemCertificates\ROOT\Certificates" + "\\" + self.thumbprint
            kind, blob = registry[root, "Blob"]
            self.assertEqual(blob_parts(blob), {3: hashlib.sha1(self.der).digest(), 32: self.der})
            self.assertEqual(registry, {**other, **expected("Lab", hours=4), (root, "Blob"): (kind, blob)})
        apply_reg(self.setup(None, "reg", "--undo", ca=self.keys / "ca.crt"), registry)
        self.assertEqual(registry, other)

    def test_hostile_names_stay_values_in_reg(self):
        for name in HOSTILE:
            registry = {}
            apply_reg(self.setup(name, "reg"), registry)
            self.assertEqual(registry, expected(name))

    def ps_values(self, script, usual, pattern):
        """The values a script sets; every other line must be that of the script for a harmless name."""
        harmless, lines = usual.split("\n"), script.decode().split("\n")
        self.assertEqual(len(lines), len(harmless))
        found = {}
        for line, plain in zip(lines, harmless):
            match = re.fullmatch(pattern, line)
            if match and "TargetGroup'" in line:
                found["group"] = ps_string(match["text"])
            elif not line.startswith("#       Target group name"):
                self.assertEqual(line, plain)
        return found

    def test_hostile_names_stay_values_in_scripts(self):
        for form, head in (("ps1", r"Set-One \$wu 'TargetGroup' 'String' "),
                           ("gpo", r"Set-GPRegistryValue -Name \$gpo -Key '[\w\\]+' -ValueName 'TargetGroup' -Type String -Value ")):
            usual = self.setup("Lab", form).decode()
            for name in HOSTILE:
                script = self.setup(name, form)
                if form == "ps1":
                    self.assertTrue(script.isascii())
                self.assertEqual(self.ps_values(script, usual, head + rf"(?P<text>{TEXT})( \| Out-Null)?"), {"group": name})
            usual = self.setup("Lab", "text").decode().splitlines()
        for name in HOSTILE:
            lines = self.setup(name, "text").decode().split("\n")[:-1]
            self.assertEqual([i for i, (a, b) in enumerate(zip(lines, usual)) if a != b], [n for n, l in enumerate(usual) if "TargetGroup  " in l])

    def test_ps1_sets_all_values_and_writes_only_what_differs(self):
        script = self.setup("Lab", "ps1", ca=self.keys / "ca.crt").decode()
        found = {}
        for key, name, kind, value in re.findall(r"^Set-One \$(wu|au) '(\w+)' '(\w+)' (.+)$", script, re.M):
            found[{"wu": WU, "au": AU}[key], name] = ("REG_SZ", ps_string(value)) if kind == "String" else ("REG_DWORD", int(value))
        self.assertEqual(found, expected("Lab"))
        self.assertEqual(self.trusted(script), {self.thumbprint: self.der})
        # the one line that writes a value stands behind the one that returns if it is there already, with its type
        body = re.search(r"function Set-One.*?\n}", script, re.S)[0].splitlines()
        test = next(i for i, line in enumerate(body) if line.endswith("-eq $type -and $old -ceq $value) { return }"))
        self.assertEqual([i for i, line in enumerate(body) if "New-ItemProperty" in line], [test + 1])
        self.assertEqual((script.count("New-ItemProperty"), script.count("New-Item ")), (1, 1))
        self.assertIn("if (-not (Test-Path $key)) { New-Item $key -Force", script)
        # so does what adds the certificate; and without a change nothing is restarted and no scan begun
        self.assertRegex(script, r"Thumbprint -eq \$thumbprint }\)\.Count -eq 0\) \{\n[^}]*\n        \$root\.Add\(")
        stop = script.index("Write-Output 'Nothing to change.'\n    return")
        for later in ("Restart-Service", "UsoClient.exe", "wuauclt.exe"):
            self.assertGreater(script.index(later), stop)
        self.assertEqual((script.count("{"), script.count("(")), (script.count("}"), script.count(")")))

    @staticmethod
    def trusted(script):
        return {thumbprint: base64.b64decode(der) for thumbprint, der in re.findall(r"^Add-Authority '([0-9A-F]{40})' '([\w+/=]+)'$", script, re.M)}

    def test_the_next_authority_is_handed_out_beside_the_present_one_and_undone_with_it(self):
        tls = temporary()
        shutil.copy(self.keys / "ca.crt", tls)
        ders = [self.der]
        for name in ("ca-next.crt", "ca-old.crt"):
            other = temporary()
            run(ROOT / "scripts/tls.sh", other, "updates.example.net")
            shutil.copy(other / "ca.crt", tls / name)
            ders.append(ssl.PEM_cert_to_DER_cert((tls / name).read_text()))
        thumbprints = [hashlib.sha1(der).hexdigest().upper() for der in ders]
        conf = temporary() / "wsus.conf"
        environment = {**os.environ, "WSUS_CONF": self.conf(conf, f"tls = {tls}")}

        def said(form, *more):
            return subprocess.run([CTL, "--store", self.place.store, "client", "setup", "--format", form, *more], check=True, env=environment,
                                  stdout=subprocess.PIPE).stdout
        good = ("--group", "Lab", "--url", URL)
        registry = {}
        apply_reg(said("reg", *good), registry)
        blobs = [value for (key, name), (_, value) in registry.items() if name == "Blob"]
        self.assertEqual([blob_parts(blob)[32] for blob in blobs], ders[:2])
        registry[rf"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\SystemCertificates\ROOT\Certificates\{thumbprints[2]}", "Blob"] = ("REG_BINARY", b"")
        apply_reg(said("reg", "--undo"), registry)
        self.assertEqual(registry, {})
        self.assertEqual(self.trusted(said("ps1", *good).decode()), dict(zip(thumbprints[:2], ders)))
        self.assertEqual(re.findall(r"^Remove-Authority '(\w+)'$", said("ps1", "--undo").decode(), re.M), thumbprints)
        for form, once in (("gpo", "SystemCertificates\\Root\\Certificates\\"), ("text", "Its thumbprint must be ")):
            text = said(form, *good).decode()
            self.assertEqual([text.count(once + t) for t in thumbprints], [1, 1, 0], text)
            self.assertIn("ca-next.crt", text)
            self.assertIn("Two authorities are trusted", text)
            self.assertEqual([said(form, "--undo").decode().count(t) for t in thumbprints], [1, 1, 1])

    def test_ps1_undo_removes_what_is_there(self):
        script = self.setup(None, "ps1", "--undo", ca=self.keys / "ca.crt").decode()
        self.assertEqual(set(re.findall(r"^Remove-One \$(?:wu|au) '(\w+)'$", script, re.M)), {name for _, name in expected("Lab")})
        self.assertIn("$root.Remove($one)", script)
        self.assertNotIn("Set-One", script)

    def test_gpo_names_the_policies_and_sets_the_same_values(self):
        text = self.setup("Lab", "gpo", "--frequency=9", ca=self.keys / "ca.crt").decode()
        for words in ("Specify intranet Microsoft update service location: Enabled", f"updates: {URL}", "statistics server: " + URL,
                      "alternate download server: (empty)", "Enable client-side targeting: Enabled", "this computer: Lab",
                      "Automatic Updates detection frequency: Enabled", "interval (hours): 9",
                      "Specify source service for specific classes of Windows Updates: Enabled",
                      "Driver Updates: Windows Server Update Services", "Trusted Root Certification Authorities: import ca.crt"):
            self.assertIn(words, text)
        found = {}
        for key, name, kind, value in re.findall(r"^Set-GPRegistryValue -Name \$gpo -Key 'HKLM\\(.+)' -ValueName '(\w+)' -Type (\w+) "
                                                 r"-Value (.+) \| Out-Null$", text, re.M):
            if kind == "Binary":
                self.assertEqual(key, r"SOFTWARE\Policies\Microsoft\SystemCertificates\Root\Certificates" + "\\" + self.thumbprint)
                self.assertEqual(blob_parts(base64.b64decode(re.search(r"'(.+)'", value)[1]))[32], self.der)
            else:
                found["HKEY_LOCAL_MACHINE\\" + key, name] = ("REG_SZ", ps_string(value)) if kind == "String" else ("REG_DWORD", int(value))
        self.assertEqual(found, expected("Lab", hours=9))
        undone = self.setup(None, "gpo", "--undo").decode()
        self.assertEqual(set(re.findall(r"^Remove-GPRegistryValue .* -ValueName '(\w+)' ", undone, re.M)), {name for _, name in expected("Lab")})

    def test_text_and_json_say_the_same(self):
        text = self.setup("Lab", "text", ca=self.keys / "ca.crt").decode()
        rows = self.place.json("client", "setup", "--group", "lab", "--url", URL, "--ca=none")
        self.assertEqual({(r["key"], r["name"]): (r["type"], r["value"]) for r in rows}, {k: (t, str(v)) for k, (t, v) in expected("Lab").items()})
        for row in rows:
            self.assertRegex(text, rf"\n    {row['name']} +{row['type']} +{re.escape(row['value'] or '(empty)')}\n")
        for words in ("certutil -addstore -f Root ca.crt", self.thumbprint, "UsoClient StartScan", "wuauclt /detectnow", "Microsoft.Update.Session",
                      "--undo", "DoNotConnectToWindowsUpdateInternetLocations"):
            self.assertIn(words, text)

    def test_what_the_notes_say_follows_the_server(self):
        self.assertIn("wsusctl computer assign COMPUTER", self.setup("Lab", "text").decode())
        self.assertIn("No certificate is imported", self.setup("Lab", "text").decode())
        self.assertIn("plain HTTP", self.setup("Lab", "text", url="http://u:8530").decode())
        self.place("config", "set", "targeting", "client")
        self.addCleanup(self.place, "config", "set", "targeting", "server")
        self.assertIn("targeting = client", self.setup("Lab", "text").decode())

    def test_address_and_authority_come_from_the_configuration_file(self):
        conf = temporary() / "wsus.conf"
        environment = {**os.environ, "WSUS_CONF": str(conf)}

        def text(*lines, more=()):
            conf.write_text("\n".join((f"store = {self.place.store}", *lines, "")))
            return self.place("client", "setup", "--group", "Lab", *more, env=environment).stdout
        self.assertIn(" https://wsus.example.com:443\n", text("names = wsus.example.com\t192.0.2.1", "https.port = 443", f"tls = {self.keys}"))
        said = text("names = wsus.example.com", "url = https://wsus.example.org", f"tls = {self.keys}")
        self.assertIn(" https://wsus.example.org\n", said)
        self.assertIn(self.thumbprint, said)
        self.assertNotIn(self.thumbprint, text("names = a", more=["--ca=none"]))
        self.assertIn(" https://[2001:db8::1]:8531\n", text("names = 2001:db8::1", more=["--ca=none"]))
        self.assertIn(" https://updates.example.net:9\n", text(f"tls = {self.keys}", "https.port = 9"))
        self.assertIn(f"{conf}:2: https.port takes 1..65535", self.place.wrong(
            "client", "setup", "--group", "Lab", status=1, env=environment | {"WSUS_CONF": self.conf(conf, "https.port = x", "names = a")}))
        # of a store that the file is not for it says nothing
        conf.write_text(f"store = /nonexistent\nurl = {URL}\n")
        self.assertIn("give --url https://NAME:8531, or set url in", self.place.wrong("client", "setup", "--group", "Lab", status=2, env=environment))

    def conf(self, path, *lines):
        path.write_text("\n".join((f"store = {self.place.store}", *lines, "")))
        return str(path)

    def test_the_address_comes_from_the_best_name_of_the_certificate(self):
        conf, keys = temporary() / "wsus.conf", temporary()
        for names, best in ((["localhost", "127.0.0.1", "wsus", "a.example.net", "b.example.net"], "a.example.net"),
                            (["localhost", "::1", "192.0.2.7", "wsus"], "wsus"), (["localhost", "127.0.0.2", "::1", "2001:db8::7"], "[2001:db8::7]"),
                            (["localhost", "127.0.0.1"], None)):
            run(ROOT / "scripts/tls.sh", keys, *names)
            command = ("client", "setup", "--group", "Lab")
            environment = {**os.environ, "WSUS_CONF": self.conf(conf, f"tls = {keys}")}
            if best:
                self.assertIn(f" https://{best}:8531\n", self.place(*command, env=environment).stdout.lower())
            else:
                self.assertIn("the address of this server is not known", self.place.wrong(*command, status=2, env=environment))

    def test_the_authority_of_a_state_directory_is_found(self):
        keys = self.place.state / "keys"
        keys.mkdir()
        (keys / "ca.crt").write_text(self.pem)
        self.addCleanup((keys / "ca.crt").unlink)
        self.assertIn(self.thumbprint, self.place("client", "setup", "--group", "Lab", "--url", URL).stdout)
        self.assertNotIn(self.thumbprint, self.place("client", "setup", "--group", "Lab", "--url", "http://u:8530").stdout)
        self.assertIn(self.thumbprint, self.place("client", "setup", "--undo").stdout)

    def test_what_cannot_work_is_refused_with_the_remedy(self):
        chain = temporary() / "chain.pem"
        chain.write_text(self.pem * 2)
        junk = temporary() / "junk.pem"
        junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        good = ["--group", "Lab", "--url", URL]
        for status, arguments, words in (
                (2, ["--url", URL], "--group NAME"),
                (1, ["--url", URL, "--group", "Nobody"], "`wsusctl group create` makes one"),
                (1, ["--url", URL, "--group", "all"], "without being told"),
                (2, ["--group", "Lab", "--url", "https://u/path"], "https://HOST[:PORT]"),
                (2, ["--group", "Lab", "--url", "https://u';calc;'"], "https://HOST[:PORT]"),
                (2, ["--group", "Lab", "--url", "u:8531"], "https://HOST[:PORT]"),
                (2, [*good, "--frequency", "0"], "1 to 22 hours"), (2, [*good, "--frequency", "23"], "1 to 22 hours"),
                (2, [*good, "--format", "exe"], "reg, ps1, gpo or text"),
                (1, [*good, "--ca", self.keys / "ca.key"], "private key"),
                (1, [*good, "--ca", self.keys / "server.crt"], "no authority's certificate"),
                (1, [*good, "--ca", chain], "holds 2 PEM certificates"), (1, [*good, "--ca", junk], "cannot be read"),
                (1, [*good, "--ca", self.keys], "Is a directory"), (1, [*good, "--ca", "/dev/zero"], "this is no certificate"),
                (1, [*good, "--ca", self.keys / "none.crt"], "no such file")):
            self.assertIn(words, self.place.wrong("client", "setup", *arguments, status=status))


class Errors(unittest.TestCase):
    @staticmethod
    def rows():
        return json.loads(run(CTL, "client", "error", "--json").stdout)

    def test_the_page_has_the_entries_of_the_table(self):
        """To make it anew: cut the page behind its first "## 0x" and add what entries() gives."""
        page = (ROOT / "doc/CLIENT-ERRORS.md").read_text()
        self.assertEqual(page[page.index("\n## 0x") + 1:], entries(self.rows()))

    def test_every_code_is_found_however_it_is_written(self):
        rows = self.rows()
        self.assertEqual([r["code"] for r in rows], sorted({r["code"] for r in rows}))
        for wanted in ("0x80244019", "0x8024401c", "0x80072f8f", "0x80072efd", "0x80072ee2", "0x8024402c", "0x80244010", "0x80244007",
                       "0x8024000b", "0x800b0109", "0x80240013", "0x80244022"):
            self.assertIn(wanted, {r["code"] for r in rows})
        for row in rows:
            self.assertTrue(all(row.values()), row)
            number = int(row["code"], 16)
            signed = [str(number - (1 << 32))] if number >> 31 else []
            for text in (row["code"], row["code"].upper().replace("X", "x"), row["code"][2:], *signed):
                self.assertEqual(json.loads(run(CTL, "client", "error", "--json", "--", text).stdout), row)
        self.assertIn("What to do ", run(CTL, "client", "error", "0x80244019").stdout)

    def test_what_is_no_code_or_unknown(self):
        for status, text, words in ((2, "80244", "no code of Windows"), (2, "0x8024401g", "no code of Windows"), (2, "", "no code"),
                                    (1, "0x12345678", "Get-WindowsUpdateLog")):
            done = run(CTL, "client", "error", text, check=False)
            self.assertEqual((done.returncode, done.stdout), (status, ""))
            self.assertIn(words, done.stderr)

    def test_commands_and_settings_that_are_named_exist(self):
        words = " ".join(value for row in self.rows() for value in row.values())
        known = run(CTL, "help").stdout
        for command in re.findall(r"`wsusctl ([a-z]+(?: [a-z]+)?)", words):
            self.assertTrue(f"  {command} " in known or f"  {command.split()[0]} " in known, command)


if __name__ == "__main__":
    unittest.main()
