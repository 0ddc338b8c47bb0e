/** What runs cost, by day, model, workflow or prompt. */

import { costTold, count, plural, short, shortCost, usd } from "../format";
import { BarChart } from "../lazy/later";
import { go, Link, promptUrl, usePlace, withQuery } from "../router";
import type { StatsRow } from "../types";
import { Empty, Failed, Loading, Segments } from "../ui/bits";
import { useGet, useTitle } from "../ui/hooks";

type By = "day" | "model" | "workflow" | "prompt";

const choices: { value: By; label: string }[] = [
  { value: "day", label: "Day" },
  { value: "model", label: "Model" },
  { value: "workflow", label: "Workflow" },
  { value: "prompt", label: "Prompt" },
];
const spans = [
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
];

const known = (row: StatsRow) => row.known_cost_usd;

export function CostsPage() {
  useTitle("Costs");
  const place = usePlace();
  const by = choices.find((one) => one.value === place.query.get("by"))?.value ?? "day";
  const days = spans.find((one) => one.value === place.query.get("days"))?.value ?? "30";
  const found = useGet<StatsRow[]>("/stats", { by, days });
  const rows = found.data ?? [];
  const byDay = everyDay(rows, Number(days));
  const total = rows.reduce(
    (sum, row) => ({
      cost: sum.cost + known(row),
      requests: sum.requests + row.requests,
      input: sum.input + row.input_tokens,
      output: sum.output + row.output_tokens,
      cached: sum.cached + row.cached_tokens,
      unknown: sum.unknown + row.unknown_calls,
      doubt: sum.doubt || row.cost_usd === null,
    }),
    { cost: 0, requests: 0, input: 0, output: 0, cached: 0, unknown: 0, doubt: false },
  );
  const most = Math.max(...rows.map(known), 0);
  return (
    <main class="page" id="main">
      <div class="page-head">
        <h1>Costs</h1>
        <span class="spring" />
        <Segments label="Time" value={days} options={spans} onChange={(value) => go(withQuery({ days: value }), true)} />
      </div>
      <Segments label="By" value={by} options={choices} onChange={(value) => go(withQuery({ by: value }), true)} />
      {found.error && <Failed error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Loading rows={6} label="Loading costs" />}
      {found.data && rows.length === 0 && (
        <Empty icon="costs" title="Nothing was spent in this time">
          <p>Every model call is counted here, failed ones too.</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <>
          <div class="tiles">
            <Tile label={total.doubt ? "Cost, as far as known" : "Cost"} value={usd(total.cost)} />
            <Tile label="Requests" value={count(total.requests)} />
            <Tile label="Tokens in" value={short(total.input)} note={total.cached ? `${short(total.cached)} cached` : undefined} />
            <Tile label="Tokens out" value={short(total.output)} />
          </div>
          {total.unknown > 0 && <p class="hint">{plural(total.unknown, "call")} broke off and may have been paid for; their cost is not known.</p>}
          {by === "day" && (
            <div class="card chart-card">
              <h2 class="tile-label">{total.cost > 0 ? "Cost a day" : "Tokens a day"}</h2>
              <BarChart labels={byDay.map(([day]) => day)} values={byDay.map(([, row]) => (!row ? 0 : total.cost > 0 ? known(row) : row.input_tokens + row.output_tokens))} format={total.cost > 0 ? usd : short} label={total.cost > 0 ? "Cost by day" : "Tokens by day"} />
            </div>
          )}
          <div class="table-box" tabIndex={0} role="region" aria-label="Costs as a table">
            <table class="table">
              <thead>
                <tr>
                  <th>{choices.find((one) => one.value === by)!.label}</th>
                  <th class="number">Runs</th>
                  <th class="number">Requests</th>
                  <th class="number">Tokens in</th>
                  <th class="number">Tokens out</th>
                  <th class="number">Cost</th>
                  <th class="share-head">
                    <span class="sr">Share</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.key}>
                    <td class={by === "day" ? "" : "mono"}>{by === "prompt" ? <PromptName name={row.key} /> : row.key}</td>
                    <td class="number">{count(row.runs)}</td>
                    <td class="number">{count(row.requests)}</td>
                    <td class="number">{count(row.input_tokens)}</td>
                    <td class="number">{count(row.output_tokens)}</td>
                    <td class="number">{row.cost_usd === null ? <span title={costTold(row)}>{shortCost(row)}</span> : usd(row.cost_usd)}</td>
                    <td class="share">
                      {known(row) > 0 && <span class="share-bar" style={{ width: `${(100 * known(row)) / most}%` }} />}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </main>
  );
}

/** Every day of the time shown, also those without a run. */
function everyDay(rows: StatsRow[], days: number): [string, StatsRow | undefined][] {
  const found = new Map(rows.map((row) => [row.key, row]));
  const last = Math.max(Date.now(), ...rows.map((row) => Date.parse(row.key) || 0));
  return Array.from({ length: days }, (_, index) => {
    const day = new Date(last - (days - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    return [day, found.get(day)];
  });
}

function PromptName({ name }: { name: string }) {
  const [prompt, version] = name.split("@");
  return <Link to={promptUrl(prompt!, Number(version) || null)}>{name}</Link>;
}

function Tile({ label, value, note }: { label: string; value: string; note?: string | undefined }) {
  return (
    <div class="tile">
      <span class="tile-label">{label}</span>
      <span class="tile-value">{value}</span>
      {note && <span class="dim">{note}</span>}
    </div>
  );
}
