/** One prompt: its versions, how they differ, how they did, who changed what and why. */

import { useState } from "preact/hooks";
import { ApiError, post } from "../api";
import { ago, iso, percent, plural, usd, when } from "../format";
import { DiffView, LineChart } from "../lazy/later";
import { go, Link, usePlace, withQuery } from "../router";
import type { Comparison, Prompt, PromptSwitch, PromptVersion } from "../types";
import { Copy, Dialog, Empty, Failed, Loading, Segments, toast } from "../ui/bits";
import { useGet, useNow, useTitle } from "../ui/hooks";
import { Icon } from "../ui/icons";
import { Interval } from "./PromptsPage";

type Asking = { kind: "use"; version: number } | { kind: "rollback" } | { kind: "new"; text: string } | null;

export function PromptPage({ name }: { name: string }) {
  useTitle(name);
  const found = useGet<Prompt>(`/prompts/${encodeURIComponent(name)}`);
  const [asking, setAsking] = useState<Asking>(null);
  const prompt = found.data;
  if (found.error?.status === 404) {
    return (
      <main class="page" id="main">
        <Empty icon="search" title="There is no such prompt">
          <p>
            <Link to="/prompts">All prompts</Link>
          </p>
        </Empty>
      </main>
    );
  }
  if (!prompt) {
    return (
      <main class="page" id="main">
        {found.error ? <Failed error={found.error} retry={found.reload} /> : <Loading rows={8} label="Loading the prompt" />}
      </main>
    );
  }
  const done = (sentence: string) => {
    setAsking(null);
    toast(sentence);
    found.reload();
  };
  return (
    <main class="page" id="main">
      <nav class="crumbs" aria-label="Where you are">
        <Link to="/prompts">Prompts</Link>
      </nav>
      <div class="page-head">
        <h1 class="mono">{name}</h1>
        {prompt.drift && <span class="tag warn">the default in the code has changed</span>}
        <span class="spring" />
        <button class="button" disabled={!prompt.log.some((one) => one.from_version !== null)} onClick={() => setAsking({ kind: "rollback" })}>
          <Icon name="undo" />
          <span>Roll back</span>
        </button>
        <button class="button primary" onClick={() => setAsking({ kind: "new", text: shownVersion(prompt, null).text })}>
          <Icon name="plus" />
          <span>New version</span>
        </button>
      </div>
      <Versions prompt={prompt} onUse={(version) => setAsking({ kind: "use", version })} onNew={(text) => setAsking({ kind: "new", text })} />
      <Evidence prompt={prompt} />
      <History log={prompt.log} />
      {asking?.kind === "use" && <Switch prompt={prompt} version={asking.version} onClose={() => setAsking(null)} onDone={done} />}
      {asking?.kind === "rollback" && <Switch prompt={prompt} version={null} onClose={() => setAsking(null)} onDone={done} />}
      {asking?.kind === "new" && <NewVersion prompt={prompt} text={asking.text} onClose={() => setAsking(null)} onDone={done} />}
    </main>
  );
}

function shownVersion(prompt: Prompt, wanted: number | null): PromptVersion {
  return prompt.versions.find((one) => one.version === wanted) ?? prompt.versions.find((one) => one.effective) ?? prompt.versions.at(-1)!;
}

interface VersionsProps {
  prompt: Prompt;
  onUse: (version: number) => void;
  onNew: (text: string) => void;
}

