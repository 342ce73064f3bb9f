#!/bin/sh
# Checks all that is deployed with, without a cluster: manifests, custom resources, alerts, dashboards, image, compose file,
# scripts, workflows. deploy/setup.sh tests installs what it needs.
#
#   deploy/check/check.sh
set -eu
cd "$(dirname "$0")/../.."
out=target/check
kubernetes="1.31 1.33 1.35"
rm -rf "$out/built"
mkdir -p "$out/built"

say() { echo "== $*"; }

# Each overlay, and each component by itself on the base: an overlay that uses it is somebody's, not ours.
build() {
    for overlay in k8s/overlays/*/; do
        kubectl kustomize "$overlay" > "$out/built/overlay-$(basename "$overlay").yaml"
    done
    for component in k8s/components/*/; do
        name=$(basename "$component")
        mkdir -p "$out/built/$name"
        printf 'resources: [../../../../k8s/base]\ncomponents: [../../../../%s]\n' "${component%/}" \
            > "$out/built/$name/kustomization.yaml"
        kubectl kustomize "$out/built/$name" > "$out/built/component-$name.yaml"
    done
}

manifests() {
    for version in $kubernetes; do
        for file in "$out"/built/*.yaml deploy/redis/restore.yaml; do
            kubernetes-validate --strict -k "$version" --quiet "$file" > "$out/validated" 2>&1 || {
                cat "$out/validated"
                return 1
            }
            # custom resources are known to custom-resources.mjs, anything else must be known here
            ! grep WARN "$out/validated" | grep -v "keda.sh/\|monitoring.coreos.com/" || return 1
        done
    done
}

say "kustomize"
build
say "Kubernetes $kubernetes"
manifests
say "custom resources"
node deploy/check/custom-resources.mjs "$out" "$out"/built/*.yaml
say "pods"
python3 deploy/check/pods.py "$out"/built/*.yaml
say "scalers"
python3 deploy/check/scalers.py "$out"/built/*.yaml
say "storage"
python3 deploy/check/storage.py
say "commands"
python3 deploy/check/commands.py docs/OPERATIONS.md
say "alerts"
python3 deploy/check/rules.py
promtool check rules deploy/prometheus/rules.yaml
promtool test rules deploy/prometheus/rules.test.yaml
promtool check config --syntax-only deploy/compose/prometheus.yml
say "dashboards"
python3 deploy/check/dashboards.py "$out/dashboards.yaml" deploy/grafana/*.json
promtool check rules "$out/dashboards.yaml"
say "image"
hadolint deploy/Dockerfile
say "compose"
check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
say "scripts"
git ls-files '*.sh' .ci/run | xargs shellcheck
say "workflows"
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
node deploy/check/workflows.mjs "$out" .github/workflows/*.yml
say "YAML"
git ls-files '*.yaml' '*.yml' | xargs yamllint --strict -c deploy/check/yamllint.yaml
