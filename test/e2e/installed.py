"""installed.py -- an installation below a directory of its own, and what systemd would do with its units.

Nothing outside the directory is touched: the units' user is replaced by one that every machine has, their sockets are
opened here and handed over as file descriptor 0, which is what StandardInput=socket means.
"""
import contextlib
import grp
import os
import pwd
import re
import signal
import socket
import struct
import subprocess

import harness
from harness import ROOT, free_ports, run, temporary, wait_for

USER, GROUP = "daemon", "daemon"

# As Debian's, with places of our own and another site's compression.
NGINX = """
user www-data;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 768; }}
http {{
	sendfile on;
	include /etc/nginx/mime.types;
	default_type text/html;
	ssl_protocols TLSv1.2 TLSv1.3;
	access_log {root}/access.log;
	gzip on;
	gzip_min_length 1;
	gzip_types text/xml text/plain application/octet-stream;
	client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;
	uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;
	include {root}/etc/nginx/conf.d/*.conf;
}}
"""


class Installation:
    """make install with every directory below one, and setup.sh from there."""

    def __init__(self):
        self.root = temporary()
        self.state = self.root / "var/lib/wsus-fcgi"
        self.etc = self.root / "etc/wsus-fcgi"
        self.run_dir = self.root / "run/wsus-fcgi"
        self.libexec = self.root / "usr/lib/wsus-fcgi"
        self.units = self.root / "usr/lib/systemd/system"
        self.conf = self.etc / "wsus.conf"
        self.nginx = self.root / "etc/nginx"
        self.dropins = self.root / "etc/systemd/system"
        run("make", "-s", "-C", ROOT, "install", f"BUILD={ROOT}/build", f"RENDERED={self.root}/rendered", f"prefix={self.root}/usr",
            f"sysconfdir={self.root}/etc", f"localstatedir={self.root}/var", f"runstatedir={self.root}/run",
            f"user={USER}", f"group={GROUP}")
        self.port, self.tls_port = free_ports()
        self.set_up_nginx()
        self.set(listen="127.0.0.1", names="wsus.example.net", http_port=self.port, https_port=self.tls_port)
        self.first = self.setup()

    def set_up_nginx(self):
        """There is none, unless a test has one."""

    def setup(self, **kw):
        return run(self.root / "usr/sbin/wsus-setup", env=os.environ | {"WSUS_NGINX_PID": str(self.root / "nginx.pid")}, **kw)

    def set(self, **settings):
        """Lines of the configuration file, http_port for http.port; None takes one away."""
        if not self.conf.exists():
            self.etc.mkdir(parents=True, exist_ok=True)
            self.conf.write_text((self.root / "usr/share/wsus-fcgi/wsus.conf").read_text())
        lines = self.conf.read_text().splitlines()
        for name, value in settings.items():
            name = name.replace("_", ".") if "port" in name else name.replace("_", "-")
            lines = [line for line in lines if not line.startswith(f"{name} =")] + ([] if value is None else [f"{name} = {value}"])
        self.conf.write_text("\n".join(lines) + "\n")

    def ctl(self, *arguments, **kw):
        return run(self.root / "usr/bin/wsusctl", *arguments, env=os.environ | {"WSUS_CONF": str(self.conf)}, **kw)

    def unit(self, name):
        """The settings of a unit: the last value of each, but a list for what adds up."""
        text = (self.units / name).read_text()
        with contextlib.suppress(FileNotFoundError):
            text += (self.dropins / f"{name}.d/wsus-conf.conf").read_text()
        return dict(re.findall(r"^([A-Za-z]+)=(.*)$", text, re.M))

    def job(self, name, before=(), **environment):
        """One run of a job as its unit starts it: the same user, group, capabilities and mask; `before` is what starts it."""
        unit = self.unit(f"wsus-{name}.service")
        capabilities = ["-all", *("+" + c.removeprefix("CAP_").lower() for c in unit["CapabilityBoundingSet"].split())]
        confined = ["--no-new-privs"] if unit["NoNewPrivileges"] == "yes" else []
        return run(*before, "setpriv", f"--reuid={unit['User']}", f"--regid={GROUP}", "--clear-groups",
                   f"--bounding-set={','.join(capabilities)}", "--inh-caps=-all", *confined, "sh", "-c",
                   f"umask {unit['UMask']}; exec \"$@\"", "sh", *unit["ExecStart"].split(),
                   check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment})

    @contextlib.contextmanager
    def service(self, name, workers=2):
        """The service as its unit says, on its socket, until the end of the block."""
        unit = self.unit(f"wsus-{name}.service")
        self.run_dir.mkdir(parents=True, exist_ok=True)
        path = self.run_dir / f"{name}.sock"
        with socket.socket(socket.AF_UNIX) as listening:
            path.unlink(missing_ok=True)
            listening.bind(str(path))
            path.chmod(int(self.unit(f"wsus-{name}.socket")["SocketMode"], 8))
            with contextlib.suppress(KeyError):
                os.chown(path, 0, grp.getgrnam("www-data").gr_gid)
            listening.listen(1024)
            log = open(self.root / f"{name}.log", "ab")
            process = subprocess.Popen(
                unit["ExecStart"].split() + ["-w", str(workers)], stdin=listening, stdout=log, stderr=log,
                cwd=unit["WorkingDirectory"], user=pwd.getpwnam(USER).pw_uid, group=grp.getgrnam(GROUP).gr_gid,
                extra_groups=[], umask=int(unit["UMask"], 8), env={"PATH": "/usr/bin:/bin"})
        try:
            wait_for(lambda: " workers on stdin" in self.log(name) or process.poll() is not None, what=f"wsus-{name}")
            yield process
        finally:
            process.terminate()
            process.wait(20)
            log.close()

    def log(self, name):
        return (self.root / f"{name}.log").read_text()

    def post(self, ns, operation, inner, xpress=False):
        """As harness.Instance.post(), but straight to the service's socket."""
        name = {harness.CLIENT: "client", harness.AUTH: "auth"}[ns]
        body = (f'<s:Envelope xmlns:s="{harness.SOAP}"><s:Body><{operation} xmlns="{ns}">{inner}</{operation}>'
                f"</s:Body></s:Envelope>").encode()
        answer = fastcgi(self.run_dir / f"{name}.sock", {
            "REQUEST_METHOD": "POST", "SCRIPT_NAME": harness.PATHS[ns], "CONTENT_TYPE": "text/xml; charset=utf-8",
            "CONTENT_LENGTH": str(len(body)), "HTTP_SOAPACTION": f'"{ns}/{operation}"', "REMOTE_ADDR": "192.0.2.1"}, body)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = re.search(rb"^Status: (\d+)", head, re.M)
        return int(status[1]) if status else 200, {}, body


