import { sleep } from '../../../common/async/sleep.ts';
import { between, type Fault, pick } from './fault.ts';

// The first nerve always runs, so that each service has instances that are announced.

const always = new AbortController().signal;

const nerveKilled: Fault = {
  name: 'a nerve is killed',
  async run({ nerves }, random, signal) {
    const nerve = pick(nerves.slice(1), random);
    const forMs = between(0, 10_000, random);
    await nerve.process.stop('SIGKILL');
    await sleep(forMs, signal);
    await nerve.restart();
    return `${nerve.name} for ${Math.round(forMs)} ms`;
  },
};

const nerveStopped: Fault = {
  name: 'a nerve is stopped in order',
  async run({ nerves, intents }, random, signal) {
    const nerve = pick(nerves.slice(1), random);
    const forMs = between(0, 8_000, random);
    await intents.out(nerve.instances, 'its nerve is stopped', always);
    await nerve.process.stop('SIGTERM', 30_000);
    await sleep(forMs, signal);
    await intents.in(nerve.instances, 'its nerve is stopped', always);
    await nerve.restart();
    return `${nerve.name} for ${Math.round(forMs)} ms`;
  },
};

const nerveFrozen: Fault = {
  name: 'a nerve freezes',
  async run({ nerves }, random, signal) {
    const nerve = pick(nerves.slice(1), random);
    const forMs = between(300, 9_000, random);
    nerve.process.signal('SIGSTOP');
    await sleep(forMs, signal);
    nerve.process.signal('SIGCONT');
    return `${nerve.name} for ${Math.round(forMs)} ms`;
  },
};

const synapseKilled: Fault = {
  name: 'a synapse is killed',
  async run({ proxies }, random, signal) {
    const proxy = pick(proxies, random);
    const forMs = between(0, 5_000, random);
    await proxy.synapse.process.stop('SIGKILL');
    await sleep(forMs, signal);
    await proxy.restartSynapse();
    return `${proxy.name} for ${Math.round(forMs)} ms`;
  },
};

const synapseFrozen: Fault = {
  name: 'a synapse freezes',
  async run({ proxies }, random, signal) {
    const proxy = pick(proxies, random);
    const forMs = between(300, 6_000, random);
    proxy.synapse.process.signal('SIGSTOP');
    await sleep(forMs, signal);
    proxy.synapse.process.signal('SIGCONT');
    return `${proxy.name} for ${Math.round(forMs)} ms`;
  },
};

const haproxyKilled: Fault = {
  name: 'a worker of HAProxy is killed',
  async run({ proxies }, random) {
    const proxy = pick(proxies, random);
    await proxy.killHaproxy();
    return proxy.name;
  },
};

const reload: Fault = {
  name: 'HAProxy is reloaded',
  async run({ proxies }, random) {
    const proxy = pick(proxies, random);
    await proxy.changeDefaults(5 + Math.floor(random() * 1_000));
    return proxy.name;
  },
};

/** Faults of nerves, synapses and HAProxies. */
export const daemonFaults: readonly Fault[] = [
  nerveKilled,
  nerveStopped,
  nerveFrozen,
  synapseKilled,
  synapseFrozen,
  haproxyKilled,
  reload,
  reload,
];
