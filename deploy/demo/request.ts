import { request } from 'undici';

/** What a round of requests through HAProxy met. */
export interface Visit {
  /** Requests answered, by the name of the instance that did. */
  readonly answers: Readonly<Record<string, number>>;
  /** Why the others were not: an error or a status. */
  readonly failures: readonly string[];
}

/** Sends requests to a service the way an application does: to a port on localhost. */
export async function visit(port: number, count: number): Promise<Visit> {
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
