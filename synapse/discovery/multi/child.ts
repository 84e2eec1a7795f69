import { type LinkedAbort, linkAbort } from '../../../common/async/abort.ts';
import { clock } from '../../../common/async/clock.ts';
import { supervise } from '../../../common/async/supervise.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { EtcdPlace, InstanceSet, PartStatus, Source, SourceContext } from '../../source.ts';
import { narrowPart, type Part, usableIn } from './parts.ts';
import type { ChildView } from './resolver.ts';

/** Whether a child runs, and what it has published in this run. Times are milliseconds of `clock.now()`. */
type ChildState =
  /** Does not run; nothing of its last run is kept, so that it must answer again when it is asked again. */
  | { readonly phase: 'idle' }
  /** Runs and has not published yet. */
  | { readonly phase: 'asked'; readonly run: LinkedAbort; readonly lackingSince: number }
  /** Runs and has published. */
  | {
      readonly phase: 'answered';
      readonly run: LinkedAbort;
      readonly set: InstanceSet;
      /** How many of its instances can take traffic. */
      readonly usable: number;
      readonly lackingSince: number | null;
    };

/** One of the sources of a service: runs only while the resolver asks for it, and is restarted when it fails. */
export class Child {
  readonly part: Part;
  readonly #source: Source;
  readonly #log: Log;
  readonly #service: string;
  #state: ChildState = { phase: 'idle' };
  /** Why its current run failed last; null once it has published after that. */
  #reason: string | null = null;
  #withdrawn = new Map<string, string | null>();
  /** Settles when its last run has ended. */
  #ended: Promise<void> = Promise.resolve();

  constructor(part: Part, context: SourceContext) {
    this.part = part;
    this.#service = context.service;
    this.#log = context.log.child({ source: part.name });
    this.#source = part.discovery.create({ ...context, log: this.#log });
  }

  get name(): string {
    return this.part.name;
  }

  get isRunning(): boolean {
    return this.#state.phase !== 'idle';
  }

  /** What it published last in this run, with the part's own filters and port; undefined before the first set. */
  get set(): InstanceSet | undefined {
    return this.#state.phase === 'answered' ? this.#state.set : undefined;
  }

  /** What the resolver sees of it. */
  get view(): ChildView {
    const state = this.#state;
    return {
      name: this.name,
      answered: state.phase === 'answered',
      instances: state.phase === 'answered' ? state.usable : 0,
      lackingSince: state.phase === 'idle' ? null : state.lackingSince,
    };
  }

  /**
   * Runs the source until `stop`, or until `signal` aborts; a run that has not ended yet is waited for first. `onChange`
   * is called after each set, with the time at which its cause was seen.
   */
  start(onChange: (seenAt: number) => void, signal: AbortSignal): void {
    if (this.isRunning) return;
    const run = linkAbort(signal);
    this.#state = { phase: 'asked', run, lackingSince: clock.now() };
    const publish = (set: InstanceSet): void => {
      if (run.signal.aborted) return;
      this.#take(run, set);
      onChange(set.seenAt);
    };
    const onReason = (reason: string | null): void => {
      if (!run.signal.aborted) this.#reason = reason;
    };
    const what = `source ${this.name} of ${this.#service}`;
    const options = { what, log: this.#log, onReason };
    this.#ended = this.#ended.then(() => supervise((end) => this.#source(publish, end), options, run.signal));
  }

  /** Ends the run, if there is one, and forgets what it published. */
  stop(): void {
    if (this.#state.phase === 'idle') return;
    const { run } = this.#state;
    run.abort();
    run.release();
    this.#state = { phase: 'idle' };
    this.#reason = null;
    this.#withdrawn.clear();
  }

  /** Resolves when the last run has ended. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /** The instances that were withdrawn since this was asked last, each with the key that said so. */
  takeWithdrawn(): ReadonlyMap<string, string | null> {
    const withdrawn = this.#withdrawn;
    this.#withdrawn = new Map();
    return withdrawn;
  }

  /** How it is doing, and the age of the last proof that its set is current, in milliseconds. */
  status(isUsed: boolean): { readonly part: PartStatus; readonly age: number | null } {
    const { set, isRunning } = this;
    const status = isRunning ? this.#source.status?.() : undefined;
    const waiting = isRunning && set === undefined ? 'has not answered yet' : null;
    const part: PartStatus = {
      name: this.name,
      method: this.part.discovery.method,
      role: isUsed ? 'used' : isRunning ? 'asked' : 'idle',
      instances: set === undefined ? null : this.view.instances,
      reason: isRunning ? (this.#reason ?? status?.reason ?? waiting) : null,
    };
    return { part, age: status?.age ?? null };
  }

  /** The folders of keys that it follows while it runs. */
  places(): readonly EtcdPlace[] {
    return this.#source.places?.() ?? [];
  }

  #take(run: LinkedAbort, published: InstanceSet): void {
    const set = narrowPart(this.part, published);
    const usable = usableIn(set);
    const lackingSince = usable > 0 ? null : (this.view.lackingSince ?? clock.now());
    this.#state = { phase: 'answered', run, set, usable, lackingSince };
    this.#reason = null;
    for (const [id, key] of set.withdrawn ?? []) this.#withdrawn.set(id, key);
  }
}
