import { clock } from '../../../common/async/clock.ts';
import { Mutex } from '../../../common/async/mutex.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyEvent } from '../events.ts';
import { configsTotal } from '../metrics.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { HaproxyProcess } from '../runtime/process.ts';
import { type DesiredService, nameInUse } from '../spec/desired-service.ts';
import type { ParsedConfig } from '../spec/parse-config.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import { ActiveSpecs, type LoadFailure } from './active-specs.ts';
import type { ConfigFile } from './config-file.ts';
import { advance, type ConfigEffect, type ConfigEvent, type ConfigState, initialConfig } from './config-lifecycle.ts';
import { type ConfigText, ConfigTextBuilder, type TextSelection } from './config-text.ts';
import { findRefused, type Refusal } from './find-refused.ts';
import { explainRefusal } from './refusal.ts';
import { generationOf } from './render.ts';
import { Selection } from './selection.ts';
import { TextWriter } from './text-writer.ts';

/** What {@link ConfigWriter} needs. */
export interface ConfigWriterDeps {
  readonly log: Log;
  readonly emit: (event: HaproxyEvent) => void;
  readonly services: Map<string, DesiredService>;
  readonly processes: readonly Pick<HaproxyProcess, 'running' | 'replan'>[];
  /** Undefined when files are not to be written. */
  readonly file: Pick<ConfigFile, 'name' | 'text' | 'check' | 'write' | 'keep' | 'restore'> | undefined;
  /** The file that is there. */
  readonly present: () => ParsedConfig;
}

/** How many texts one call tries; changes that come meanwhile are left to the next call. */
const mostRounds = 3;

/**
 * Writes what is desired into the file. A new configuration counts from the moment it is accepted: until then, servers
 * follow the last accepted one. The states are those of `config-lifecycle.ts`; this class carries out the effects.
 */
export class ConfigWriter {
  readonly #config: HaproxyConfig;
  readonly #deps: ConfigWriterDeps;
  /** A write and a roll-back take turns. */
  readonly #mutex = new Mutex();
  readonly #builder: ConfigTextBuilder;
  readonly #selection: Selection;
  readonly #specs: ActiveSpecs;
  readonly #texts: TextWriter;
  #state: ConfigState;

  constructor(config: HaproxyConfig, deps: ConfigWriterDeps) {
    const { log, services, present } = deps;
    this.#config = config;
    this.#deps = deps;
    this.#specs = new ActiveSpecs(deps);
    this.#texts = new TextWriter(deps);
    this.#builder = new ConfigTextBuilder(config, services);
    this.#selection = new Selection({ log, services, present, isAccepted: () => this.#state.accepted !== null });
    this.#state = initialConfig(generationOf(config, []));
  }

  /** Where the wanted configuration is in its life. */
  get state(): ConfigState {
    return this.#state;
  }

  /** The generation that was accepted: the file has it. Null before the first. */
  get accepted(): string | null {
    return this.#state.accepted;
  }

  /** Why HAProxy refused the wanted configuration as a whole; null when it did not. */
  get reason(): string | null {
    const { refusal, wanted } = this.#state;
    return refusal?.generation === wanted ? refusal.message : null;
  }

  /** Service → what HAProxy refuses of it. */
  get quarantined(): Readonly<Record<string, string>> {
    return this.#selection.quarantine.reasons;
  }

  /** The reasons without those of servers that the file lacks, because HAProxy's check refuses their options. */
  helped(reasons: readonly ReloadReason[]): readonly ReloadReason[] {
    return this.#selection.helped(reasons);
  }

  /** When the file was written last. */
  get writtenAt(): Date | undefined {
    return this.#texts.writtenAt;
  }

  /**
   * Works out the wanted configuration again, because more than servers changed. When the file, or a running HAProxy, has
   * it already, it is accepted at once and without a check.
   */
  specsChanged(): void {
    const { file, present } = this.#deps;
    this.#selection.release();
    this.#workOutWanted();
    const { accepted, wanted } = this.#state;
    if (accepted === wanted) this.#specs.replan();
    else if (file === undefined || present().generation === wanted) {
      this.#dispatch({ type: 'adopted', at: clock.now() });
    }
  }

