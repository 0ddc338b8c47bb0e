/** All runs, newest first. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api";
import { ago, costTold, duration, iso, plural, short, shortCost, when } from "../format";
import { followAll, onConnection } from "../live";
import { go, Link, runUrl, usePlace, withQuery } from "../router";
import type { RunRow } from "../types";
import { Empty, Failed, Loading, Segments } from "../ui/bits";
import { useKeys, useNow, useTitle } from "../ui/hooks";
import { Icon, StatusMark } from "../ui/icons";

const PAGE = 50;
const filters = [
  { value: "", label: "All" },
  { value: "running", label: "Running" },
  { value: "Waiting", label: "Waiting" },
  { value: "Success", label: "Success" },
  { value: "Failure", label: "Failed" },
  { value: "interrupted", label: "Interrupted" },
  { value: "Cancelled", label: "Cancelled" },
];

interface Answer {
  runs: RunRow[];
  next: string | null;
}

function useRuns(status: string, search: string) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [more, setMore] = useState(false);
  const shown = useRef(PAGE);
  const asked = useRef(0);
  const load = async (fresh: boolean) => {
    const mine = ++asked.current;
    const limit = fresh ? PAGE : Math.min(500, shown.current);
    try {
      const found = await get<Answer>("/runs", { limit, status, search });
      if (mine !== asked.current) return;
      shown.current = Math.max(PAGE, found.runs.length);
      setAnswer(found);
      setError(null);
    } catch (wrong) {
      if (mine === asked.current && wrong instanceof ApiError) setError(wrong);
    }
  };
  const reload = useRef(() => load(false));
  reload.current = () => load(false);
  useEffect(() => {
    setAnswer(null);
    void load(true);
  }, [status, search]);
  useEffect(() => {
    let timer = 0;
    const soon = () => {
      timer ||= window.setTimeout(() => ((timer = 0), void reload.current()), 300);
    };
    const stops = [followAll(soon), onConnection(soon)];
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, []);
  const loadMore = async () => {
    if (!answer?.next) return;
    setMore(true);
    try {
      const found = await get<Answer>("/runs", { limit: PAGE, status, search, before: answer.next });
      shown.current = answer.runs.length + found.runs.length;
      setAnswer({ runs: [...answer.runs, ...found.runs], next: found.next });
    } catch (wrong) {
      if (wrong instanceof ApiError) setError(wrong);
    }
    setMore(false);
  };
  return { answer, error, more, loadMore, reload: () => void load(false) };
}

export function RunsPage() {
  useTitle("Runs");
  const place = usePlace();
  const status = place.query.get("status") ?? "";
  const search = place.query.get("q") ?? "";
  const [typed, setTyped] = useState(search);
  const { answer, error, more, loadMore, reload } = useRuns(status, search);
  const [at, setAt] = useState(-1);
  const box = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const rows = answer?.runs ?? [];
  const busy = rows.some((row) => row.display_status === "running");
  const now = useNow(true, busy ? 1 : 20);

  useEffect(() => setTyped(search), [search]);
  useEffect(() => {
    if (typed === search) return;
    const timer = setTimeout(() => go(withQuery({ q: typed.trim() || null }), true), 250);
    return () => clearTimeout(timer);
  }, [typed, search]);

  const move = (step: number) => {
    const to = Math.min(rows.length - 1, Math.max(0, at + step));
    setAt(to);
    list.current?.querySelectorAll<HTMLElement>("a.run-row")[to]?.focus();
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    "/": () => box.current?.focus(),
  });

  return (
    <main class="page" id="main">
      <div class="page-head">
        <h1>Runs</h1>
        <div class="search">
          <Icon name="search" />
          <input
            ref={box}
            type="search"
            placeholder="Search titles and run ids"
            aria-label="Search runs"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </div>
      </div>
      <Segments label="Status" value={status} options={filters} onChange={(value) => go(withQuery({ status: value || null }), true)} />
      {error && <Failed error={error} retry={reload} />}
      {!answer && !error && <Loading rows={8} label="Loading runs" />}
      {answer && rows.length === 0 && (search || status ? <NoMatch /> : <NoRuns />)}
      {rows.length > 0 && (
        <>
          <div class="runs-head" aria-hidden="true">
            <span>Run</span>
            <span>Started</span>
            <span class="number">Time</span>
            <span class="number">Tokens</span>
            <span class="number">Cost</span>
          </div>
          <ul class="runs" ref={list}>
            {rows.map((row, index) => (
              <li key={row.run_id}>
                <RunLine row={row} now={now} onFocus={() => setAt(index)} />
              </li>
            ))}
          </ul>
          {answer?.next && (
            <button class="button center" onClick={loadMore} disabled={more}>
              {more ? "Loading…" : "Show older runs"}
            </button>
          )}
        </>
      )}
    </main>
  );
}

function RunLine({ row, now, onFocus }: { row: RunRow; now: number; onFocus: () => void }) {
  const running = row.display_status === "running";
  const known = row.cost_usd !== null || row.known_cost_usd > 0;
  const seconds = running ? Math.max(0, now - row.created_at) : row.seconds;
  return (
    <Link to={runUrl(row.run_id)} class="run-row" onFocus={onFocus} data-run={row.run_id}>
      <StatusMark status={row.display_status} />
      <span class="run-main">
        <span class="run-title">{row.title || "Untitled run"}</span>
        <span class="run-meta">
          <span class="tag">{row.workflow}</span>
          {row.error ? <span class="run-error">{row.error}</span> : <span class="run-folder">{folder(row.workspace)}</span>}
          <span class="mono">{row.run_id.slice(-8)}</span>
        </span>
      </span>
      <time class="run-when" dateTime={iso(row.created_at)} title={when(row.created_at)}>
        {ago(row.created_at, now)}
      </time>
      <span class="number run-time">
        <span class="sr">Time </span>
        {duration(seconds)}
      </span>
      <span class="number run-tokens" title={plural(row.requests, "request")}>
        {short(row.tokens)}
        <span class="only-phone"> tokens</span>
      </span>
      <span class="number run-cost" title={row.cost_usd === null ? costTold(row) : undefined}>
        <span class="sr">Cost </span>
        {known || running ? null : (
          <span class="only-phone" aria-hidden="true">
            cost{" "}
          </span>
        )}
        {running && !known ? "–" : shortCost(row)}
      </span>
    </Link>
  );
}

const folder = (path: string) => path.split("/").filter(Boolean).slice(-2).join("/");

function NoMatch() {
  return (
    <Empty icon="search" title="No run matches">
      <p>
        <button class="button" onClick={() => go("/", true)}>
          Show all runs
        </button>
      </p>
    </Empty>
  );
}

function NoRuns() {
  return (
    <Empty icon="runs" title="No runs yet">
      <p>Say what should be built or written, and follow every step here. To see one without a model:</p>
      <pre class="command">windlass demo</pre>
      <p>
        <Link to="/new" class="button primary">
          <Icon name="plus" />
          <span>New run</span>
        </Link>
      </p>
    </Empty>
  );
}
