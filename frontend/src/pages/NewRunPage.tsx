/** Start a run of any workflow. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, post } from "../api";
import { go, runUrl, usePlace, withQuery } from "../router";
import type { FieldInfo, Meta, WorkflowInfo } from "../types";
import { Dialog, Empty, Failed, Loading } from "../ui/bits";
import { useGet, useTitle } from "../ui/hooks";
import { Icon } from "../ui/icons";
import { plural } from "../format";

/** What is asked for at once; the rest waits under "More options". */
const upFront = new Set(["files", "tests", "pages", "to", "write"]);

export function NewRunPage() {
  useTitle("New run");
  const meta = useGet<Meta>("/meta");
  if (meta.error) return <main class="page narrow" id="main"><Failed error={meta.error} retry={meta.reload} /></main>;
  if (!meta.data) return <main class="page narrow" id="main"><Loading /></main>;
  if (!meta.data.workflows.length) {
    return <main class="page narrow" id="main"><Empty icon="runs" title="This server can start no workflow" /></main>;
  }
  return <Form meta={meta.data} />;
}

function Form({ meta }: { meta: Meta }) {
  const place = usePlace();
  const wanted = place.query.get("workflow");
  const workflow = meta.workflows.find((one) => one.name === wanted) ?? meta.workflows[0]!;
  const [prompt, setPrompt] = useState("");
  const [folder, setFolder] = useState("");
  const [values, setValues] = useState<Record<string, unknown>>({});
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const set = (name: string, value: unknown) => setValues((before) => ({ ...before, [name]: value }));
  const start = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    if (!prompt.trim()) {
      setError("Say what you want first.");
      form.current?.querySelector("textarea")?.focus();
      return;
    }
    setBusy(true);
    setError(null);
    const options: Record<string, unknown> = {};
    for (const field of workflow.fields) {
      const value = values[field.name];
      if (value !== undefined && value !== "" && !(Array.isArray(value) && !value.length)) options[field.name] = value;
    }
    try {
      const made = await post<{ run_id: string }>("/runs", {
        workflow: workflow.name,
        prompt,
        options,
        ...(folder.trim() ? { workspace: folder.trim() } : {}),
      });
      go(runUrl(made.run_id));
    } catch (wrong) {
      setError(wrong instanceof ApiError ? wrong.message : String(wrong));
      setBusy(false);
    }
  };
  const field = (one: FieldInfo) => (
    <Field key={one.name} field={one} meta={meta} folder={folder} value={values[one.name]} onChange={(value) => set(one.name, value)} />
  );
  const first = workflow.fields.filter((one) => upFront.has(one.name));
  const rest = workflow.fields.filter((one) => !upFront.has(one.name));

  return (
    <main class="page narrow" id="main">
      <h1>New run</h1>
      <form ref={form} class="form" onSubmit={start} noValidate>
        <Workflows workflows={meta.workflows} chosen={workflow.name} />
        <label class="field">
          <span class="label">{workflow.prompt_label ?? "What do you want?"}</span>
          <textarea
            name="prompt"
            rows={7}
            value={prompt}
            required
            onInput={(event) => {
              setPrompt(event.currentTarget.value);
              setError(null);
            }}
            onKeyDown={(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && form.current?.requestSubmit()}
          />
        </label>
        <label class="field">
          <span class="label">Folder to work in</span>
          <input name="workspace" class="mono" placeholder="a new folder" value={folder} onInput={(event) => setFolder(event.currentTarget.value)} />
          <span class="hint">{meta.workspace_root ? `Inside ${meta.workspace_root}. ` : ""}Leave it empty for a new folder.</span>
        </label>
        {first.map(field)}
        {rest.length > 0 && (
          <details class="more">
            <summary>
              <Icon name="chevron" />
              More options
            </summary>
            <div class="form">{rest.map(field)}</div>
          </details>
        )}
        {error && <Failed error={error} />}
        <div class="form-end">
          <p class="hint">
            {meta.model || values.model ? (
              <>
                Model <code>{String(values.model || meta.model)}</code> · sandbox <code>{meta.sandbox}</code>
              </>
            ) : (
              <>No model is set: name one under “More options”.</>
            )}
          </p>
          <button class="button primary" type="submit" disabled={busy}>
            <Icon name="play" />
            <span>{busy ? "Starting…" : "Start"}</span>
          </button>
        </div>
      </form>
    </main>
  );
}

