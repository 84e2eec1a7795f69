import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { exec } from '../../common/daemon/exec.ts';
import type { ChangeReport } from '../../nerve/commands/change.ts';
import { readyServers, workerPid } from './haproxy.ts';
import type { SampleInstance } from './parts.ts';
import { sendRequests } from './request.ts';
import { busyAdvice, longestWaitMs, noteWhileSlow } from './slow.ts';
import type { Stack } from './stack.ts';

const requestsPerRound = 10;

/**
 * Plays the scenario with real requests: everything is up, an instance is killed and started again, one is deployed without a
 * failed request (drained, killed as soon as the drain is proven, started again and undrained). `onStep` is called with a line about each step.
 * @throws with what was expected and what happened, at the first step that fails; also when `signal` aborts
 */
export async function playScenario(stack: Stack, onStep: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const services = Object.keys(stack.ports);
  const [first, second] = stack.instances.filter(({ service }) => service === services[0]) as [
    SampleInstance,
    SampleInstance,
  ];
  const workerBefore = await workerPid(stack.haproxy.socket);

  for (const service of services) {
    const ids = stack.instances.filter((instance) => instance.service === service).map(({ id }) => id);
    await requestsUntil(stack, ids, { since: performance.now(), isDone: () => true, onSlow: onStep }, signal);
    onStep(`${service}: ${ids.join(' and ')} answer at http://127.0.0.1:${stack.ports[service]}`);
  }

  const step = async (action: () => Promise<unknown>, ids: readonly string[]): Promise<StepResult> => {
    const since = performance.now();
    let isDone = false;
    const acting = action().finally(() => {
      isDone = true;
    });
    const requests = requestsUntil(stack, ids, { since, isDone: () => isDone, onSlow: onStep }, signal);
    const [result] = await Promise.all([requests, acting]);
    return result;
  };
  const killed = await step(() => first.process.stop('SIGKILL'), [second.id]);
  onStep(`killed ${first.id}: out of rotation after ${killed.durationMs} ms; ${summary(killed)}`);

  const restarted = await step(() => stack.startInstance(first), [first.id, second.id]);
  onStep(`started ${first.id} again: back in rotation after ${restarted.durationMs} ms; ${summary(restarted)}`);

  let wait: ProvenWait | undefined;
  const drained = await step(async () => {
    wait = await runNerve(second, 'drain', signal);
    await second.process.stop('SIGKILL');
  }, [first.id]);
  onStep(
    `drained ${second.id} with 'nerve drain --wait' and killed it when that returned: every HAProxy had it drained, and no request was ` +
      `open, ${wait?.milliseconds} ms after nerve asked; the command took ${wait?.commandMs} ms; ${summary(drained)}`,
  );

  const undrained = await step(async () => {
    await stack.startInstance(second);
    await runNerve(second, 'undrain', signal);
  }, [first.id, second.id]);
  onStep(
    `started ${second.id} again, 'nerve undrain --wait': back in rotation after ${undrained.durationMs} ms; ${summary(undrained)}`,
  );

  const failed = [killed, restarted, drained, undrained].flatMap(({ failures }) => failures);
  if (failed.length > 0) throw new Error(`requests failed: ${[...new Set(failed)].join(', ')}`);
  const workerAfter = await workerPid(stack.haproxy.socket);
  if (workerAfter !== workerBefore)
    throw new Error(`HAProxy was reloaded: process ${workerAfter} replaced the worker ${workerBefore}`);
  onStep(`HAProxy's worker is still process ${workerAfter}: no change needed a reload, and no request failed`);
}

interface StepResult {
  /** From the action until HAProxy had exactly the wanted instances in rotation. */
  readonly durationMs: number;
  readonly requests: number;
  readonly failures: readonly string[];
}

/** When an action began, and whether it is over. */
interface Action {
  readonly since: number;
  readonly isDone: () => boolean;
  /** Called with a line while it takes long. */
  readonly onSlow: (line: string) => void;
}

