#!/usr/bin/env python3
"""Holds the buckets' rules to the configurations that are shipped and to what the handbook says of them: a rule for another prefix
removes nothing, or what is somebody's.

- a rule of work objects is for what [work] url names, and removes it after as many days as the handbook says;
- a rule of outputs removes no object at all;
- nothing stands in a rule that its storage does not know, and the handbook gives each bucket its own rule.

Each is also broken on purpose, and must be noticed.
"""
import json
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/storage"
HANDBOOK = ROOT / "docs/OPERATIONS.md"
CONFIGS = sorted([*ROOT.glob("k8s/**/framefleet.toml"), *ROOT.glob("deploy/**/framefleet.toml")])
# Of what kind of storage, of which objects, and how its commands begin.
FILES = {
    "lifecycle.json": ("s3", "work"),
    "lifecycle-outputs.json": ("s3", "outputs"),
    "lifecycle-oss.xml": ("oss", "work"),
    "lifecycle-oss-outputs.xml": ("oss", "outputs"),
}
COMMANDS = {
    "s3": r"aws s3api put-bucket-lifecycle-configuration --bucket (\S+) --lifecycle-configuration file://deploy/storage/(\S+)",
    "oss": r"ossutil api put-bucket-lifecycle --bucket (\S+) --lifecycle-configuration file://deploy/storage/(\S+)",
}


class Unknown(Exception):
    """Something stands in a rule that its storage refuses or passes over."""


def only(found, *known):
    if set(found) - set(known):
        raise Unknown(f"{set(found) - set(known)} is nothing that may stand there")
    return found


def of_s3(text):
    rules = only(json.loads(text), "Rules")["Rules"]
    for rule in rules:
        only(rule, "ID", "Status", "Filter", "Expiration", "AbortIncompleteMultipartUpload")
        ends = only(rule.get("Expiration", {}), "Days").get("Days")
        aborts = only(rule["AbortIncompleteMultipartUpload"], "DaysAfterInitiation")["DaysAfterInitiation"]
        yield rule["Status"], only(rule["Filter"], "Prefix")["Prefix"], ends, aborts


def of_oss(text):
    root = ElementTree.fromstring(text)
    if root.tag != "LifecycleConfiguration":
        raise Unknown(f"{root.tag} is no LifecycleConfiguration")
    only([rule.tag for rule in root], "Rule")
    for rule in root:
        parts = {part.tag: part for part in rule}
        only(parts, "ID", "Prefix", "Status", "Expiration", "AbortMultipartUpload")
        days = {name: int(only({one.tag: one.text for one in parts[name]}, "Days")["Days"])
                for name in ("Expiration", "AbortMultipartUpload") if name in parts}
        yield parts["Status"].text, parts["Prefix"].text or "", days.get("Expiration"), days["AbortMultipartUpload"]


def told(handbook):
    """How many days the handbook says: of work objects, of uploads that nobody completes."""
    work = set(re.findall(r"rule of (\d+) days", handbook))
    outputs = set(re.findall(r"`lifecycle-oss-outputs\.xml`, (\d+) days", handbook))
    if len(work) != 1 or len(outputs) != 1:
        raise Unknown(f"the handbook says {work} and {outputs} days")
    return int(*work), int(*outputs)


def rules(texts, handbook, prefixes):
    days, days_of_uploads = told(handbook)
    for name, (kind, objects) in FILES.items():
        found = list({"s3": of_s3, "oss": of_oss}[kind](texts[name]))
        if len(found) != 1 or found[0][0] != "Enabled":
            yield f"{name}: not one rule that is in force: {found}"
            continue
        _, prefix, ends, aborts = found[0]
        if objects == "outputs" and (prefix, ends, aborts) != ("", None, days_of_uploads):
            yield f"{name}: should end uploads after {days_of_uploads} days and remove no object: {found[0]}"
        if objects == "work" and ({prefix} != prefixes or ends != days or aborts >= days):
            yield f"{name}: should be for {prefixes} and {days} days: {found[0]}"


def commands(handbook, buckets):
    for kind, words in COMMANDS.items():
        found = {file: bucket for bucket, file in re.findall(words, handbook)}
        for file in (file for file, (of, _) in FILES.items() if of == kind):
            objects = FILES[file][1]
            if found.get(file) not in buckets[objects]:
                yield f"{HANDBOOK.name}: {file} is for a bucket of {buckets[objects]}, not {found.get(file)}"


def places(configs):
    """Prefixes of work objects, with a slash as they are written, and buckets by what lies in them."""
    prefixes, buckets = set(), {"work": set(), "outputs": set()}
    for config in configs:
        work = re.fullmatch(r"\w+://([^/]+)/(.+)", config["work"]["url"])
        prefixes.add(f"{work[2].rstrip('/')}/")
        buckets["work"].add(work[1])
        outputs = [trigger["output"] for trigger in config.get("triggers", [])]
        buckets["outputs"] |= {found[1] for found in (re.match(r"(?:s3|oss)://([^/]+)/", output) for output in outputs) if found}
    return prefixes, buckets


def faults(texts, handbook, configs):
    prefixes, buckets = places(configs)
    try:
        yield from rules(texts, handbook, prefixes)
    except (Unknown, KeyError, ValueError, ElementTree.ParseError) as wrong:
        yield f"cannot be read: {wrong}"
    yield from commands(handbook, buckets)


def broken():
    """What is changed where, and what must be said of it then."""
    return [
        ("lifecycle.json", '"framefleet/"', '"framefleet"', "should be for"),
        ("lifecycle.json", '"Days": 14', '"Days": 15', "should be for"),
        ("lifecycle.json", '"Enabled"', '"Disabled"', "in force"),
        ("lifecycle.json", '"Expiration"', '"Expire"', "nothing that may stand there"),
        ("lifecycle-outputs.json", '"AbortInc', '"Expiration": { "Days": 14 }, "AbortInc', "remove no object"),
        ("lifecycle-oss.xml", "<Prefix>framefleet/", "<Prefix>frames/", "should be for"),
        ("lifecycle-oss.xml", "<Expiration><Days>14", "<Expiration><Day>14", "cannot be read"),
        ("lifecycle-oss.xml", "Expiration", "Expire", "nothing that may stand there"),
        ("lifecycle-oss-outputs.xml", "<Days>7<", "<Days>8<", "remove no object"),
        (HANDBOOK.name, "--bucket media-work --lifecycle", "--bucket media --lifecycle", "is for a bucket of"),
        (HANDBOOK.name, "rule of 14 days", "rule of 10 days", "should be for"),
    ]


def main():
    texts = {file.name: file.read_text() for file in RULES.iterdir()}
    if texts.keys() != FILES.keys():
        print(f"nobody looks at {texts.keys() ^ FILES.keys()}", file=sys.stderr)
        return 1
    handbook, configs = HANDBOOK.read_text(), [tomllib.loads(config.read_text()) for config in CONFIGS]
    wrong = list(faults(texts, handbook, configs))
    for line in wrong:
        print(line, file=sys.stderr)
    for name, known, other, said in broken():
        changed = {file: text.replace(known, other) if file == name else text for file, text in texts.items()}
        page = handbook.replace(known, other) if name == HANDBOOK.name else handbook
        if not any(said in what for what in faults(changed, page, configs)):
            print(f"{name}: {other} passes", file=sys.stderr)
            return 1
    print(f"{len(texts)} rules, {len(configs)} configurations, {len(broken())} faults that are noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
