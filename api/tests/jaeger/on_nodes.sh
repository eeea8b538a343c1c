#!/usr/bin/env bash
# Jaeger's questions to a store (conformance.rs), put to a node, and to three where what one takes
# another one is asked for. SKUA_BIN names the binary; arguments name the command that runs the tests.
set -euo pipefail
ready_seconds_max=60
: "${SKUA_BIN:?names no binary}"

scratch=$(mktemp -d)
nodes=()
cleanup() {
  for node in "${nodes[@]}"; do
    kill -KILL "$node" 2>/dev/null || true
    # Nobody needs to be told that it was killed.
    wait "$node" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap cleanup EXIT

fail() { echo "conformance: $*" >&2; tail -n 50 "$scratch"/*.log >&2; exit 1; }

start() { # name, address, flags...
  local name=$1 address=$2
  shift 2
  "$SKUA_BIN" serve --ephemeral --data-dir "$scratch/$name" --listen-address "$address" --allow-purge \
    --otlp-grpc-port 0 --otlp-http-port 0 --ui-port 0 --health-port 0 --metrics-port 0 \
    --jaeger-grpc-port 0 --jaeger-http-port 0 --jaeger-compact-port 0 --jaeger-binary-port 0 \
    --query-grpc-port 0 --remote-storage-port 0 --sampling-http-port 0 --sampling-grpc-port 0 \
    --zipkin-port 0 --ports-file "$scratch/$name.json" "$@" >"$scratch/$name.log" 2>&1 &
  nodes+=($!)
}

wait_for() { # name
  local deadline=$((SECONDS + ready_seconds_max))
  until [ -s "$scratch/$1.json" ]; do
    [ $SECONDS -lt $deadline ] || fail "node $1 did not become ready"
    sleep 0.05
  done
}

port_of() { # name, port
  sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" "$scratch/$1.json"
}

start alone 127.0.0.1
wait_for alone
storage=127.0.0.1:$(port_of alone remote_storage) query=127.0.0.1:$(port_of alone query_grpc)
echo "conformance: one node"
SKUA_CONFORMANCE_NODE=$storage,$query "$@"

# Addresses of this run alone: the ports between nodes are the same on each.
network=127.85.$((RANDOM % 250 + 1))
for number in 1 2 3; do
  start "$number" "$network.$number" --node-name "node-$number" --expected-nodes 3 \
    --seeds "$network.1,$network.2,$network.3"
done
for number in 1 2 3; do wait_for $number; done
storage=$network.1:$(port_of 1 remote_storage) query=$network.2:$(port_of 2 query_grpc)
echo "conformance: three nodes"
SKUA_CONFORMANCE_NODE=$storage,$query "$@"
