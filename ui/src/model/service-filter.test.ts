import { describe, expect, it } from "vitest";
import { parseServiceFilter, printServiceFilter } from "./service-filter";

const SERVICES = ["db", "api", "cache", "auth"];

describe("the filter of services in a link", () => {
  it("is a checksum and a mask over the sorted names", () => {
    // Shown: api and db, the first and the last in order.
    const text = printServiceFilter(SERVICES, Uint8Array.of(0, 0, 1, 1)) ?? "";
    expect(text).toMatch(/^[0-9a-f]{1,4}\.9$/);
    expect(parseServiceFilter(SERVICES, text)).toEqual(Uint8Array.of(0, 0, 1, 1));
    // The order in which a trace has its services says nothing.
    expect(parseServiceFilter([...SERVICES].sort(), text)).toEqual(Uint8Array.of(0, 1, 1, 0));
  });

  it("has the checksum that Jaeger's links have", () => {
    expect(printServiceFilter(["a"], Uint8Array.of(1))).toBe("fe7d.0");
  });

  it("shows all where it is out of date, broken or hides everything", () => {
    const text = printServiceFilter(SERVICES, Uint8Array.of(0, 0, 1, 1)) ?? "";
    expect(parseServiceFilter([...SERVICES, "new"], text)).toBeNull();
    const checksum = text.split(".")[0];
    for (const broken of ["", "9", ".9", `${checksum}.`, `${checksum}.xyz`, `${checksum}.0`]) {
      expect(parseServiceFilter(SERVICES, broken)).toBeNull();
    }
    expect(parseServiceFilter(SERVICES, `${checksum}.f`)).toBeNull();
    expect(printServiceFilter(SERVICES, null)).toBeUndefined();
    expect(printServiceFilter(SERVICES, new Uint8Array(4))).toBeUndefined();
  });
});
