/** A run as its events tell it: steps, what happened in each, files, tests, the open question. */

import type { CallRow, Cost, Gate, PlanStep, Run, RunEvent, StepRow, TestReport } from "../types";

export type Item =
  | { kind: "call"; id: string; at: number; call: CallEvent }
  | { kind: "file"; id: string; at: number; path: string; change: string; bytes: number }
  | { kind: "tests"; id: string; at: number; report: TestReport }
  | { kind: "gate"; id: string; at: number; gate: Gate | null; answer: { action: string; text: string } | null }
  | { kind: "notice"; id: string; at: number; text: string };

export interface CallEvent {
  path: string;
  step_path: string;
  attempt: number;
  model: string | null;
  prompt: string;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  cost_usd: string | null;
  seconds: number | null;
  error?: string | null;
  /** The run that made and paid it; such calls are not in the events of the fork that took them over. */
  copied_from?: string | null;
}

export interface Step {
  path: string;
  name: string;
  number: number;
  description: string;
  parent: string | null;
  depth: number;
  children: string[];
  status: string;
  seconds: number;
  /** When it last began, in seconds since 1970; null unless it is at work. */
  since: number | null;
  response: string;
  error: string | null;
  reason: string | null;
  /** All that was streamed since the step began; up to `told` it is the replies of calls that have ended. */
  text: string;
  told: number;
  /** Replies that were seen to the end as they came, by call. Others are asked for when they are shown. */
  replies: Map<string, string>;
  items: Item[];
  /** Its own and its sub-steps'. */
  calls: number;
  tokens: number;
  cost: Cost;
}

const nothing = (): Cost => ({ cost_usd: 0, known_cost_usd: 0, unpriced_calls: 0 });

/** Two costs together. */
function sum(one: Cost, other: Cost): Cost {
  const known_cost_usd = one.known_cost_usd + other.known_cost_usd;
  const unpriced_calls = one.unpriced_calls + other.unpriced_calls;
  return { cost_usd: unpriced_calls ? null : known_cost_usd, known_cost_usd, unpriced_calls };
}

const active = new Set(["in-progress", "streaming"]);
export const isActive = (status: string) => active.has(status);
const over = new Set(["Success", "Failure", "Cancelled"]);
export const isOver = (status: string) => over.has(status);

export class RunState {
  steps = new Map<string, Step>();
  status = "Pending";
  summary: string | null = null;
  error: string | null = null;
  label: string | null = null;
  title = "";
  gate: Gate | null = null;
  notices: string[] = [];
  lastTests: TestReport | null = null;
  /** Grows when files of the run changed; the file list is fetched anew then. */
  filesVersion = 0;
  startedAt: number | null = null;
  events = 0;
  private order: string[] | null = null;

  /** What the run's report says, before its events have come. */
  seed(run: Run): void {
    this.status = run.status;
    this.summary = run.summary;
    this.error = run.error;
    this.label = run.label;
    this.title = run.title;
    this.gate = run.waiting_for;
    if (this.events) return;
    run.steps.forEach((row: StepRow, index) => {
      const step = this.add(row.path, row.name, index + 1, "");
      step.status = row.status;
      step.seconds = row.seconds;
      step.calls = row.requests;
      step.tokens = (row.input_tokens ?? 0) + (row.output_tokens ?? 0);
      step.cost = row;
    });
  }

  /** Take in a stored event. `replayed`: the text that led to it was not, or not all, seen here. */
  apply(event: RunEvent, replayed: boolean): void {
    if (this.events === 0) this.forgetSeed();
    this.events++;
    const at = event.at ?? Date.now() / 1000;
    const id = `e${event.event_id}`;
    switch (event.name) {
      case "send_workflow":
        for (const row of event.workflow.steps as PlanStep[]) this.plan(row);
        break;
      case "update_workflow_step":
        this.update(event, at);
        break;
      case "run_status":
        this.status = event.status;
        if (event.title) this.title = event.title;
        if (event.status === "Started") {
          this.startedAt ??= at;
          this.error = null;
        } else {
          for (const step of this.steps.values()) step.since = null;
        }
        if (event.summary !== undefined) this.summary = event.summary;
        if (event.error !== undefined) this.error = event.error;
        if (event.status !== "Waiting") this.gate = null;
        break;
      case "call":
        this.happened(event.step_path, { kind: "call", id, at, call: event as unknown as CallEvent });
        this.bill(event as unknown as CallEvent);
        this.settle(event as unknown as CallEvent, replayed);
        break;
      case "file_change":
        this.filesVersion++;
        this.happened(event.step_path, { kind: "file", id, at, path: event.path, change: event.change, bytes: event.bytes });
        break;
      case "tests":
        this.lastTests = event as unknown as TestReport;
        this.happened(event.step_path, { kind: "tests", id, at, report: event as unknown as TestReport });
        break;
      case "gate":
        this.asked(event, id, at);
        break;
      case "notice":
        if (event.label) this.label = event.label;
        else if (event.path) this.happened(event.path, { kind: "notice", id, at, text: event.text });
        else this.notices.push(event.text);
        if (/undo|redo|undid|redid/i.test(event.text ?? "")) this.filesVersion++;
        break;
    }
  }

  setText(path: string, text: string): void {
    const step = this.steps.get(path);
    if (!step) return;
    step.text = text;
    if (text.length < step.told) step.told = 0;
  }

  /** Streamed text that belongs at `offset`: only what lies beyond the text that is there is new. */
  addText(path: string, delta: string, offset: number | null): void {
    const step = this.steps.get(path);
    if (step) step.text += offset === null ? delta : delta.slice(Math.max(0, step.text.length - offset));
  }

