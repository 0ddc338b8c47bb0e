/** All prompts: which version is in effect, and how it does. */

import { useRef, useState } from "preact/hooks";
import { percent, plural, usd } from "../format";
import { Link, promptUrl } from "../router";
import type { PromptRow, VersionStats } from "../types";
import { Empty, Failed, Loading } from "../ui/bits";
import { useGet, useKeys, useTitle } from "../ui/hooks";
import { Icon } from "../ui/icons";

export function PromptsPage() {
  useTitle("Prompts");
  const found = useGet<PromptRow[]>("/prompts");
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(-1);
  const box = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const rows = (found.data ?? []).filter((row) => row.name.toLowerCase().includes(typed.trim().toLowerCase()));
  const move = (step: number) => {
    const to = Math.min(rows.length - 1, Math.max(0, at + step));
    setAt(to);
    list.current?.querySelectorAll<HTMLElement>("a.prompt-row")[to]?.focus();
  };
  useKeys({ j: () => move(1), k: () => move(-1), "/": () => box.current?.focus() });
  return (
    <main class="page" id="main">
      <div class="page-head">
        <h1>Prompts</h1>
        <div class="search">
          <Icon name="search" />
          <input ref={box} type="search" aria-label="Search prompts" placeholder="Search prompts" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        </div>
      </div>
      {found.error && <Failed error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Loading rows={6} label="Loading prompts" />}
      {found.data && found.data.length === 0 && (
        <Empty icon="prompts" title="No prompts yet">
          <p>A prompt gets its first version when a run first uses it.</p>
        </Empty>
      )}
      {found.data && found.data.length > 0 && rows.length === 0 && <Empty icon="search" title="No prompt matches" />}
      {rows.length > 0 && (
        <>
          <div class="prompts-head" aria-hidden="true">
            <span>Prompt</span>
            <span>In effect</span>
            <span>Pass rate, 95% interval</span>
            <span class="number">Runs</span>
            <span class="number">Cost per success</span>
          </div>
          <ul class="runs" ref={list}>
            {rows.map((row, index) => (
              <li key={row.name}>
                <Link to={promptUrl(row.name)} class="prompt-row" onFocus={() => setAt(index)}>
                  <span class="prompt-name">
                    <span class="mono">{row.name}</span>
                    {row.drift && (
                      <span class="tag warn" title="The default in the code has changed since it was stored">
                        default changed
                      </span>
                    )}
                  </span>
                  <span>
                    <span class="tag">v{row.effective}</span> <span class="dim">of {plural(row.versions, "version")}</span>
                  </span>
                  <Interval stats={row.stats} />
                  <span class="number">{row.stats ? row.stats.passes + row.stats.fails : 0}</span>
                  <span class="number">{row.stats?.cost_per_success_usd == null ? "–" : usd(row.stats.cost_per_success_usd)}</span>
                </Link>
              </li>
            ))}
          </ul>
        </>
      )}
    </main>
  );
}

/** A pass rate as a point on its interval. */
export function Interval({ stats }: { stats: VersionStats | null }) {
  if (!stats || stats.pass_rate === null) return <span class="dim">no outcome yet</span>;
  const [low, high] = stats.interval;
  const text = `${percent(stats.pass_rate)} (${percent(low)} to ${percent(high)})`;
  return (
    <span class="interval-cell">
      <svg class="interval" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label={`Pass rate ${text}`}>
        <line class="interval-axis" x1="0" x2="100" y1="7" y2="7" />
        <line class="interval-range" x1={low * 100} x2={high * 100} y1="7" y2="7" />
        <line class="interval-point" x1={stats.pass_rate * 100} x2={stats.pass_rate * 100} y1="1" y2="13" />
      </svg>
      <span class="interval-text">
        {percent(stats.pass_rate)} <span class="dim">{percent(low)}–{percent(high)}</span>
      </span>
    </span>
  );
}
