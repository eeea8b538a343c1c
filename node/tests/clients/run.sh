#!/usr/bin/env bash
# Real clients against a real node: see README.md beside this file.
# SKUA_BIN names the binary; without it the development binary is built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
cache=${SKUA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/skua}/clients
ready_seconds_max=60
stop_seconds_max=20
traces_expected=11
legacy_traces_expected=19

fail() { echo "clients: $*" >&2; exit 1; }

# --- the SDKs, installed once per machine and set of pins ----------------------------------------

# The folder of an installation is named after what decides its contents.
folder_for() { # language, version, pins...
  echo "$cache/$1-$(cat "${@:3}" <(echo "$2") | sha256sum | cut -c1-16)"
}

prepare() { # folder, installer
  local folder=$1 installer=$2
  mkdir -p "$cache"
  # One installer at a time; whoever waited finds the work done.
  exec 9>"$folder.lock"
  flock --wait 900 9 || fail "another run has been installing into $folder for too long"
  if [ ! -f "$folder/complete" ]; then
    rm -rf "$folder"
    "$installer" "$folder" ||
      fail "the client SDKs are not in $folder and could not be installed: is the registry reachable?"
    touch "$folder/complete"
  fi
  exec 9>&-
}

install_python_from() { # requirements, folder
  echo "clients: installing Python clients into $2"
  # Three old ones were never published built.
  python3 -m venv "$2" &&
    timeout 600 "$2/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
      --no-deps --only-binary :all: --no-binary jaeger-client,opentracing,threadloop \
      --requirement "$1" >&2
}
install_python() { install_python_from "$here/python/requirements.txt" "$1"; }
# Jaeger's exporters want an SDK, and a protobuf, that the others cannot live with.
install_python_jaeger() { install_python_from "$here/python-jaeger/requirements.txt" "$1"; }