  /** Steps in the order of the tree, sub-steps after their parent. */
  tree(): Step[] {
    this.order ??= this.arrange();
    return this.order.map((path) => this.steps.get(path)!);
  }

  totals(): { calls: number; tokens: number; cost: Cost } {
    let [calls, tokens, cost] = [0, 0, nothing()];
    for (const step of this.steps.values()) {
      if (step.parent !== null) continue;
      calls += step.calls;
      tokens += step.tokens;
      cost = sum(cost, step.cost);
    }
    return { calls, tokens, cost };
  }

  /** The step a person wants to see when they named none. */
  focus(): Step | null {
    const steps = this.tree();
    const last = (wanted: (step: Step) => boolean) => steps.findLast(wanted) ?? null;
    if (this.gate) {
      const asking = last((step) => step.status === "waiting");
      if (asking) return asking;
    }
    return (
      last((step) => isActive(step.status)) ??
      last((step) => step.status === "error") ??
      last((step) => step.status === "waiting") ??
      (this.status === "Success" ? last((step) => step.depth === 0 && step.status === "finished") : null) ??
      last((step) => step.status === "finished" && step.depth === 0) ??
      steps[0] ??
      null
    );
  }

  /** The declared step that an effect's or an occurrence's path belongs to. */
  ownerOf(path: string): Step | null {
    for (let end = path.length; end > 0; end--) {
      if (end === path.length || path[end] === "[" || path[end] === "." || path[end] === "/") {
        const step = this.steps.get(path.slice(0, end));
        if (step) return step;
      }
    }
    return null;
  }

  private forgetSeed(): void {
    this.steps.clear();
    this.order = null;
  }

  private plan(row: PlanStep): void {
    const known = this.steps.get(row.path);
    const step = known ?? this.add(row.path, row.module, row.step_id, row.description);
    // A plan that is sent again after a resume says "pending" of steps that have to run once more.
    if (!known || (row.status === "pending" && step.status !== "pending")) {
      step.status = row.status;
      step.since = null;
      if (row.status === "pending") {
        step.text = "";
        step.told = 0;
      }
    }
    if (row.response) step.response = row.response;
  }

  private add(path: string, name: string, number: number, description: string): Step {
    let parent: Step | null = null;
    for (let end = path.length - 1; end > 0 && !parent; end--) {
      if (path[end] === "[" || path[end] === ".") parent = this.steps.get(path.slice(0, end)) ?? null;
    }
    const step: Step = {
      path,
      name,
      number,
      description,
      parent: parent?.path ?? null,
      depth: parent ? parent.depth + 1 : 0,
      children: [],
      status: "pending",
      seconds: 0,
      since: null,
      response: "",
      error: null,
      reason: null,
      text: "",
      told: 0,
      replies: new Map(),
      items: [],
      calls: 0,
      tokens: 0,
      cost: nothing(),
    };
    parent?.children.push(path);
    this.steps.set(path, step);
    this.order = null;
    return step;
  }

  private arrange(): string[] {
    const ordered: string[] = [];
    const visit = (step: Step) => {
      ordered.push(step.path);
      for (const child of step.children) visit(this.steps.get(child)!);
    };
    for (const step of this.steps.values()) if (step.parent === null) visit(step);
    return ordered;
  }

  private update(event: RunEvent, at: number): void {
    const step = event.path ? this.steps.get(event.path) : this.byNumber(event.step);
    if (!step) return;
    if (event.status) {
      if (isActive(event.status)) step.since ??= at;
      else if (step.since !== null) {
        step.seconds += Math.max(0, at - step.since);
        step.since = null;
      }
      if (event.status === "in-progress") {
        step.error = step.reason = null;
        step.text = "";
        step.told = 0;
      }
      step.status = event.status;
      if (event.error) step.error = event.error;
      if (event.reason) step.reason = event.reason;
    }
    if (event.response !== undefined) step.response = event.response;
  }

  private byNumber(number: number): Step | undefined {
    for (const step of this.steps.values()) if (step.number === number) return step;
    return undefined;
  }

  private happened(path: string, item: Item): void {
    this.ownerOf(path)?.items.push(item);
  }

  private bill(call: CallEvent): void {
    let step = this.ownerOf(call.step_path);
    const cost = call.cost_usd === null ? { ...nothing(), unpriced_calls: 1 } : { ...nothing(), known_cost_usd: Number(call.cost_usd) };
    while (step) {
      step.calls++;
      step.tokens += (call.input_tokens ?? 0) + (call.output_tokens ?? 0);
      step.cost = sum(step.cost, cost);
      step = step.parent === null ? null : (this.steps.get(step.parent) ?? null);
    }
  }

  private settle(call: CallEvent, replayed: boolean): void {
    const step = this.steps.get(call.step_path);
    if (!step) return;
    if (step.text.length > step.told && !replayed) step.replies.set(callKey(call), step.text.slice(step.told));
    step.told = step.text.length;
  }

  private asked(event: RunEvent, id: string, at: number): void {
    if (event.kind) {
      const gate = event as unknown as Gate;
      this.gate = gate;
      this.happened(event.path, { kind: "gate", id, at, gate, answer: null });
    } else {
      this.gate = null;
      this.happened(event.path, { kind: "gate", id, at, gate: null, answer: event.answer });
    }
  }
}

/** A call that this run took over when it was forked, as its event would tell it; it took this run no time. */
export function copiedCall(row: CallRow): CallEvent {
  return { ...row, step_path: row.path.replace(/\/[^/]*$/, ""), seconds: null };
}

/** Names one attempt at a call. */
export const callKey = (call: { path: string; attempt: number }) => `${call.path}#${call.attempt}`;