function Workflows({ workflows, chosen }: { workflows: WorkflowInfo[]; chosen: string }) {
  return (
    <fieldset class="choices">
      <legend class="label">Workflow</legend>
      {workflows.map((one) => (
        <label key={one.name} class="choice">
          <input
            type="radio"
            name="workflow"
            value={one.name}
            checked={one.name === chosen}
            onChange={() => go(withQuery({ workflow: one.name }), true)}
          />
          <span>{one.title}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface FieldProps {
  field: FieldInfo;
  meta: Meta;
  folder: string;
  value: unknown;
  onChange: (value: unknown) => void;
}

function Field({ field, meta, folder, value, onChange }: FieldProps) {
  if (field.type === "bool") {
    return (
      <label class="check">
        <input type="checkbox" name={field.name} checked={Boolean(value ?? field.default)} onChange={(event) => onChange(event.currentTarget.checked)} />
        {field.label}
      </label>
    );
  }
  if (field.type === "files") {
    return <Files field={field} folder={folder} value={(value as string[] | undefined) ?? []} onChange={onChange} />;
  }
  if (field.type === "choice") {
    return (
      <label class="field">
        <span class="label">{field.label}</span>
        <select name={field.name} value={String(value ?? field.default ?? "")} onChange={(event) => onChange(event.currentTarget.value)}>
          {(field.choices ?? []).map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      </label>
    );
  }
  const numeric = field.type === "number";
  const fallback = field.name === "model" ? meta.model : field.default;
  const shared = {
    name: field.name,
    placeholder: fallback === null || fallback === undefined ? "" : String(fallback),
    value: value === undefined ? "" : String(value),
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      const text = event.currentTarget.value;
      onChange(numeric && text !== "" ? Number(text) : text);
    },
  };
  return (
    <label class="field">
      <span class="label">{field.label}</span>
      {numeric ? (
        <input class="short" type="number" min="0" step={field.name === "budget" ? "any" : "1"} {...shared} />
      ) : (
        <input class="mono" type="text" list={undefined} {...shared} />
      )}
    </label>
  );
}

interface FilesProps {
  field: FieldInfo;
  folder: string;
  value: string[];
  onChange: (value: string[]) => void;
}

function Files({ field, folder, value, onChange }: FilesProps) {
  const [open, setOpen] = useState(false);
  return (
    <div class="field">
      <span class="label">{field.label}</span>
      <div class="chips">
        {value.map((name) => (
          <span key={name} class="chip mono">
            {name}
            <button type="button" aria-label={`Remove ${name}`} onClick={() => onChange(value.filter((other) => other !== name))}>
              <Icon name="cross" />
            </button>
          </span>
        ))}
        <button type="button" class="button small" onClick={() => setOpen(true)}>
          <Icon name="file" />
          <span>Choose files</span>
        </button>
      </div>
      {open && <FilePicker title={field.label} folder={folder} value={value} onChange={onChange} onClose={() => setOpen(false)} />}
    </div>
  );
}

interface PickerProps {
  title: string;
  folder: string;
  value: string[];
  onChange: (value: string[]) => void;
  onClose: () => void;
}

const SHOWN = 300;

function FilePicker({ title, folder, value, onChange, onClose }: PickerProps) {
  const found = useGet<{ workspace: string; files: string[]; truncated: boolean } | string[]>("/files", { workspace: folder.trim() });
  const [typed, setTyped] = useState("");
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);
  const data = found.data;
  const names = data ? (Array.isArray(data) ? data : data.files) : [];
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = names.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
  const toggle = (name: string) => onChange(value.includes(name) ? value.filter((other) => other !== name) : [...value, name]);
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="search">
        <Icon name="search" />
        <input ref={box} type="search" aria-label="Filter files" placeholder="Filter by name" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </div>
      {found.error && <Failed error={found.error} retry={found.reload} />}
      {found.loading && !data && <Loading />}
      {data && !names.length && <p class="hint">The folder holds no file yet.</p>}
      {data && names.length > 0 && !matching.length && <p class="hint">No file matches.</p>}
      <ul class="picker">
        {matching.slice(0, SHOWN).map((name) => (
          <li key={name}>
            <label class="check mono">
              <input type="checkbox" checked={value.includes(name)} onChange={() => toggle(name)} />
              {name}
            </label>
          </li>
        ))}
      </ul>
      {matching.length > SHOWN && <p class="hint">{plural(matching.length - SHOWN, "more file")}; type to narrow them down.</p>}
      <div class="form-end">
        <p class="hint">{plural(value.length, "file")} chosen</p>
        <button class="button primary" onClick={onClose}>
          Done
        </button>
      </div>
    </Dialog>
  );
}
