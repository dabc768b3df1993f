"""record.py -- real requests with their answers, as files that b_load sends again and b_floor answers.

A proxy between wsus-probe and a server: what the probe sends is what computers send, and the server's own answers are
what the floor must send.  For each call of one walk:
  NNN.req   the request, head and body, as it went over the wire
  NNN.head  header lines of the answer that the service wrote
  NNN.body  its body, packed as it came
"""
import contextlib
import functools
import http.client
import http.server
import pathlib
import threading

from harness import unpress

NGINX = {"date", "server", "connection", "content-length", "transfer-encoding", "keep-alive"}


class Call:
    """One request and its answer."""

    def __init__(self, path, headers, body, answer, reply):
        self.path = path
        self.operation = next((v for k, v in headers if k.lower() == "soapaction"), "").strip('"').rpartition("/")[2]
        lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers)]
        self.request = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
        self.status = answer.status
        self.packed = answer.getheader("Content-Encoding") == "xpress"
        self.head = "".join(f"{k}: {v}\r\n" for k, v in answer.getheaders() if k.lower() not in NGINX).encode("latin-1")
        self.reply = reply

    @functools.cached_property
    def content(self):
        """(bytes, new updates) of the answer, unpacked."""
        text = unpress(self.reply) if self.packed else self.reply
        return len(text), text.count(b"<UpdateInfo>")

    def save(self, directory, number):
        directory.mkdir(parents=True, exist_ok=True)
        for kind, data in (("req", self.request), ("head", self.head), ("body", self.reply)):
            (directory / f"{number:03}.{kind}").write_bytes(data)


def handler(port, calls):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = [(k, f"127.0.0.1:{port}" if k.lower() == "host" else v) for k, v in self.headers.items()]
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            upstream.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            reply = answer.read()
            upstream.close()
            calls.append(Call(self.path, headers, body, answer, reply))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in NGINX:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def recording(port):
    """(URL of the proxy, list of the calls that went through it)."""
    calls = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(port, calls))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def save(calls, directory):
    for number, call in enumerate(calls):
        call.save(pathlib.Path(directory), number)
