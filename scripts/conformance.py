"""conformance.py -- the work behind conformance.sh.

Sources: the rules (id, level, section) of the two catalogues; the markers in test/; the table doc/conformance.tsv,
one row a rule: id, level, section, state, test, note.

state  held    a test would fail if the rule were broken: its marker says "holds: ID"
       partly  likewise for a part of the rule: "partly: ID (what is left out)"
       open    no test says so yet
       na      the rule asks nothing of this program; the note begins with one of REASONS and a colon
test   where the markers stand: path:function,function or the path of a case folder
note   for "partly" what the markers leave out, otherwise whatever somebody wrote there
"""
import collections
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SPEC = pathlib.Path(os.environ.get("WSUS_SPEC") or ROOT / "../shared/spec")
TABLE = ROOT / "doc/conformance.tsv"
CATALOGUES = ("wusp-rules.md", "wsusss-rules.md")
COLUMNS = ("id", "level", "section", "state", "test", "note")

# Why a rule may be "na"; a MUST only for the reasons marked True.
REASONS = {
    "peer": True,         # it binds the client or the other server
    "definition": True,   # it explains a term or a fact; another rule carries the behaviour
    "platform": True,     # TCP, TLS or the operating system does it; nothing of ours could break it
    "overridden": True,   # decided otherwise for real clients' sake; the decided form is another row's
    "not taken": False,   # an option of the protocol that we do not use
}

RULE = re.compile(r"^- ((?:WUSP|WSUSSS)(?:-[A-Z0-9]+)*-\d+) \[(MUST|SHOULD|MAY)\] (\(.*)")
ID = re.compile(r"\b(?:WUSP|WSUSSS)(?:-[A-Z][A-Z0-9]*)+-\d+\b")
MARKER = re.compile(r"\b(holds|partly):\s*((?:.|\n)*)")
C_FUNCTION = re.compile(r"^(?:static\s+)?(?:void|int)\s+(\w+)\s*\(")
PY_FUNCTION = re.compile(r"^\s*def\s+(\w+)\s*\(")


