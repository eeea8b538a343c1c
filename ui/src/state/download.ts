// Saves several traces as one file: asks for them one by one, tells how far it is, and what the file
// lacks at the end.

import { useEffect, useMemo } from "react";
import { ApiError, getText, isAbort } from "../api/http";
import { Lane } from "../api/lane";
import { traceJsonUrl, traceOtlpJsonUrl } from "../api/trace-urls";
import { type FileForm, fileOf, pieceOf, type Saved } from "../model/trace-file";
import { Store, useStore } from "./store";

/** More than a browser keeps at ease. */
const CHARACTERS_MAX = 200_000_000;
/** Three of the six connections of a browser stay free. */
const AT_A_TIME = 3;

export interface DownloadState {
  /** Undefined while nothing is under way. */
  readonly progress: { readonly done: number; readonly all: number } | undefined;
  /** What came of the last file. */
  readonly saved: Saved | undefined;
}

const URLS: Readonly<Record<FileForm, (traceId: string) => string>> = {
  jaeger: (traceId) => traceJsonUrl(traceId),
  otlp: traceOtlpJsonUrl,
};

export class Download {
  readonly store = new Store<DownloadState>({ progress: undefined, saved: undefined });
  #running: AbortController | undefined;

  /** `save` gets the file, unless it has no trace at all. */
  async start(
    form: FileForm,
    traceIds: readonly string[],
    save: (parts: readonly string[]) => void,
    limit = CHARACTERS_MAX,
  ): Promise<void> {
    this.stop();
    const controller = new AbortController();
    this.#running = controller;
    const { signal } = controller;
    const lane = new Lane(AT_A_TIME);
    const pieces: string[] = traceIds.map(() => "");
    const sums = { notFound: 0, partial: 0, failed: 0, failure: "", leftOut: 0, characters: 0 };
    let done = 0;
    const tell = () =>
      this.store.set({ progress: { done, all: traceIds.length }, saved: undefined });
    tell();
    const read = async (traceId: string, place: number) => {
      try {
        if (sums.characters >= limit) {
          sums.leftOut += 1;
          return;
        }
        const { value, completeness } = await getText(URLS[form](traceId), signal);
        const piece = pieceOf(form, value);
        if (piece === undefined) throw new Error("The answer has no trace.");
        if (piece === "") {
          sums.notFound += 1;
          return;
        }
        sums.characters += piece.length;
        pieces[place] = piece;
        if (!completeness.isComplete) sums.partial += 1;
      } catch (error) {
        if (isAbort(error)) throw error;
        if (error instanceof ApiError && error.kind === "not-found") sums.notFound += 1;
        else {
          sums.failed += 1;
          sums.failure ||= error instanceof Error ? error.message : String(error);
        }
      }
      done += 1;
      if (!signal.aborted) tell();
    };
    try {
      await Promise.all(traceIds.map((id, place) => lane.run(() => read(id, place), signal)));
    } catch {
      // Nobody wants it any more.
      return;
    }
    if (signal.aborted) return;
    this.#running = undefined;
    const { characters: _, ...gaps } = sums;
    const written = pieces.filter((piece) => piece !== "").length;
    if (written > 0) save(fileOf(form, pieces));
    const saved = { asked: traceIds.length, written, ...gaps };
    this.store.set({ progress: undefined, saved });
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.store.set({ progress: undefined, saved: undefined });
  }
}

/** One that is broken off when the page is left. */
export function useDownload(): readonly [DownloadState, Download] {
  const download = useMemo(() => new Download(), []);
  useEffect(() => () => download.stop(), [download]);
  return [useStore(download.store), download];
}

/** Hands a file to the browser. */
export function saveFile(name: string, parts: readonly string[]): void {
  const url = URL.createObjectURL(new Blob([...parts], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
