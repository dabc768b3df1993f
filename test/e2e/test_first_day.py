"""test_first_day.py -- what doc/FIRST-DAY.md says is typed and what it says comes: on an installation of its own the same
commands print lines of the same form."""
import contextlib
import os
import re
import subprocess
import unittest

from harness import ROOT, temporary
from installed import Beside

PAGE = ROOT / "doc/FIRST-DAY.md"
# What makes the machine what the installation here is already.
ELSEWHERE = ("apt ", "git ", "cd ", "scripts/", "make ", "echo ", "wsus-setup", "systemctl ")
SAME_FORM = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "GUID"),
    (r"\b[0-9A-F]{40}\b", "DIGEST"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d[\d:.]*Z?", "TIME"),
    (r"\b\d[\d.]* [KMGT]?B\b", "SIZE"),
    (r"\d[\d.,]*", "N"),
    (r"\s+", " "),
]
# What is told otherwise because this installation is not where a package puts it.
NOT_THERE = [
    (r"services: no sockets of services here", "services: 5 of 5 answer"),
    (r"^(Services +)no sockets here$", r"\1auth answers, client answers, content answers, reporting answers, serversync answers"),
    (r"^(  found by +)/etc/wsus-fcgi/wsus.conf:\d+$", r"\1the default"),
]


def commands():
    """[(command, lines that it prints)] in the order of the page."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("    # "):
            found.append((line[6:], []))
        elif line.startswith("    ") and line.strip() and found:
            found[-1][1].append(line[4:])
    return found


def form(line):
    for pattern, name in SAME_FORM:
        line = re.sub(pattern, name, line)
    return line.strip()


def fits(told, printed):
    """Line by line; [...] is any number of lines."""
    if not told:
        return not printed
    if told[0] == "[...]":
        return any(fits(told[1:], printed[n:]) for n in range(len(printed) + 1))
    return bool(printed) and form(told[0]) == form(printed[0]) and fits(told[1:], printed[1:])


@unittest.skipUnless(os.geteuid() == 0, "only root can start nginx for another user")
class FirstDay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.here = Beside()
        cls.here.set(url="https://wsus.example.org:8531")
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        for service in ("auth", "client", "content", "reporting", "serversync"):
            stack.enter_context(cls.here.service(service))
        stack.enter_context(cls.here.served())
        cls.folder = temporary()
        (cls.folder / "backups").mkdir()

    def run_here(self, command):
        """What the command prints here, in the words of the page."""
        address = f"https://127.0.0.1:{self.here.tls_port}"
        places = {"https://wsus.example.org:8531": address, "/etc/wsus-fcgi": str(self.here.etc), "/var/tmp": str(self.folder),
                  "/var/backups": str(self.folder / "backups"),
                  "build/test/make-catalog": str(ROOT / "build/test/make-catalog"), "wsusctl health": f"wsusctl health --url {address}",
                  "wsusctl log": f"wsusctl log --dir {self.here.root}"}
        text = re.sub("|".join(map(re.escape, places)), lambda m: places[m[0]], command)
        done = subprocess.run(["sh", "-c", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, cwd=self.folder, env={**os.environ, "WSUS_CONF": str(self.here.conf),
                                                                 "PATH": f"{self.here.root}/usr/bin:{os.environ['PATH']}"})
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}")
        for word in ("https://wsus.example.org:8531", "/var/backups", "/var/tmp", "/etc/wsus-fcgi"):
            done.stdout = done.stdout.replace(places[word], word)
        for pattern, words in NOT_THERE:
            done.stdout = re.sub(pattern, words, done.stdout, flags=re.M)
        return [line for line in done.stdout.replace(str(self.here.root), "").splitlines() if line.strip()]

    def test_its_commands_print_what_it_says(self):
        self.maxDiff = None
        typed = [(c, told) for c, told in commands() if not c.startswith(ELSEWHERE)]
        self.assertGreater(len(typed), 12)
        for command, told in typed:
            printed = self.run_here(command)
            with self.subTest(command):
                if not fits(told, printed):
                    self.assertEqual([form(t) for t in told], [form(p) for p in printed])


if __name__ == "__main__":
    unittest.main()
