import { Agent, request } from 'node:http';
import type { TestContext } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import { patienceMs } from '../eventually.ts';

/** The requests of a load, and how they went. */
export interface LoadResult {
  /** The different answers, in the order in which they were first seen. */
  readonly answers: ReadonlySet<string>;
  readonly requests: number;
  /** What went wrong with the others: no answer, or none with status 200. */
  readonly failures: readonly string[];
}

/** Sends requests over and over, a few at a time, as clients do that keep their connections, until it or the test is ended. */
export function constantLoad(t: TestContext, url: string, connections = 8): { end(): Promise<LoadResult> } {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const answers = new Set<string>();
  const failures: string[] = [];
  let requests = 0;
  let over = false;
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (reason: string): void => {
        failures.push(`${new Date().toISOString()} ${reason}`);
        resolve();
      };
      const sent = request(url, { agent, timeout: patienceMs }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', (error) => fail(String(error)));
        response.on('end', () => {
          if (response.statusCode !== 200) return fail(`status ${response.statusCode}: ${body}`);
          answers.add(body);
          resolve();
        });
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer within 30 s')));
      sent.on('error', (error) => fail(String(error)));
      sent.end();
    });
  const clients = Array.from({ length: connections }, async () => {
    while (!over) {
      const { length } = failures;
      await ask();
      requests += 1;
      if (failures.length > length) await sleep(50);
    }
  });
  const end = async (): Promise<LoadResult> => {
    over = true;
    await Promise.all(clients);
    agent.destroy();
    return { answers, requests, failures };
  };
  t.after(end);
  return { end };
}
