#!/usr/bin/python3
"""make.py -- makes a sample of a store with the programs of a built tree, to be kept when the format of the store changes.
    make.py ROOT OUT.tar.gz     ROOT: a tree of the last commit of that format, after make and make tests
The archive holds catalog/data.mdb, fleet/data.mdb and expected.json: what those programs answered about it.
"""
import io
import json
import pathlib
import re
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness
from harness import Computer, Instance
from test_report import Reporter, event, status


def answers(server, computer):
    """What a later version must answer, too."""
    ctl = server.ctl_json
    computer.scan()
    return {
        "updates": sorted((r["id"], r["state"]) for r in ctl("update", "list", "--all")),
        "groups": sorted(r["name"] for r in ctl("group", "list")),
        "computers": sorted((r["id"], r["name"], r["groups"]) for r in ctl("computer", "list")),
        "counts": {k: ctl("store", "stat")[k] for k in ("server_id", "generation", "revisions", "declined", "deployments", "files")},
        "languages": server.ctl("config", "get", "sync.languages").stdout,
        "downstream": sorted((r["id"], r["name"], r["state"]) for r in ctl("downstream", "list")),
        "offered": {i: action for i, (_, action) in computer.offered().items()},
        "numbers": sorted(computer.known),
        "reports": reports(server),
    }


COMPUTER = ("id", "needed", "failed", "installed", "pending_restart", "last_sync", "last_sync_at")
SUMMARY = ("computers", "computers_needing", "computers_failed", "computers_reported", "updates_failed", "updates_needed")


def reports(server):
    """What is counted of what computers reported."""
    summary = server.ctl_json("report", "summary")
    return {
        "computers": sorted([r[k] for k in COMPUTER] for r in server.ctl_json("report", "computers")),
        "summary": [summary[k] for k in SUMMARY],
    }


def keep_few(folder, n=15):
    """All that others refer to, and the first few of the rest, so that the sample stays small."""
    rest = [p for p in sorted(folder.rglob("*.xml")) if not re.search(rb'UpdateType="(Category|Detectoid)"', p.read_bytes())]
    for path in rest[n:]:
        path.unlink()


def main(root, out):
    documents = harness.temporary() / "sample"
    harness.run(pathlib.Path(root) / "build/test/make-catalog", "--revisions", "300", "--languages", "2", "--out", documents)
    keep_few(documents / "updates")
    with Instance("none", root=root) as server:
        server.ctl("update", "import", documents / "updates")
        server.ctl("group", "create", "Pilot ring")
        server.ctl("group", "create", "Inner", "--parent", "Pilot ring")
        computer = Reporter(server, id="5a3d1e00-0000-4000-8000-000000000001", name="first.example.net").handshake()
        Computer(server, id="5a3d1e00-0000-4000-8000-000000000002", name="second.example.net").handshake()
        server.ctl("computer", "assign", computer.id, "--group", "Inner")
        offered = sorted(r["id"] for r in server.ctl_json("update", "list", "--type", "software") if r["state"] == "offered")
        server.ctl("approve", offered[0], "--group", "Pilot ring")
        server.ctl("approve", offered[1], "--group", "All Computers", "--action", "detect", check=False)
        server.ctl("decline", offered[2])
        computer.report(status(5, needed=offered[3:6], installed=offered[6:7]), event(147, 4),
                        event(182, 3, update=offered[3], hresult=-2147012894))
        server.ctl("config", "set", "sync.languages", "en,de")
        server.ctl("downstream", "approve", "5a3d1e00-0000-4000-8000-0000000000d1", "--name", "branch.example.net")
        server.ctl("downstream", "block", "5a3d1e00-0000-4000-8000-0000000000d2", "--name", "stranger.example.net")
        expected = answers(server, computer)
    with tarfile.open(out, "w:gz") as archive:
        for part in ("catalog", "fleet"):
            archive.add(server.state / "store" / part / "data.mdb", f"{part}/data.mdb")
        text = json.dumps(expected, indent=1).encode()
        info = tarfile.TarInfo("expected.json")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))


if __name__ == "__main__":
    main(*sys.argv[1:])