  /** Moves on with time. @returns true when the file is to be written because something refused may be tried again */
  observe(): boolean {
    const hasReleased = this.#selection.release();
    if (hasReleased) this.#workOutWanted();
    const effects = this.#dispatch({ type: 'tick', at: clock.now() });
    return hasReleased || effects.some(({ type }) => type === 'write');
  }

  /** HAProxy runs the accepted configuration: from now on it is the one to go back to. */
  loaded(): void {
    this.#dispatch({ type: 'loaded', at: clock.now() });
  }

  /** Writes the file if it is to be changed. @throws when it cannot be written */
  write(signal: AbortSignal): Promise<void> {
    return this.#mutex.run(async () => {
      for (let round = 0; round < mostRounds; round++) if ((await this.#writeOnce(signal)) === 'done') return;
    });
  }

  /**
   * HAProxy did not load the file: goes back to the last configuration that it did load, so that it can be restarted, and
   * quarantines what is new. @throws when the file cannot be written
   */
  rollBack(failure: LoadFailure, signal: AbortSignal): Promise<void> {
    return this.#mutex.run(() => this.#rollBack(failure, signal));
  }

  /** `again`: another text is to be tried. */
  async #writeOnce(signal: AbortSignal): Promise<'done' | 'again'> {
    this.observe();
    const state = this.#state;
    if (state.phase === 'refused' || state.phase === 'rolled-back') {
      await this.#writeServersOf(state.accepted, signal);
      return 'done';
    }
    const generation = state.wanted;
    const text = this.#textOf(this.#selection, generation);
    if (state.phase === 'servers-refused' && state.refusal.text === text.text) return 'done';
    const check = generation !== state.accepted || !this.#texts.isAccepted(text) || this.#config.check_command !== null;
    this.#dispatch({ type: 'check-started' });
    try {
      const refusal = await this.#texts.write(text, { check }, signal);
      if (refusal !== null) {
        return await this.#handleRefusal({ text, refusal: this.#explained(refusal, text), generation }, signal);
      }
      this.#dispatch({ type: 'written', generation, at: clock.now() });
      return generation === this.#state.wanted ? 'done' : 'again';
    } catch (error) {
      this.#dispatch({ type: 'write-failed', at: clock.now() });
      throw error;
    }
  }

  /** The wanted configuration is refused: writes the present servers into the accepted one. */
  async #writeServersOf(accepted: string | null, signal: AbortSignal): Promise<void> {
    if (accepted === null) return;
    const text = this.#textOf(this.#selection.active, accepted);
    if (this.#texts.isAccepted(text)) await this.#texts.write(text, { check: false }, signal);
  }

  /** Quarantines the parts for which a text was refused. */
  async #handleRefusal(
    { text, refusal, generation }: { text: ConfigText; refusal: Refusal; generation: string },
    signal: AbortSignal,
  ): Promise<'done' | 'again'> {
    const { quarantine } = this.#selection;
    const refused = await findRefused({ text, refusal }, this.#selection.suspects(this.#texts.acceptedShapes), {
      textWithout: (out) => this.#textOf(this.#selection.without(out), generation),
      check: async (candidate) => {
        const again = await this.#texts.check(candidate, signal);
        return again && this.#explained(again, candidate);
      },
    });
    const at = clock.now();
    if ('everything' in refused) {
      this.#dispatch({ type: 'check-refused', message: refused.everything, text: text.text, at });
      return generation === this.#state.wanted ? 'done' : 'again';
    }
    this.#dispatch({ type: 'check-abandoned', at });
    if (generation !== this.#state.wanted) return 'again';
    for (const [unit, message] of refused.found) {
      configsTotal.inc({ result: 'refused' });
      const isNews = quarantine.add(unit, this.#selection.wantedOf(unit), { message, by: 'check' });
      if (isNews) this.#deps.emit({ type: 'rejected', services: [this.#nameOf(unit.service)], reason: message });
    }
    this.#workOutWanted();
    return 'again';
  }

  async #rollBack(failure: LoadFailure, signal: AbortSignal): Promise<void> {
    const { file, log } = this.#deps;
    const { accepted } = this.#state;
    if (file === undefined || accepted === null) return;
    const text = this.#textOf(this.#selection, accepted);
    const { config, services } = { config: this.#config, services: this.#deps.services };
    const culprits = this.#specs.culpritsIn(failure, { text, file: file.name, facts: { config, services } });
    const { message } = failure;
    const effects = this.#dispatch({ type: 'load-failed', message, hasCulprits: culprits.size > 0 });
    if (effects.some(({ type }) => type === 'quarantine-culprits')) await this.#leaveOut(culprits, message, signal);
    if (effects.some(({ type }) => type === 'restore-file')) {
      try {
        if (await file.restore()) log.warn('the last good file was put back');
      } finally {
        this.#dispatch({ type: 'restore-ended', at: clock.now() });
      }
    }
  }

  /** Quarantines services that HAProxy did not load, and writes the rest. */
  async #leaveOut(culprits: ReadonlyMap<DesiredService, string>, message: string, signal: AbortSignal): Promise<void> {
    for (const [desired, why] of culprits) {
      this.#specs.useLoaded(desired);
      const unit = { service: desired.service };
      this.#selection.quarantine.add(unit, this.#selection.wantedOf(unit), { message: why, by: 'load' });
    }
    configsTotal.inc({ result: 'refused' });
    this.#deps.emit({ type: 'rejected', services: [...culprits.keys()].map(nameInUse), reason: message });
    this.#workOutWanted();
    const generation = this.#state.wanted;
    await this.#texts.write(this.#textOf(this.#selection, generation), { check: false }, signal);
    this.#dispatch({ type: 'written', generation, at: clock.now() });
  }

  /** Moves the state and carries out the effects, apart from those that the caller waits for. */
  #dispatch(event: ConfigEvent): readonly ConfigEffect[] {
    const { state, effects } = advance(this.#state, event);
    // Effects first: the specs to promote are those selected in the state before.
    for (const effect of effects) this.#perform(effect);
    this.#state = state;
    return effects;
  }

  #perform(effect: ConfigEffect): void {
    switch (effect.type) {
      case 'promote':
        this.#specs.promote(this.#selection.specOf);
        break;
      case 'use-wanted':
        this.#specs.useWanted();
        break;
      case 'replan':
        this.#specs.replan();
        break;
      case 'release-passed':
        this.#selection.quarantine.passed(effect.by);
        break;
      case 'report-refusal':
        this.#reportRefusal(effect);
        break;
      case 'keep-loaded':
        this.#keepLoaded();
    }
  }

  #reportRefusal({ message, news }: { readonly message: string; readonly news: boolean }): void {
    const { log, emit } = this.#deps;
    configsTotal.inc({ result: 'refused' });
    if (!news) return;
    log.error('a new configuration was refused, the old one stays', { reason: message });
    emit({ type: 'rejected', services: [], reason: message });
  }

  #keepLoaded(): void {
    const { file, log } = this.#deps;
    this.#specs.rememberLoaded();
    file?.keep(file.text).catch((error) => log.warn('the last good file cannot be kept', { reason: reasonOf(error) }));
  }

  #workOutWanted(): void {
    const specs = [...this.#deps.services.values()].map(this.#selection.specOf).filter((spec) => spec !== undefined);
    this.#dispatch({ type: 'wanted', generation: generationOf(this.#config, specs), at: clock.now() });
  }

  /** In the words of the configuration, because the candidate will be gone. */
  #explained(refusal: Refusal, text: ConfigText): Refusal {
    return explainRefusal(refusal, text, { config: this.#config, services: this.#deps.services });
  }

  #textOf(selection: TextSelection, generation: string): ConfigText {
    const { present: file, processes } = this.#deps;
    return this.#builder.build(selection, generation, { file, running: processes[0]?.running ?? new Map() });
  }

  #nameOf(service: string): string {
    const desired = this.#deps.services.get(service);
    return desired === undefined ? service : nameInUse(desired);
  }
}
