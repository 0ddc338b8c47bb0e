/** The exact prompt of a call: what was sent, with which version, and how that differs from the one before. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api";
import { count, duration } from "../format";
import { DiffView } from "../lazy/later";
import { go, Link, promptUrl, usePlace, withQuery } from "../router";
import type { Call } from "../types";
import { Copy, Empty, Failed, Loading, Segments } from "../ui/bits";
import { LongText } from "../ui/LongText";
import { callKey, type CallEvent, type Step } from "./state";
import { CallCost, fetchCall } from "./StepOutput";

type View = "sent" | "template" | "diff";

export function PromptPanel({ run, step, copied, box }: { run: string; step: Step | null; copied: CallEvent[]; box: RefObject<HTMLElement | null> }) {
  const place = usePlace();
  const calls = [...copied, ...(step?.items ?? []).flatMap((item) => (item.kind === "call" ? [item.call] : []))];
  const wanted = place.query.get("call");
  const chosen = calls.find((call) => callKey(call) === wanted) ?? calls.at(-1) ?? null;
  const key = chosen ? callKey(chosen) : null;
  const [call, setCall] = useState<Call | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [view, setView] = useState<View>("sent");
  useEffect(() => {
    setCall(null);
    setError(null);
    if (!chosen) return;
    let gone = false;
    fetchCall(run, chosen.path, chosen.attempt).then(
      (found) => !gone && setCall(found),
      (wrong: unknown) => !gone && wrong instanceof ApiError && setError(wrong),
    );
    return () => {
      gone = true;
    };
  }, [run, key]);

  if (!chosen) {
    return (
      <Empty icon="prompts" title="No model call in this step">
        <p>Choose a step that asked a model to see the exact text it sent.</p>
      </Empty>
    );
  }
  if (error) return <Failed error={error} />;
  if (!call) return <Loading rows={6} label="Loading the prompt" />;
  const { name, version, previous_version, previous_diff, template } = call.prompt;
  const sent = call.messages.map((message) => ({ role: message.role, text: message.content ?? message.text ?? "" }));
  return (
    <div class="prompt-panel">
      {calls.length > 1 && (
        <label class="field inline">
          <span class="label">Call</span>
          <select value={key ?? ""} onChange={(event) => go(withQuery({ call: event.currentTarget.value }), true)}>
            {calls.map((one, index) => (
              <option key={callKey(one)} value={callKey(one)}>
                {index + 1} of {calls.length} · {one.prompt}
              </option>
            ))}
          </select>
        </label>
      )}
      <dl class="facts">
        <div>
          <dt>Prompt</dt>
          <dd>{name ? <Link to={promptUrl(name, version)}>{name}{version ? ` v${version}` : " (default)"}</Link> : "–"}</dd>
        </div>
        <div>
          <dt>Model</dt>
          <dd class="mono">{call.model ?? "–"}</dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd>
            {count(call.input_tokens ?? 0)} → {count(call.output_tokens ?? 0)}
            {call.cached_tokens ? `, ${count(call.cached_tokens)} cached` : ""}
          </dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd>
            <CallCost call={call} />
          </dd>
        </div>
        {call.finished_at !== null && (
          <div>
            <dt>Took</dt>
            <dd>{duration(call.finished_at - call.started_at)}</dd>
          </div>
        )}
      </dl>
      <div class="files-head">
        <Segments<View>
          label="View"
          value={view}
          options={[
            { value: "sent", label: "Sent" },
            { value: "template", label: "Template" },
            { value: "diff", label: previous_version ? `Diff to v${previous_version}` : "Diff" },
          ]}
          onChange={setView}
        />
        <span class="spring" />
        <Copy text={view === "template" ? (template ?? "") : sent.map((message) => message.text).join("\n\n")} label="Copy" quiet />
      </div>
      {view === "sent" &&
        sent.map((message, index) => (
          <section key={index} class="message" aria-label={`Message of ${message.role}`}>
            <h3 class="small-head">{message.role}</h3>
            <LongText text={message.text} box={box} name={`m${index + 1}`} label={`Message of ${message.role}`} />
          </section>
        ))}
      {view === "template" &&
        (template ? <LongText text={template} box={box} name="template" label="Template" /> : <p class="hint pad">The template of this call was not kept.</p>)}
      {view === "diff" &&
        (previous_diff ? <DiffView diff={previous_diff} /> : <p class="hint pad">There is no earlier version to compare with.</p>)}
    </div>
  );
}
