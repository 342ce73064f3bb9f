#!/usr/bin/env python3
"""Holds KEDA's triggers to what its types leave open: their metadata is a map of anything, a key that is misspelt there is
one that KEDA does not see, and what it then takes for granted scales busy workers away.

- every key is one of KEDA's, every value what the fleet needs: a Prometheus that finds nothing is an error and no demand of
  zero; RabbitMQ is asked by HTTP and counts what is taken, too;
- a figure is shared among replicas (AverageValue), by as much as one of them has slots;
- a Prometheus that does not answer takes nothing away (fallback); only the demand of the own fleet is asked for.

    scalers.py BUILT.yaml…
"""
import re
import sys
import tomllib

from built import every, judge

# of KEDA 2.17 and newer
KNOWN = {
    "prometheus": {
        "serverAddress", "query", "queryParameters", "threshold", "activationThreshold", "namespace", "customHeaders",
        "ignoreNullValues", "unsafeSsl", "awsRegion", "timeout", "identityOwner", "authModes",
    },
    "rabbitmq": {
        "host", "hostFromEnv", "protocol", "mode", "value", "activationValue", "queueName", "vhostName", "useRegex", "pageSize",
        "operation", "timeout", "excludeUnacknowledged", "unsafeSsl", "usernameFromEnv", "passwordFromEnv",
    },
}
WANTED = {
    "prometheus": {"ignoreNullValues": "false"},
    "rabbitmq": {"protocol": "http", "mode": "QueueLength", "excludeUnacknowledged": "false"},
}
KEEPS = "currentReplicasIfHigher"


def slots(name, target, documents):
    """What a replica has for what is asked for; None: one, or nobody here says."""
    if name == "standard":
        for one in documents:
            if one["kind"] == "Deployment" and one["metadata"]["name"] == target:
                return one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    if name == "merges":
        for one in documents:
            if one["kind"] == "ConfigMap" and "framefleet.toml" in one["data"]:
                return str(tomllib.loads(one["data"]["framefleet.toml"])["coordinator"]["merge_slots"])
    return None


def trigger(one):
    kind, metadata = one["type"], one["metadata"]
    if kind not in KNOWN:
        yield f"nobody says what {kind} may be told"
        return
    for key in sorted(metadata.keys() - KNOWN[kind]):
        yield f"{kind} knows no {key}"
    for key, value in WANTED[kind].items():
        if metadata.get(key) != value:
            yield f"{key} is {metadata.get(key)!r} and should be {value!r}"
    for key, value in metadata.items():
        if not isinstance(value, str):
            yield f"{key} is no text: KEDA refuses it"
    if one.get("metricType") != "AverageValue":
        yield f"metricType is {one.get('metricType')}: replicas are the figure over the threshold for AverageValue alone"


def scaled(one, documents):
    spec = one["spec"]
    for asks in spec["triggers"]:
        yield from (f"{asks['name']}: {what}" for what in trigger(asks))
        threshold = asks["metadata"].get("threshold", asks["metadata"].get("value"))
        has = slots(asks["name"], spec["scaleTargetRef"]["name"], documents) or threshold
        if threshold != has:
            yield f"{asks['name']}: a threshold of {threshold}, and a replica has {has} slots"
        if asks["type"] == "prometheus" and spec.get("fallback", {}).get("behavior") != KEEPS:
            yield f"a Prometheus that is away takes replicas away (fallback, {KEEPS})"
    queries = [asks["metadata"].get("query", "") for asks in spec["triggers"]]
    asked = set(re.findall(r'namespace="([^"]+)"', " ".join(queries)))
    own = one["metadata"].get("namespace")
    if own and asked - {own}:
        yield f"asks for the demand of another fleet, in {asked}"


def faults(documents):
    for one in documents:
        if one["kind"] == "ScaledObject":
            yield from (f"{one['metadata']['name']}: {what}" for what in scaled(one, documents))


def broken():
    def told(kind, **changes):
        def change(one):
            for asks in one["spec"]["triggers"]:
                if asks["type"] == kind:
                    asks["metadata"].update(changes)
        return every("ScaledObject", change)

    def misspelt(one):
        for asks in one["spec"]["triggers"]:
            if "ignoreNullValues" in asks["metadata"]:
                asks["metadata"]["ignoreNullValue"] = asks["metadata"].pop("ignoreNullValues")

    def each(change):
        return every("ScaledObject", lambda one: [change(asks) for asks in one["spec"]["triggers"]])

    return [
        (every("ScaledObject", misspelt), "prometheus knows no ignoreNullValue"),
        (every("ScaledObject", misspelt), "ignoreNullValues is None"),
        (told("prometheus", ignoreNullValues="true"), "ignoreNullValues is 'true'"),
        (told("prometheus", ignoreNullValues=False), "is no text"),
        (told("prometheus", threshold="5"), "a replica has 4 slots"),
        (told("prometheus", threshold="5"), "a replica has 2 slots"),
        (told("rabbitmq", protocol="amqp"), "protocol is 'amqp'"),
        (told("rabbitmq", mode="MessageRate"), "mode is 'MessageRate'"),
        (told("rabbitmq", excludeUnacknowledged="true"), "excludeUnacknowledged is 'true'"),
        (told("rabbitmq", value="5"), "a replica has 4 slots"),
        (each(lambda asks: asks.update(metricType="Value")), "metricType is Value"),
        (each(lambda asks: asks.pop("metricType")), "metricType is None"),
        (each(lambda asks: asks.update(type="cron")), "nobody says what cron"),
        (every("ScaledObject", lambda one: one["spec"].pop("fallback", None)), "takes replicas away"),
        (every("ScaledObject", lambda one: one["metadata"].update(namespace="other")), "of another fleet"),
    ]


if __name__ == "__main__":
    sys.exit(judge(sys.argv[1:], faults, broken()))
