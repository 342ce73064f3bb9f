#!/usr/bin/env python3
"""Keeps the Prometheus operator's copy of the alerts equal to deploy/prometheus/rules.yaml (--write makes it so), and checks
what promtool cannot: that each alert has a test that fires and one that does not, a runbook that exists, that figures of
scope fleet, which every coordinator shows, are never summed over coordinators, and that what scalers ask for is tested, too.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules.yaml"
TESTS = ROOT / "deploy/prometheus/rules.test.yaml"
COPY = ROOT / "k8s/components/monitoring/rules.yaml"
RUNBOOKS = ROOT / "docs/OPERATIONS.md"
METRICS = ROOT / "docs/METRICS.md"
SCALERS = ROOT / "k8s/components/keda/scaled-objects.yaml"
HEAD = """# Made of deploy/prometheus/rules.yaml by deploy/check/rules.py --write, and compared.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: framefleet
  labels:
    app.kubernetes.io/name: framefleet
spec:
"""


def copy(text):
    body = text[text.index("groups:"):].splitlines(keepends=True)
    return HEAD + "".join("  " + line if line.strip() else line for line in body)


def documented():
    """Names of figures, and those of scope fleet, from the table that the code makes."""
    rows = re.findall(r"^\| `(framefleet_[a-z_]+)`.*$", METRICS.read_text(), re.M)
    fleet = re.findall(r"^\| `(framefleet_[a-z_]+)`[^\n]*\| fleet \|", METRICS.read_text(), re.M)
    return set(rows), set(fleet)


def misread(expr, names, fleet):
    """What an expression does to figures that it must not."""
    used = set(re.findall(r"\bframefleet_[a-z_]+", expr))
    for name in used:
        if re.sub(r"_(bucket|sum|count)$", "", name) not in names:
            yield f"{name} is no figure of docs/METRICS.md"
    for name in used & fleet:
        for found in re.finditer(rf"\b{name}\b", expr):
            if not re.search(r"(\bmax( by \([a-z, ]+\) )?|\babsent)\((last_over_time\()?$", expr[: found.start()]):
                yield f"{name} is the same at every coordinator: take `max`"


def main():
    text = RULES.read_text()
    wanted = copy(text)
    if "--write" in sys.argv:
        COPY.write_text(wanted)
    wrong = [] if COPY.read_text() == wanted else [f"{COPY} is not what {RULES} gives: --write"]
    alerts = re.findall(r"- alert: (\w+)", text)
    tests = TESTS.read_text()
    runbooks = RUNBOOKS.read_text()
    for alert in alerts:
        cases = re.findall(rf"alertname: {alert}\n\s+exp_alerts:( \[\])?", tests)
        if "" not in cases or " []" not in cases:
            wrong.append(f"{alert} has no test that fires, or none that does not")
        if f"#{alert.lower()}\n" not in text:
            wrong.append(f"{alert} names no runbook of its own")
        if f"### {alert}\n" not in runbooks:
            wrong.append(f"{RUNBOOKS.name} has no runbook for {alert}")
    names, fleet = documented()
    wrong += [f"{RULES.name}: {what}" for what in misread(text, names, fleet)]
    for query in re.findall(r"^ +query: (.*)$", SCALERS.read_text(), re.M):
        wrong += [f"{SCALERS.name}: {what}" for what in misread(query, names, fleet)]
        if f"expr: {query}\n" not in tests:
            wrong.append(f"{SCALERS.name}: {query} has no test")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
