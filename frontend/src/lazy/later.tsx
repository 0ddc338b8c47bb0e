/** Parts whose script is fetched when they are first shown. */

import type { ComponentType } from "preact";
import { useEffect, useReducer } from "preact/hooks";
import { Loading } from "../ui/bits";

function later<P extends object>(load: () => Promise<ComponentType<P>>, rows: number): (props: P) => preact.JSX.Element {
  let found: ComponentType<P> | null = null;
  return (props: P) => {
    const [, redraw] = useReducer((n: number) => n + 1, 0);
    useEffect(() => {
      let gone = false;
      if (!found) load().then((part) => ((found = part), gone || redraw(undefined)), () => undefined);
      return () => {
        gone = true;
      };
    }, []);
    if (!found) return <Loading rows={rows} />;
    const Found = found;
    return <Found {...props} />;
  };
}

export interface DiffProps {
  diff: string;
  before?: string | null;
  after?: string | null;
  path?: string;
}
export interface FileTextProps {
  text: string;
  path: string;
  marked: number | null;
  onLine: (line: number) => void;
}
export interface Line {
  name: string;
  y: (number | null)[];
  /** Bounds of an interval around it. */
  low?: number[];
  high?: number[];
}
export interface LineProps {
  kind: "evidence" | "rates" | "costs";
  x: number[];
  lines: Line[];
  /** A level worth reaching. */
  threshold?: number;
}
export interface BarsProps {
  labels: string[];
  values: number[];
  format: (value: number) => string;
  label: string;
}

export const DiffView = later<DiffProps>(() => import("./code").then((module) => module.DiffView), 6);
export const FileText = later<FileTextProps>(() => import("./code").then((module) => module.FileText), 8);
export const LineChart = later<LineProps>(() => import("./charts").then((module) => module.LineChart), 3);
export const BarChart = later<BarsProps>(() => import("./charts").then((module) => module.BarChart), 3);
