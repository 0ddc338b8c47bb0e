/** The address bar is the page's state: which run, step, file, line or version is shown. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Place {
  path: string;
  query: URLSearchParams;
  hash: string;
}

const changed = "windlass:place";

export const here = (): Place => ({
  path: location.pathname,
  query: new URLSearchParams(location.search),
  hash: location.hash.slice(1),
});

/** Go to an address of this page. `replace` leaves no trace in the history: for typing and filters. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search + location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  window.dispatchEvent(new Event(changed));
}

/** The present address with some of its query changed; null or "" takes a key away. */
export function withQuery(changes: Record<string, string | null>, hash = ""): string {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  const text = query.toString();
  return location.pathname + (text ? `?${text}` : "") + (hash ? `#${hash}` : "");
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = () => setPlace(here());
    for (const name of ["popstate", "hashchange", changed]) window.addEventListener(name, update);
    return () => {
      for (const name of ["popstate", "hashchange", changed]) window.removeEventListener(name, update);
    };
  }, []);
  return place;
}

interface LinkProps {
  to: string;
  children?: ComponentChildren;
  class?: string;
  title?: string;
  onFocus?: () => void;
  "aria-label"?: string;
  "aria-current"?: "page" | "true" | undefined;
  "aria-expanded"?: boolean;
  [data: `data-${string}`]: string | number | undefined;
}

/** A link within the page; other clicks than a plain one (new tab, download) stay the browser's. */
export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a {...rest} href={to} onClick={follow}>
      {children}
    </a>
  );
}

export const runUrl = (run: string, query: Record<string, string> = {}): string => {
  const text = new URLSearchParams(query).toString();
  return `/runs/${encodeURIComponent(run)}${text ? `?${text}` : ""}`;
};
export const promptUrl = (name: string, version?: number | null): string =>
  `/prompts/${encodeURIComponent(name)}${version ? `?version=${version}` : ""}`;
