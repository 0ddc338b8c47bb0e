/** A text of any length as rows of equal height, of which only those in view exist.
 *
 * Lines are broken here rather than by the browser, so that every row's place is known without measuring: five megabytes
 * are laid out in a few milliseconds, and a text that grows is laid out from its last line on.
 */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { plural } from "../format";

export const ROW = 20;
const SPARE = 20;

export class Layout {
  /** Where each row starts; `line` numbers are kept for rows that begin a line, 0 for the others. */
  starts: number[] = [];
  lines: number[] = [];
  text = "";
  /** How many lines the text has; a long one takes several rows. */
  lineCount = 0;

  constructor(readonly columns: number) {}

  /** Lay out a text; one that continues the present text costs only what is new. */
  set(text: string): void {
    let from = 0;
    if (this.text && text.length >= this.text.length && text.startsWith(this.text)) {
      // The last line may have grown: break it anew.
      let last = this.lines.length - 1;
      while (last > 0 && this.lines[last] === 0) last--;
      from = this.starts[last] ?? 0;
      this.lineCount = (this.lines[last] ?? 1) - 1;
      this.starts.length = this.lines.length = Math.max(0, last);
    } else {
      this.starts = [];
      this.lines = [];
      this.lineCount = 0;
    }
    this.text = text;
    while (from <= text.length) {
      let end = text.indexOf("\n", from);
      if (end < 0) end = text.length;
      this.breakLine(from, end);
      from = end + 1;
    }
  }

  row(index: number): string {
    const end = this.starts[index + 1] ?? this.text.length + 1;
    const text = this.text.slice(this.starts[index], end);
    return text.endsWith("\n") ? text.slice(0, -1) : text;
  }

  rowOfLine(line: number): number {
    // Line numbers grow with rows; continuation rows hold 0, so look near by proportion is not possible: scan.
    return Math.max(0, this.lines.indexOf(line));
  }

  private breakLine(from: number, end: number): void {
    this.lineCount++;
    this.starts.push(from);
    this.lines.push(this.lineCount);
    let at = from;
    while (end - at > this.columns || wide(this.text, at, end, this.columns)) {
      const cut = this.cut(at, end);
      if (cut >= end) break;
      this.starts.push(cut);
      this.lines.push(0);
      at = cut;
    }
  }

  /** The end of a row that starts at `at`: after the last space that fits, else where the row is full. */
  private cut(at: number, end: number): number {
    let width = 0;
    let space = 0;
    for (let i = at; i < end; i++) {
      width += cells(this.text.charCodeAt(i));
      if (width > this.columns) {
        if (space > at) return space;
        // Not between the halves of a character.
        return Math.max(at + 1, (this.text.charCodeAt(i) & 0xfc00) === 0xdc00 ? i - 1 : i);
      }
      if (this.text.charCodeAt(i) === 32) space = i + 1;
    }
    return end;
  }
}

/** Columns that a UTF-16 unit takes: East Asian ones take two; each half of an astral character one. */
function cells(code: number): number {
  if (code < 0x1100) return code === 9 ? 4 : 1;
  return (code <= 0x115f || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60)) ? 2 : 1;
}

function wide(text: string, at: number, end: number, columns: number): boolean {
  if ((end - at) * 4 <= columns) return false;
  let width = 0;
  for (let i = at; i < end; i++) width += cells(text.charCodeAt(i));
  return width > columns;
}

/** Draw again whenever the box scrolls or changes its size, at most once a frame. */
export function useScrolled(box: RefObject<HTMLElement | null>): void {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let frame = 0;
    const tell = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        redraw(undefined);
      });
    };
    element.addEventListener("scroll", tell, { passive: true });
    const watch = new ResizeObserver(tell);
    watch.observe(element);
    return () => {
      element.removeEventListener("scroll", tell);
      watch.disconnect();
      cancelAnimationFrame(frame);
    };
  }, [box]);
}

/** How many columns fit into a box, as last measured: a text that takes another's place is as high at once. */
const measured = new WeakMap<HTMLElement, number>();

interface Props {
  text: string;
  /** The box that scrolls. */
  box: RefObject<HTMLElement | null>;
  /** Names this text in the address of one of its lines: `#NAME-12`. */
  name: string;
  marked?: number | null;
  onLine?: (line: number) => void;
  label: string;
  live?: boolean;
}

export function LongText({ text: given, box, name, marked, onLine, label, live }: Props) {
  // The newline at the end of the last line begins no other.
  const text = !live && given.endsWith("\n") ? given.slice(0, -1) : given;
  const own = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const [columns, setColumns] = useState(() => (box.current && measured.get(box.current)) ?? 0);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useScrolled(box);

  useLayoutEffect(() => {
    const measure = () => {
      if (!own.current || !probe.current) return;
      const cell = probe.current.getBoundingClientRect().width / 20;
      const room = own.current.clientWidth - 52;
      if (!(cell > 0 && room > 0)) return;
      const fit = Math.max(16, Math.floor(room / cell));
      if (box.current) measured.set(box.current, fit);
      setColumns(fit);
    };
    measure();
    // Which rows are in view is known from here on.
    redraw(undefined);
    const watch = new ResizeObserver(measure);
    if (own.current) watch.observe(own.current);
    document.fonts?.ready.then(measure, () => undefined);
    return () => watch.disconnect();
  }, []);

  const layout = useMemo(() => new Layout(columns || 80), [columns]);
  if (columns && layout.text !== text) layout.set(text);
  const rows = columns ? layout.starts.length : 0;

  useEffect(() => {
    if (!marked || !columns || !box.current || !own.current) return;
    const top = layout.rowOfLine(marked) * ROW;
    box.current.scrollTop += own.current.getBoundingClientRect().top - box.current.getBoundingClientRect().top + top - 120;
  }, [marked, columns]);

  let [first, last] = [0, 0];
  if (own.current && box.current && rows) {
    const above = box.current.getBoundingClientRect().top - own.current.getBoundingClientRect().top;
    first = Math.max(0, Math.floor(above / ROW) - SPARE);
    last = Math.min(rows, Math.ceil((above + box.current.clientHeight) / ROW) + SPARE);
  }
  const shown = [];
  for (let index = first; index < last; index++) {
    const line = layout.lines[index]!;
    shown.push(
      <div key={index} class={line && line === marked ? "row marked" : "row"} style={{ top: `${index * ROW}px` }}>
        <span class="row-number" aria-hidden="true" onClick={line && onLine ? () => onLine(line) : undefined}>
          {line || ""}
        </span>
        <span class="row-text">{layout.row(index)}</span>
      </div>,
    );
  }
  return (
    <div
      ref={own}
      class={live ? "long-text live" : "long-text"}
      role="group"
      aria-label={`${label}, ${plural(layout.lineCount, "line")}`}
      id={name}
      style={{ height: `${Math.max(1, rows) * ROW}px` }}
    >
      <span ref={probe} class="probe" aria-hidden="true">
        00000000000000000000
      </span>
      {shown}
    </div>
  );
}
