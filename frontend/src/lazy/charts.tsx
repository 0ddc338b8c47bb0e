/** Charts. Fetched when one is first shown. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { percent, usd } from "../format";
import type { BarsProps, LineProps } from "./later";

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

const tones = ["--accent", "--wait"];
const written: Record<LineProps["kind"], (value: number) => string> = {
  evidence: (value) => (value >= 1000 ? value.toExponential(0) : String(value)),
  rates: percent,
  costs: usd,
};

/** The powers of ten that a logarithmic axis shows. */
function powers(_: uPlot, __: number, low: number, high: number): number[] {
  const first = Math.ceil(Math.log10(low));
  const count = Math.max(0, Math.floor(Math.log10(high)) - first + 1);
  const step = Math.ceil(count / 6) || 1;
  return Array.from({ length: Math.ceil(count / step) }, (_, index) => 10 ** (first + index * step));
}

/** How a comparison went, pair by pair: evidence on a logarithmic scale, or rates with their intervals, or costs. */
export function LineChart({ kind, x, lines, threshold }: LineProps) {
  const format = written[kind];
  const box = useChart(
    210,
    (width) => {
      const series: uPlot.Series[] = [{}];
      const data: (number | null)[][] = [x];
      const bands: uPlot.Band[] = [];
      lines.forEach((line, index) => {
        const stroke = colour(tones[index % tones.length]!);
        series.push({ label: line.name, stroke, width: 2, points: { show: false } });
        data.push(line.y);
        if (!line.low || !line.high) return;
        const at = series.length;
        const edge = { stroke: "transparent", points: { show: false } };
        series.push({ ...edge, label: `${line.name} high` }, { ...edge, label: `${line.name} low` });
        data.push(line.high, line.low);
        bands.push({ series: [at, at + 1], fill: `${stroke}22` });
      });
      if (threshold !== undefined) {
        series.push({ label: "enough", stroke: colour("--good"), width: 1.5, dash: [5, 4], points: { show: false } });
        data.push(x.map(() => threshold));
      }
      const y: uPlot.Scale =
        kind === "evidence"
          ? { distr: 3, range: (_, low, high) => [Math.min(0.1, low), Math.max((threshold ?? 1) * 3, high)] }
          : { range: (_, __, high) => [0, kind === "rates" ? 1 : (high || 1) * 1.15] };
      const options: uPlot.Options = {
        width,
        height: 210,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false }, y },
        axes: [
          { ...axes(), label: "Pairs of cases", labelSize: 20, labelFont: "12px Inter Variable, sans-serif", size: 30 },
          { ...axes(), size: 58, ...(kind === "evidence" ? { splits: powers } : {}), values: (_, at) => at.map((n) => (n === null ? "" : format(n))) },
        ],
        series,
        bands,
      };
      return { options, data: data as uPlot.AlignedData };
    },
    [kind, JSON.stringify(x), JSON.stringify(lines), threshold],
  );
  const now = lines.map((line) => `${line.name} ${line.y.at(-1) == null ? "unknown" : format(line.y.at(-1)!)}`).join(", ");
  return (
    <div>
      {(lines.length > 1 || threshold !== undefined) && (
        <p class="chart-key">
          {lines.map((line, index) => (
            <span key={line.name} class={`key-${index}`}>
              {line.name}
            </span>
          ))}
          {threshold !== undefined && <span class="key-enough">enough to promote ({threshold})</span>}
        </p>
      )}
      <div class="chart" ref={box} role="img" aria-label={`After ${x.at(-1)} pairs: ${now}`} />
    </div>
  );
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
