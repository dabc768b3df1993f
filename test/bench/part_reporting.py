"""part_reporting.py -- reports a second, acknowledged once they are on disk; and what a hundred thousand computers cost.

A batch is answered with true when its transaction is on disk, so that the disk is the first floor: bare fsyncs of a page, and bare
commits of one row, a second.  The other one is the program that takes the same bytes and writes nothing.  Fleets are filled by b_fleet through the store's own verbs."""
import datetime
import http.client
import json
import re
import statistics

from machine import B, BIN, bare, say, spread, timed
from harness import Computer, temporary
from report import kb, mb, ms, number, ranged, section, table, target, times
from rounds import load
from servers import Floor
import record

TITLE = "Reports of computers"
CONNECTIONS = (1, 4, 16)
SENDERS = 16
LISTED = 2000        # updates that a computer lists
FLEETS, QUICK_FLEETS = (1000, 100000), (300,)
PATH = "/ReportingWebService/ReportingWebService.asmx"
ACTION = "http://www.microsoft.com/SoftwareDistribution/ReportEventBatch"
NOBODY = "00000000-0000-0000-0000-000000000000"


# ---- what computers send (a native client's form) ----

def event(number, update=None, misc=(), strings=(), hresult=0):
    """One ReportingEvent; b_load gives it its id and time."""
    strings = "".join(f"<string>{s}</string>" for s in strings)
    misc = "".join(f"<string>{s}</string>" for s in ("A=0", "G=10.0.26100.1", "K=Bench BIOS", "L=2026-01-01T00:00:00Z", *misc))
    return ("<ReportingEvent><BasicData><TargetID><Sid>SID</Sid></TargetID><SequenceNumber>0</SequenceNumber>"
            "<TimeAtTarget>2026-01-01T00:00:00.000Z</TimeAtTarget><EventInstanceID>" + NOBODY + "</EventInstanceID>"
            f"<NamespaceID>1</NamespaceID><EventID>{number}</EventID><SourceID>101</SourceID><UpdateID><UpdateID>{update or NOBODY}</UpdateID>"
            f"<RevisionNumber>{200 if update else 0}</RevisionNumber></UpdateID><Win32HResult>{hresult}</Win32HResult><AppName>bench</AppName>"
            f"</BasicData><ExtendedData><ReplacementStrings>{strings}</ReplacementStrings><MiscData>{misc}</MiscData>"
            "<ComputerBrand>Example</ComputerBrand><ComputerModel>Bench 1</ComputerModel><BiosRevision>1.0</BiosRevision>"
            "<ProcessorArchitecture>Amd64Compatible</ProcessorArchitecture><OSVersion><Major>10</Major><Minor>0</Minor><Build>26200</Build>"
            "<Revision>65792</Revision><ServicePackMajor>0</ServicePackMajor><ServicePackMinor>0</ServicePackMinor></OSVersion>"
            "<OSLocaleID>1033</OSLocaleID></ExtendedData><PrivateData /></ReportingEvent>")


def lists(updates, letter):
    return f"{letter}=" + ";".join(u.upper() for u in updates)


def kinds(updates):
    """{name: batches of a walk}: what comes after a scan that found nothing new, one after which all is other than before, and what
    an installation tells."""
    detected = event(147, strings=["12"])
    return {f"147, 156 of {len(updates):,} unchanged": [detected + event(156, misc=[lists(updates, "U")])],
            f"156 that changes {len(updates):,}": [event(156, misc=[lists(updates, letter)]) for letter in "UV"],
            "181 and 182, or 183": [event(181, updates[0]) + event(done, updates[0], strings=["80070643", "An update"], hresult=result)
                                    for done, result in ((182, -2147023293), (183, 0))]}


