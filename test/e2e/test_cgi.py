"""test_cgi.py -- each service answers one request as a plain CGI program, and below fcgiwrap."""
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import unittest

import harness
from harness import AUTH, CLIENT, ROOT, temporary

CASES = {
    "auth": (AUTH, "/SimpleAuthWebService/SimpleAuth.asmx", "GetAuthorizationCookie",
             "<clientId>6f9619ff-8b86-d011-b42d-00c04fc964ff</clientId><dnsName>cgi.example.net</dnsName>", b"<CookieData>"),
    "client": (CLIENT, "/ClientWebService/client.asmx", "GetConfig", "<protocolVersion>2.90</protocolVersion>",
               b"<GetConfigResult>"),
}


def split(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    rows = (line.split(":", 1) for line in head.decode().splitlines() if ":" in line)
    return {k.strip().lower(): v.strip() for k, v in rows}, body


class Cgi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.shared()

    def environment(self, path, body, method="POST", **more):
        return {"PATH": os.environ["PATH"], "REQUEST_METHOD": method, "SCRIPT_NAME": path, "QUERY_STRING": "",
                "CONTENT_TYPE": "text/xml; charset=utf-8", "CONTENT_LENGTH": str(len(body)), "SERVER_NAME": "cgi.example.net",
                "SERVER_PORT": "80", "HTTP_HOST": "cgi.example.net", "REQUEST_SCHEME": "http", "REMOTE_ADDR": "127.0.0.1",
                "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1"} | more

    def command(self, part):
        if part == "content":
            return [str(ROOT / "bin/wsus-content"), "-U", str(self.server.state / "selfupdate")]
        return [str(ROOT / f"bin/wsus-{part}"), "-S", str(self.server.state / "store"),
                "-K", str(self.server.state / "keys/master")]

    def test_one_soap_request_each(self):
        for part, (ns, path, operation, inner, wanted) in CASES.items():
            body = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}></s:Body>'
                    "</s:Envelope>").encode()
            done = subprocess.run(self.command(part), input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                                  env=self.environment(path, body, HTTP_SOAPACTION=f'"{ns}/{operation}"'))
            self.assertEqual(done.returncode, 0, done.stderr)
            head, answer = split(done.stdout)
            self.assertIn(head.get("status", "200").split()[0], ("200",), part)
            self.assertEqual(head["content-type"], "text/xml; charset=utf-8")
            self.assertIn(wanted, answer)
            self.assertEqual(int(head.get("content-length", len(answer))), len(answer))

    def test_a_fault_has_status_500(self):
        body = b"this is no XML"
        done = subprocess.run(self.command("client"), input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              env=self.environment("/ClientWebService/client.asmx", body))
        head, answer = split(done.stdout)
        self.assertEqual(head["status"].split()[0], "500")
        self.assertEqual(harness.fault_code(answer), "")

    def test_content_names_the_internal_place(self):
        file = next((self.server.state / "content").glob("[0-9A-F][0-9A-F]/*"))
        done = subprocess.run(self.command("content"), input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              cwd=self.server.state, env=self.environment(f"/content/{file.name[-2:].lower()}/{file.name.lower()}.cab",
                                                                          b"", "GET"))
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _ = split(done.stdout)
        self.assertEqual(head["x-accel-redirect"], f"/_content/{file.name[-2:]}/{file.name}")

    @unittest.skipUnless(shutil.which("fcgiwrap"), "fcgiwrap is missing")
    def test_below_fcgiwrap(self):
        ns, path, operation, inner, wanted = CASES["client"]
        folder = temporary()
        script = folder / "client.cgi"
        script.write_text("#!/bin/sh\nexec " + " ".join(self.command("client")) + "\n")
        script.chmod(0o755)
        sock = folder / "wrap.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(sock))
        listener.listen(8)
        process = subprocess.Popen(["fcgiwrap", "-c", "1"], stdin=listener, stderr=subprocess.PIPE)
        try:
            body = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}></s:Body>'
                    "</s:Envelope>").encode()
            answer = fastcgi(sock, self.environment(path, body, SCRIPT_FILENAME=str(script)), body)
        finally:
            process.terminate()
            process.wait(10)
            process.stderr.close()
            listener.close()
        head, text = split(answer)
        self.assertIn(wanted, text)
        self.assertEqual(head["content-type"], "text/xml; charset=utf-8")


def fastcgi(sock, parameters, body):
    """STDOUT of one FastCGI request."""
    def record(kind, data):
        return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data

    def size(n):
        return struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 0x80000000)
    pairs = b"".join(size(len(k)) + size(len(v)) + k + v for k, v in ((k.encode(), v.encode()) for k, v in parameters.items()))
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(sock))
        s.sendall(record(1, struct.pack(">HB5x", 1, 0)) + record(4, pairs) + record(4, b"") + record(5, body) + record(5, b""))
        data = b""
        while piece := s.recv(65536):
            data += piece
    out, at = b"", 0
    while at + 8 <= len(data):
        _, kind, _, n, pad, _ = struct.unpack_from(">BBHHBB", data, at)
        if kind == 6:
            out += data[at + 8:at + 8 + n]
        at += 8 + n + pad
    return out


if __name__ == "__main__":
    unittest.main()
