/** State that several pages share: data of the server, the time, keys. */

import { useCallback, useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api";

export interface Fetched<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

/** What a GET answers; asked again when the path or query changes, what was there stays until then. null asks nothing. */
export function useGet<T>(path: string | null, query: Record<string, unknown> = {}): Fetched<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(path !== null);
  const [round, again] = useReducer((n: number) => n + 1, 0);
  const key = JSON.stringify(query);
  const shown = useRef(path);
  useEffect(() => {
    if (shown.current !== path) setData(null);
    shown.current = path;
    if (path === null) {
      setLoading(false);
      return;
    }
    const stop = new AbortController();
    setLoading(true);
    get<T>(path, JSON.parse(key) as Record<string, unknown>, stop.signal).then(
      (found) => {
        setData(found);
        setError(null);
        setLoading(false);
      },
      (wrong: unknown) => {
        if (stop.signal.aborted) return;
        setLoading(false);
        if (wrong instanceof ApiError) setError(wrong);
      },
    );
    return () => stop.abort();
  }, [path, key, round]);
  return { data, error, loading, reload: useCallback(() => again(undefined), []) };
}

/** Seconds since 1970, drawn anew every second while `running`. */
export function useNow(running: boolean, everySeconds = 1): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!running) return;
    setNow(Date.now() / 1000);
    const timer = setInterval(() => setNow(Date.now() / 1000), everySeconds * 1000);
    return () => clearInterval(timer);
  }, [running, everySeconds]);
  return now;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Windlass` : "Windlass";
  }, [title]);
}

export const wantsKeys = () => localStorage.getItem("windlass.keys") !== "off";

/** Single keys, unless somebody is typing or has turned them off. Keys are KeyboardEvent.key; "g r" is two in a row. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const present = useRef(keys);
  present.current = keys;
  useEffect(() => {
    let prefix = "";
    let at = 0;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !wantsKeys()) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
      const pair = prefix && event.timeStamp - at < 1_200 ? `${prefix} ${event.key}` : "";
      // "g" begins a pair wherever it is bound: after it, a page's own single keys keep still.
      const single = pair.startsWith("g ") ? undefined : present.current[event.key];
      const act = present.current[pair] ?? single;
      prefix = event.key.length === 1 ? event.key : "";
      at = event.timeStamp;
      if (!act) return;
      // Enter on a link or a button is that element's own.
      if (event.key === "Enter" && target.closest("a, button, summary")) return;
      event.preventDefault();
      act(event);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const update = () => setMatches(list.matches);
    update();
    list.addEventListener("change", update);
    return () => list.removeEventListener("change", update);
  }, [query]);
  return matches;
}
