/** Numbers and times as people read them. */

import type { Cost } from "./types";

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export const count = (n: number) => whole.format(n);
export const short = (n: number) => (n < 10_000 ? whole.format(n) : compact.format(n));
export const plural = (n: number, one: string, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;

/** A length of time in seconds. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)}s`;
  if (seconds < 59.5) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}s`;
  const total = Math.round(seconds);
  const [h, m, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return h ? `${h}h ${String(m).padStart(2, "0")}m` : `${m}m ${String(s).padStart(2, "0")}s`;
}

/** An amount of USD; null is an amount nobody knows. */
export function usd(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "unknown";
  if (amount === 0) return "$0";
  if (amount < 0.0001) return "<$0.0001";
  return `$${amount.toFixed(amount < 0.1 ? 4 : amount < 1 ? 3 : 2)}`;
}

/** The same of something that may be known only in part. */
export function costTold(of: Cost): string {
  if (of.cost_usd !== null) return usd(of.cost_usd);
  if (!of.known_cost_usd) return "cost unknown";
  return `${usd(of.known_cost_usd)} known, the cost of ${plural(of.unpriced_calls, "call")} unknown`;
}

/** The same where there is little room. */
export function shortCost(of: Cost): string {
  if (of.cost_usd !== null) return usd(of.cost_usd);
  return of.known_cost_usd ? `≥ ${usd(of.known_cost_usd)}` : "unknown";
}

export const when = (at: number) => dateTime.format(at * 1000);
export const iso = (at: number) => new Date(at * 1000).toISOString();

export function ago(at: number, now: number): string {
  const seconds = Math.max(0, now - at);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  if (seconds < 7 * 86_400) return plural(Math.round(seconds / 86_400), "day") + " ago";
  return new Intl.DateTimeFormat("en", { dateStyle: "medium" }).format(at * 1000);
}

export function bytes(n: number): string {
  return n < 1024 ? `${n} B` : n < 1024 ** 2 ? `${(n / 1024).toFixed(1)} kB` : `${(n / 1024 ** 2).toFixed(1)} MB`;
}

export const percent = (share: number) => `${Math.round(share * 100)}%`;
