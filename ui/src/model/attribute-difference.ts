// What two spans say of themselves, key by key.

import type { Attribute, SpanDetails } from "./details";

export interface AttributePair {
  readonly key: string;
  /** Undefined where the span does not have the key; repeated keys are joined. */
  readonly left: string | undefined;
  readonly right: string | undefined;
  readonly isSame: boolean;
}

/** What differs first, then the rest; each by its key. */
export function attributePairs(
  left: readonly Attribute[],
  right: readonly Attribute[],
): readonly AttributePair[] {
  const [ofLeft, ofRight] = [joined(left), joined(right)];
  return [...new Set([...ofLeft.keys(), ...ofRight.keys()])]
    .map((key) => {
      const [one, other] = [ofLeft.get(key), ofRight.get(key)];
      return { key, left: one, right: other, isSame: one === other };
    })
    .sort(
      (one, other) => Number(one.isSame) - Number(other.isSame) || (one.key < other.key ? -1 : 1),
    );
}

function joined(attributes: readonly Attribute[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const { key, value } of attributes) {
    const known = values.get(key);
    values.set(key, known === undefined ? String(value) : `${known}, ${String(value)}`);
  }
  return values;
}

/** Attributes, status and events of a span as one list. */
export function ownAttributes(span: SpanDetails): readonly Attribute[] {
  const told = (key: string, value: string) => (value === "" ? [] : [{ key, value }]);
  return [
    ...told("kind", span.kind),
    ...told("status", span.status.toLowerCase()),
    ...told("status message", span.statusMessage),
    ...span.events.map(({ name, attributes }) => ({
      key: `event ${name}`,
      value: attributes.map(({ key, value }) => `${key}=${String(value)}`).join(" "),
    })),
    ...span.attributes,
  ];
}
