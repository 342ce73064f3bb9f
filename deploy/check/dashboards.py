#!/usr/bin/env python3
"""Writes every query of dashboards into one file of rules, which promtool parses, and checks what Grafana would only say to
somebody who looks: ids and titles that stand twice, panels without a query, variables that nobody defines.

    dashboards.py RULES.yaml DASHBOARD.json…
"""
import json
import re
import sys
from pathlib import Path

from rules import documented, misread

# what Grafana puts in
SPANS = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
# every value of a variable
ALL = "__all"


def queries(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel, target


def main():
    out, *files = sys.argv[1:]
    wrong, rules, uids = [], [], []
    names, fleet = documented()
    for file in files:
        dashboard = json.loads(Path(file).read_text())
        uids.append(dashboard["uid"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        titles = [panel["title"] for panel in dashboard["panels"]]
        if len(set(ids)) != len(ids) or len(set(titles)) != len(titles):
            wrong.append(f"{file}: a panel's id or title stands twice")
        defined = {variable["name"] for variable in dashboard["templating"]["list"]} | {name[1:] for name in SPANS} | {ALL}
        for used in re.findall(r"\$\{?(\w+)\}?", json.dumps(dashboard)):
            if used not in defined:
                wrong.append(f"{file}: ${used} is defined nowhere")
        for panel in dashboard["panels"]:
            if panel["type"] != "row" and not panel.get("targets"):
                wrong.append(f"{file}: {panel['title']} asks nothing")
        for panel, target in queries(dashboard):
            if target["datasource"]["type"] != "prometheus":
                continue
            expr = target["expr"]
            wrong += [f"{file}: {panel['title']}: {what}" for what in misread(expr, names, fleet)]
            for name, span in SPANS.items():
                expr = expr.replace(name, span)
            rules.append({"record": f"query:{len(rules)}", "expr": expr})
    if len(set(uids)) != len(uids):
        wrong.append("two dashboards have one uid")
    Path(out).write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
