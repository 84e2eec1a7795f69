import { Agent, request } from 'undici';
import { sleep } from '../../common/async/sleep.ts';
import type { History } from './history.ts';
import type { ProxyHost } from './proxy-host.ts';

const pauseMs = 25;

/** Sends requests for one service through one HAProxy until `signal` aborts. None may fail while HAProxy itself runs. */
export async function keepAsking(
  host: ProxyHost,
  service: string,
  history: History,
  signal: AbortSignal,
): Promise<void> {
  const agent = new Agent({ connections: 2 });
  while (!signal.aborted) {
    const { starts, isDown } = host;
    const beganAt = history.seconds;
    const problem = await ask(host.ports[service] as number, service, agent);
    if (signal.aborted) break;
    history.count('requests');
    const isExcused = isDown || host.isDown || host.starts !== starts;
    if (problem !== undefined && isExcused) history.count('requests that failed while HAProxy was killed');
    else if (problem !== undefined) {
      history.count('requests that failed');
      history.violated(
        `a request for ${service} through ${host.name}, begun at ${beganAt.toFixed(3)} s, failed: ${problem}`,
      );
    }
    await sleep(pauseMs, signal);
  }
  await agent.close();
}

/** @returns what was wrong */
async function ask(port: number, service: string, dispatcher: Agent): Promise<string | undefined> {
  try {
    const { statusCode, headers, body } = await request(`http://127.0.0.1:${port}/`, { dispatcher });
    const text = await body.text();
    if (statusCode !== 200) return `status ${statusCode}`;
    return headers['x-service'] === service ? undefined : `${text} of ${headers['x-service']} answered`;
  } catch (error) {
    return error instanceof Error ? `${error.message} ${error.cause ?? ''}`.trim() : String(error);
  }
}
