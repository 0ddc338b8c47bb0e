/** Light, dark, or as the system has it. */

export type Theme = "auto" | "light" | "dark";

export const theme = (): Theme => (localStorage.getItem("windlass.theme") as Theme | null) ?? "auto";

export function applyTheme(chosen: Theme = theme()): void {
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  localStorage.setItem("windlass.theme", chosen);
  // Charts paint themselves and must hear of it.
  window.dispatchEvent(new Event("windlass:theme"));
}
