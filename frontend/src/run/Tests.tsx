/** A test report: counts, each failing test open, and the whole output. */

import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import { duration } from "../format";
import type { TestReport } from "../types";
import { Copy } from "../ui/bits";
import { Icon } from "../ui/icons";
import { LongText } from "../ui/LongText";

const OPEN = 20;

export function Tests({ report, box, name }: { report: TestReport; box: RefObject<HTMLElement | null>; name: string }) {
  const bad = report.failed + report.errors > 0 || Boolean(report.problem);
  const [whole, setWhole] = useState(false);
  const failures = report.failures ?? [];
  return (
    <div class={bad ? "block tests bad" : "block tests good"} data-block="tests" data-failed={report.failed + report.errors}>
      <div class="block-head">
        <span class={bad ? "mark tone-bad" : "mark tone-good"}>
          <Icon name={bad ? "cross" : "check"} />
        </span>
        <span class="block-title">{summary(report)}</span>
        <span class="block-figures">
          <span>{duration(report.seconds)}</span>
          <span>{report.sandbox}</span>
        </span>
        <Copy text={report.output} label="Copy the output" quiet />
      </div>
      <Meter report={report} />
      {report.problem && <p class="pad bad-text">{report.problem}</p>}
      {failures.map((failure, index) => {
        const message = textOf(failure);
        return (
          <details key={failure.test} class="failure" open={index < OPEN}>
            <summary>
              <Icon name="chevron" />
              <span class="mono">{failure.test}</span>
            </summary>
            {message && <pre class="failure-text">{message}</pre>}
          </details>
        );
      })}
      <button class="button ghost small block-more" aria-expanded={whole} onClick={() => setWhole(!whole)}>
        {whole ? "Hide the whole output" : "Show the whole output"}
      </button>
      {whole && <LongText text={report.output} box={box} name={name} label="Test output" />}
    </div>
  );
}

function textOf(failure: Record<string, unknown>): string {
  for (const key of ["text", "detail", "message", "longrepr", "output"]) {
    const value = failure[key];
    if (typeof value === "string" && value) return value;
  }
  return "";
}

function summary(report: TestReport): string {
  const parts = [
    [report.passed, "passed"],
    [report.failed, "failed"],
    [report.errors, report.errors === 1 ? "error" : "errors"],
    [report.skipped ?? 0, "skipped"],
  ] as const;
  const text = parts.filter(([n]) => n > 0).map(([n, word]) => `${n} ${word}`);
  return text.length ? `Tests: ${text.join(", ")}` : "No tests ran";
}

function Meter({ report }: { report: TestReport }) {
  const total = report.passed + report.failed + report.errors + (report.skipped ?? 0);
  if (!total) return null;
  const share = (n: number) => ({ width: `${(100 * n) / total}%` });
  return (
    <div class="meter" aria-hidden="true">
      <span class="meter-good" style={share(report.passed)} />
      <span class="meter-bad" style={share(report.failed + report.errors)} />
    </div>
  );
}