class Sender:
    """Posts batches once, so that there are answers for the floor."""

    def __init__(self, server):
        self.port = server.port
        self.computers = [Computer(server, name=f"sender-{n:02}.example.net").handshake() for n in range(SENDERS)]
        self.cookies = temporary("wsus-cookies-") / "cookies"
        self.cookies.write_text("\n".join(c.cookie[1] for c in self.computers))

    def call(self, events):
        cookie = self.computers[0].cookie
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        # many computers send it, and an event that names another computer than its sender is forgotten
        events = events.replace("<TargetID><Sid>SID</Sid></TargetID>", "")
        body = ('<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><ReportEventBatch '
                'xmlns="http://www.microsoft.com/SoftwareDistribution"><cookie>'
                f"<Expiration>{cookie[0]}</Expiration><EncryptedData>{cookie[1]}</EncryptedData></cookie><clientTime>{now}</clientTime>"
                f"<eventBatch>{events}</eventBatch></ReportEventBatch></s:Body></s:Envelope>").encode()
        headers = [("Host", f"127.0.0.1:{self.port}"), ("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", f'"{ACTION}"'),
                   ("Content-Length", str(len(body)))]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", PATH, body, dict(headers))
        answer = connection.getresponse()
        reply = answer.read()
        connection.close()
        if answer.status != 200 or b">true<" not in reply:
            raise SystemExit(f"a report was answered with {answer.status}: {reply[:500]!r}")
        return record.Call(PATH, headers, body, answer, reply)


# ---- rates ----

def one_round(server, floor, calls, connections, options, cookies):
    asked = floor.requests(calls)
    more = ["-e", "-a", options.answers, "-C", cookies]
    return {"server": load(server.port, asked, connections, options.seconds, *more),
            "floor": load(floor.port, asked, connections, options.seconds, "-q", *more),
            **{f"{k}_ms": v for k, v in bare(server.state).items() if k in ("fsync", "commit")}}


def rate_of(name, connections, calls, rounds):
    out = {"case": f"{name}, {connections} connections", "kind": name, "connections": connections,
           "request_bytes": statistics.mean(len(c.request) for c in calls), **{k: spread([r[k] for r in rounds]) for k in ("fsync_ms", "commit_ms")}}
    for who in ("server", "floor"):
        of = [r[who] for r in rounds]
        out[who] = {"per_second": spread([o["rate"] for o in of]), **{k: spread([o[k] for o in of]) for k in ("p50_us", "p99_us")},
                    "max_us": max(o["longest_wait_us"] for o in of), "errors": sum(o["errors"] for o in of),
                    "first_error": next((o["first_error"] for o in of if o["errors"]), None)}
    out["ratio_to_floor"] = spread([r["server"]["rate"] / r["floor"]["rate"] for r in rounds])
    for k in ("fsync", "commit"):
        out[f"ratio_to_{k}"] = spread([r["server"]["rate"] * r[f"{k}_ms"] / 1000 for r in rounds])
    return out


def rates(catalog, options):
    sender = Sender(catalog.server)
    calls = {name: [sender.call(b) for b in batches] for name, batches in kinds(catalog.updates[:LISTED]).items()}
    found = {(name, n): [] for name in calls for n in CONNECTIONS}
    with Floor(catalog.server, [c for of in calls.values() for c in of]) as floor:
        for n in range(options.rounds):
            say(f"reporting: round {n + 1} of {options.rounds}")
            for (name, connections), rounds in found.items():
                rounds.append(one_round(catalog.server, floor, calls[name], connections, options, sender.cookies))
    return [rate_of(name, connections, calls[name], rounds) for (name, connections), rounds in found.items()]


# ---- growth ----

def commands(catalog, computer):
    update = catalog.updates[0]
    return {"report summary": (), "report updates": (), "report computers": (), f"report computer {computer}": (),
            f"report update {update}": (), "report group": ("fleet 001",), "computer list --failed": (), "computer list --needing-any": (),
            f"explain {computer} {update}": ()}


