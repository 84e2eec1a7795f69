/**
 * `npm run demo`: a whole SmartStack on loopback with a live table, until Ctrl-C.
 * `npm run demo -- --once`: plays the scenario once, checks it with real requests, and exits with 0 or 1.
 */
import { parseArgs } from 'node:util';
import { sleep } from '../../common/async/sleep.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { playScenario } from './scenario.ts';
import { openToShells } from './shell.ts';
import { type Stack, startStack } from './stack.ts';
import { drawTable } from './table.ts';

const usage = `Usage: npm run demo [-- OPTIONS]

Starts three etcd members, two sample services with two instances each, a nerve beside
each instance, one HAProxy and one synapse, all on loopback, and shows the servers that
HAProxy has. Ctrl-C ends everything and leaves nothing behind.

  --once    play a scenario instead: kill an instance, start it again, drain one,
            undrain it; check every step with real requests; exit with 0 when every
            step succeeded, with 1 otherwise
  --help    show this text
`;

const interrupted = new AbortController();
/** npm passes on a signal that the terminal has sent to this process already: that is one, and not two. */
const oneSignalMs = 500;
let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    const now = performance.now();
    // A second one ends it at once; the kernel ends the other processes with this one.
    if (interrupted.signal.aborted && now - interruptedAt > oneSignalMs) process.exit(130);
    if (!interrupted.signal.aborted) interruptedAt = now;
    interrupted.abort();
  });
}
// A terminal that was closed takes no output: that is no reason to leave processes and files behind.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => interrupted.abort());

process.exitCode = await main();

async function main(): Promise<number> {
  let once: boolean;
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
    if (values.help === true) {
      process.stdout.write(usage);
      return 0;
    }
    once = values.once === true;
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n\n${usage}`);
    return 2;
  }
  let stack: Stack | undefined;
  let close = async (): Promise<void> => {};
  try {
    stack = await startStack({ firstPort: 7001, onProgress: say }, interrupted.signal);
    if (interrupted.signal.aborted) return 130;
    say(`the live page of synapse is at http://${stack.synapse.admin}/`);
    if (once) await playScenario(stack, say, interrupted.signal);
    else {
      close = await openToShells(stack);
      await showLive(stack, interrupted.signal);
    }
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    process.stderr.write(`The demo failed: ${reasonOf(error)}\n`);
    return 1;
  } finally {
    say('stopping everything');
    await close();
    await stack?.stop();
  }
}

async function showLive(stack: Stack, signal: AbortSignal): Promise<void> {
  const clear = process.stdout.isTTY ? '\u001b[2J\u001b[H' : '';
  let last = '';
  while (!signal.aborted) {
    const table = await drawTable(stack);
    if (table !== last) process.stdout.write(`${clear}${table}\n`);
    last = table;
    await sleep(250, signal);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
