#!/usr/bin/env bash
# Tries the built image from end to end: `penpress up` in one container, then every role as docker-compose.yml runs it.
#
#   docker build --target serve --tag penpress:serve . && tests/container/flow_test.sh penpress:serve
#
# ENGINE may be docker (the default), podman, or buildah, which needs no daemon: chroot isolation, in a network of its own.
set -euo pipefail
image=${1:-penpress:serve}
engine=${ENGINE:-docker}
root=$(cd "$(dirname "$0")/../.." && pwd)
mounts=(
    --volume "$root/tests/container:/flow:ro"
    --volume "$root/samples/images:/samples:ro"
    --volume "$root/docker-compose.yml:/docker-compose.yml:ro"
)
names=(--add-host postgres:127.0.0.1 --add-host redis:127.0.0.1 --add-host mlflow:127.0.0.1)

inside() {
    if [ "$engine" != buildah ]; then
        "$engine" run --rm --init --read-only --cap-drop ALL --security-opt no-new-privileges "${mounts[@]}" "${names[@]}" \
            --tmpfs /tmp:exec --tmpfs /var/lib/penpress:exec,uid=65532,gid=65532 "$image" "$@"
        return
    fi
    local container code=0
    container=$(buildah --storage-driver vfs from --pull-never "${names[@]}" "$image")
    # shellcheck disable=SC2016 # the inner shell expands them
    unshare --net bash -c 'ip link set lo up && exec "$@"' -- \
        buildah --storage-driver vfs run --isolation chroot "${mounts[@]}" "$container" -- "$@" || code=$?
    buildah --storage-driver vfs rm "$container" >/dev/null
    return "$code"
}

inside python /flow/one_machine.py /samples
inside python /flow/roles.py /docker-compose.yml /samples
