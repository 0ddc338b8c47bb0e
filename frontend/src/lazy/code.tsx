/** Diffs and whole files, coloured. Fetched when a file is first looked at. */

import { diffWordsWithSpace, parsePatch } from "diff";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count } from "../format";
import { classOf, highlight, type Piece } from "./highlight";
import type { DiffProps, FileTextProps } from "./later";

const MOST_LINES = 3_000;

function Pieces({ pieces }: { pieces: Piece[] }) {
  return (
    <>
      {pieces.map((piece, index) =>
        piece.scope ? (
          <span key={index} class={classOf(piece.scope)}>
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </>
  );
}

interface DiffLine {
  sign: "+" | "-" | " " | "\\";
  old: number | null;
  new: number | null;
  text: string;
  /** Parts that differ from the line it stands in for. */
  words: { text: string; changed: boolean }[] | null;
}
type Part = { hunk: string } | DiffLine;

function parse(diff: string): Part[] {
  const parts: Part[] = [];
  for (const patch of parsePatch(diff)) {
    for (const hunk of patch.hunks) {
      parts.push({ hunk: `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@` });
      let [before, after] = [hunk.oldStart, hunk.newStart];
      const lines: DiffLine[] = hunk.lines.map((raw) => {
        const sign = raw[0] as DiffLine["sign"];
        return {
          sign,
          old: sign === "-" || sign === " " ? before++ : null,
          new: sign === "+" || sign === " " ? after++ : null,
          text: raw.slice(1),
          words: null,
        };
      });
      pairUp(lines);
      parts.push(...lines);
    }
  }
  return parts;
}

/** A block of removed lines followed by as many added ones: show the words that changed. */
function pairUp(lines: DiffLine[]): void {
  for (let at = 0; at < lines.length; at++) {
    let removed = 0;
    while (lines[at + removed]?.sign === "-") removed++;
    if (!removed) continue;
    let added = 0;
    while (lines[at + removed + added]?.sign === "+") added++;
    for (let n = 0; removed === added && n < removed && removed <= 40; n++) {
      const [old, fresh] = [lines[at + n]!, lines[at + removed + n]!];
      if (old.text.length + fresh.text.length > 1_000) continue;
      const words = diffWordsWithSpace(old.text, fresh.text);
      const same = words.filter((word) => !word.added && !word.removed).reduce((sum, word) => sum + word.value.trim().length, 0);
      if (same * 3 < Math.max(old.text.length, fresh.text.length)) continue;
      old.words = words.filter((word) => !word.added).map((word) => ({ text: word.value, changed: Boolean(word.removed) }));
      fresh.words = words.filter((word) => !word.removed).map((word) => ({ text: word.value, changed: Boolean(word.added) }));
    }
    at += removed + added - 1;
  }
}

const signs: Record<string, string> = { "+": "added", "-": "removed", " ": "", "\\": "note" };

export function DiffView({ diff, before, after, path = "" }: DiffProps) {
  const parts = useMemo(() => parse(diff), [diff]);
  const old = useMemo(() => (before && path ? highlight(before, path) : null), [before, path]);
  const fresh = useMemo(() => (after && path ? highlight(after, path) : null), [after, path]);
  const [all, setAll] = useState(false);
  if (!parts.length) return <p class="hint pad">{diff.trim() || "No difference."}</p>;
  const shown = all ? parts : parts.slice(0, MOST_LINES);
  return (
    <div class="code-box" tabIndex={0} role="region" aria-label={path ? `Changes of ${path}` : "Changes"}>
      <table class="diff">
        <tbody>
          {shown.map((part, index) =>
            "hunk" in part ? (
              <tr key={index} class="hunk">
                <td colSpan={4}>{part.hunk}</td>
              </tr>
            ) : (
              <tr key={index} class={signs[part.sign]}>
                <td class="line-number">{part.old ?? ""}</td>
                <td class="line-number">{part.new ?? ""}</td>
                <td class="sign">{part.sign === "\\" ? "" : part.sign}</td>
                <td class="line-text">
                  {part.words ? (
                    part.words.map((word, n) => (word.changed ? <mark key={n}>{word.text}</mark> : word.text))
                  ) : (
                    <Pieces pieces={(part.sign === "-" ? old?.[part.old! - 1] : part.new ? fresh?.[part.new - 1] : null) ?? [{ text: part.text, scope: "" }]} />
                  )}
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
      {shown.length < parts.length && (
        <button class="button small" onClick={() => setAll(true)}>
          Show {count(parts.length - shown.length)} more lines
        </button>
      )}
    </div>
  );
}

export function FileText({ text, path, marked, onLine }: FileTextProps) {
  const lines = useMemo(() => highlight(text, path), [text, path]);
  const [all, setAll] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (marked) box.current?.querySelector(`[data-line="${marked}"]`)?.scrollIntoView({ block: "center" });
  }, [marked, text]);
  const shown = all || (marked ?? 0) > MOST_LINES ? lines : lines.slice(0, MOST_LINES);
  if (shown.length && shown.at(-1)!.length === 0) shown.pop();
  return (
    <div class="code-box" ref={box} tabIndex={0} role="region" aria-label={`Text of ${path}`}>
      <table class="diff">
        <tbody>
          {shown.map((pieces, index) => (
            <tr key={index} class={index + 1 === marked ? "marked" : ""} data-line={index + 1}>
              <td class="line-number">
                <button onClick={() => onLine(index + 1)} aria-label={`Link to line ${index + 1}`} tabIndex={-1}>
                  {index + 1}
                </button>
              </td>
              <td class="line-text">
                <Pieces pieces={pieces} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < lines.length - 1 && (
        <button class="button small" onClick={() => setAll(true)}>
          Show {count(lines.length - shown.length)} more lines
        </button>
      )}
    </div>
  );
}
