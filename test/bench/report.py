"""report.py -- figures as people read them: Markdown that can be pasted whole."""
import json
import pathlib


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def times(value):
    return f"{value:.2f}"


def kb(size):
    return number(size / 1024)


def mb(size):
    return number(size / 1e6)


def ms(us):
    return number(us / 1000)


def ranged(values, form=number):
    """Median (least..most)."""
    return f"{form(values['median'])} ({form(values['least'])}..{form(values['most'])})" if values else "-"


def table(head, rows):
    rows = [head, *rows]
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(v.ljust(w) for v, w in zip(row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def section(title, *blocks):
    return f"### {title}\n\n" + "\n\n".join(b for b in blocks if b)


def bullets(lines):
    return "\n".join(f"- {line}" for line in lines)


def target(what, wanted, value, at_least=False, form=times, unit=""):
    """A line of the design's targets; a missed one is no failure of the run."""
    reached = value >= wanted if at_least else value <= wanted
    off = wanted / value if at_least and value else value / wanted
    return {"what": what, "wanted": wanted, "at_least": at_least, "value": value, "reached": reached,
            "text": [what, f"at {'least' if at_least else 'most'} {form(wanted)}{unit}", f"{form(value)}{unit}",
                     "reached" if reached else f"missed, {off:.2f} times off"]}


def save(result, path):
    """For --json."""
    if path:
        pathlib.Path(path).write_text(json.dumps(result, indent=1) + "\n")


def ending(text, result, bad, path):
    """What a run of its own ends with; its exit status."""
    print(text + "\n" + bullets(f"FAILED: {line}" for line in bad))
    save(result, path)
    return 1 if bad else 0