def balanced(text):
    """The inside of the parenthesis that text begins with."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return text[1:i]
    return text[1:]


def read_catalogues():
    rules = {}
    missing = []
    for name in CATALOGUES:
        path = SPEC / name
        if not path.exists():
            missing.append(str(path))
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            m = RULE.match(line)
            if m:
                rules[m[1]] = (m[2], balanced(m[3]))
    return rules, missing


class Markers:
    """What the tests claim: id -> [(kind, place, why)]."""

    def __init__(self):
        self.claims = collections.defaultdict(list)
        self.faults = []

    def add(self, text, place):
        """One comment, without its decoration.  Several markers may follow each other in it."""
        parts = re.split(r"\b(holds|partly):", text)
        for kind, body in zip(parts[1::2], parts[2::2]):
            ids = list(ID.finditer(body))
            if not ids:
                self.faults.append(f"{place}: a marker \"{kind}:\" without a rule")
            for i, m in enumerate(ids):
                end = ids[i + 1].start() if i + 1 < len(ids) else len(body)
                rest = body[m.end():end].strip(" ,;\n")
                why = balanced(rest) if rest.startswith("(") else ""
                if kind == "partly" and not why:
                    # one reason after the last id may speak for all of them
                    last = body[ids[-1].end():].strip(" ,;\n")
                    why = balanced(last) if last.startswith("(") else ""
                if kind == "partly" and not why:
                    self.faults.append(f"{place}: partly {m[0]} without (what is left out)")
                self.claims[m[0]].append((kind, place, " ".join(why.split())))

    def read_c(self, path, name):
        text = path.read_text(encoding="utf-8")
        for m in re.finditer(r"/\*((?:.|\n)*?)\*/", text):
            if not re.search(r"\b(holds|partly):\s", m[1]):
                continue
            after = text[m.end():].lstrip()
            function = C_FUNCTION.match(after)
            line = text.count("\n", 0, m.start()) + 1
            body = re.sub(r"\n\s*\*", "\n", m[1])
            if function:
                self.add(body, f"{name}:{function[1]}")
            elif after.startswith("/*"):
                # several comments above one function
                rest = re.sub(r"^(?:/\*(?:.|\n)*?\*/\s*)+", "", after)
                function = C_FUNCTION.match(rest)
                self.add(body, f"{name}:{function[1]}" if function else f"{name}:{line}")
            else:
                self.faults.append(f"{name}:{line}: a marker that stands above no test function")

    def read_py(self, path, name):
        block = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            comment = re.match(r"^\s*#\s?(.*)", line)
            if comment:
                block.append(comment[1])
                continue
            text = "\n".join(block)
            block = [] if line.strip() and not line.strip().startswith("@") else block
            if not re.search(r"\b(holds|partly):\s", text):
                continue
            function = PY_FUNCTION.match(line)
            if function:
                self.add(text, f"{name}:{function[1]}")
            elif line.strip() and not line.strip().startswith("@"):
                self.faults.append(f"{name}:{number - 1}: a marker that stands above no test function")

    def read_tests(self):
        for path in sorted((ROOT / "test").rglob("*")):
            name = str(path.relative_to(ROOT))
            if not path.is_file() or "__pycache__" in name:
                continue
            if path.suffix in (".c", ".h"):
                self.read_c(path, name)
            elif path.suffix == ".py":
                self.read_py(path, name)
            elif path.suffix == ".sh" or path.name == "rules":
                text = path.read_text(encoding="utf-8")
                lines = [re.sub(r"^\s*#\s?", "", t) for t in text.splitlines() if path.name == "rules" or t.lstrip().startswith("#")]
                place = str(path.parent.relative_to(ROOT)) if path.name == "rules" else name
                joined = "\n".join(lines)
                if re.search(r"\b(holds|partly):\s", joined):
                    self.add(joined, place)
        return self


def places(claims, kind):
    """path:f,g path ... of the claims of one kind, sorted."""
    files = collections.defaultdict(set)
    for k, place, _ in claims:
        if k == kind:
            path, _, function = place.partition(":")
            files[path].add(function)
    out = []
    for path in sorted(files):
        functions = sorted(f for f in files[path] if f)
        out.append(path + (":" + ",".join(functions) if functions else ""))
    return " ".join(out)


def derive(rule, level, section, claims, old):
    """The row that the markers call for; what hands wrote is taken from the old row."""
    note = old["note"] if old else ""
    kinds = {k for k, _, _ in claims}
    if "holds" in kinds:
        if old and old["state"] != "held":
            note = ""
        return dict(id=rule, level=level, section=section, state="held", test=places(claims, "holds"), note=note)
    if "partly" in kinds:
        note = "; ".join(sorted({why for k, _, why in claims if k == "partly" and why}))
        return dict(id=rule, level=level, section=section, state="partly", test=places(claims, "partly"), note=note)
    state = "na" if old and old["state"] == "na" else "open"
    if state == "open" and old and old["state"] not in ("open",):
        note = ""
    return dict(id=rule, level=level, section=section, state=state, test="", note=note)


def read_table(faults):
    rows = {}
    if not TABLE.exists():
        faults.append(f"{TABLE.relative_to(ROOT)} is missing; make it with: scripts/conformance.sh --update")
        return rows
    for number, line in enumerate(TABLE.read_text(encoding="utf-8").splitlines(), 1):
        if number == 1:
            if line.split("\t") != list(COLUMNS):
                faults.append(f"{TABLE.name}:1: the head line must name the columns {' '.join(COLUMNS)}")
            continue
        fields = line.split("\t")
        if len(fields) != len(COLUMNS):
            faults.append(f"{TABLE.name}:{number}: {len(fields)} columns, not {len(COLUMNS)}")
            continue
        row = dict(zip(COLUMNS, fields))
        if row["id"] in rows:
            faults.append(f"{TABLE.name}:{number}: {row['id']} stands there twice")
        rows[row["id"]] = row
    return rows


def check_na(row):
    reason = row["note"].partition(":")[0]
    if reason not in REASONS:
        return f"{row['id']}: na needs a note that begins with one of: {', '.join(REASONS)}"
    if row["level"] == "MUST" and not REASONS[reason]:
        return f"{row['id']}: a MUST cannot be na because it is \"{reason}\""
    if not row["note"].partition(":")[2].strip():
        return f"{row['id']}: na says \"{reason}\" but not why"
    return None


def check(rules, markers, rows, faults):
    known = rules or rows
    for rule in markers.claims:
        if rule not in known:
            faults.append(f"{markers.claims[rule][0][1]}: there is no rule {rule}")
    for rule in rules:
        if rule not in rows:
            faults.append(f"{rule} is missing in {TABLE.name}")
    for rule, row in rows.items():
        if rules and rule not in rules:
            faults.append(f"{rule} of {TABLE.name} is in no catalogue")
            continue
        level, section = rules.get(rule, (row["level"], row["section"]))
        want = derive(rule, level, section, markers.claims.get(rule, []), row)
        differing = [c for c in COLUMNS[1:] if want[c] != row[c]]
        if differing:
            faults.append(f"{rule}: {', '.join(f'{c} is {row[c]!r}, the tests say {want[c]!r}' for c in differing)}")
        if row["state"] == "na" and (fault := check_na(row)):
            faults.append(fault)


def update(rules, markers, rows):
    out = ["\t".join(COLUMNS)]
    source = rules or {r: (row["level"], row["section"]) for r, row in rows.items()}
    for rule, (level, section) in source.items():
        row = derive(rule, level, section, markers.claims.get(rule, []), rows.get(rule))
        out.append("\t".join(row[c].replace("\t", " ") for c in COLUMNS))
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(out) + "\n", encoding="utf-8")


def summary(rows):
    areas = {}
    for row in rows.values():
        area = row["id"].rsplit("-", 1)[0]
        count = areas.setdefault(area, collections.Counter())
        count[row["state"]] += 1
        count["MUST " + row["state"]] += row["level"] == "MUST"
    states = ("held", "partly", "open", "na")
    print(f"{'area':<24}" + "".join(f"{s:>8}" for s in states) + f"{'MUST open':>12}")
    total = collections.Counter()
    for area, count in areas.items():
        total.update(count)
        print(f"{area:<24}" + "".join(f"{count[s]:>8}" for s in states) + f"{count['MUST open']:>12}")
    print(f"{'all':<24}" + "".join(f"{total[s]:>8}" for s in states) + f"{total['MUST open']:>12}")


def main(arguments):
    if set(arguments) - {"--quiet", "--update"}:
        print("usage: conformance.sh [--quiet | --update]", file=sys.stderr)
        return 2
    faults = []
    rules, missing = read_catalogues()
    if missing:
        # A part of the catalogues would make the other's rules look unknown.
        rules = {}
        print(f"skipped: {TABLE.name} against the catalogues: not found: {' '.join(missing)}", file=sys.stderr)
    markers = Markers().read_tests()
    if "--update" in arguments:
        update(rules, markers, read_table([]))
    rows = read_table(faults)
    faults += markers.faults
    check(rules, markers, rows, faults)
    for fault in faults:
        print(fault)
    if "--quiet" not in arguments:
        summary(rows)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