function Versions({ prompt, onUse, onNew }: VersionsProps) {
  const place = usePlace();
  const now = useNow(true, 60);
  const shown = shownVersion(prompt, Number(place.query.get("version")) || null);
  const others = prompt.versions.filter((one) => one.version !== shown.version);
  const before = others.filter((one) => one.version < shown.version).at(-1) ?? others.at(-1) ?? null;
  const from = others.find((one) => one.version === Number(place.query.get("from"))) ?? before;
  const view = place.query.get("view") === "diff" && from ? "diff" : "text";
  const diff = useGet<{ diff: string }>(view === "diff" && from ? `/prompts/${encodeURIComponent(prompt.name)}/diff` : null, { from: from?.version, to: shown.version });
  const stats = prompt.stats.find((one) => one.version === shown.version) ?? null;
  return (
    <div class="versions">
      <ul class="version-list" aria-label="Versions">
        {prompt.versions.toReversed().map((one) => (
          <li key={one.version}>
            <Link to={withQuery({ version: String(one.version), from: null })} class="version" aria-current={one === shown ? "true" : undefined} data-version={one.version}>
              <span class="version-line">
                <strong>v{one.version}</strong>
                {one.effective && <span class="tag good">in effect</span>}
                {one.archived && <span class="tag">retired</span>}
                <time class="dim" dateTime={iso(one.created_at)} title={when(one.created_at)}>
                  {ago(one.created_at, now)}
                </time>
              </span>
              <span class="version-note">{one.note ?? originWords[one.origin] ?? one.origin}</span>
              <Interval stats={prompt.stats.find((other) => other.version === one.version) ?? null} />
            </Link>
          </li>
        ))}
      </ul>
      <section class="version-shown" aria-label={`Version ${shown.version}`}>
        <header class="files-head">
          <h2>Version {shown.version}</h2>
          <Segments
            label="View"
            value={view}
            options={[
              { value: "text", label: "Text" },
              ...(from ? [{ value: "diff" as const, label: others.length > 1 ? "Changes" : `Changes since v${from.version}` }] : []),
            ]}
            onChange={(value) => go(withQuery({ view: value === "diff" ? "diff" : null }), true)}
          />
          {view === "diff" && others.length > 1 && (
            <label class="inline">
              <span class="sr">Compare with</span>
              <select value={from!.version} onChange={(event) => go(withQuery({ from: event.currentTarget.value }), true)}>
                {others.map((one) => (
                  <option key={one.version} value={one.version}>
                    since v{one.version}
                  </option>
                ))}
              </select>
            </label>
          )}
          <span class="spring" />
          <Copy text={shown.text} label="Copy the text" quiet />
          <button class="button small" onClick={() => onNew(shown.text)}>
            Edit as new version
          </button>
          {!shown.effective && !shown.archived && (
            <button class="button small primary" onClick={() => onUse(shown.version)}>
              Use this version
            </button>
          )}
        </header>
        <p class="run-facts">
          <span>{originWords[shown.origin] ?? shown.origin}</span>
          {shown.author && <span>by {shown.author}</span>}
          <time title={when(shown.created_at)}>{when(shown.created_at)}</time>
          {shown.parent !== null && <span>from v{shown.parent}</span>}
          {stats && <span>{plural(stats.calls, "call")}</span>}
          {stats && stats.cost_per_success_usd !== null && <span>{usd(stats.cost_per_success_usd)} per success</span>}
        </p>
        {view === "text" && <pre class="prompt-text" tabIndex={0} aria-label="Text of the version">{variables(shown.text)}</pre>}
        {view === "diff" && diff.error && <Failed error={diff.error} retry={diff.reload} />}
        {view === "diff" && !diff.data && !diff.error && <Loading />}
        {view === "diff" && diff.data && <DiffView diff={diff.data.diff} />}
      </section>
    </div>
  );
}

const originWords: Record<string, string> = { default: "Default of the code", human: "Written by a person", optimiser: "Made by the optimiser", import: "Imported" };

/** The text with its {{variables}} set off. */
function variables(text: string) {
  return text.split(/(\{\{\s*\w+\s*\}\})/).map((part, index) => (index % 2 ? <span key={index} class="variable">{part}</span> : part));
}

