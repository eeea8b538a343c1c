// Figures over spans: totals, the heatmap, the most frequent values, rates by time.

import { type Completeness, completenessOf } from "../model/completeness";
import type { Counts, Figures, Heatmap, RedGroup, RedSeries, ValueCount } from "../model/figures";
import { countedOf, type Predicate } from "../model/predicate";
import type { TimeSpan } from "../model/search-query";
import { type Json, list, number, record, text } from "./guards";
import { type Answered, apiUrl, askJson } from "./http";
import { Lane } from "./lane";
import { nanos } from "./search";

/** Connections that figures may hold, out of six. */
const AT_A_TIME = 3;
const figures = new Lane(AT_A_TIME);

interface Asked {
  readonly window: TimeSpan;
  /** Of one span. */
  readonly where: Predicate;
}

export function fetchTotals(asked: Asked, signal?: AbortSignal): Promise<Answered<Figures>> {
  return ask(asked, { kind: "totals" }, figuresOf, signal);
}

/** `step` in microseconds. */
export function fetchHeatmap(
  asked: Asked,
  step: number,
  signal?: AbortSignal,
): Promise<Answered<Heatmap>> {
  const read = (answer: Json): Heatmap => {
    const heatmap = record(answer["heatmap"], "heatmap");
    return {
      ...figuresOf(answer),
      start: startOf(heatmap),
      step: number(heatmap["step_nanos"], "step_nanos") / 1_000,
      cells: list(heatmap["cells"], "cells").map((cell) => {
        const [bin, bucket, spans, errors] = list(cell, "cell");
        return {
          bin: number(bin, "bin"),
          bucket: number(bucket, "bucket"),
          spans: number(spans, "spans"),
          errors: number(errors, "errors"),
        };
      }),
    };
  };
  return ask(asked, { kind: "heatmap", step: nanosOf(step) }, read, signal);
}

/**
 * The values of what a key names in conditions: a field, or an attribute, with its scope before it.
 * What is no figure has a lane of its own.
 */
export function fetchTopValues(
  asked: Asked,
  key: string,
  limit: number,
  signal?: AbortSignal,
  lane = figures,
): Promise<Answered<Figures & { readonly values: readonly ValueCount[] }>> {
  const read = (answer: Json) => ({
    ...figuresOf(answer),
    values: list(answer["values"], "values").map((each) => {
      const value = record(each, "value");
      return { value: text(value["value"], "value"), ...countsOf(value) };
    }),
  });
  const question = { kind: "top_values", limit, ...countedOf(key) };
  return ask(asked, question, read, signal, lane);
}

/** `step` in microseconds. */
export function fetchRed(
  asked: Asked,
  question: {
    readonly step: number;
    readonly groupBy: "service" | "operation";
    readonly quantiles: readonly number[];
  },
  signal?: AbortSignal,
): Promise<Answered<RedSeries>> {
  const read = (answer: Json): RedSeries => {
    const red = record(answer["red"], "red");
    return {
      ...figuresOf(answer),
      start: startOf(red),
      step: number(red["step_nanos"], "step_nanos") / 1_000,
      quantiles: list(red["quantiles"], "quantiles").map((each) => number(each, "quantile")),
      groups: list(red["groups"], "groups").map(readGroup),
    };
  };
  const { step, groupBy, quantiles } = question;
  return ask(
    asked,
    { kind: "red", step: nanosOf(step), group_by: groupBy, quantiles },
    read,
    signal,
  );
}

function readGroup(json: unknown): RedGroup {
  const group = record(json, "group");
  return {
    service: text(group["service"], "service"),
    operation: text(group["operation"], "operation"),
    kind: text(group["kind"], "kind"),
    bins: list(group["bins"], "bins").map((each) => {
      const [bin, spans, errors, ...quantiles] = list(each, "bin");
      return {
        bin: number(bin, "bin"),
        spans: number(spans, "spans"),
        errors: number(errors, "errors"),
        quantiles: quantiles.map((each) => number(each, "quantile") / 1_000),
      };
    }),
  };
}

async function ask<T>(
  { window, where }: Asked,
  question: object,
  read: (answer: Json) => T,
  signal: AbortSignal | undefined,
  lane = figures,
): Promise<Answered<T>> {
  const body = {
    window: { start: nanos(window.start), end: nanos(window.end) },
    where,
    ...question,
  };
  let completeness: Completeness | undefined;
  const url = apiUrl("api/skua/v1/aggregate");
  const readAll = (json: unknown) => {
    const fields = record(json, "answer");
    completeness = completenessOf(text(fields["completeness"], "completeness"));
    return read(fields);
  };
  const answer = await lane.run(() => askJson(url, body, readAll, signal), signal);
  return { ...answer, completeness: completeness ?? answer.completeness };
}

function figuresOf(answer: Json): Figures {
  return {
    ...countsOf(answer),
    traces: number(answer["traces"], "traces"),
    other: number(answer["other"], "other"),
  };
}

function countsOf(json: Json): Counts {
  return { spans: number(json["spans"], "spans"), errors: number(json["errors"], "errors") };
}

function startOf(json: Json): number {
  return Math.floor(Number(text(json["start"], "start").slice(0, -3)));
}

/** Steps go as whole nanoseconds. */
function nanosOf(micros: number): number {
  return Math.max(1, Math.round(micros * 1_000));
}