install_node() {
  echo "clients: installing the Node SDK into $1"
  mkdir -p "$1" && cp "$here/node/package.json" "$here/node/package-lock.json" "$1/" &&
    (cd "$1" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
}

command -v python3 >/dev/null || fail "python3 is not installed: .ci/prepare clients installs it"
command -v node >/dev/null || fail "node is not installed: .ci/prepare clients installs it"
python_home=$(folder_for python "$(python3 --version)" "$here/python/requirements.txt")
python_jaeger_home=$(
  folder_for python-jaeger "$(python3 --version)" "$here/python-jaeger/requirements.txt"
)
node_home=$(folder_for node "$(node --version)" "$here/node/package.json" "$here/node/package-lock.json")
prepare "$python_home" install_python
prepare "$python_jaeger_home" install_python_jaeger
prepare "$node_home" install_node

# --- the node ------------------------------------------------------------------------------------

if [ -z "${SKUA_BIN:-}" ]; then
  (cd "$root" && cargo build --locked --package skua-node)
  target=$(cd "$root" && cargo metadata --no-deps --format-version 1 --offline |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
  SKUA_BIN=$target/debug/skua
fi
[ -x "$SKUA_BIN" ] || fail "there is no binary at $SKUA_BIN"

scratch=$(mktemp -d)
server= kafka=
cleanup() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ -z "$kafka" ] || kill -KILL "$kafka" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

# Polls until the command succeeds; fails at the deadline or when a process has gone.
wait_for() { # seconds, process, command...
  local deadline=$((SECONDS + $1)) process=$2
  shift 2
  until "$@"; do
    kill -0 "$process" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}

# Kafka is there first, because the node is told where. It ends when nobody writes to its input.
mkfifo "$scratch/kafka-input"
"$python_home/bin/python" "$here/python/kafka.py" "$here/trace.json" "$scratch/brokers" \
  "$scratch/kafka.jsonl" <"$scratch/kafka-input" >"$scratch/kafka.log" 2>&1 &
kafka=$!
exec 8>"$scratch/kafka-input"
wait_for $ready_seconds_max $kafka [ -s "$scratch/brokers" ] || {
  cat "$scratch/kafka.log" >&2
  fail "librdkafka's mock cluster did not start"
}

# Remote sampling alone makes the clients sample that are to ask for it.
cat >"$scratch/strategies.json" <<'END'
{"default_strategy": {"type": "probabilistic", "param": 0},
 "service_strategies": [
   {"service": "clients.jaeger-client-python.remote-sampling", "type": "probabilistic", "param": 1},
   {"service": "clients.jaeger-client-node.remote-sampling", "type": "probabilistic", "param": 1}]}
END

"$SKUA_BIN" serve --ephemeral --data-dir "$scratch/data" --listen-address 127.0.0.1 \
  --otlp-grpc-port 0 --otlp-http-port 0 --ui-port 0 --health-port 0 --metrics-port 0 \
  --jaeger-grpc-port 0 --jaeger-http-port 0 --jaeger-compact-port 0 --jaeger-binary-port 0 \
  --query-grpc-port 0 --remote-storage-port 0 --sampling-http-port 0 --sampling-grpc-port 0 \
  --zipkin-port 0 --sampling-strategies "$scratch/strategies.json" \
  --kafka-brokers "$(cat "$scratch/brokers")" \
  --ports-file "$scratch/ports.json" >"$scratch/server.log" 2>&1 &
server=$!

port_of() { # name
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
    "$scratch/ports.json" "$1" 2>/dev/null
}
is_ready() { [ -s "$scratch/ports.json" ] && port_of metrics >/dev/null; }
is_gone() { ! kill -0 "$server" 2>/dev/null; }

wait_for $ready_seconds_max $server is_ready || {
  cat "$scratch/server.log" >&2
  fail "the node did not become ready (it has $ready_seconds_max seconds); its log stands above"
}
grpc_port=$(port_of otlp_grpc) http_port=$(port_of otlp_http) ui_port=$(port_of ui)

# --- send, read back, stop -----------------------------------------------------------------------

code=0
sent=$scratch/sent.jsonl
timeout 120 "$python_home/bin/python" "$here/python/send.py" \
  "$here/trace.json" "$grpc_port" "$http_port" >>"$sent" || code=1
NODE_HOME=$node_home timeout 120 node "$here/node/send.mjs" \
  "$here/trace.json" "$grpc_port" "$http_port" >>"$sent" || code=1
wait_for $ready_seconds_max $kafka [ -s "$scratch/kafka.jsonl" ] || {
  cat "$scratch/kafka.log" >&2
  code=1
}
cat "$scratch/kafka.jsonl" >>"$sent" || code=1
timeout 300 python3 "$here/check.py" "$here/trace.json" "$ui_port" "$sent" $traces_expected \
  >"$scratch/checked" || code=1

ports=$scratch/ports.json
legacy=$scratch/legacy.jsonl
timeout 120 "$python_home/bin/python" "$here/python/legacy.py" "$ports" >>"$legacy" || code=1
# Every exporter of Jaeger's says first that it is deprecated.
timeout 120 "$python_jaeger_home/bin/python" -W ignore "$here/python-jaeger/send.py" "$ports" \
  >>"$legacy" || code=1
NODE_HOME=$node_home timeout 120 node "$here/node/legacy.mjs" "$ports" >>"$legacy" || code=1
timeout 300 python3 "$here/check_legacy.py" "$ui_port" "$legacy" $legacy_traces_expected \
  >>"$scratch/checked" || code=1

# A polite signal ends the node, and it ends well.
kill -TERM "$server" 2>/dev/null || true
if wait_for $stop_seconds_max $server is_gone || is_gone; then
  wait "$server" && stopped=0 || stopped=$?
else
  stopped="still running after $stop_seconds_max seconds"
fi
if [ "$stopped" = 0 ]; then
  server=
else
  code=1
  echo "clients: the node did not stop well: $stopped" >&2
fi
exec 8>&-
wait "$kafka" || code=1
kafka=
[ $code = 0 ] || tail -n 50 "$scratch/server.log" >&2
cat "$scratch/checked"
exit $code
