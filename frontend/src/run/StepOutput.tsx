/** What happened in one step: replies as they stream, files, tests, questions, and how it ended. */

import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api";
import { bytes, count, duration, usd, when } from "../format";
import { go, Link, promptUrl, runUrl, withQuery } from "../router";
import type { Call, CallRow } from "../types";
import { Copy, Failed, Loading } from "../ui/bits";
import { Icon, markOf, StatusMark } from "../ui/icons";
import { LongText } from "../ui/LongText";
import { callKey, isActive, type CallEvent, type Item, type Step } from "./state";
import { figures } from "./StepTree";
import { Tests } from "./Tests";
import { useTail } from "./useTail";

interface Props {
  run: string;
  step: Step;
  steps: Map<string, Step>;
  /** Calls that the run took over when it was forked, and did not make. */
  copied: CallEvent[];
  /** Attempts that failed or are in doubt; events tell only of those that came to their end. */
  otherCalls: CallRow[];
  now: number;
  live: boolean;
  /** Whether the page shows the step at work because nobody chose another. */
  following: boolean;
  onJump: () => void;
  /** The reader has left the end of what is written just now, or is back there. */
  onTail: (follows: boolean) => void;
  gate: ComponentChildren;
  actions: ComponentChildren;
}

export function StepOutput(props: Props) {
  const { step, live } = props;
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const active = isActive(step.status);
  const { tail, follow } = useTail({ box, content, name: step.path, grows: active, onChange: props.onTail });
  const jump = () => {
    follow();
    props.onJump();
  };
  const away = live && (!props.following || (active && !tail));

  return (
    <section class="output" aria-label="Output">
      <header class="pane-head">
        <StatusMark status={step.status} />
        <div class="pane-title">
          <h2>{step.name}</h2>
          <p>{step.description || figures(step, props.now)}</p>
        </div>
        <span class="pane-figures">{step.description ? figures(step, props.now) : ""}</span>
        {props.actions}
      </header>
      <div class="output-scroll" ref={box} tabIndex={0} role="region" aria-label={`Output of ${step.name}`} data-tail={tail}>
        <div class="output-content" ref={content}>
          {props.gate}
          <Blocks {...props} box={box} />
        </div>
      </div>
      {away && (
        <button class="button jump" onClick={jump}>
          <Icon name="down" />
          <span>Jump to live</span>
        </button>
      )}
    </section>
  );
}

