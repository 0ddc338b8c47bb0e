import { useState } from "preact/hooks";
import { Dialog } from "./bits";
import { wantsKeys } from "./hooks";

const groups: { title: string; keys: [string, string][] }[] = [
  { title: "Everywhere", keys: [["?", "This help"], ["n", "New run"], ["g r", "Runs"], ["g p", "Prompts"], ["g c", "Costs"]] },
  { title: "Lists", keys: [["j  k", "Next, previous"], ["Enter", "Open"], ["/", "Search"]] },
  {
    title: "A run",
    keys: [
      ["j  k", "Next, previous step"],
      ["Enter", "Open or close its sub-steps"],
      ["l", "Jump to live"],
      ["f  t  p  d", "Files, tests, prompt, details"],
      ["[  ]", "Previous, next file"],
      ["x", "Next step that failed"],
      ["c", "Copy as command"],
      ["s", "Stop the run"],
    ],
  },
];

export function KeysHelp({ onClose }: { onClose: () => void }) {
  const [on, setOn] = useState(wantsKeys);
  const set = (wanted: boolean) => {
    localStorage.setItem("windlass.keys", wanted ? "on" : "off");
    setOn(wanted);
  };
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <div class="keys">
        {groups.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    {key.split("  ").map((one) => (
                      <kbd key={one}>{one}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="check">
        <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} />
        Use single-key shortcuts
      </label>
    </Dialog>
  );
}