/**
 * Sends requests until an action is over, HAProxy has exactly these instances of a service in rotation, and all of them, and no
 * others, have answered a whole round of requests that was sent after that.
 */
function requestsUntil(
  stack: Stack,
  ids: readonly string[],
  action: Action,
  signal?: AbortSignal,
): Promise<StepResult> {
  const advice = `synapse's log is ${join(stack.folder, 'synapse.log')}; ${busyAdvice}`;
  const wait = { what: `HAProxy to use exactly ${[...ids].sort().join(' and ')}`, advice };
  return noteWhileSlow(() => sendUntil(stack, ids, action, signal), wait, action.onSlow);
}

async function sendUntil(
  stack: Stack,
  ids: readonly string[],
  { since, isDone }: Action,
  signal?: AbortSignal,
): Promise<StepResult> {
  const service = stack.instances.find(({ id }) => id === ids[0])?.service ?? '';
  const port = stack.ports[service] as number;
  const wanted = [...ids].sort().join(' and ');
  const deadline = performance.now() + longestWaitMs;
  const rotation = waitForRotation(stack, { service, wanted, deadline }, signal);
  let isReached = false;
  void rotation.then(() => {
    isReached = true;
  });
  let requests = 0;
  const failures: string[] = [];
  for (;;) {
    signal?.throwIfAborted();
    const wasReached = isReached && isDone();
    const round = await sendRequests(port, requestsPerRound);
    requests += requestsPerRound;
    failures.push(...round.failures);
    const answered = Object.keys(round.answers).sort().join(' and ');
    if (wasReached && answered === wanted) {
      return { durationMs: Math.round((await rotation) - since), requests, failures };
    }
    if (performance.now() > deadline) {
      const failure = failures.length > 0 ? `; ${failures[0]}` : '';
      throw new Error(`expected answers from ${wanted}, got answers from ${answered || 'no instance'}${failure}`);
    }
  }
}

/** Resolves with the time at which HAProxy has exactly the wanted instances in rotation, at the latest with the deadline. */
async function waitForRotation(
  stack: Stack,
  { service, wanted, deadline }: { service: string; wanted: string; deadline: number },
  signal?: AbortSignal,
): Promise<number> {
  while (performance.now() < deadline && signal?.aborted !== true) {
    const ready = await readyServers(stack.haproxy.socket, service);
    const names = ready.map((name) => name.slice(0, name.lastIndexOf('_')));
    if (names.join(' and ') === wanted) return performance.now();
    await delay(1);
  }
  return deadline;
}

function summary({ requests, failures }: StepResult): string {
  return `${requests} requests, ${failures.length} failed`;
}

/** How long a command waited for all proxies. */
interface ProvenWait {
  /** From the question until all had answered. */
  readonly milliseconds: number;
  /** Of the whole command, with the start of Node. */
  readonly commandMs: number;
}

/** As a user would: `nerve drain api --wait -c FILE`. @throws when it is not proven that every HAProxy has it */
async function runNerve(
  instance: SampleInstance,
  command: 'drain' | 'undrain',
  signal?: AbortSignal,
): Promise<ProvenWait> {
  const { argv, configFile } = instance.nerve;
  const since = performance.now();
  const { code, stdout, stderr } = await exec(
    [...argv, command, instance.service, '--wait', '--json', '-c', configFile],
    { timeoutMs: longestWaitMs },
    signal,
  );
  const commandMs = Math.round(performance.now() - since);
  if (code !== 0) throw new Error(`nerve ${command} --wait ${instance.service}: ${stderr.trim() || stdout.trim()}`);
  const { proven, instances } = JSON.parse(stdout) as ChangeReport;
  const progress = instances[0]?.progress;
  if (!proven || !progress)
    throw new Error(`nerve ${command} --wait ${instance.service}: not proven: ${stdout.trim()}`);
  return { milliseconds: progress.milliseconds, commandMs };
}
