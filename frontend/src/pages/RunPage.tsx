/** One run: its steps, what each of them did, and what came of it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, get, post } from "../api";
import { ago, costTold, duration, iso, plural, short, when } from "../format";
import { go, Link, runUrl, usePlace, withQuery } from "../router";
import { DetailsPanel } from "../run/DetailsPanel";
import { FilesPanel } from "../run/FilesPanel";
import { GateCard } from "../run/GateCard";
import { PromptPanel } from "../run/PromptPanel";
import { callKey, copiedCall, isActive, isOver, type Step } from "../run/state";
import { StepOutput } from "../run/StepOutput";
import { StepTree, visible } from "../run/StepTree";
import { Tests } from "../run/Tests";
import { useRun, type LiveRun } from "../run/useRun";
import type { CallRow, Cost, Run } from "../types";
import { attempt, Copy, Dialog, Empty, Failed, Loading, Tabs } from "../ui/bits";
import { useKeys, useMedia, useNow, useTitle } from "../ui/hooks";
import { Icon, StatusBadge } from "../ui/icons";

type View = "files" | "tests" | "prompt" | "details";
type Pane = "steps" | "output" | "side";

const views: { value: View; label: string }[] = [
  { value: "files", label: "Files" },
  { value: "tests", label: "Tests" },
  { value: "prompt", label: "Prompt" },
  { value: "details", label: "Details" },
];

export function RunPage({ id }: { id: string }) {
  const live = useRun(id);
  useTitle(live.state.title || live.run?.title || "Run");
  if (live.error) {
    return (
      <main class="page" id="main">
        {live.error.status === 404 ? (
          <Empty icon="search" title="There is no such run">
            <p class="mono">{id}</p>
            <p>
              <Link to="/">All runs</Link>
            </p>
          </Empty>
        ) : (
          <Failed error={live.error} retry={live.reload} />
        )}
      </main>
    );
  }
  if (!live.run) {
    return (
      <main class="run" id="main">
        <div class="run-head">
          <Loading rows={2} label="Loading the run" />
        </div>
      </main>
    );
  }
  return <Shown live={live} run={live.run} />;
}

/** How the run stands for a person: a run whose process is gone is interrupted, though its events do not say so. */
function standing(live: LiveRun, run: Run): string {
  const { state } = live;
  if (isOver(state.status) || state.status === "Waiting") return state.status;
  return state.status === run.status ? run.display_status : "running";
}

