import { request } from 'undici';

/** The results of several requests through HAProxy. */
export interface RequestResults {
  /** How many requests each instance answered, by its name. */
  readonly answers: Readonly<Record<string, number>>;
  /** Why the other requests failed: an error or a status. */
  readonly failures: readonly string[];
}

/** Sends requests to a service one after the other as an application does: to a port on localhost. */
export async function sendRequests(port: number, count: number): Promise<RequestResults> {
  const answers: Record<string, number> = {};
  const failures: string[] = [];
  for (let i = 0; i < count; i++) {
    try {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}/`, { headersTimeout: 5_000 });
      const text = (await body.text()).trim();
      if (statusCode === 200) answers[text] = (answers[text] ?? 0) + 1;
      else failures.push(`status ${statusCode}`);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { answers, failures };
}
