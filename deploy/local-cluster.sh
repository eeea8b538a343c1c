#!/usr/bin/env bash
# Starts three nodes on this machine, each on an address of its own (127.0.0.1 to 127.0.0.3) with the
# usual ports, and stops them on ^C. Data and logs lie below ./skua-cluster (or $SKUA_CLUSTER_DIR);
# what is there is used again. Arguments behind the binary go to every node.
set -euo pipefail
skua=${1:?usage: local-cluster.sh BINARY [FLAGS OF SERVE]}
shift
directory=${SKUA_CLUSTER_DIR:-./skua-cluster}
nodes=(1 2 3)
children=()

stop() {
  trap - INT TERM EXIT
  if ((${#children[@]})); then
    kill -TERM "${children[@]}" 2>/dev/null || true
    wait "${children[@]}" 2>/dev/null || true
  fi
}
trap stop INT TERM EXIT

for node in "${nodes[@]}"; do
  mkdir -p "$directory/node-$node"
  "$skua" serve --data-dir "$directory/node-$node/data" --listen-address "127.0.0.$node" \
    --node-name "skua-$node" --seeds 127.0.0.1,127.0.0.2,127.0.0.3 --expected-nodes 3 "$@" \
    >"$directory/node-$node/log" 2>&1 &
  children+=($!)
done

for node in "${nodes[@]}"; do
  until "$skua" health --node "http://127.0.0.$node:13133" >/dev/null 2>&1; do
    if ! kill -0 "${children[node - 1]}" 2>/dev/null; then
      echo "node $node ended:" >&2
      tail -n 5 "$directory/node-$node/log" >&2
      exit 1
    fi
    sleep 0.1
  done
done

"$skua" status
cat <<TEXT

Three nodes are ready. UI: http://127.0.0.1:16686 (or .2, .3: each shows the whole cluster)
Try: $skua load bench/data/hipster-20k.pb.zst --shift-to-now --to 127.0.0.2:4317
Then kill one of them (processes ${children[*]}): nothing that was acknowledged is lost.
Data and logs: $directory; ^C stops the nodes.
TEXT
wait
