/** The question that a run waits with: approve, answer, edit or reject. */

import { useState } from "preact/hooks";
import { post } from "../api";
import { DiffView } from "../lazy/later";
import type { Gate } from "../types";
import { attempt } from "../ui/bits";
import { Icon } from "../ui/icons";

interface Props {
  run: string;
  gate: Gate;
  onAnswered: () => void;
}

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

export function GateCard({ run, gate, onAnswered }: Props) {
  const questions = list(gate.detail.open_questions);
  const criteria = list(gate.detail.acceptance_criteria);
  const requirement = typeof gate.detail.requirement === "string" ? gate.detail.requirement : "";
  const diff = typeof gate.detail.diff === "string" ? gate.detail.diff : "";
  const files = (Array.isArray(gate.detail.files) ? gate.detail.files : []).map((file) => `${file.path} (${file.change})`);
  const [answers, setAnswers] = useState<string[]>(() => questions.map(() => ""));
  const [edited, setEdited] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const send = async (action: string, text = "") => {
    setBusy(true);
    const done = await attempt(() => post(`/runs/${encodeURIComponent(run)}/answer`, { action, text }), "Answer sent; the run goes on.");
    setBusy(false);
    if (done) onAnswered();
  };
  const answered = questions.some((_, index) => answers[index]?.trim());
  const sendAnswers = () =>
    send("answer", questions.map((question, index) => `${question}\n${answers[index]?.trim() || "(no answer)"}`).join("\n\n"));

  return (
    <section class="gate" aria-label="Waiting for you" data-gate={gate.kind}>
      <header>
        <span class="mark tone-wait">
          <Icon name="pause" />
        </span>
        <h3>{gate.text}</h3>
      </header>
      {gate.kind === "requirement" && criteria.length > 0 && (
        <>
          <h4>Acceptance criteria</h4>
          <ul>
            {criteria.map((one, index) => (
              <li key={index}>{one}</li>
            ))}
          </ul>
        </>
      )}
      {questions.map((question, index) => (
        <label key={index} class="field">
          <span class="label">{question}</span>
          <textarea
            rows={2}
            value={answers[index]}
            onInput={(event) => {
              const text = event.currentTarget.value;
              setAnswers((before) => before.map((old, n) => (n === index ? text : old)));
            }}
          />
        </label>
      ))}
      {files.length > 0 && (
        <ul>
          {files.map((file) => (
            <li key={file}>{file}</li>
          ))}
        </ul>
      )}
      {diff && <DiffView diff={diff} />}
      {edited !== null && (
        <label class="field">
          <span class="label">Requirement</span>
          <textarea rows={8} value={edited} onInput={(event) => setEdited(event.currentTarget.value)} />
        </label>
      )}
      <div class="gate-actions">
        {edited !== null ? (
          <>
            <button class="button primary" disabled={busy || !edited.trim()} onClick={() => send("edit", edited)}>
              Send the edited text
            </button>
            <button class="button" onClick={() => setEdited(null)}>
              Back
            </button>
          </>
        ) : (
          <>
            {questions.length > 0 && (
              <button class="button primary" disabled={busy || !answered} onClick={sendAnswers}>
                Send answers
              </button>
            )}
            <button class={questions.length ? "button" : "button primary"} disabled={busy} onClick={() => send("approve")}>
              <Icon name="check" />
              <span>{gate.kind === "writes" ? "Write them" : gate.kind === "repeat" ? "Call again" : "Approve"}</span>
            </button>
            {gate.kind === "requirement" && requirement && (
              <button class="button" disabled={busy} onClick={() => setEdited(requirement)}>
                Edit
              </button>
            )}
            <button class="button danger" disabled={busy} onClick={() => send("reject")}>
              Reject
            </button>
          </>
        )}
      </div>
    </section>
  );
}
