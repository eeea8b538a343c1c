// A file of several traces, made of what the server says of each. Texts are cut and joined as they
// are: reading and printing them anew would round numbers of more than 53 bits.

export type FileForm = "jaeger" | "otlp";

/** What stands around the traces in an answer, and in the file. */
const FORMS: Readonly<
  Record<FileForm, { readonly path: readonly string[]; readonly name: string }>
> = {
  jaeger: { path: ["data"], name: "data" },
  otlp: { path: ["result", "resourceSpans"], name: "resourceSpans" },
};

/** What an answer has of a trace; undefined if it is not an answer of this form. */
export function pieceOf(form: FileForm, answer: string): string | undefined {
  const { path } = FORMS[form];
  let at = skipSpace(answer, 0);
  for (const name of path) {
    const found = memberAt(answer, at, name);
    if (found === undefined) return undefined;
    at = found;
  }
  if (answer[at] !== "[") return undefined;
  const end = endOf(answer, at);
  return end === undefined ? undefined : answer.slice(at + 1, end - 1).trim();
}

/** The parts of the file, to be put behind each other. */
export function fileOf(form: FileForm, pieces: readonly string[]): string[] {
  const parts = pieces.filter((piece) => piece !== "");
  const joined = parts.flatMap((piece, index) => (index === 0 ? [piece] : [",\n", piece]));
  return [`{"${FORMS[form].name}":[`, ...joined, "]}\n"];
}

/** What came of saving traces. */
export interface Saved {
  readonly asked: number;
  readonly written: number;
  /** Gone, or never there. */
  readonly notFound: number;
  /** Of which not all spans are in the file. */
  readonly partial: number;
  /** Why others could not be read; the first reason. */
  readonly failed: number;
  readonly failure: string;
  /** The file would have become too large for a browser. */
  readonly leftOut: number;
}

/** What the file lacks, a sentence each; none if it lacks nothing. */
export function gapsOf(saved: Saved): string[] {
  const { notFound, partial, failed, failure, leftOut } = saved;
  const of = (count: number) => (count === 1 ? "1 trace" : `${count} traces`);
  return [
    ...(notFound > 0 ? [`${of(notFound)} not found.`] : []),
    ...(failed > 0 ? [`${of(failed)} could not be read: ${failure}`] : []),
    ...(partial > 0 ? [`${of(partial)} without all spans.`] : []),
    ...(leftOut > 0 ? [`${of(leftOut)} left out: the file would be too large.`] : []),
  ];
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (" \n\r\t".includes(text[at] ?? "x")) at += 1;
  return at;
}

/** Where the value of a member of the object at a place begins. */
function memberAt(text: string, object: number, name: string): number | undefined {
  if (text[object] !== "{") return undefined;
  let at = skipSpace(text, object + 1);
  while (text[at] === '"') {
    const keyEnd = endOf(text, at);
    if (keyEnd === undefined) return undefined;
    const colon = skipSpace(text, keyEnd);
    if (text[colon] !== ":") return undefined;
    const value = skipSpace(text, colon + 1);
    if (text.slice(at + 1, keyEnd - 1) === name) return value;
    const end = endOf(text, value);
    if (end === undefined) return undefined;
    at = skipSpace(text, end);
    if (text[at] !== ",") return undefined;
    at = skipSpace(text, at + 1);
  }
  return undefined;
}

/** Behind the value that begins at a place; undefined if it does not end. */
function endOf(text: string, from: number): number | undefined {
  const first = text[from];
  if (first !== '"' && first !== "{" && first !== "[") {
    const end = text.slice(from).search(/[\s,}\]]/);
    return end <= 0 ? undefined : from + end;
  }
  let depth = 0;
  const marks = /["{}[\]]/g;
  marks.lastIndex = from;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    if (mark[0] === '"') {
      const end = endOfText(text, mark.index);
      if (end === undefined) return undefined;
      marks.lastIndex = end;
    } else {
      depth += mark[0] === "{" || mark[0] === "[" ? 1 : -1;
    }
    if (depth === 0) return marks.lastIndex;
  }
  return undefined;
}

/** A quote ends a text unless an odd number of backslashes stands before it. */
function endOfText(text: string, from: number): number | undefined {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return undefined;
}
