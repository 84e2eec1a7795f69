import type { Log } from '../../common/log.ts';
import type { HaproxyConfig } from './config.ts';
import type { ConfigFile } from './config-file.ts';
import type { DesiredService } from './desired.ts';
import type { HaproxyEvent } from './events.ts';
import type { ExistingFile } from './existing.ts';
import { createFileWriter, type FileText } from './filetext.ts';
import type { Live } from './live.ts';
import { configRejectedTotal, configWritesTotal } from './metrics.ts';
import type { Structure } from './model.ts';
import { generationOf } from './render.ts';

/** Brings the file to what is desired, and decides from when on a new configuration counts. */
export interface Persist {
  /** The configuration that was accepted: the file has it. Null before the first. */
  readonly accepted: string | null;
  readonly wanted: string;
  /** Why HAProxy refused the wanted configuration; null when it did not. */
  readonly rejected: string | null;
  readonly writtenAt: Date | undefined;
  /** More than servers changed: the wanted configuration has to be worked out again. */
  invalidate(): void;
  /** True when the file that is there, or a running HAProxy, has the wanted configuration already: nothing to check then. */
  adopt(): boolean;
  /** Writes if there is anything to write. @throws when the file cannot be written */
  write(signal: AbortSignal): Promise<void>;
}

export interface PersistDeps {
  readonly log: Log;
  readonly emit: (event: HaproxyEvent) => void;
  readonly services: Map<string, DesiredService>;
  readonly lives: readonly Live[];
  /** Undefined when files are not to be written. */
  readonly file: ConfigFile | undefined;
  readonly existing: () => ExistingFile;
}

export function createPersist(config: HaproxyConfig, deps: PersistDeps): Persist {
  const { log, emit, services, lives, file, existing } = deps;
  const writer = createFileWriter(config, services);
  /** Shapes of server lines that a check has accepted: HAProxy takes another server of the same shape too. */
  const acceptedShapes = new Set<string>();
  const refusedShapes = new Set<string>();
  let accepted: string | null = null;
  let wanted: string | undefined;
  let refused: { readonly generation: string; readonly message: string } | undefined;
  let refusedText: string | undefined;
  let writtenAt: Date | undefined;

  const wantedGeneration = (): string => {
    wanted ??= generationOf(
      config,
      [...services.values()]
        .map((desired) => desired.wanted)
        .filter((structure): structure is Structure => structure !== undefined),
    );
    return wanted;
  };
  const textOf = (which: 'wanted' | 'active', generation: string, accept?: (shape: string) => boolean): FileText =>
    writer.text(which, generation, { file: existing, running: lives[0]?.running ?? new Map() }, accept);

  /** A server whose options were refused stays out until its options change. */
  const usable = (): ((shape: string) => boolean) | undefined =>
    refusedShapes.size === 0 ? undefined : (shape) => !refusedShapes.has(shape);

  /** From now on membership is kept right in the new configuration. */
  const promote = (): void => {
    accepted = wantedGeneration();
    refused = undefined;
    for (const desired of [...services.values()]) {
      desired.active = desired.wanted;
      if (desired.active === undefined) services.delete(desired.service);
    }
  };
  const replan = (): void => {
    for (const live of lives) void live.replan();
  };
  /** Nothing of ours was accepted yet: what HAProxy runs under these names is kept right at run time all the same. */
  const withoutFile = (): void => {
    for (const desired of services.values()) desired.active = desired.wanted;
    replan();
  };
  const reject = (message: string): void => {
    refused = { generation: wantedGeneration(), message };
    configRejectedTotal.inc();
    log.error('a new configuration was refused, the old one stays', { reason: message });
    emit({ type: 'rejected', reason: message });
    if (accepted !== null) return;
    withoutFile();
  };
  const put = async ({ text, shapes }: FileText, check: boolean, signal: AbortSignal): Promise<string | null> => {
    if (file === undefined) return null;
    const fare = await file.write(text, { check }, signal);
    if (fare.result === 'refused') return fare.message;
    if (fare.result === 'written') {
      writtenAt = new Date();
      configWritesTotal.inc();
      emit({ type: 'written', bytes: text.length });
    }
    if (check || fare.result === 'unchanged') for (const shape of shapes) acceptedShapes.add(shape);
    return null;
  };

  return {
    get accepted() {
      return accepted;
    },
    get wanted() {
      return wantedGeneration();
    },
    get rejected() {
      return refused?.generation === wantedGeneration() ? refused.message : null;
    },
    get writtenAt() {
      return writtenAt;
    },
    invalidate() {
      wanted = undefined;
    },
    adopt() {
      if (accepted === wantedGeneration()) return true;
      const known = file === undefined || existing().generation === wantedGeneration();
      if (!known) return false;
      promote();
      return true;
    },
    async write(signal) {
      const generation = wantedGeneration();
      if (accepted !== generation && refused?.generation !== generation) {
        const message = await put(textOf('wanted', generation, usable()), true, signal).catch((error) => {
          if (accepted === null) withoutFile();
          throw error;
        });
        if (generation !== wantedGeneration()) return; // it changed meanwhile: the next round takes the newer one
        if (message === null) {
          promote();
          replan();
          return;
        }
        reject(message);
      }
      if (accepted === null) return;
      const candidate = textOf('active', accepted, usable());
      if (candidate.text === refusedText) return;
      const fresh = [...candidate.shapes].filter((shape) => !acceptedShapes.has(shape));
      const message = await put(candidate, fresh.length > 0 || config.check_command !== null, signal);
      if (message === null) return;
      refusedText = candidate.text;
      configRejectedTotal.inc();
      log.error('servers were left out of the file because HAProxy refuses their options', { reason: message });
      emit({ type: 'rejected', reason: message });
      const rest = await put(
        textOf('active', accepted, (shape) => acceptedShapes.has(shape)),
        true,
        signal,
      );
      if (rest === null) for (const shape of fresh) refusedShapes.add(shape);
    },
  };
}
