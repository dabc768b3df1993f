"""part_storm.py -- the storm as a part of the whole run: storm.py with its defaults, at a server of its own."""
from report import number, target
import storm

TITLE = "New computers at once"


def measure(bench):
    return None if bench.quick else storm.storm(storm.COMPUTERS)


def report(out):
    return [storm.section(out)]


def targets(out):
    return [target("computers on this machine, in millions", storm.WANTED / 1e6, out["extrapolation"]["computers_as_measured"] / 1e6,
                   at_least=True, form=number)]


def cases_in(out):
    bad = list(storm.failures(out))
    return [{"case": "all of it", "server": {"errors": len(bad), "first_error": bad[0] if bad else None}}]