/** Attempts that have no event of their own: failed, cancelled, in doubt, or taken over by this run when it was forked. */
function useOtherCalls(run: string, wanted: boolean, round: string): CallRow[] {
  const [rows, setRows] = useState<CallRow[]>([]);
  useEffect(() => {
    if (!wanted) return;
    let gone = false;
    get<CallRow[]>(`/runs/${encodeURIComponent(run)}/calls`).then(
      (found) => !gone && setRows(found.filter((row) => row.state !== "done" || row.copied_from !== null)),
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [run, wanted, round]);
  return rows;
}

function Shown({ live, run }: { live: LiveRun; run: Run }) {
  const { state } = live;
  const place = usePlace();
  const phone = useMedia("(max-width: 760px)");
  const medium = useMedia("(max-width: 1180px)");
  const [closed, setClosed] = useState(() => new Set<string>());
  const [pane, setPane] = useState<Pane>("output");
  const side = useRef<HTMLDivElement>(null);

  const status = standing(live, run);
  const running = status === "running" || status === "Pending";
  const now = useNow(running);
  const steps = state.tree();
  const named = place.query.get("step");
  // Who scrolls back in a step goes on reading it though another step begins meanwhile; a question comes first.
  const [reading, setReading] = useState<string | null>(null);
  const held = reading !== null && status !== "Waiting" ? state.steps.get(reading) : undefined;
  const chosen = (named ? (state.steps.get(named) ?? state.ownerOf(named)) : null) ?? held ?? state.focus();
  const failed = steps.filter((step) => step.status === "error");
  const others = useOtherCalls(run.run_id, live.settled && (!running || run.parent_run !== null), `${status} ${failed.length}`).filter((row) => chosen && state.ownerOf(row.path) === chosen);
  const copied = others.filter((row) => row.copied_from !== null).map((row) => copiedCall(row));
  const view = (place.query.get("view") as View | null) ?? usual(live);
  const gate = state.gate && status === "Waiting" ? state.gate : null;

  const choose = (path: string) => {
    go(withQuery({ step: path, call: null }), true);
    if (phone) setPane("output");
  };
  const toggle = (path: string) =>
    setClosed((before) => {
      const after = new Set(before);
      if (!after.delete(path)) after.add(path);
      return after;
    });
  const show = (value: View) => {
    go(withQuery({ view: value }), true);
    if (phone || medium) setPane("side");
  };
  const move = (step: number, wanted: (one: Step) => boolean = () => true) => {
    const rows = visible(steps, closed);
    const at = rows.findIndex((row) => row.path === chosen?.path);
    for (let index = at + step; index >= 0 && index < rows.length; index += step) {
      if (wanted(rows[index]!)) return choose(rows[index]!.path);
    }
  };
  const jump = () => {
    setReading(null);
    go(withQuery({ step: null, call: null }), true);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => {
      const next = failed.find((step) => steps.indexOf(step) > steps.indexOf(chosen!)) ?? failed[0];
      if (next) choose(next.path);
    },
    Enter: () => chosen?.children.length && toggle(chosen.path),
    l: () => (document.querySelector<HTMLElement>(".button.jump") ?? { click: jump }).click(),
    f: () => show("files"),
    t: () => show("tests"),
    p: () => show("prompt"),
    d: () => show("details"),
    c: () => document.querySelector<HTMLElement>(".run-actions [aria-label='Copy as command']")?.click(),
    s: () => document.querySelector<HTMLElement>("[data-action='stop']")?.click(),
  });

  // A file or a prompt that the address names is to be seen at once, also where only one pane fits.
  const wantsSide = place.query.get("file") ?? place.query.get("call");
  useEffect(() => {
    if (wantsSide && (phone || medium)) setPane("side");
  }, [wantsSide]);

  const totals = state.totals();
  const wide = view === "files" && Boolean(place.query.get("file"));
  const tests = useMemo(() => (state.lastTests ? [state.lastTests] : []), [state.lastTests]);
  const tabs = (
    <Tabs<View>
      label="About the run"
      class="side-tabs"
      value={view}
      controls="side-panel"
      tabs={views.map((one) => ({ ...one, label: one.value === "tests" && tests.length ? <TestsLabel failed={tests[0]!.failed + tests[0]!.errors} /> : one.label }))}
      onChange={show}
    />
  );
  return (
    <main class="run" id="main" data-status={status} data-settled={live.settled} data-events={state.events}>
      <RunHead live={live} run={run} status={status} now={now} totals={totals} />
      {state.error && status !== "running" && state.error !== chosen?.error && (
        <div class="callout bad run-callout" role="alert">
          <Icon name="warn" />
          <p>{state.error}</p>
          {failed.length > 0 && chosen?.path !== failed.at(-1)!.path && (
            <button class="button small" onClick={() => choose(failed.at(-1)!.path)}>
              Show the step
            </button>
          )}
        </div>
      )}
      {state.notices.map((notice, index) => (
        <div key={index} class="callout run-callout">
          <Icon name="warn" />
          <p>{notice}</p>
        </div>
      ))}
      <Tabs<Pane>
        label="Part of the run"
        class="pane-tabs"
        value={pane}
        tabs={[
          { value: "steps", label: `Steps ${steps.length}` },
          { value: "output", label: "Output" },
          { value: "side", label: "Files & more" },
        ]}
        onChange={setPane}
      />
      <div class={`panes show-${pane}${wide ? " wide-side" : ""}`}>
        <section class="pane pane-steps" aria-label="Steps of the run">
          {steps.length ? (
            <StepTree steps={steps} chosen={chosen?.path ?? null} closed={closed} now={now} onChoose={choose} onToggle={toggle} />
          ) : (
            <p class="hint pad">{running ? "The plan is being made." : "The run has no steps."}</p>
          )}
        </section>
        <div class="pane pane-output">
          {chosen ? (
            <StepOutput
              run={run.run_id}
              step={chosen}
              steps={state.steps}
              copied={copied}
              otherCalls={others.filter((row) => !running && row.state !== "done" && !chosen.items.some((item) => item.kind === "call" && callKey(item.call) === callKey(row)))}
              now={now}
              live={running}
              following={!named && !held}
              onJump={jump}
              onTail={(follows) => setReading(follows ? null : chosen.path)}
              gate={gate && (chosen.status === "waiting" || !named) ? <GateCard key={gate.digest} run={run.run_id} gate={gate} onAnswered={live.reload} /> : null}
              actions={<StepActions run={run} step={chosen} still={!running} />}
            />
          ) : (
            <section class="output" aria-label="Output">
              {gate ? (
                <GateCard run={run.run_id} gate={gate} onAnswered={live.reload} />
              ) : (
                <Empty icon="runs" title={running ? "About to begin" : "Nothing happened in this run"} />
              )}
            </section>
          )}
        </div>
        <section class="pane pane-side" aria-label="Files, tests, prompt and details">
          {tabs}
          <div class="side-scroll" id="side-panel" role="tabpanel" aria-label={views.find((one) => one.value === view)?.label} ref={side} tabIndex={0}>
            {view === "files" && (
              <FilesPanel run={run.run_id} version={state.filesVersion} still={!running} undone={Boolean(run.undone)} onChanged={live.reload} />
            )}
            {view === "tests" &&
              (tests.length ? (
                tests.map((report) => <Tests key="last" report={report} box={side} name="tests" />)
              ) : (
                <Empty icon="flask" title="No tests ran">
                  <p>Test reports are shown here as soon as there is one.</p>
                </Empty>
              ))}
            {view === "prompt" && <PromptPanel run={run.run_id} step={chosen} copied={copied} box={side} />}
            {view === "details" && <DetailsPanel run={run} {...totals} />}
          </div>
        </section>
      </div>
    </main>
  );
}

function usual(live: LiveRun): View {
  const { state } = live;
  if (state.lastTests && state.lastTests.failed + state.lastTests.errors > 0 && state.status === "Failure") return "tests";
  return "files";
}

function TestsLabel({ failed }: { failed: number }) {
  return (
    <>
      Tests <span class={failed ? "pip bad" : "pip good"}>{failed || "✓"}</span>
    </>
  );
}

interface HeadProps {
  live: LiveRun;
  run: Run;
  status: string;
  now: number;
  totals: { calls: number; tokens: number; cost: Cost };
}

function RunHead({ live, run, status, now, totals }: HeadProps) {
  const { state } = live;
  const running = status === "running" || status === "Pending";
  const ended = running ? now : (run.finished_at ?? now);
  const whole = state.title || run.title;
  // Events tell only of calls that came to their end; afterwards the report also knows of those that did not.
  const cost = live.settled && (running || run.usage.requests < totals.calls) ? totals.cost : run.usage;
  return (
    <header class="run-head">
      <div class="run-head-main">
        <div class="run-name">
          <h1 title={whole}>{whole || "Untitled run"}</h1>
          <StatusBadge status={status} />
        </div>
        <p class="run-facts">
          <span class="tag">{run.workflow}</span>
          {state.label && <span class="tag notice">{state.label}</span>}
          <time dateTime={iso(run.created_at)} title={when(run.created_at)}>
            {ago(run.created_at, now)}
          </time>
          {status !== "interrupted" && <span>{duration(Math.max(0, ended - run.created_at))}</span>}
          <span>{plural(totals.calls || run.usage.requests, "request")}</span>
          <span>{short(totals.tokens || run.usage.input_tokens + run.usage.output_tokens)} tokens</span>
          <span>{costTold(cost)}</span>
          {run.parent_run && <Link to={runUrl(run.parent_run)}>forked from {run.parent_run.slice(-8)}</Link>}
        </p>
      </div>
      <div class="run-actions">
        <Actions run={run} status={status} reload={live.reload} />
        <Copy text={run.command} label="Copy as command" icon="terminal" quiet />
        <Copy text={() => location.href} label="Copy the link" icon="link" quiet />
      </div>
    </header>
  );
}

function Actions({ run, status, reload }: { run: Run; status: string; reload: () => void }) {
  const [stopping, setStopping] = useState(false);
  const [resuming, setResuming] = useState(false);
  const base = `/runs/${encodeURIComponent(run.run_id)}`;
  useEffect(() => setStopping(false), [status]);
  const stop = async () => {
    const now = stopping;
    setStopping(true);
    await attempt(() => post(`${base}/cancel`, { now }), now ? "Stopping at once." : "Stopping: a reply that is under way is kept.");
    reload();
  };
  if (status === "running" || status === "Pending") {
    return (
      <button class="button danger" data-action="stop" onClick={stop} title={stopping ? "Cut off the reply that is under way" : "Stop after the reply that is under way"}>
        <Icon name="stop" />
        <span>{stopping ? "Stop now" : "Stop"}</span>
      </button>
    );
  }
  if (status === "Success" || status === "Waiting") return null;
  return (
    <>
      <button class="button primary" data-action="resume" onClick={() => setResuming(true)}>
        <Icon name="play" />
        <span>Resume</span>
      </button>
      {resuming && <Resume run={run} onClose={() => setResuming(false)} reload={reload} />}
    </>
  );
}

function Resume({ run, onClose, reload }: { run: Run; onClose: () => void; reload: () => void }) {
  const [budget, setBudget] = useState("");
  const [repairs, setRepairs] = useState("");
  const [error, setError] = useState<string | null>(null);
  const resume = async (event: Event) => {
    event.preventDefault();
    try {
      await post(`/runs/${encodeURIComponent(run.run_id)}/resume`, {
        ...(budget ? { budget: Number(budget) } : {}),
        ...(repairs ? { max_repairs: Number(repairs) } : {}),
      });
      onClose();
      go(runUrl(run.run_id), true);
      reload();
    } catch (wrong) {
      if (!(wrong instanceof ApiError)) throw wrong;
      setError(wrong.message);
    }
  };
  return (
    <Dialog title="Resume the run" onClose={onClose}>
      <form class="form" onSubmit={resume}>
        <p class="hint">What was done is kept and not paid for again. The run goes on where it stopped.</p>
        <div class="side-by-side">
          <label class="field">
            <span class="label">Budget (USD)</span>
            <input type="number" min="0" step="any" placeholder="as before" value={budget} onInput={(event) => setBudget(event.currentTarget.value)} />
          </label>
          {"max_repairs" in run.options && (
            <label class="field">
              <span class="label">Repairs</span>
              <input type="number" min="0" max="20" placeholder={String(run.options.max_repairs)} value={repairs} onInput={(event) => setRepairs(event.currentTarget.value)} />
            </label>
          )}
        </div>
        {error && <Failed error={error} />}
        <div class="form-end">
          <button class="button primary" type="submit">
            <Icon name="play" />
            <span>Resume</span>
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function StepActions({ run, step, still }: { run: Run; step: Step; still: boolean }) {
  const [forking, setForking] = useState(false);
  if (!still || step.status === "pending" || isActive(step.status)) return null;
  return (
    <>
      <button class="button small" onClick={() => setForking(true)}>
        <Icon name="fork" />
        <span>Fork from here</span>
      </button>
      {forking && <Fork run={run} step={step} onClose={() => setForking(false)} />}
    </>
  );
}

function Fork({ run, step, onClose }: { run: Run; step: Step; onClose: () => void }) {
  const [model, setModel] = useState("");
  const [error, setError] = useState<string | null>(null);
  const fork = async (event: Event) => {
    event.preventDefault();
    try {
      const made = await post<{ run_id: string }>(`/runs/${encodeURIComponent(run.run_id)}/fork`, { from: step.path, ...(model.trim() ? { model: model.trim() } : {}) });
      onClose();
      go(runUrl(made.run_id));
    } catch (wrong) {
      if (!(wrong instanceof ApiError)) throw wrong;
      setError(wrong.message);
    }
  };
  return (
    <Dialog title={`Fork from “${step.name}”`} onClose={onClose}>
      <form class="form" onSubmit={fork}>
        <p class="hint">A new run takes over everything before this step, without paying for it again, and does this step and the rest anew.</p>
        <label class="field">
          <span class="label">Model</span>
          <input class="mono" placeholder={String(run.options.model ?? "as before")} value={model} onInput={(event) => setModel(event.currentTarget.value)} />
        </label>
        {error && <Failed error={error} />}
        <div class="form-end">
          <button class="button primary" type="submit">
            <Icon name="fork" />
            <span>Fork</span>
          </button>
        </div>
      </form>
    </Dialog>
  );
}
