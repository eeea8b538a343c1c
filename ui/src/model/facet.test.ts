// Which values a facet shows.

import { describe, expect, it } from "vitest";
import { valuesLike, withKept } from "./facet";
import type { ValueCount } from "./figures";

const counted = (...values: string[]): ValueCount[] =>
  values.map((value, index) => ({ value, spans: 10 - index, errors: 0 }));
const names = (values: readonly ValueCount[]) => values.map(({ value }) => value);

describe("a facet", () => {
  it("begins with what is chosen and was not counted", () => {
    const all = withKept(counted("a", "b"), ["b", "gone"]);
    expect(names(all)).toEqual(["gone", "a", "b"]);
    expect(all[0]?.spans).toBe(0);
  });

  it("finds a text anywhere and in any case, and keeps the order", () => {
    const values = counted("GET /cart", "POST /pay", "get /pay");
    expect(names(valuesLike(values, "PAY ", []))).toEqual(["POST /pay", "get /pay"]);
    expect(names(valuesLike(values, "get", []))).toEqual(["GET /cart", "get /pay"]);
    expect(valuesLike(values, " ", ["x"])).toBe(values);
  });

  it("adds rare values that the server knows, without a count", () => {
    const found = valuesLike(counted("host-1"), "host", ["host-1", "host-77"]);
    expect(names(found)).toEqual(["host-1", "host-77"]);
    expect(found[1]?.spans).toBeNaN();
  });
});
