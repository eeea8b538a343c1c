// Synthetic traces as a recording that `skua load` sends to a node: OTLP requests, each a protobuf
// message behind its length. The spans are those of synthetic.mjs, with five attributes each.
//
//   node bench/recording.mjs --spans 1000000 --trace 1 --out FILE

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { spansOf } from "./synthetic.mjs";

const SPANS_PER_REQUEST = 2_000;

/** Appends fields of protobuf messages to one buffer. */
class Message {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  varint(value) {
    this.#room(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  number(field, value) {
    this.varint(field * 8);
    this.varint(value);
  }

  fixed64(field, value) {
    this.varint(field * 8 + 1);
    this.#room(8);
    this.#length = this.#bytes.writeBigUInt64LE(value, this.#length);
  }

  bytes(field, value) {
    this.varint(field * 8 + 2);
    this.varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(field, value) {
    this.bytes(field, Buffer.from(value));
  }

  attribute(field, key, value) {
    const held = new Message();
    if (typeof value === "number") held.number(3, value);
    else held.text(1, value);
    const pair = new Message();
    pair.text(1, key);
    pair.bytes(2, held.done());
    this.bytes(field, pair.done());
  }

  done() {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more) {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(2 * (this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function spanOf(spans, index, traceId, origin) {
  const span = new Message();
  const start = origin + BigInt(spans.start[index]) * 1_000n;
  const failed = spans.failed[index] === 1;
  span.bytes(1, traceId);
  span.bytes(2, idOf(index));
  if (spans.parent[index] >= 0) span.bytes(4, idOf(spans.parent[index]));
  span.text(5, `op-${spans.operation[index]}`);
  span.number(6, index % 2 ? 3 : 2);
  span.fixed64(7, start);
  span.fixed64(8, start + BigInt(spans.duration[index]) * 1_000n);
  span.attribute(9, "http.request.method", "GET");
  span.attribute(9, "http.response.status_code", failed ? 500 : 200);
  span.attribute(9, "url.full", `http://host-${index % 40}/path/${index}`);
  span.attribute(9, "thread.id", index % 64);
  if (failed) span.attribute(9, "error.type", "timeout");
  const status = new Message();
  status.number(3, failed ? 2 : 0);
  span.bytes(15, status.done());
  return span.done();
}

function idOf(index) {
  const id = Buffer.alloc(8);
  id.writeUInt32BE(index + 1, 4);
  return id;
}

/** Spans of one request, a resource for each service that occurs. */
function requestOf(spans, from, to, traceId, origin) {
  const byService = new Map();
  for (let index = from; index < to; index += 1) {
    const service = spans.service[index];
    if (!byService.has(service)) byService.set(service, new Message());
    byService.get(service).bytes(2, spanOf(spans, index, traceId, origin));
  }
  const request = new Message();
  for (const [service, scope] of byService) {
    const resource = new Message();
    resource.attribute(1, "service.name", `service-${service}`);
    const held = new Message();
    held.bytes(1, resource.done());
    held.bytes(2, scope.done());
    request.bytes(1, held.done());
  }
  return request.done();
}

/** Writes one trace; it begins `agoSeconds` before now. */
export async function writeRecording({ file, traceId, spans: count, agoSeconds = 600 }) {
  const spans = spansOf(count);
  const id = Buffer.from(traceId, "hex");
  const origin = BigInt(Date.now() - agoSeconds * 1_000) * 1_000_000n;
  const out = createWriteStream(file);
  for (let from = 0; from < count; from += SPANS_PER_REQUEST) {
    const to = Math.min(count, from + SPANS_PER_REQUEST);
    const request = requestOf(spans, from, to, id, origin);
    const length = new Message();
    length.varint(request.length);
    const isTaken = out.write(Buffer.concat([length.done(), request]));
    if (!isTaken) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      spans: { type: "string", default: "100000" },
      trace: { type: "string", default: "1" },
      out: { type: "string" },
    },
  });
  const traceId = values.trace.padStart(32, "0");
  await writeRecording({ file: values.out, traceId, spans: Number(values.spans) });
}