function Evidence({ prompt }: { prompt: Prompt }) {
  const measured = prompt.stats.filter((one) => one.calls > 0);
  return (
    <section class="card" aria-labelledby="evidence">
      <h2 id="evidence">Evidence</h2>
      {measured.length === 0 && <p class="hint">No version was used yet. Pass rates and costs are shown once runs have used them.</p>}
      {measured.length > 0 && (
        <div class="table-box" tabIndex={0} role="region" aria-label="Results by version">
          <table class="table">
            <thead>
              <tr>
                <th>Version</th>
                <th>Pass rate, 95% interval</th>
                <th class="number">Passed</th>
                <th class="number">Failed</th>
                <th class="number">Errors</th>
                <th class="number">Open</th>
                <th class="number">Cost</th>
                <th class="number">Per success</th>
              </tr>
            </thead>
            <tbody>
              {measured.toReversed().map((one) => (
                <tr key={one.version}>
                  <td>
                    v{one.version} {one.version === prompt.effective && <span class="tag good">in effect</span>}
                  </td>
                  <td>
                    <Interval stats={one} />
                  </td>
                  <td class="number">{one.passes}</td>
                  <td class="number">{one.fails}</td>
                  <td class="number">{one.errors}</td>
                  <td class="number">{one.pending}</td>
                  <td class="number">{usd(one.cost_usd)}</td>
                  <td class="number">{one.cost_per_success_usd === null ? "–" : usd(one.cost_per_success_usd)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {prompt.comparisons.map((one, index) => (
        <Compared key={index} comparison={one} />
      ))}
    </section>
  );
}

function Compared({ comparison }: { comparison: Comparison }) {
  const series = comparison.series ?? [];
  const [shown, setShown] = useState<"evidence" | "rates" | "costs">("evidence");
  const threshold = 1 / (comparison.alpha ?? 0.05);
  const last = series.at(-1);
  if (comparison.old === null || comparison.new === null) return null;
  const [old, fresh] = [`v${comparison.old}`, `v${comparison.new}`];
  const x = series.map((point) => point.pairs);
  const priced = series.some((point) => point.new_cost_per_success_usd != null);
  return (
    <div class="comparison">
      <div class="files-head">
        <h3>
          {fresh} against {old}
        </h3>
        {comparison.state === "running" && <span class="tag">under way</span>}
        <span class="spring" />
        {series.length > 1 && (
          <Segments
            label="Chart"
            value={shown}
            options={[
              { value: "evidence", label: "Evidence" },
              { value: "rates", label: "Pass rates" },
              ...(priced ? [{ value: "costs" as const, label: "Cost per success" }] : []),
            ]}
            onChange={setShown}
          />
        )}
      </div>
      {comparison.decision && <p class="verdict">{comparison.decision}</p>}
      {last && (
        <p class="run-facts">
          <span>{plural(last.pairs, "pair")} of cases</span>
          <span>
            only {fresh} passed {last.only_new}, only {old} passed {last.only_old}
          </span>
          <span>
            {fresh} {last.new_passes} of {last.pairs}, {old} {last.old_passes} of {last.pairs}
          </span>
          <span>
            E-value {last.e_value === null ? "beyond measure" : last.e_value < 100 ? last.e_value.toFixed(1) : Math.round(last.e_value)}; {threshold} is enough
          </span>
        </p>
      )}
      {series.length > 1 && shown === "evidence" && <LineChart kind="evidence" x={x} lines={[{ name: "E-value", y: series.map((point) => point.e_value) }]} threshold={threshold} />}
      {series.length > 1 && shown === "rates" && (
        <LineChart
          kind="rates"
          x={x}
          lines={[
            { name: fresh, y: series.map((point) => point.new_passes / point.pairs), low: series.map((point) => point.new_interval[0]), high: series.map((point) => point.new_interval[1]) },
            { name: old, y: series.map((point) => point.old_passes / point.pairs), low: series.map((point) => point.old_interval[0]), high: series.map((point) => point.old_interval[1]) },
          ]}
        />
      )}
      {series.length > 1 && shown === "costs" && (
        <LineChart
          kind="costs"
          x={x}
          lines={[
            { name: fresh, y: series.map((point) => point.new_cost_per_success_usd ?? null) },
            { name: old, y: series.map((point) => point.old_cost_per_success_usd ?? null) },
          ]}
        />
      )}
    </div>
  );
}

const kindWords: Record<string, string> = { initial: "First version", use: "Switched", rollback: "Rolled back", promote: "Promoted on evidence" };

function History({ log }: { log: PromptSwitch[] }) {
  const now = useNow(true, 60);
  return (
    <section class="card" aria-labelledby="history">
      <h2 id="history">History</h2>
      <ol class="timeline">
        {log.toReversed().map((one, index) => (
          <li key={index}>
            <span class="timeline-what">
              {kindWords[one.kind] ?? one.kind}: {one.from_version !== null && <>v{one.from_version} → </>}v{one.to_version}
            </span>
            <span class="dim">
              {one.actor && `${one.actor}, `}
              <time dateTime={iso(one.at)} title={when(one.at)}>
                {ago(one.at, now)}
              </time>
            </span>
            {one.reason && <span class="timeline-why">{one.reason}</span>}
            {one.evidence && typeof one.evidence.e_value === "number" && <span class="dim">E-value {one.evidence.e_value.toFixed(1)}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}

interface DialogProps {
  prompt: Prompt;
  onClose: () => void;
  onDone: (sentence: string) => void;
}

/** Put a version in effect; without one, the version that was in effect before. */
function Switch({ prompt, version, onClose, onDone }: DialogProps & { version: number | null }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState<string | null>(null);
  const stats = prompt.stats.find((one) => one.version === version);
  const act = async (event: Event) => {
    event.preventDefault();
    const body = { ...(reason.trim() ? { reason: reason.trim() } : {}), expected_revision: prompt.revision };
    try {
      const base = `/prompts/${encodeURIComponent(prompt.name)}`;
      const now = version === null ? await post<{ version: number }>(`${base}/rollback`, body) : await post<{ version: number }>(`${base}/use`, { version, ...body });
      onDone(`Version ${now.version} is in effect. Runs under way keep theirs.`);
    } catch (wrong) {
      if (!(wrong instanceof ApiError)) throw wrong;
      setError(wrong.message);
    }
  };
  return (
    <Dialog title={version === null ? "Roll back" : `Use version ${version}`} onClose={onClose}>
      <form class="form" onSubmit={act}>
        <p class="hint">
          {version === null
            ? "The version that was in effect before comes back into effect."
            : `New runs use version ${version} from now on; runs under way keep version ${prompt.effective}.`}{" "}
          {version !== null && (stats?.pass_rate != null ? `Its pass rate so far is ${percent(stats.pass_rate)}.` : "It has no outcome yet.")}
        </p>
        <label class="field">
          <span class="label">Why</span>
          <input value={reason} placeholder="kept in the history" onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        {error && <Failed error={error} />}
        <div class="form-end">
          <button class="button" type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="button primary" type="submit">
            {version === null ? "Roll back" : `Use version ${version}`}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function NewVersion({ prompt, text, onClose, onDone }: DialogProps & { text: string }) {
  const [draft, setDraft] = useState(text);
  const [note, setNote] = useState("");
  const [error, setError] = useState<string | null>(null);
  const add = async (event: Event) => {
    event.preventDefault();
    try {
      const made = await post<{ version: number }>(`/prompts/${encodeURIComponent(prompt.name)}/versions`, { text: draft, ...(note.trim() ? { note: note.trim() } : {}) });
      go(withQuery({ version: String(made.version), from: null }), true);
      onDone(`Version ${made.version} is stored. It is not in effect yet.`);
    } catch (wrong) {
      if (!(wrong instanceof ApiError)) throw wrong;
      setError(wrong.message);
    }
  };
  return (
    <Dialog title="New version" onClose={onClose} wide>
      <form class="form" onSubmit={add}>
        <label class="field">
          <span class="label">Text</span>
          <textarea class="mono" rows={16} value={draft} onInput={(event) => setDraft(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span class="label">What is different</span>
          <input value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        {error && <Failed error={error} />}
        <div class="form-end">
          <p class="hint">It is stored beside the others and not used before you say so.</p>
          <button class="button primary" type="submit" disabled={!draft.trim() || draft === text}>
            Store
          </button>
        </div>
      </form>
    </Dialog>
  );
}
