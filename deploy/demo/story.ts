import { setTimeout as delay } from 'node:timers/promises';
import { exec } from '../../common/exec.ts';
import { workerPid } from './haproxy.ts';
import type { SampleInstance } from './parts.ts';
import type { Stack } from './stack.ts';
import { type Visit, visit } from './visit.ts';

/** Says one line of the story. */
export type Tell = (line: string) => void;

/** Once an instance must be out (or in) within this time, milliseconds; generous, because the machine may be busy. */
const patience = 20_000;

/**
 * The whole story with real requests: everything up, an instance killed, brought back, one drained.
 * @throws with what was expected and what was seen, at the first thing that is not as it should be
 */
export async function tellStory(stack: Stack, tell: Tell): Promise<void> {
  const services = Object.keys(stack.ports);
  const [first, second] = stack.instances.filter(({ service }) => service === services[0]) as [
    SampleInstance,
    SampleInstance,
  ];
  const port = stack.ports[first.service] as number;
  const workerBefore = await workerPid(stack.haproxy.socket);

  for (const service of services) {
    const ids = stack.instances.filter((instance) => instance.service === service).map(({ id }) => id);
    const { milliseconds } = await until(stack.ports[service] as number, ids);
    tell(
      `${service}: http://127.0.0.1:${stack.ports[service]} is answered by ${ids.join(' and ')} (${milliseconds} ms)`,
    );
  }

  await first.process.stop('SIGKILL');
  const gone = await until(port, [second.id]);
  tell(`${first.id} killed: after ${gone.milliseconds} ms all requests go to ${second.id}; ${summary(gone)}`);

  await stack.startInstance(first);
  const back = await until(port, [first.id, second.id]);
  tell(`${first.id} started again: back in rotation after ${back.milliseconds} ms; ${summary(back)}`);

  await run(second, 'drain');
  const drained = await until(port, [first.id]);
  tell(`${second.id} drained: new requests go to ${first.id} after ${drained.milliseconds} ms; ${summary(drained)}`);

  await run(second, 'undrain');
  const undrained = await until(port, [first.id, second.id]);
  tell(`${second.id} undrained: in rotation again after ${undrained.milliseconds} ms; ${summary(undrained)}`);

  const failed = [gone, back, drained, undrained].flatMap(({ failures }) => failures);
  if (failed.length > 0) throw new Error(`requests failed: ${[...new Set(failed)].join(', ')}`);
  const workerAfter = await workerPid(stack.haproxy.socket);
  if (workerAfter !== workerBefore)
    throw new Error(`HAProxy was reloaded: worker ${workerBefore} became ${workerAfter}`);
  tell(`HAProxy's worker is still process ${workerAfter}: no change needed a reload, and no request failed`);
}

interface Wait {
  readonly milliseconds: number;
  readonly requests: number;
  readonly failures: readonly string[];
}

/** Keeps sending requests until a whole round is answered by exactly these instances. */
async function until(port: number, ids: readonly string[]): Promise<Wait> {
  const start = performance.now();
  let requests = 0;
  let changedAt = start;
  const failures: string[] = [];
  const wanted = [...ids].sort().join(' and ');
  for (;;) {
    const round: Visit = await visit(port, 10);
    requests += 10;
    failures.push(...round.failures);
    const seen = Object.keys(round.answers).sort().join(' and ');
    if (seen === wanted && round.failures.length === 0) {
      return { milliseconds: Math.round(changedAt - start), requests, failures };
    }
    changedAt = performance.now();
    if (changedAt - start > patience) throw new Error(`expected answers from ${wanted}, got ${seen || 'none'}`);
    await delay(5);
  }
}

function summary({ requests, failures }: Wait): string {
  return `${requests} requests, ${failures.length} failed`;
}

/** As a user would: `nerve drain api -c FILE`. */
async function run(instance: SampleInstance, command: 'drain' | 'undrain'): Promise<void> {
  const { argv, configFile } = instance.nerve;
  const { code, stderr } = await exec([...argv, command, instance.service, '-c', configFile], { timeout: 20_000 });
  if (code !== 0) throw new Error(`nerve ${command} ${instance.service}: ${stderr.trim()}`);
}
