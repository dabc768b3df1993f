"""test_content.py -- /Content and /SelfUpdate as a native downloader and a hostile one use them."""
import base64
import hashlib
import re
import socket
import unittest
import urllib.parse

from lxml import etree

import harness
from harness import Computer, find, find_all


class Content(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()
        cls.file = max((p for p in (cls.server.state / "content").glob("[0-9A-F][0-9A-F]/*") if len(p.name) == 40),
                       key=lambda p: p.stat().st_size)
        cls.data = cls.file.read_bytes()
        cls.hex = cls.file.name
        cls.path = f"/Content/{cls.hex[-2:]}/{cls.hex}.exe"

    def get(self, path=None, method="GET", **headers):
        return self.server.http(method, path or self.path, None, {k.replace("_", "-"): v for k, v in headers.items()})

    # holds: WUSP-CONTENT-01 WUSP-CONTENT-05 WUSP-CONTENT-06 WUSP-TRANSPORT-03
    def test_the_file_of_a_digest_is_the_file(self):
        status, head, body = self.get()
        self.assertEqual(status, 200)
        self.assertEqual(hashlib.sha1(body).hexdigest().upper(), self.hex)
        self.assertEqual(head["content-type"], "application/octet-stream")
        self.assertEqual(int(head["content-length"]), len(self.data))

    # holds: WUSP-CONTENT-07 WUSP-CONTENT-08 WUSP-CONTENT-09
    def test_every_url_handed_out_can_be_downloaded(self):
        computer = Computer(self.server).handshake()
        computer.scan()
        locations = []
        known = sorted(computer.known)
        for i in range(0, len(known), 50):
            answer = computer.extended(known[i:i + 50], ("Extended",))
            locations += find_all(answer, "GetExtendedUpdateInfoResult/FileLocations/FileLocation")
        self.assertGreater(len(locations), 20)
        for location in locations:
            digest = base64.b64decode(find(location, "FileDigest"))
            url = find(location, "Url")
            m = re.fullmatch(rf"http://127\.0\.0\.1:{self.server.port}(/Content/([0-9A-F]{{2}})/([0-9A-F]{{40}})\.\w+)", url)
            self.assertIsNotNone(m, url)
            self.assertEqual(m[3], digest.hex().upper())
            self.assertEqual(m[2], m[3][-2:])
            status, _, body = self.get(m[1])
            self.assertEqual(status, 200, url)
            self.assertEqual(hashlib.sha1(body).digest(), digest)

    # holds: WUSP-CONTENT-02
    def test_ranges(self):
        size = len(self.data)
        for asked, first, last in (("0-0", 0, 0), ("1-9", 1, 9), (f"5-{size - 1}", 5, size - 1), (f"{size - 3}-", size - 3, size - 1),
                                   ("-7", size - 7, size - 1), (f"2-{size + 1000}", 2, size - 1), (f"0-{size - 1}", 0, size - 1)):
            status, head, body = self.get(Range=f"bytes={asked}")
            self.assertEqual(status, 206, asked)
            self.assertEqual(head["content-range"], f"bytes {first}-{last}/{size}", asked)
            self.assertEqual(body, self.data[first:last + 1], asked)
        status, head, _ = self.get(Range=f"bytes={size}-{size + 9}")
        self.assertEqual(status, 416)
        self.assertEqual(head["content-range"], f"bytes */{size}")

    # holds: WUSP-CONTENT-03
    def test_head_says_the_same_as_get_without_a_body(self):
        _, by_get, _ = self.get()
        status, by_head, body = self.get(method="HEAD")
        self.assertEqual((status, body), (200, b""))
        for name in ("content-length", "etag", "last-modified", "content-type", "accept-ranges"):
            self.assertEqual(by_head.get(name), by_get.get(name), name)

    # holds: WUSP-CONTENT-04
    def test_validators_are_the_same_for_every_piece_and_resume_works(self):
        tags = {self.get(Range=f"bytes={i}-{i}")[1]["etag"] for i in range(5)} | {self.get()[1]["etag"]}
        self.assertEqual(len(tags), 1)
        tag = tags.pop()
        self.assertRegex(tag, r'^"[^"]+"$')
        self.assertEqual(self.get()[1]["accept-ranges"], "bytes")
        self.assertEqual(self.get(Range="bytes=3-4", If_Range=tag)[0], 206)
        self.assertEqual(self.get(Range="bytes=3-4", If_Range='"other"')[0], 200)

    # holds: WUSP-CONTENT-13
    # partly: WUSP-TRANSPORT-30 (directories; the reporting service packs its answers when asked to, by design)
    def test_no_content_coding_even_if_asked_for(self):
        status, head, body = self.get(Accept_Encoding="gzip, deflate, xpress")
        self.assertEqual((status, body), (200, self.data))
        self.assertNotIn("content-encoding", head)

    # holds: WUSP-TRANSPORT-32
    def test_the_headers_of_the_native_downloader(self):
        status, head, body = self.get(Range="bytes=0-15", User_Agent="Microsoft-Delivery-Optimization/10.1", Accept="*/*",
                                      Content_Length="0", MS_CV="e8u3dmxOhkGW0Ilt.2.0.0.8.1.1.3.1.1.130")
        self.assertEqual((status, body), (206, self.data[:16]))
        self.assertNotIn("content-encoding", head)

    def test_any_letter_case_and_any_extension_or_none(self):
        xx, name = self.hex[-2:], self.hex
        tag = self.get()[1]["etag"]
        for path in (f"/Content/{xx}/{name}", f"/content/{xx}/{name}.CAB", f"/CONTENT/{xx.lower()}/{name.lower()}.exe",
                     f"/Content/{xx}/{name.lower()}", f"//Content//{xx}/{name}.psf", f"/Content/{xx}/{name}.exe?P1=1&P2=%2F"):
            status, head, body = self.get(path)
            self.assertEqual((status, body), (200, self.data), path)
            self.assertEqual(head["etag"], tag, path)
        self.assertEqual(self.get(f"/Content/{xx}/{name}.txt")[1]["content-type"], "text/plain")

    def test_lower_case_has_ranges_too(self):
        status, head, body = self.get(self.path.lower(), Range="bytes=1-3")
        self.assertEqual((status, body), (206, self.data[1:4]))
        self.assertEqual(head["content-range"], f"bytes 1-3/{len(self.data)}")

    # holds: WUSP-CONTENT-12
    def test_nothing_outside_the_directory_is_reached(self):
        for path in ("/Content/../keys/master", "/Content/%2e%2e/keys/master", "/Content/..%2fkeys/master",
                     "/Content/%2e%2e%2f%2e%2e%2fetc/passwd", "/Content/..\\keys\\master", "/Content/%5c..%5ckeys%5cmaster",
                     "/Content/AB/../../keys/ca.crt", "/Content/../VERSION", "/SelfUpdate/../VERSION", "/SelfUpdate/..%2fVERSION",
                     "/_content/" + self.path[9:], "/_selfupdate/x", "/Content/./../VERSION", "/../VERSION",
                     "/Content/%00", "/Content/AB/%00/x", f"/Content/{self.hex[-2:]}/{self.hex}/../../../VERSION",
                     "/Content/%252e%252e/VERSION", "/content/..;/VERSION", "/Content/..%c0%af../VERSION"):
            with socket.create_connection(("127.0.0.1", self.server.port), 10) as s:
                s.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode("latin-1"))
                answer = b""
                while piece := s.recv(65536):
                    answer += piece
            status = int(answer.split()[1])
            self.assertIn(status, (400, 404), path)
            for secret in (b"root:", b"wsus-fcgi state", b"BEGIN CERT"):
                self.assertNotIn(secret, answer, path)

    def test_no_listing_and_no_page_where_there_is_no_file(self):
        for path in ("/Content/", "/Content", "/Content/AB/", "/Content/AB", "/content/" + "0" * 40,
                     "/Content/00/" + "0" * 40 + ".exe", "/SelfUpdate/", "/SelfUpdate/none.cab", "/", "/index.html"):
            status, head, body = self.get(path)
            self.assertIn(status, (404,), path)
            self.assertNotIn(b"<html", body.lower(), path)

    def test_only_get_and_head(self):
        for method in ("POST", "PUT", "DELETE", "PROPFIND"):
            for path in (self.path, self.path.lower(), "/SelfUpdate/x"):
                self.assertEqual(self.server.http(method, path, b"x")[0], 405, f"{method} {path}")

    # holds: WUSP-TRANSPORT-04 WUSP-CONTENT-10
    def test_content_is_on_both_ports(self):
        done = harness.run("curl", "-sS", "--noproxy", "*", "--cacert", self.server.state / "keys/ca.crt", "-r", "0-9", "-o",
                           harness.temporary() / "x", "-w", "%{http_code} %{size_download}",
                           f"https://127.0.0.1:{self.server.tls_port}{self.path}")
        self.assertEqual(done.stdout, "206 10")

    def test_one_connection_serves_many_pieces(self):
        connection = self.server.connect()
        for i in range(40):
            connection.request("GET", self.path, headers={"Range": f"bytes={i}-{i + 9}"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (206, self.data[i:i + 10]))
        connection.close()


class Names(unittest.TestCase):
    """As a downstream server asks: the folder, and the file's name in the metadata."""

    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()
        cls.content = cls.server.state / "content"
        cls.file = max((p for p in cls.content.glob("[0-9A-F][0-9A-F]/*") if len(p.name) == 40), key=lambda p: p.stat().st_size)
        cls.data = cls.file.read_bytes()
        cls.folder = cls.file.parent.name
        cls.link("test of names-x64 (1)+b%41.cab", cls.file.name)

    @classmethod
    def link(cls, name, text):
        folder = cls.content / "names" / cls.folder
        folder.mkdir(parents=True, exist_ok=True)
        for directory in (folder, folder.parent):
            directory.chmod(0o755)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(text)

    NAME = "Test%20of%20Names-X64%20(1)+b%2541.CAB"

    def get(self, name, method="GET", folder=None, **headers):
        return self.server.http(method, f"/Content/{folder or self.folder}/{name}", None, {k.replace("_", "-"): v for k, v in headers.items()})

    # holds: WSUSSS-CONTENT-01 WSUSSS-CONTENT-02 WSUSSS-CONTENT-03 WSUSSS-CONTENT-04 WSUSSS-CONTENT-06 WSUSSS-CONTENT-07
    def test_a_file_by_its_name_is_the_file_by_its_digest(self):
        by_digest = self.get(f"{self.file.name}.cab")
        self.assertEqual(by_digest[::2], (200, self.data))
        for path in (f"/Content/{self.folder}/{self.NAME}", f"/content/{self.folder.lower()}/{self.NAME.lower()}", f"//CONTENT//{self.folder}//{self.NAME.upper()}"):
            status, head, body = self.server.http("GET", path)
            self.assertEqual((status, body), (200, self.data), path)
            for name in ("etag", "last-modified", "content-length", "accept-ranges"):
                self.assertEqual(head[name], by_digest[1][name])
            self.assertEqual(head["content-type"], "application/octet-stream")
        status, head, body = self.get(self.NAME, "HEAD")
        self.assertEqual((status, body, int(head["content-length"])), (200, b"", len(self.data)))
        for asked, first, last in (("0-0", 0, 0), ("5-", 5, len(self.data) - 1), ("-7", len(self.data) - 7, len(self.data) - 1), ("1-9", 1, 9)):
            status, head, body = self.get(self.NAME, Range=f"bytes={asked}")
            self.assertEqual((status, body), (206, self.data[first:last + 1]), asked)
            self.assertEqual(head["content-range"], f"bytes {first}-{last}/{len(self.data)}")
        self.assertEqual(self.get(self.NAME, Range=f"bytes={len(self.data)}-")[0], 416)
        self.assertEqual(self.get(self.NAME, "POST")[0], 405)

    # holds: WSUSSS-CONTENT-01 WSUSSS-CONTENT-03
    def test_every_file_of_an_update_is_there_by_the_name_that_its_document_gives_it(self):
        """From what a downstream server has: the document, and nothing of this server's disk."""
        files = {}
        for document in (harness.sample("--revisions", "500", "--content") / "updates").rglob("*.xml"):
            for element in etree.parse(str(document)).iter("{*}File", "{*}EulaFile"):
                files[element.get("Digest")] = element.get("FileName")
        found = 0
        for digest, name in files.items():
            xx = base64.b64decode(digest)[-1:].hex().upper()
            status, _, body = self.get(urllib.parse.quote(name), folder=xx)
            if status == 200:
                self.assertEqual(base64.b64encode(hashlib.sha1(body).digest()).decode(), digest)
                found += 1
        stored = len([p for p in self.content.glob("[0-9A-F][0-9A-F]/*") if len(p.name) == 40])
        self.assertGreater(found, 20)
        self.assertEqual(found, stored)

    # holds: WSUSSS-CONTENT-11
    def test_what_is_not_there_is_404_whatever_the_link_says(self):
        gone = "0" * 38 + self.folder
        for name, text in (("gone.cab", gone), ("passwd.cab", "/etc/passwd"), ("up.cab", "../../../VERSION"), ("key.cab", "../../../keys/master"),
                           ("other.cab", "0" * 38 + ("00" if self.folder != "00" else "01")), ("short.cab", self.file.name[:39])):
            self.link(name, text)
            status, _, body = self.get(name)
            self.assertEqual(status, 404, name)
            self.assertNotIn(b"root:", body)
        for name in ("never.cab", ".hidden", "a" * 300, "a%0ab.cab", "a%7f.cab", "%C0%AF.cab"):
            self.assertEqual(self.get(name)[0], 404, name)
        for name in ("..%2f..%2fVERSION", "%2e%2e", "a%00.cab", "a%5cb.cab"):
            self.assertEqual(self.get(name)[0], 400, name)
        self.assertEqual(self.get(self.NAME, folder="00" if self.folder != "00" else "01")[0], 404)
        self.assertEqual(self.get(f"{self.folder}/{self.NAME}", folder="names")[0], 404)

    # holds: WSUSSS-CONTENT-05
    def test_where_a_downstream_server_looks_is_the_plain_port(self):
        """By TLS at port N it asks for files by HTTP at N-1, by HTTP at the same port."""
        template = self.server.ctl("config", "template").stdout
        ports = {name: int(value) for name, value in re.findall(r"^#(https?)\.port = (\d+)$", template, re.M)}
        self.assertEqual(ports["https"] - 1, ports["http"])
        self.assertEqual(self.get(self.NAME)[0], 200)  # harness asks by plain HTTP


class Folders(unittest.TestCase):
    def test_they_may_be_entered_whatever_the_umask_of_who_adds_files(self):
        where, sample = harness.temporary(), harness.sample("--revisions", "300", "--content")
        for command in (("store", "create"), ("update", "import", sample / "updates"), ("content", "add", sample / "content")):
            harness.run(harness.ROOT / "bin/wsusctl", "--store", where / "store", *command, umask=0o077)
        folders = [where / "content", *(p for p in (where / "content").rglob("*") if p.is_dir() and not p.is_symlink())]
        self.assertGreater(len(folders), 100)
        self.assertEqual({p.stat().st_mode & 0o777 for p in folders}, {0o755})


class SelfUpdate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()
        folder = cls.server.state / "selfupdate/WSUS3/x64"
        folder.mkdir(parents=True, exist_ok=True)
        (cls.server.state / "selfupdate/wuident.cab").write_bytes(b"MSCF signed by somebody")
        (folder / "Setup.cab").write_bytes(b"MSCF deeper")

    # holds: WUSP-SELFUPDATE-01 WUSP-SELFUPDATE-02 WUSP-SELFUPDATE-03 WUSP-TRANSPORT-06
    def test_files_are_served_with_head_and_ranges(self):
        self.assertEqual(self.server.http("GET", "/SelfUpdate/wuident.cab")[::2], (200, b"MSCF signed by somebody"))
        status, head, body = self.server.http("HEAD", "/SelfUpdate/wuident.cab")
        self.assertEqual((status, head["content-length"], body), (200, "23", b""))
        status, head, body = self.server.http("GET", "/SelfUpdate/wuident.cab", headers={"Range": "bytes=0-3"})
        self.assertEqual((status, head["content-range"], body), (206, "bytes 0-3/23", b"MSCF"))

    # holds: WUSP-SELFUPDATE-08
    def test_letter_case_and_query_do_not_matter(self):
        for path in ("/selfupdate/WUIDENT.CAB", "/SELFUPDATE/wuident.cab?2611212100", "/selfupdate/wsus3/X64/setup.CAB"):
            status, _, body = self.server.http("GET", path)
            self.assertEqual((status, body[:4]), (200, b"MSCF"), path)

    # holds: WUSP-SELFUPDATE-07
    def test_what_is_missing_is_404_and_no_page(self):
        status, head, body = self.server.http("GET", "/SelfUpdate/iuident.cab")
        self.assertEqual((status, head["content-type"]), (404, "text/plain"))
        self.assertNotIn(b"<", body)


if __name__ == "__main__":
    unittest.main()
