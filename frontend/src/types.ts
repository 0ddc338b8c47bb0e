/** What the server says: docs/reference/http-api.md. Servers may add keys; none of these is ever taken away. */

export interface FieldInfo {
  name: string;
  type: "text" | "number" | "files" | "bool" | "choice";
  label: string;
  default: unknown;
  choices?: string[] | null;
}

export interface WorkflowInfo {
  name: string;
  title: string;
  prompt_label?: string;
  fields: FieldInfo[];
}

export interface Meta {
  version: string;
  user: string;
  workflows: WorkflowInfo[];
  model: string | null;
  sandbox: string;
  workspace_root?: string;
}

/** What something cost; `cost_usd` is null where part of it is not known, the cost of `unpriced_calls` calls. */
export interface Cost {
  cost_usd: number | null;
  known_cost_usd: number;
  unpriced_calls: number;
}

export interface RunRow extends Cost {
  run_id: string;
  workflow: string;
  title: string;
  status: string;
  display_status: string;
  workspace: string;
  created_at: number;
  finished_at: number | null;
  seconds: number | null;
  requests: number;
  tokens: number;
  error: string | null;
  parent_run?: string | null;
}

export interface StepRow extends Cost {
  path: string;
  name: string;
  status: string;
  seconds: number;
  requests: number;
  input_tokens?: number;
  output_tokens?: number;
}

export interface Gate {
  path: string;
  kind: string;
  text: string;
  detail: Record<string, unknown>;
  digest: string;
}

/** Of the run's own calls: not of those that a fork took over. */
export interface Usage extends Cost {
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  unknown_calls: number;
}

export interface Run {
  run_id: string;
  workflow: string;
  title: string;
  status: string;
  display_status: string;
  summary: string | null;
  error: string | null;
  workspace: string;
  created_at: number;
  finished_at: number | null;
  parent_run: string | null;
  options: Record<string, unknown>;
  command: string;
  last_event_id: number;
  usage: Usage;
  steps: StepRow[];
  label: string | null;
  waiting_for: Gate | null;
  undone?: boolean;
}

export interface CallRow {
  path: string;
  attempt: number;
  state: string;
  model: string | null;
  prompt: string;
  provenance?: string | null;
  template_sha256?: string | null;
  rendered_sha256?: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cached_tokens: number | null;
  cost_usd: string | null;
  started_at: number;
  finished_at: number | null;
  error: string | null;
  partial: string | null;
  /** The run that made and paid the call, where a fork took it over. */
  copied_from: string | null;
}

export interface Call extends Omit<CallRow, "prompt"> {
  messages: { role: string; content?: string; text?: string }[];
  reply: string | null;
  prompt: {
    name: string | null;
    version: number | null;
    template: string | null;
    previous_version?: number | null;
    previous_diff: string | null;
  };
}

export interface FileRow {
  path: string;
  change: string;
  bytes: number;
  added: number;
  removed: number;
}

export interface FileDetail {
  path: string;
  change?: string;
  before: string | null;
  after: string | null;
  diff: string;
  writes: { step_path: string; kind?: string; at: number | null; before_sha: string | null; after_sha: string | null }[];
}

export interface TestFailure {
  test: string;
  message?: string;
  [key: string]: unknown;
}

export interface TestReport {
  step_path: string;
  passed: number;
  failed: number;
  errors: number;
  skipped?: number;
  seconds: number;
  sandbox: string;
  output: string;
  failures: TestFailure[];
  problem?: string | null;
}

export interface VersionStats {
  version: number;
  calls: number;
  passes: number;
  fails: number;
  errors: number;
  cancelled: number;
  pending: number;
  pass_rate: number | null;
  interval: [number, number];
  cost_usd: number;
  cost_per_success_usd: number | null;
}

export interface PromptRow {
  name: string;
  effective: number;
  revision: number;
  latest: number;
  versions: number;
  drift: boolean;
  stats: VersionStats | null;
}

export interface PromptVersion {
  version: number;
  text: string;
  effective: boolean;
  origin: string;
  created_at: number;
  parent: number | null;
  author: string | null;
  note: string | null;
  archived: boolean;
}

export interface PromptSwitch {
  from_version: number | null;
  to_version: number;
  kind: string;
  at: number;
  actor: string | null;
  reason: string | null;
  evidence: Record<string, unknown> | null;
}

/** A comparison of two versions on the same cases; `series` holds the evidence after each pair. */
export interface Comparison {
  old: number | null;
  new: number | null;
  kind?: string;
  state?: string;
  alpha?: number;
  decision?: string | null;
  series?: {
    pairs: number;
    only_new: number;
    only_old: number;
    /** null: beyond what a number can hold. */
    e_value: number | null;
    old_passes: number;
    new_passes: number;
    old_interval: [number, number];
    new_interval: [number, number];
    old_cost_per_success_usd?: number | null;
    new_cost_per_success_usd?: number | null;
  }[];
}

export interface Prompt {
  name: string;
  effective: number;
  revision: number;
  drift: boolean;
  versions: PromptVersion[];
  log: PromptSwitch[];
  stats: VersionStats[];
  comparisons: Comparison[];
}

export interface StatsRow extends Cost {
  key: string;
  runs: number;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  unknown_calls: number;
}

/** One event of a run. Stored ones have an `event_id`, which counts from 1. */
export interface RunEvent {
  name: string;
  run_id: string;
  event_id?: number | null;
  at?: number;
  [key: string]: any;
}

export interface PlanStep {
  step_id: number;
  module: string;
  description: string;
  parameters: Record<string, unknown>;
  status: string;
  response: string;
  path: string;
}
