import { clock } from '../../../common/async/clock.ts';
import { Mutex } from '../../../common/async/mutex.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyEvent } from '../events.ts';
import { configsTotal } from '../metrics.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { HaproxyProcess } from '../runtime/process.ts';
import { type DesiredService, nameInUse } from '../spec/desired-service.ts';
import type { ParsedConfig } from '../spec/parse-config.ts';
import type { BackendSpec } from '../spec/types.ts';
import { findingsIn } from './check.ts';
import type { ConfigFile } from './config-file.ts';
import { createFileWriter, type FileText } from './file-text.ts';
import { findPoison, type Refusal } from './find-refused.ts';
import { generationOf } from './render.ts';
import { createChoice } from './selection.ts';

/** Brings the file to what is desired, and decides from when on a new configuration counts. */
export interface Persist {
  /** The configuration that was accepted: the file has it. Null before the first. */
  readonly accepted: string | null;
  /** The configuration that is wanted, as far as nothing of it is quarantined. */
  readonly wanted: string;
  /** Why HAProxy refused the wanted configuration as a whole; null when it did not. */
  readonly rejected: string | null;
  /** Service → what HAProxy refuses of it. */
  readonly quarantined: Readonly<Record<string, string>>;
  readonly writtenAt: Date | undefined;
  /** More than servers changed: the wanted configuration has to be worked out again. */
  invalidate(): void;
  /** True when the file that is there, or a running HAProxy, has the wanted configuration already: nothing to check then. */
  adopt(): boolean;
  /** Writes if there is anything to write. @throws when the file cannot be written */
  write(signal: AbortSignal): Promise<void>;
  /** True when something that was refused is to be tried again. */
  due(): boolean;
  /** HAProxy runs the accepted configuration: from now on it is the one to go back to. */
  confirm(): void;
  /**
   * HAProxy did not load the file: goes back to the last configuration that it did load, so that a restart of it
   * works. What is new in the other one is quarantined. @throws when the file cannot be written
   */
  rollBack(why: { readonly message: string; readonly output: string }, signal: AbortSignal): Promise<void>;
}

export interface PersistDeps {
  readonly log: Log;
  readonly emit: (event: HaproxyEvent) => void;
  readonly services: Map<string, DesiredService>;
  readonly processes: readonly HaproxyProcess[];
  /** Undefined when files are not to be written. */
  readonly file: ConfigFile | undefined;
  readonly existing: () => ParsedConfig;
}

/** A configuration that is bad as a whole. */
interface Bad {
  readonly generation: string;
  readonly message: string;
  readonly by: 'check' | 'load';
  readonly failures: number;
  readonly retryAt: number;
}

const firstWait = { check: 60_000, load: 5_000 } as const;
const longestWait = 300_000;
/** How often one call looks for what a text is refused for; what changes meanwhile is for the next call. */
const rounds = 3;

