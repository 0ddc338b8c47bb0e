/** Requests to the server. Every failure is an ApiError whose message can be shown as it is. */

export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when the server could not be reached. */
    readonly status: number,
  ) {
    super(message);
  }
}

const unreachable = "The server does not answer. Is `windlass serve` still running?";

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api${path}`, {
      method,
      signal: signal ?? null,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(unreachable, 0);
  }
  if (response.ok) return (await response.json()) as T;
  let sentence = `The server answered ${response.status}.`;
  try {
    const given = (await response.json()) as { error?: string };
    if (given.error) sentence = given.error;
  } catch {
    // Not our server's JSON (a proxy's page, say): the number is all there is to tell.
  }
  if (response.status === 401) window.dispatchEvent(new Event("windlass:refused"));
  throw new ApiError(sentence, response.status);
}

export function get<T>(path: string, query: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return request<T>("GET", text ? `${path}?${text}` : path, undefined, signal);
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return request<T>("POST", path, body);
}
