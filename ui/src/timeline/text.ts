// Text on a canvas, cut to its room. Measuring is the expensive part, so it is remembered.

const CACHE_MAX = 20_000;

export class TextCutter {
  readonly #widths = new Map<string, number>();

  /** Forget everything: the fonts or their size changed. */
  clear(): void {
    this.#widths.clear();
  }

  width(context: CanvasRenderingContext2D, text: string): number {
    const key = `${context.font}\n${text}`;
    const known = this.#widths.get(key);
    if (known !== undefined) return known;
    if (this.#widths.size > CACHE_MAX) this.#widths.clear();
    const width = context.measureText(text).width;
    this.#widths.set(key, width);
    return width;
  }

  /** The text, or as much of it as fits with an ellipsis; empty if nothing does. */
  cut(context: CanvasRenderingContext2D, text: string, room: number): string {
    if (room <= 0) return "";
    if (this.width(context, text) <= room) return text;
    let low = 0;
    let high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.width(context, `${text.slice(0, middle)}…`) <= room) low = middle;
      else high = middle - 1;
    }
    return low === 0 ? "" : `${text.slice(0, low)}…`;
  }
}
