"""test_tls.py -- scripts/tls.sh: the authority stays, certificates follow names and time, an administrator's own is left alone."""
import ssl
import socket
import stat
import unittest

import harness
from harness import ROOT, run, temporary


class Certificates(unittest.TestCase):
    def setUp(self):
        self.keys = temporary()

    def make(self, *names, check=True):
        return run(ROOT / "scripts/tls.sh", self.keys, *names, check=check)

    def file(self, name):
        return (self.keys / name).read_bytes()

    def test_the_same_names_change_nothing(self):
        self.make("a.example.net", "192.0.2.7")
        before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.keys.iterdir()}
        self.make("192.0.2.7", "a.example.net")
        self.assertEqual({p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.keys.iterdir()}, before)

    def test_other_names_make_another_certificate_of_the_same_authority(self):
        self.make("a.example.net")
        authority, certificate = self.file("ca.crt"), self.file("server.crt")
        self.make("b.example.net")
        self.assertEqual(self.file("ca.crt"), authority)
        self.assertNotEqual(self.file("server.crt"), certificate)
        run("openssl", "verify", "-CAfile", self.keys / "ca.crt", "-verify_hostname", "b.example.net", self.keys / "server.crt")
        self.assertNotEqual(run("openssl", "verify", "-CAfile", self.keys / "ca.crt", "-verify_hostname", "a.example.net",
                                self.keys / "server.crt", check=False).returncode, 0)

    def test_a_certificate_near_its_end_is_renewed(self):
        self.make("a.example.net")
        ours = self.file("server.crt")
        request = self.keys / "r.csr"
        run("openssl", "req", "-new", "-key", self.keys / "server.key", "-subj", "/CN=a.example.net", "-out", request)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.keys / "ca.crt", "-CAkey", self.keys / "ca.key", "-set_serial",
            "7", "-days", "5", "-out", self.keys / "server.crt")
        ending = self.file("server.crt")
        self.make("a.example.net")
        self.assertNotIn(self.file("server.crt"), (ours, ending))
        run("openssl", "x509", "-in", self.keys / "server.crt", "-noout", "-checkend", str(86400 * 365))

    def test_an_administrators_own_certificate_is_left_alone(self):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=own.example.net", "-days", "400", "-keyout",
            self.keys / "server.key", "-out", self.keys / "server.crt")
        before = self.file("server.crt"), self.file("server.key")
        self.make("a.example.net")
        self.assertEqual((self.file("server.crt"), self.file("server.key")), before)
        self.assertFalse((self.keys / "ca.key").exists())

    def test_keys_are_private_and_certificates_public(self):
        self.make("a.example.net")
        for name, mode in (("ca.key", 0o600), ("server.key", 0o600), ("ca.crt", 0o644), ("server.crt", 0o644)):
            self.assertEqual(stat.S_IMODE((self.keys / name).stat().st_mode), mode, name)

    def test_nonsense_is_wrong_usage(self):
        self.assertEqual(self.make(check=False).returncode, 2)


class Handshakes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()

    def connect(self, ciphers=None, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(self.server.state / "keys/ca.crt"))
        context.minimum_version, context.maximum_version = low, high
        if ciphers:
            context.set_ciphers(ciphers)
        with socket.create_connection(("127.0.0.1", self.server.tls_port), 10) as s, \
                context.wrap_socket(s, server_hostname="localhost") as t:
            return t.version(), t.cipher()[0]

    def test_what_windows_8_1_and_server_2012_r2_offer_is_enough(self):
        version, cipher = self.connect("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:AES256-SHA",
                                       high=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(version, "TLSv1.2")
        self.assertIn("GCM", cipher)

    def test_tls_1_3_is_there_and_older_than_1_2_is_not(self):
        self.assertEqual(self.connect()[0], "TLSv1.3")
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect("ALL:@SECLEVEL=0", ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)

    def test_no_suite_without_forward_secrecy(self):
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect("AES256-SHA:AES128-SHA:AES128-GCM-SHA256", high=ssl.TLSVersion.TLSv1_2)


class Paths(unittest.TestCase):
    # holds: WUSP-TRANSPORT-08
    def test_services_answer_in_any_letter_case_and_with_doubled_slashes(self):
        server = harness.shared()
        for path in ("/ClientWebService/Client.asmx", "/ClientWebService/client.asmx", "/CLIENTWEBSERVICE/CLIENT.ASMX",
                     "//clientwebservice//client.asmx", "/ClientWebService/Client.asmx?WSDL"):
            status, _, body = server.post(harness.CLIENT, "GetConfig", "<protocolVersion>2.90</protocolVersion>", path=path)
            self.assertEqual(status, 200, path)
            self.assertIn(b"<GetConfigResult>", body)
        for path in ("/simpleauthwebservice/simpleauth.asmx", "//SimpleAuthWebService/SimpleAuth.asmx"):
            status, _, body = server.post(harness.AUTH, "GetAuthorizationCookie",
                                          "<clientId>6f9619ff-8b86-d011-b42d-00c04fc964ff</clientId>"
                                          "<dnsName>case.example.net</dnsName>", path=path)
            self.assertEqual(status, 200, path)
        for path in ("/ClientWebService/Client.asmx/x", "/ClientWebService/", "/x/ClientWebService/Client.asmx"):
            self.assertEqual(server.post(harness.CLIENT, "GetConfig", "", path=path)[0], 404, path)


if __name__ == "__main__":
    unittest.main()
