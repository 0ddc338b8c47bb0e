/** Charts. Fetched when one is first shown. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { BarsProps, EvidenceProps } from "./later";

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Draw a chart as wide as its box, again when the box or the colours change. */
function useChart(height: number, make: (width: number) => { options: uPlot.Options; data: uPlot.AlignedData }, deps: unknown[]) {
  const box = useRef<HTMLDivElement>(null);
  const [round, again] = useState(0);
  useEffect(() => {
    const tell = () => again((n) => n + 1);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    window.addEventListener("windlass:theme", tell);
    scheme.addEventListener("change", tell);
    return () => {
      window.removeEventListener("windlass:theme", tell);
      scheme.removeEventListener("change", tell);
    };
  }, []);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const { options, data } = make(element.clientWidth || 600);
    const chart = new uPlot({ ...options, height }, data, element);
    const watch = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      chart.destroy();
    };
  }, [round, ...deps]);
  return box;
}

function axes(): Partial<uPlot.Axis> {
  return {
    stroke: colour("--text-2"),
    font: "12px Inter Variable, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
}

/** Evidence for a new version after each pair of cases, on a logarithmic scale, with the level that is enough. */
export function EvidenceChart({ series, threshold }: EvidenceProps) {
  const box = useChart(
    200,
    (width) => ({
      options: {
        width,
        height: 200,
        cursor: { y: false },
        legend: { show: false },
        scales: { x: { time: false }, y: { distr: 3, range: (_, low, high) => [Math.min(0.5, low), Math.max(threshold * 2, high)] } },
        axes: [{ ...axes(), label: "Pairs of cases", labelSize: 18, labelFont: "12px Inter Variable, sans-serif", size: 34 }, { ...axes(), size: 48 }],
        series: [
          {},
          { label: "E-value", stroke: colour("--accent"), width: 2, points: { show: false } },
          { label: "enough", stroke: colour("--good"), width: 1.5, dash: [5, 4], points: { show: false } },
        ],
      },
      data: [series.x, series.y, series.x.map(() => threshold)],
    }),
    [JSON.stringify(series), threshold],
  );
  const last = series.y.at(-1);
  return <div class="chart" ref={box} role="img" aria-label={`E-value over ${series.x.length} pairs; now ${last?.toFixed(1)}, enough at ${threshold}`} />;
}

/** One bar a label. */
export function BarChart({ labels, values, format, label }: BarsProps) {
  const box = useChart(
    180,
    (width) => ({
      options: {
        width,
        height: 180,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: () => [-0.6, Math.max(labels.length - 0.4, 6)] }, y: { range: (_, __, high) => [0, (high || 1) * 1.1] } },
        axes: [
          { ...axes(), grid: { show: false }, size: 30, splits: () => everyFew(labels.length, width), values: (_, at) => at.map((n) => (labels[n] ?? "").slice(5)) },
          { ...axes(), size: 62, values: (_, at) => at.map((n) => (n === null ? "" : format(n))) },
        ],
        series: [
          {},
          {
            fill: colour("--accent"),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars!({ size: [0.62, 44], radius: 0.15 }),
          },
        ],
      },
      data: [labels.map((_, index) => index), values],
    }),
    [labels.join(), values.join()],
  );
  return <div class="chart" ref={box} role="img" aria-label={`${label}: ${labels.map((name, index) => `${name} ${format(values[index] ?? 0)}`).join(", ")}`} />;
}

function everyFew(length: number, width: number): number[] {
  const step = Math.max(1, Math.ceil(length / Math.max(2, Math.floor(width / 80))));
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}
