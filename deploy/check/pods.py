#!/usr/bin/env python3
"""Holds built manifests to what the kubelet, the autoscaler and the fleet make of them, which no schema says:

- what a role's configuration names below /etc/framefleet/secrets is mounted in its pods, and README of k8s/ lists the Secret;
- a pod's emptyDirs fit its limit of ephemeral-storage, and a worker fills no more of its scratch than there is;
- secrets that only a group may read have a group (fsGroup); a pod's grace is longer than its role's;
- no priority at which the cluster autoscaler takes pods for expendable; no budget of nothing that lets busy pods go;
- RabbitMQ reads no folder of a ConfigMap; no policy shuts others in;
- where the image's commands put what they need for a moment (TMPDIR) is a volume of pods that open media;
- the handbook gives RabbitMQ's users the rights that users.json gives.

    pods.py BUILT.yaml…

Each is also broken on purpose, and must be noticed.
"""
import json
import re
import sys
import tomllib
from pathlib import Path

from built import every, judge

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "k8s/README.md"
RUNBOOKS = ROOT / "docs/OPERATIONS.md"
USERS = ROOT / "deploy/rabbitmq/users.json"
IMAGE = ROOT / "deploy/Dockerfile"
SECRETS = "/etc/framefleet/secrets/"
# The tables of the configuration that a role reads, and what its grace is where nothing is set.
COMMON = {"store", "broker", "work", "storage", "telemetry"}
ROLES = {
    "coordinator": (COMMON | {"api", "coordinator", "webhooks", "databases", "cdns"}, "30s"),
    "worker": (COMMON | {"worker"}, "10m"),
    "bridge": ({"broker", "bridge"}, "30s"),
}
BYTES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# the cluster autoscaler's --expendable-pods-priority-cutoff, as it comes
EXPENDABLE = -10


def quantity(text):
    number, unit = re.fullmatch(r"(\d+)([KMGT]i)B?", text).groups()
    return int(number) << BYTES[unit]


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return int(number) * SECONDS[unit]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


class Pod:
    """A Deployment's pod, with its first container, and of what role it is, if of any."""

    def __init__(self, deployment, maps):
        self.name = deployment["metadata"]["name"]
        self.spec = deployment["spec"]["template"]["spec"]
        self.container = self.spec["containers"][0]
        self.volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        self.mounts = self.container.get("volumeMounts", [])
        self.env = {one["name"]: one.get("value") for one in self.container.get("env", [])}
        args = self.container.get("args", [])
        self.role = args[0] if args and args[0] in ROLES else None
        self.config = tomllib.loads(maps[self.volumes["config"]["configMap"]["name"]]["framefleet.toml"]) if self.role else {}

    def setting(self, key, default):
        told = self.env.get(f"FRAMEFLEET__{self.role.upper()}__{key.upper()}")
        return told or self.config.get(self.role, {}).get(key, default)

    def volume_at(self, path):
        for mount in self.mounts:
            if mount["mountPath"] == path:
                return self.volumes[mount["name"]]
        return None


def secrets(pod):
    tables, _ = ROLES[pod.role]
    listed = README.read_text()
    for path in strings([pod.config.get(table) for table in tables]):
        if path.startswith(SECRETS) and pod.volume_at(str(Path(path).parent)) is None:
            yield f"{path} is not mounted"
    for volume in pod.volumes.values():
        name = volume.get("secret", {}).get("secretName", "")
        # what kustomize makes of a file has a hash behind it
        if name and f"`{re.sub('-[a-z0-9]{10}$', '', name)}`" not in listed:
            yield f"{README.name} does not list the Secret {name}"


def room(pod):
    limit = pod.container["resources"]["limits"].get("ephemeral-storage")
    empty = [volume["emptyDir"] for volume in pod.volumes.values() if "emptyDir" in volume]
    if not all("sizeLimit" in one for one in empty):
        yield "an emptyDir has no sizeLimit"
    elif empty and limit is None:
        yield "it has emptyDirs and no limit of ephemeral-storage"
    elif empty and sum(quantity(one["sizeLimit"]) for one in empty) > quantity(limit):
        yield f"its emptyDirs are more than its limit of ephemeral-storage ({limit}): the kubelet evicts it"
    if pod.role == "bridge":
        return
    scratch = pod.volume_at(pod.setting("scratch", None))
    if scratch is None:
        yield "its scratch is no volume"
    elif pod.role == "worker" and "emptyDir" in scratch:
        most = pod.setting("scratch_bytes_max", "auto")
        if most == "auto" or quantity(most) > quantity(scratch["emptyDir"]["sizeLimit"]):
            yield f"scratch_bytes_max ({most}) is more than its volume"


def moment(pod):
    folder = re.search(r"\bTMPDIR=(\S+)", IMAGE.read_text()).group(1)
    if pod.role != "bridge" and pod.volume_at(folder) is None:
        yield f"TMPDIR ({folder}) is no volume of it, and its root is read-only: probe and plan cannot work"


