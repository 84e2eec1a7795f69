import { setTimeout as delay } from 'node:timers/promises';
import { exec } from '../../common/daemon/exec.ts';
import { readyServers, workerPid } from './haproxy.ts';
import type { SampleInstance } from './parts.ts';
import { visit } from './request.ts';
import type { Stack } from './stack.ts';

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
  const workerBefore = await workerPid(stack.haproxy.socket);

  for (const service of services) {
    const ids = stack.instances.filter((instance) => instance.service === service).map(({ id }) => id);
    await until(stack, ids, performance.now());
    tell(`${service}: http://127.0.0.1:${stack.ports[service]} is answered by ${ids.join(' and ')}`);
  }

  const step = async (action: () => Promise<unknown>, ids: readonly string[]): Promise<Wait> => {
    const since = performance.now();
    const [wait] = await Promise.all([until(stack, ids, since), action()]);
    return wait;
  };
  const gone = await step(() => first.process.stop('SIGKILL'), [second.id]);
  tell(`${first.id} killed: out of rotation after ${gone.milliseconds} ms; ${summary(gone)}`);

  const back = await step(() => stack.startInstance(first), [first.id, second.id]);
  tell(`${first.id} started again: back in rotation after ${back.milliseconds} ms; ${summary(back)}`);

  const drained = await step(() => run(second, 'drain'), [first.id]);
  tell(`${second.id} drained by 'nerve drain': after ${drained.milliseconds} ms; ${summary(drained)}`);

  const undrained = await step(() => run(second, 'undrain'), [first.id, second.id]);
  tell(`${second.id} undrained: in rotation again after ${undrained.milliseconds} ms; ${summary(undrained)}`);

  const failed = [gone, back, drained, undrained].flatMap(({ failures }) => failures);
  if (failed.length > 0) throw new Error(`requests failed: ${[...new Set(failed)].join(', ')}`);
  const workerAfter = await workerPid(stack.haproxy.socket);
  if (workerAfter !== workerBefore)
    throw new Error(`HAProxy was reloaded: worker ${workerBefore} became ${workerAfter}`);
  tell(`HAProxy's worker is still process ${workerAfter}: no change needed a reload, and no request failed`);
}

interface Wait {
  /** From the cause until HAProxy had exactly these instances in rotation. */
  readonly milliseconds: number;
  readonly requests: number;
  readonly failures: readonly string[];
}

/**
 * Keeps sending requests until HAProxy has exactly these instances of a service in rotation, and a whole round of
 * requests after that is answered by them and by no other.
 */
async function until(stack: Stack, ids: readonly string[], since: number): Promise<Wait> {
  const service = stack.instances.find(({ id }) => id === ids[0])?.service ?? '';
  const port = stack.ports[service] as number;
  const wanted = [...ids].sort().join(' and ');
  const deadline = performance.now() + patience;
  const waiting = inRotation(stack, { service, wanted, deadline });
  let reached = false;
  void waiting.then(() => {
    reached = true;
  });
  let requests = 0;
  const failures: string[] = [];
  for (;;) {
    const after = reached;
    const round = await visit(port, 10);
    requests += 10;
    failures.push(...round.failures);
    const seen = Object.keys(round.answers).sort().join(' and ');
    if (after && seen === wanted) return { milliseconds: Math.round((await waiting) - since), requests, failures };
    if (performance.now() > deadline) {
      throw new Error(
        `expected answers from ${wanted}, got ${seen || 'none'}${failures.length > 0 ? `; ${failures[0]}` : ''}`,
      );
    }
  }
}

/** Resolves with the moment at which HAProxy has it so, or with the deadline. */
async function inRotation(
  stack: Stack,
  { service, wanted, deadline }: { service: string; wanted: string; deadline: number },
): Promise<number> {
  while (performance.now() < deadline) {
    const ready = await readyServers(stack.haproxy.socket, service);
    const names = ready.map((name) => name.slice(0, name.lastIndexOf('_')));
    if (names.join(' and ') === wanted) return performance.now();
    await delay(1);
  }
  return deadline;
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