function Blocks(props: Props & { box: RefObject<HTMLElement | null> }) {
  const { step, run, box } = props;
  const items = [...props.copied.map((call): Item => ({ kind: "call", id: `c${callKey(call)}`, at: 0, call })), ...step.items];
  const calls = items.filter((item) => item.kind === "call").length;
  let seen = 0;
  const texts = { n: 0 };
  const children = step.children.map((path) => props.steps.get(path)!);
  const text = step.text.slice(step.told);
  const blank = !items.length && !text && !step.response && !step.error && !step.reason && !children.length;
  return (
    <>
      {step.error && step.status !== "skipped" && (
        <div class="callout bad" role="alert">
          <Icon name="warn" />
          <p>{step.error}</p>
        </div>
      )}
      {step.reason && (
        <div class="callout">
          <Icon name="skip" />
          <p>{step.reason}</p>
        </div>
      )}
      {items.map((item) => {
        if (item.kind === "call") seen++;
        const name = `t${++texts.n}`;
        return (
          <div key={item.id} class="item" data-event={item.id.startsWith("e") ? item.id.slice(1) : undefined}>
            <Block item={item} run={run} step={step} box={box} name={name} open={calls <= 6 || seen === calls} />
          </div>
        );
      })}
      {props.otherCalls.map((row) => (
        <Unfinished key={callKey(row)} row={row} box={box} />
      ))}
      {text && (
        <div class="block streaming" data-block="stream">
          <div class="block-head">
            <Icon name="prompts" />
            <span class="block-title">{isActive(step.status) ? "Reply, as it comes" : "Reply, as far as it came"}</span>
            {isActive(step.status) && <span class="spinner" aria-hidden="true" />}
          </div>
          <LongText text={text} box={box} name="live" label="Reply as it comes" live={isActive(step.status)} />
        </div>
      )}
      {isActive(step.status) && !text && (
        <p class="waiting-line">
          <span class="spinner" aria-hidden="true" /> {children.some((child) => isActive(child.status)) ? "Its sub-steps are at work" : "At work"}
        </p>
      )}
      {children.length > 0 && (
        <ul class="children">
          {children.map((child) => (
            <li key={child.path}>
              <Link to={withQuery({ step: child.path, call: null })} class="child">
                <StatusMark status={child.status} />
                <span>{child.name}</span>
                <span class="tree-meta">{figures(child, props.now)}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      {step.response && (
        <div class="block" data-block="result">
          <div class="block-head">
            <Icon name="check" />
            <span class="block-title">Result</span>
            <Copy text={step.response} label="Copy the result" quiet />
          </div>
          <LongText text={step.response} box={box} name="result" label="Result" {...line("result")} />
        </div>
      )}
      {blank && <p class="hint pad">{step.status === "pending" ? "This step has not started." : step.status === "in-progress" ? "" : `${markOf(step.status).word}. Nothing to show.`}</p>}
    </>
  );
}

/** Which line of a text the address names, and how to name one. */
export function line(name: string): { marked: number | null; onLine: (line: number) => void } {
  const [text, number] = location.hash.slice(1).split("-L");
  return {
    marked: text === name && number ? Number(number) : null,
    onLine: (n) => go(withQuery({}, `${name}-L${n}`), true),
  };
}

interface BlockProps {
  item: Item;
  run: string;
  step: Step;
  box: RefObject<HTMLElement | null>;
  name: string;
  open: boolean;
}

function Block({ item, run, step, box, name, open }: BlockProps) {
  switch (item.kind) {
    case "call":
      return <CallBlock run={run} step={step} call={item.call} box={box} name={name} open={open} />;
    case "tests":
      return <Tests report={item.report} box={box} name={name} />;
    case "file":
      return (
        <div class="event-line">
          <Icon name="file" />
          <span class={`change change-${item.change}`}>{item.change}</span>
          <Link to={withQuery({ step: step.path, view: "files", file: item.path })} class="mono">
            {item.path}
          </Link>
          <span class="dim">{bytes(item.bytes)}</span>
        </div>
      );
    case "gate":
      return (
        <div class="event-line">
          <Icon name="pause" />
          {item.gate ? <span>Asked: {item.gate.text}</span> : <span>Answered: {answerWord(item.answer?.action)}</span>}
          <time class="dim" title={when(item.at)}>
            {new Date(item.at * 1000).toLocaleTimeString("en")}
          </time>
        </div>
      );
    case "notice":
      return (
        <div class="callout">
          <Icon name="warn" />
          <p>{item.text}</p>
        </div>
      );
  }
}

const words: Record<string, string> = { approve: "approved", reject: "rejected", edit: "edited", answer: "answered" };
const answerWord = (action: string | undefined) => words[action ?? ""] ?? action ?? "";

/** A call's reply: as it was seen to come, else from the server, once. */
const replies = new Map<string, Promise<Call>>();
export function fetchCall(run: string, path: string, attempt: number): Promise<Call> {
  const key = `${run} ${path}#${attempt}`;
  let found = replies.get(key);
  if (!found) {
    found = get<Call>(`/runs/${encodeURIComponent(run)}/call`, { path, attempt });
    replies.set(key, found);
    found.catch(() => replies.delete(key));
    if (replies.size > 200) replies.delete(replies.keys().next().value!);
  }
  return found;
}

function CallBlock({ run, step, call, box, name, open }: { run: string; step: Step; call: CallEvent } & Omit<BlockProps, "item">) {
  const [isOpen, setOpen] = useState(open);
  const [fetched, setFetched] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const key = callKey(call);
  const seen = step.replies.get(key);
  const text = seen ?? fetched;
  useEffect(() => {
    if (!isOpen || seen !== undefined) return;
    let gone = false;
    fetchCall(run, call.path, call.attempt).then(
      (found) => !gone && setFetched(found.reply ?? found.partial ?? ""),
      (wrong: unknown) => !gone && wrong instanceof ApiError && setError(wrong),
    );
    return () => {
      gone = true;
    };
  }, [isOpen, key, seen === undefined]);
  const [promptName, version] = call.prompt.split("@");
  return (
    <div class="block" data-block="call">
      <div class="block-head">
        <button class="twist-button" aria-expanded={isOpen} aria-label={`Reply of ${call.model}`} onClick={() => setOpen(!isOpen)}>
          <span class={isOpen ? "twist open" : "twist"}>
            <Icon name="chevron" />
          </span>
        </button>
        <span class="block-title">{call.model}</span>
        <Link to={promptUrl(promptName!, Number(version) || null)} class="tag link" title="The prompt's version">
          {promptName}
          {Number(version) ? ` v${version}` : ""}
        </Link>
        <span class="block-figures">
          {call.attempt > 1 && <span>attempt {call.attempt}</span>}
          <span title="Tokens sent and received">
            {count(call.input_tokens ?? 0)} → {count(call.output_tokens ?? 0)}
          </span>
          <span>
            <CallCost call={call} />
          </span>
          {call.seconds !== null && <span>{duration(call.seconds)}</span>}
        </span>
        <Link to={withQuery({ step: step.path, view: "prompt", call: key })} class="button ghost small">
          Prompt
        </Link>
        <Copy text={() => text ?? ""} label="Copy the reply" quiet />
      </div>
      {isOpen && error && <Failed error={error} />}
      {isOpen && text === null && !error && <Loading rows={3} label="Loading the reply" />}
      {isOpen && text !== null && (text ? <LongText text={text} box={box} name={name} label={`Reply of ${call.model}`} {...line(name)} /> : <p class="hint pad">The reply is empty.</p>)}
    </div>
  );
}

/** What a call cost this run: nothing where it was taken over from another. */
export function CallCost({ call }: { call: { cost_usd: string | null; copied_from?: string | null } }) {
  if (call.copied_from) {
    return (
      <>
        copied from <Link to={runUrl(call.copied_from)}>run {call.copied_from.slice(-8)}</Link>
      </>
    );
  }
  return <>{call.cost_usd === null ? "cost unknown" : usd(Number(call.cost_usd))}</>;
}

const stateWords: Record<string, string> = {
  failed: "failed",
  unknown: "unknown: it may have been paid",
  claimed: "under way",
  cancelled: "cancelled",
};

function Unfinished({ row, box }: { row: CallRow; box: RefObject<HTMLElement | null> }) {
  return (
    <div class="block" data-block="failed-call">
      <div class="block-head">
        <Icon name="warn" />
        <span class="block-title">{row.model ?? "Model call"}</span>
        <span class="tag">{stateWords[row.state] ?? row.state}</span>
        <span class="block-figures">{row.attempt > 1 && <span>attempt {row.attempt}</span>}</span>
      </div>
      {row.error && <p class="pad">{row.error}</p>}
      {row.partial && <LongText text={row.partial} box={box} name={`p${row.attempt}`} label="What had come of the reply" />}
    </div>
  );
}