def group(pod):
    modes = [volume.get("secret", volume.get("projected", {})).get("defaultMode", 0o644) for volume in pod.volumes.values()]
    if any(not mode & 0o004 for mode in modes) and "fsGroup" not in pod.spec["securityContext"]:
        yield "its secrets are for a group, and it has none (fsGroup)"


def grace(pod):
    own = pod.setting("grace", ROLES[pod.role][1])
    if pod.spec.get("terminationGracePeriodSeconds", 30) <= seconds(own):
        yield f"it is killed within its own grace ({own})"


def definitions(pod, maps):
    for text in strings(list(maps.values())):
        for folder in re.findall(r"^load_definitions = (\S+)", text, re.M):
            for mount in pod.mounts:
                if mount["mountPath"] == folder and "subPath" not in mount:
                    yield f"{folder} is the folder of a ConfigMap, in which RabbitMQ finds what is no file"


def others(documents):
    for one in documents:
        kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
        if kind == "PriorityClass" and one["value"] <= EXPENDABLE:
            yield f"{name}: pods of {one['value']} are expendable to the cluster autoscaler"
        if kind == "PodDisruptionBudget" and spec.get("maxUnavailable") == 0:
            if spec.get("unhealthyPodEvictionPolicy") != "IfHealthyBudget":
                yield f"{name}: lets pods go that are busy and not ready"
        if kind == "NetworkPolicy" and spec["podSelector"] == {}:
            yield f"{name}: is for all pods of the namespace, others' too"


def faults(documents):
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    pods = [Pod(one, maps) for one in documents if one["kind"] == "Deployment"]
    for pod in pods:
        looks = [secrets, room, moment, group, grace] if pod.role else []
        for look in looks:
            yield from (f"{pod.name}: {what}" for what in look(pod))
        yield from (f"{pod.name}: {what}" for what in definitions(pod, maps))
    yield from others(documents)


def rights():
    """The commands of the handbook give the fleet's users the rights that users.json gives."""
    text = RUNBOOKS.read_text().replace("\\\n", " ")
    told = re.findall(r"set_permissions -p (\S+) (framefleet-\S+) '(\S+)' '(\S+)'\s+'(\S+)'", text)
    keys = ["vhost", "user", "configure", "write", "read"]
    shipped = [tuple(one[key] for key in keys) for one in json.loads(USERS.read_text())["permissions"]]
    return [] if sorted(told) == sorted(shipped) else [f"{RUNBOOKS.name} gives other rights than {USERS.name}: {told}"]


def broken():
    def pod(name, change):
        def apply(documents):
            for one in documents:
                if one["kind"] == "Deployment" and one["metadata"]["name"] == name:
                    change(one["spec"]["template"]["spec"])
        return apply

    def without(name):
        def change(spec):
            mounts = spec["containers"][0]["volumeMounts"]
            mounts[:] = [mount for mount in mounts if mount["name"] != name]
        return change

    def environment(spec):
        env = spec["containers"][0]["env"]
        env[:] = [one for one in env if not one["name"].endswith("SCRATCH_BYTES_MAX")]

    def limit(spec):
        spec["containers"][0]["resources"]["limits"]["ephemeral-storage"] = "2Gi"

    def folder(spec):
        mounts = spec["containers"][0]["volumeMounts"]
        mounts.append({"name": mounts[0]["name"], "mountPath": "/etc/rabbitmq/framefleet"})

    def headers(name):
        path = 'traces_headers_file = "/etc/framefleet/secrets/traces/headers"'

        def apply(documents):
            for one in documents:
                for key, text in one.get("data", {}).items() if one["kind"] == "ConfigMap" else ():
                    one["data"][key] = text.replace("[telemetry]", f"[telemetry]\n{path}")
            pod(name, without("secrets-traces"))(documents)
        return apply

    worker = "framefleet-worker"
    return [
        (pod(worker, without("secrets-store")), "is not mounted"),
        (pod("framefleet-coordinator", without("secrets-api")), "is not mounted"),
        *((headers(name), "secrets/traces/headers is not mounted") for name in (worker, f"{worker}-long", "framefleet-coordinator")),
        (pod(worker, without("scratch")), "its scratch is no volume"),
        (pod("framefleet-coordinator", without("scratch")), "probe and plan cannot work"),
        (pod(worker, environment), "is more than its volume"),
        (pod(worker, limit), "the kubelet evicts it"),
        (pod(worker, lambda spec: spec["securityContext"].pop("fsGroup")), "fsGroup"),
        (pod(worker, lambda spec: spec.update(terminationGracePeriodSeconds=540)), "within its own grace"),
        (pod("rabbitmq", folder), "is the folder of a ConfigMap"),
        (every("PriorityClass", lambda one: one.update(value=-100)), "expendable"),
        (every("PodDisruptionBudget", lambda one: one["spec"].update(unhealthyPodEvictionPolicy="AlwaysAllow")), "lets pods go"),
        (every("NetworkPolicy", lambda one: one["spec"].update(podSelector={})), "others' too"),
    ]


def main():
    wrong = rights()
    for line in wrong:
        print(line, file=sys.stderr)
    return judge(sys.argv[1:], faults, broken()) or bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