class Beside(Installation):
    """Installed beside an nginx with a site, which the set-up joins by itself."""

    def __init__(self, site=""):
        self.site = site
        super().__init__()

    def set_up_nginx(self):
        (self.nginx / "conf.d").mkdir(parents=True)
        (self.nginx / "nginx.conf").write_text(NGINX.format(root=self.root))
        (self.nginx / "conf.d/other.conf").write_text(self.site)

    @contextlib.contextmanager
    def served(self):
        """Gives what `nginx -t` says, and runs nginx if that is good."""
        command = ["nginx", "-c", self.nginx / "nginx.conf", "-e", self.root / "error.log"]
        tested = run(*command, "-t", check=False)
        if tested.returncode == 0:
            run(*command)
        try:
            yield tested
        finally:
            if tested.returncode == 0:
                os.kill(int((self.root / "nginx.pid").read_text()), signal.SIGTERM)
                wait_for(lambda: not (self.root / "nginx.pid").exists(), what="the end of nginx")


    def end_soon(self):
        """The certificate in the place of the server's: of the same key and authority, good for two days."""
        tls = self.etc / "tls"
        (self.root / "ext").write_text("subjectAltName=DNS:wsus.example.net\n")
        run("openssl", "req", "-new", "-key", tls / "server.key", "-subj", "/CN=ends soon", "-out", self.root / "csr")
        run("openssl", "x509", "-req", "-in", self.root / "csr", "-CA", tls / "ca.crt", "-CAkey", tls / "ca.key",
            "-extfile", self.root / "ext", "-days", "2", "-out", (tls / "server.crt").resolve())

    def renew(self, before=()):
        """The job as its unit starts it; the machine's nginx is the one of this directory."""
        fake = self.root / "fake"
        fake.mkdir(exist_ok=True)
        (fake / "nginx").write_text(f'#!/bin/sh\nexec /usr/sbin/nginx -c {self.nginx}/nginx.conf -e stderr "$@"\n')
        (fake / "nginx").chmod(0o755)
        return self.job("certificate", before, PATH=f"{fake}:/usr/bin:/bin", WSUS_NGINX_PID=str(self.root / "nginx.pid"))


def record(kind, content):
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def sized(text):
    """A length of a FastCGI parameter in its four-byte form, which is always allowed."""
    return struct.pack(">I", len(text.encode()) | 1 << 31)


def fastcgi(path, parameters, body):
    """One request; all of standard output."""
    pairs = b"".join(sized(k) + sized(v) + k.encode() + v.encode() for k, v in parameters.items())
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(str(path))
        s.sendall(record(1, struct.pack(">HB5x", 1, 0)) + record(4, pairs) + record(4, b"") +
                  (record(5, body) if body else b"") + record(5, b""))
        with s.makefile("rb") as answer:
            return read_answer(answer)


def read_answer(stream):
    out = b""
    while header := stream.read(8):
        _, kind, _, length, padding = struct.unpack(">BBHHBx", header)
        content = stream.read(length + padding)[:length]
        if kind == 6:
            out += content
        elif kind == 3:
            break
    return out