def command_ms(server, words, more, rounds):
    """Median of milliseconds, the largest private memory, bytes of the answer; None: there is no such command."""
    took = []
    for _ in range(rounds):
        line = [BIN / "wsusctl", "--store", server.state / "store", *words.split(), *more]
        seconds, peak, text = timed(*line, check=False)
        if "usage" in text[:200].lower() or "no command" in text[:200] or "unknown" in text[:80]:
            return None
        took.append((seconds * 1000, peak, len(text)))
    return {"ms": spread([t[0] for t in took]), "private_kb": max(t[1] for t in took), "bytes": took[0][2]}


def fleet_bytes(server):
    return sum(f.stat().st_blocks * 512 for f in (server.state / "store/fleet").iterdir())


def first_of_fleet(server):
    text = server.ctl("computer", "list", "--json").stdout
    return next(c["id"] for c in json.loads(text) if c.get("name", c.get("dns_name", "")).startswith("pc"))


def fill(catalog, there, wanted):
    needed = min(LISTED, len(catalog.updates))
    say(f"reporting: {wanted:,} computers that need {needed:,} updates each")
    begun = timed(B / "b_fleet", "-f", there + 1, "-n", wanted - there, "-u", needed + needed // 4, "-m", needed, catalog.server.state / "store")
    return begun[0]


def growth(catalog, options, there, wanted):
    server = catalog.server
    seconds = fill(catalog, there, wanted)
    computer = first_of_fleet(server)
    rounds = min(options.rounds, 3)
    out = {"revisions": catalog.revisions, "computers": wanted, "filled_per_second": (wanted - there) / seconds,
           "fleet_bytes": fleet_bytes(server), "rates": rates(catalog, options),
           "commands": {re.sub(r" [0-9a-f-]{36}", "", words): command_ms(server, words, more, rounds)
                        for words, more in commands(catalog, computer).items()}}
    return out


def measure(bench):
    catalog, there, out = bench.catalogs[-1], 0, []
    for wanted in QUICK_FLEETS if bench.quick else FLEETS:
        out.append(growth(catalog, bench.options, there, wanted))
        there = wanted
    return out


def cases_in(result):
    return [rate for fleet in result for rate in fleet["rates"]]


# ---- for people ----

HEAD = ["computers", "batch", "KB", "connections", "per second", "bare fsyncs/s", "of them", "bare commits/s", "of them", "FastCGI floor", "of the floor", "p50 ms", "p99",
        "max", "errors"]


def row(fleet, r):
    s, f = r["server"], r["floor"]
    return [f"{fleet['computers']:,}", r["kind"], kb(r["request_bytes"]), str(r["connections"]), ranged(s["per_second"]),
            number(1000 / r["fsync_ms"]["median"]), ranged(r["ratio_to_fsync"], times),
            number(1000 / r["commit_ms"]["median"]), ranged(r["ratio_to_commit"], times), number(f["per_second"]["median"]),
            ranged(r["ratio_to_floor"], times), ms(s["p50_us"]["median"]), ms(s["p99_us"]["median"]), ms(s["max_us"]),
            str(s["errors"] + f["errors"])]


COMMAND_HEAD = ["computers", "fleet/ MB", "KB each", "command", "ms", "peak private MB", "answer KB"]


def command_rows(fleet):
    for name, c in fleet["commands"].items():
        yield [f"{fleet['computers']:,}", mb(fleet["fleet_bytes"]), kb(fleet["fleet_bytes"] / fleet["computers"]), name,
               *([ranged(c["ms"]), kb(c["private_kb"]), kb(c["bytes"])] if c else ["missing", "", ""])]


def report(result):
    return [section(TITLE, table(HEAD, [row(fleet, r) for fleet in result for r in fleet["rates"]])),
            section("Commands about many computers", table(COMMAND_HEAD, [r for fleet in result for r in command_rows(fleet)]))]


def targets(result):
    last = result[-1]
    for name, c in last["commands"].items():
        if c:
            yield target(f"{name} of {last['computers']:,} computers", 1000, c["ms"]["median"], form=number, unit=" ms")
