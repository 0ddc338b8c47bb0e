import { bytes, costTold, count, plural, when } from "../format";
import { Link, runUrl } from "../router";
import type { Cost, Run } from "../types";
import { Copy } from "../ui/bits";

/** What a run was started with and what it used. */
export function DetailsPanel({ run, calls, tokens, cost }: { run: Run; calls: number; tokens: number; cost: Cost }) {
  const usage = run.usage;
  const options = Object.entries(run.options).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return (
    <div class="details">
      <h3 class="small-head">Run</h3>
      <dl class="facts">
        <Fact name="Id">
          <span class="mono">{run.run_id}</span>
        </Fact>
        <Fact name="Workflow">{run.workflow}</Fact>
        <Fact name="Folder">
          <span class="mono break">{run.workspace || "–"}</span>
        </Fact>
        <Fact name="Started">{when(run.created_at)}</Fact>
        {run.finished_at !== null && <Fact name="Ended">{when(run.finished_at)}</Fact>}
        {run.parent_run && (
          <Fact name="Forked from">
            <Link to={runUrl(run.parent_run)} class="mono">
              {run.parent_run}
            </Link>
          </Fact>
        )}
      </dl>
      <h3 class="small-head">Usage</h3>
      <dl class="facts">
        <Fact name="Requests">{count(Math.max(calls, usage.requests))}</Fact>
        <Fact name="Tokens">
          {count(Math.max(tokens, usage.input_tokens + usage.output_tokens))} ({count(usage.input_tokens)} in, {count(usage.output_tokens)} out
          {usage.cached_tokens ? `, ${count(usage.cached_tokens)} cached` : ""})
        </Fact>
        <Fact name="Cost">{costTold(usage.requests >= calls ? usage : cost)}</Fact>
        {usage.unknown_calls > 0 && <Fact name="In doubt">{plural(usage.unknown_calls, "call")} may have been paid</Fact>}
      </dl>
      {run.command && (
        <>
          <h3 class="small-head">As a command</h3>
          <div class="command-box">
            <pre class="command">{run.command}</pre>
            <Copy text={run.command} label="Copy the command" quiet />
          </div>
        </>
      )}
      <h3 class="small-head">Options</h3>
      <dl class="facts">
        {options.map(([name, value]) => (
          <Fact key={name} name={name}>
            <span class="mono break">{text(value)}</span>
          </Fact>
        ))}
      </dl>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function text(value: unknown): string {
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  return whole.length > 600 ? `${whole.slice(0, 600)}… (${bytes(whole.length)})` : whole;
}