export function createPersist(config: HaproxyConfig, deps: PersistDeps): Persist {
  const { log, emit, services, processes, file, existing } = deps;
  /** A write and a roll-back must not meet half-way. */
  const mutex = new Mutex();
  const writer = createFileWriter(config, services);
  let accepted: string | null = null;
  const choice = createChoice({ log, services, existing, isAccepted: () => accepted !== null });
  const { quarantine } = choice;
  /** Shapes of server lines that a check has accepted: HAProxy takes another server of the same shape too. */
  const acceptedShapes = new Set<string>();
  let wanted: string | undefined;
  let bad: Bad | undefined;
  let refusedText: string | undefined;
  let writtenAt: Date | undefined;
  /** What HAProxy is known to have loaded: the generation, and each service's structure in it. */
  let loaded: { readonly generation: string; readonly structures: ReadonlyMap<string, BackendSpec> } | undefined;

  const wantedGeneration = (): string => {
    if (choice.release()) wanted = undefined;
    wanted ??= generationOf(
      config,
      [...services.values()].map(choice.structureOf).filter((structure) => structure !== undefined),
    );
    return wanted;
  };
  const present = () => ({ file: existing, running: processes[0]?.running ?? new Map() });
  const textNow = (generation: string): FileText => writer.text(choice, generation, present());
  const isBad = (generation: string): boolean => bad?.generation === generation && clock.now() < bad.retryAt;

  const nameOf = (key: string): string => {
    const desired = services.get(key);
    return desired === undefined ? key : nameInUse(desired);
  };
  const replan = (): void => {
    for (const haproxy of processes) void haproxy.replan();
  };
  /** From now on membership is kept right in the new configuration. */
  const promote = (generation: string): void => {
    quarantine.passed('check');
    for (const desired of [...services.values()]) {
      desired.active = choice.structureOf(desired);
      if (desired.active === undefined && desired.wanted === undefined) services.delete(desired.service);
    }
    // Last: until now, the last good form of a service may be the one of the file that was there first.
    accepted = generation;
  };
  /** Nothing of ours was accepted yet: what HAProxy runs under these names is kept right at run time all the same. */
  const withoutFile = (): void => {
    for (const desired of services.values()) desired.active = desired.wanted;
    replan();
  };
  const reject = (generation: string, message: string, by: 'check' | 'load'): void => {
    const failures = (bad?.generation === generation ? bad.failures : 0) + 1;
    bad = {
      generation,
      message,
      by,
      failures,
      retryAt: clock.now() + Math.min(firstWait[by] * 2 ** (failures - 1), longestWait),
    };
    configsTotal.inc({ result: 'refused' });
    if (failures === 1) log.error('a new configuration was refused, the old one stays', { reason: message });
    if (failures === 1) emit({ type: 'rejected', services: [], reason: message });
    if (accepted === null) withoutFile();
  };

  /** Null when the text is in the file now. */
  const put = async ({ text, shapes }: FileText, check: boolean, signal: AbortSignal): Promise<Refusal | null> => {
    if (file === undefined) return null;
    const fare = await file.write(text, { check }, signal);
    if (fare.result === 'refused') return fare;
    if (fare.result === 'written') {
      writtenAt = clock.date();
      configsTotal.inc({ result: 'written' });
      emit({ type: 'written', bytes: text.length });
    }
    if (check || fare.result === 'unchanged') for (const shape of shapes) acceptedShapes.add(shape);
    return null;
  };

  /** True when parts were quarantined, so that the rest can be tried. */
  const quarantinePoison = async (
    text: FileText,
    refusal: Refusal,
    generation: string,
    signal: AbortSignal,
  ): Promise<boolean> => {
    if (file === undefined) return false;
    const suspects = choice.suspects(acceptedShapes);
    const poison = await findPoison(text, refusal, suspects, {
      textWithout: (out) => writer.text(choice.without(out), generation, present()),
      check: async (candidate) => {
        const verdict = await file.check(candidate.text, signal);
        return verdict.result === 'refused' ? verdict : null;
      },
    });
    if (generation !== wantedGeneration()) return true;
    if ('everything' in poison) {
      reject(generation, poison.everything, 'check');
      return false;
    }
    for (const [unit, message] of poison.found) {
      configsTotal.inc({ result: 'refused' });
      const news = quarantine.add(unit, choice.askedOf(unit), { message, by: 'check' });
      if (news) emit({ type: 'rejected', services: [nameOf(unit.service)], reason: message });
    }
    wanted = undefined;
    return poison.found.size > 0;
  };

  const write = async (signal: AbortSignal): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const generation = wantedGeneration();
      const isNew = accepted !== generation;
      // Of a bad one, nothing is written; membership goes on in the one before.
      if (isNew && isBad(generation)) {
        if (accepted === null) return;
        const text = writer.text({ ...choice, structureOf: ({ active }) => active }, accepted, present());
        if ([...text.shapes].every((shape) => acceptedShapes.has(shape))) await put(text, false, signal);
        return;
      }
      const text = textNow(generation);
      if (!isNew && text.text === refusedText) return;
      const fresh = [...text.shapes].some((shape) => !acceptedShapes.has(shape));
      const check = isNew || fresh || config.check_command !== null;
      const refusal = await put(text, check, signal).catch((error) => {
        if (accepted === null) withoutFile();
        throw error;
      });
      if (refusal === null) {
        if (generation !== wantedGeneration()) continue; // it changed meanwhile: the next round takes the newer one
        if (isNew) {
          promote(generation);
          replan();
        } else {
          quarantine.passed('check');
          if (bad?.generation === generation && bad.by === 'check') bad = undefined;
        }
        refusedText = undefined;
        return;
      }
      if (!(await quarantinePoison(text, refusal, generation, signal))) {
        refusedText = text.text;
        return;
      }
    }
  };
  const rollBack: Persist['rollBack'] = async ({ message, output }, signal) => {
    if (file === undefined || accepted === null || loaded?.generation === accepted) return;
    const changed = [...services.values()].filter(
      ({ service, active }) =>
        active !== undefined && loaded?.structures.get(service)?.fingerprint !== active.fingerprint,
    );
    const text = textNow(accepted);
    const named = new Map<string, string>();
    for (const { line, message: said } of findingsIn(output, file.name)) {
      const service = line === undefined ? undefined : text.locate(line)?.service;
      if (service !== undefined && !named.has(service)) named.set(service, said);
    }
    const guilty = changed.filter(({ service }) => named.size === 0 || named.has(service));
    if (loaded === undefined || guilty.length === 0) {
      const generation = accepted;
      accepted = null;
      const restored = await file.restore();
      if (restored) log.warn('the last good file was put back');
      reject(generation, message, 'load');
      return;
    }
    for (const desired of guilty) {
      desired.active = loaded.structures.get(desired.service);
      const unit = { service: desired.service };
      quarantine.add(unit, choice.askedOf(unit), { message: named.get(desired.service) ?? message, by: 'load' });
    }
    configsTotal.inc({ result: 'refused' });
    emit({ type: 'rejected', services: guilty.map(nameInUse), reason: message });
    wanted = undefined;
    const generation = wantedGeneration();
    await put(textNow(generation), false, signal);
    promote(generation);
    replan();
  };

  return {
    get accepted() {
      return accepted;
    },
    get wanted() {
      return wantedGeneration();
    },
    get rejected() {
      return bad?.generation === wantedGeneration() ? bad.message : null;
    },
    get quarantined() {
      return quarantine.reasons;
    },
    get writtenAt() {
      return writtenAt;
    },
    invalidate() {
      wanted = undefined;
    },
    adopt() {
      const generation = wantedGeneration();
      if (accepted === generation) return true;
      const known = file === undefined || existing().generation === generation;
      if (!known || isBad(generation)) return false;
      promote(generation);
      return true;
    },
    write: (signal) => mutex.run(() => write(signal)),
    rollBack: (why, signal) => mutex.run(() => rollBack(why, signal)),
    due() {
      const before = wanted;
      if (wantedGeneration() !== before && before !== undefined) return true;
      if (bad === undefined || bad.generation !== wanted || clock.now() < bad.retryAt) return false;
      if (accepted === wanted && refusedText === undefined) return false;
      refusedText = undefined;
      return true;
    },
    confirm() {
      if (accepted === null || loaded?.generation === accepted) return;
      const structures = new Map<string, BackendSpec>();
      for (const { service, active } of services.values()) if (active !== undefined) structures.set(service, active);
      loaded = { generation: accepted, structures };
      bad = undefined;
      quarantine.passed('load');
      file
        ?.keep(file.text)
        .catch((error) => log.warn('the last good file cannot be kept', { reason: reasonOf(error) }));
    },
  };
}
