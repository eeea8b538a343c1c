// A large trace, the same each time: forty services, calls some forty deep. Made as columns, as a
// node sends them (docs/formats/columns-v1.md), or as Jaeger's JSON with five tags a span.

const SERVICES = 40;
const OPERATIONS = 200;
const ORIGIN_MICROS = 1_790_000_000_000_000;
const ROOT_MICROS = 6e7;

/** A small generator with a fixed seed. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Spans as arrays, in the order in which they were made; times in microseconds. */
export function spansOf(count) {
  const random = numbers(42);
  const spans = {
    start: new Float64Array(count),
    duration: new Float64Array(count),
    parent: new Int32Array(count),
    service: new Uint8Array(count),
    operation: new Uint8Array(count),
    failed: new Uint8Array(count),
  };
  const open = [];
  for (let index = 0; index < count; index += 1) {
    while (open.length > 40 || (open.length > 1 && random() < 0.5)) open.pop();
    const parent = open.at(-1) ?? -1;
    const above = parent < 0 ? ROOT_MICROS : spans.duration[parent];
    spans.parent[index] = parent;
    spans.start[index] = parent < 0 ? 0 : spans.start[parent] + Math.floor(random() * above * 0.5);
    spans.duration[index] =
      parent < 0 ? ROOT_MICROS : Math.max(1, Math.floor(above * (0.3 + 0.6 * random())));
    spans.operation[index] = Math.floor(random() * OPERATIONS);
    spans.service[index] = Math.floor(random() * SERVICES);
    spans.failed[index] = random() < 0.01 ? 1 : 0;
    open.push(index);
  }
  return spans;
}

const idOf = (index) => (index + 1).toString(16).padStart(16, "0");

export function syntheticColumns(count, traceId, originMicros = ORIGIN_MICROS) {
  const spans = spansOf(count);
  const order = Uint32Array.from({ length: count }, (_, index) => index).sort(
    (left, right) => spans.start[left] - spans.start[right] || left - right,
  );
  const rowOf = new Uint32Array(count);
  order.forEach((span, row) => {
    rowOf[span] = row;
  });
  const widths = {
    span_id: 8,
    start: 8,
    duration: 8,
    parent: 4,
    service: 4,
    operation: 4,
    flags: 1,
  };
  const types = { span_id: "bytes8", start: "u64", duration: "u64", flags: "u8" };
  let offset = 0;
  const columns = Object.entries(widths).map(([name, width]) => {
    const column = { name, type: types[name] ?? "u32", offset, bytes: width * count };
    offset += column.bytes;
    return column;
  });
  const names = (what, howMany) =>
    Array.from({ length: howMany }, (_, index) => `${what}-${index}`);
  const line = Buffer.from(
    JSON.stringify({
      format: "skua-columns",
      version: 1,
      trace_id: traceId,
      revision: "0-1-1",
      completeness: "complete",
      spans: count,
      start_time_unix_nano: `${originMicros}000`,
      services: names("service", SERVICES),
      operations: names("op", OPERATIONS),
      columns,
      column_bytes: offset,
    }),
  );
  const at = Math.ceil((line.length + 1) / 8) * 8;
  const body = Buffer.alloc(at + offset, 0);
  body.fill(0x20, 0, at);
  line.copy(body);
  body[at - 1] = 0x0a;
  const place = Object.fromEntries(columns.map((column) => [column.name, at + column.offset]));
  const u64 = (value, to) => {
    body.writeUInt32LE(value % 2 ** 32, to);
    body.writeUInt32LE(Math.floor(value / 2 ** 32), to + 4);
  };
  order.forEach((span, row) => {
    const parent = spans.parent[span];
    body.writeUInt32BE(span + 1, place.span_id + 8 * row + 4);
    u64(spans.start[span] * 1_000, place.start + 8 * row);
    u64(spans.duration[span] * 1_000, place.duration + 8 * row);
    body.writeUInt32LE(parent < 0 ? row : rowOf[parent], place.parent + 4 * row);
    body.writeUInt32LE(spans.service[span], place.service + 4 * row);
    body.writeUInt32LE(spans.operation[span], place.operation + 4 * row);
    body[place.flags + row] = (span % 2 ? 3 : 2) | (spans.failed[span] ? 8 : 0);
  });
  return body;
}

export function syntheticJson(count, traceID) {
  const of = spansOf(count);
  const spans = Array.from({ length: count }, (_, index) => ({
    traceID,
    spanID: idOf(index),
    operationName: `op-${of.operation[index]}`,
    references:
      of.parent[index] < 0
        ? []
        : [{ refType: "CHILD_OF", traceID, spanID: idOf(of.parent[index]) }],
    startTime: ORIGIN_MICROS + of.start[index],
    duration: of.duration[index],
    tags: [
      { key: "span.kind", type: "string", value: index % 2 ? "client" : "server" },
      { key: "http.method", type: "string", value: "GET" },
      { key: "http.status_code", type: "int64", value: of.failed[index] ? 500 : 200 },
      { key: "http.url", type: "string", value: `http://host-${index % 40}/path/${index}` },
      ...(of.failed[index] ? [{ key: "error", type: "bool", value: true }] : []),
    ],
    logs: [],
    processID: `p${of.service[index]}`,
    warnings: null,
  }));
  const processes = Object.fromEntries(
    Array.from({ length: SERVICES }, (_, index) => [
      `p${index}`,
      { serviceName: `service-${index}`, tags: [] },
    ]),
  );
  return { traceID, spans, processes, warnings: null };
}
