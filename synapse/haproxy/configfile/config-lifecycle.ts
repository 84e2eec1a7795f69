import { type Backoff, backoffMs } from '../../../common/async/backoff.ts';

/**
 * The life of the wanted configuration, as a pure reducer: {@link advance} takes a state and an event and returns the next
 * state and the effects. Time comes with the events.
 *
 * A configuration is known by its generation, a hash of all text but the server lines:
 *
 *     idle → checking → written → loaded
 *               ↓          ↓
 *            refused   rolling-back → rolled-back      (refused and rolled-back → idle when it is time to try again)
 *
 * `servers-refused` is a configuration that is in the file, of which a later text with other servers was refused.
 */
export type ConfigState =
  /** Wanted, and nothing was done about it yet; a former configuration may be in the file. */
  | (ConfigFacts & { readonly phase: 'idle' })
  /** The text of `candidate` is being checked and written. */
  | (ConfigFacts & { readonly phase: 'checking'; readonly candidate: string })
  /** The check refused it; what was accepted before goes on. */
  | (ConfigFacts & { readonly phase: 'refused'; readonly refusal: ConfigRefusal })
  /** HAProxy did not load it: the last file that it did load is being put back. */
  | (ConfigFacts & { readonly phase: 'rolling-back'; readonly failed: string; readonly message: string })
  /** HAProxy did not load it; the last file that it did load is back in place. */
  | (ConfigFacts & { readonly phase: 'rolled-back'; readonly refusal: ConfigRefusal })
  /** It is in the file; HAProxy is not known to run it. */
  | (ConfigFacts & { readonly phase: 'written'; readonly accepted: string })
  /** It is in the file, with older servers: the check refused the text with the present ones. */
  | (ConfigFacts & { readonly phase: 'servers-refused'; readonly accepted: string; readonly refusal: ConfigRefusal })
  /** HAProxy runs it. */
  | (ConfigFacts & { readonly phase: 'loaded'; readonly accepted: string });

/** The name of a state. */
export type ConfigPhase = ConfigState['phase'];

/** What is known in every state. */
export interface ConfigFacts {
  /** The generation that is wanted; quarantined parts count with their last good options. */
  readonly wanted: string;
  /** The generation that the file has, and that says how servers should be; null before the first. */
  readonly accepted: string | null;
  /** The generation that HAProxy is known to have loaded last: the one to go back to. */
  readonly proven: string | null;
  /** The last refusal of a whole configuration. Kept while another is wanted, so that it is not tried again too early. */
  readonly refusal: ConfigRefusal | null;
}

/** HAProxy's check of the file, or HAProxy itself while it loads the file. */
export type RefusedBy = 'check' | 'load';

/** A configuration that was refused as a whole. */
export interface ConfigRefusal {
  readonly generation: string;
  readonly by: RefusedBy;
  readonly message: string;
  /** Refusals of this generation in a row. */
  readonly failures: number;
  /** When it may be tried again, by `clock.now()`. */
  readonly retryAt: number;
  /** The text that the check refused; undefined for one that did not load. */
  readonly text: string | undefined;
}

/** What happens to a configuration. `at`: `clock.now()`. */
export type ConfigEvent =
  /** Another configuration is wanted, or the same once more. */
  | { readonly type: 'wanted'; readonly generation: string; readonly at: number }
  /** Time has passed. */
  | { readonly type: 'tick'; readonly at: number }
  /** The file that was there, or a running HAProxy, has the wanted configuration already. */
  | { readonly type: 'adopted'; readonly at: number }
  | { readonly type: 'check-started' }
  /** The check has said nothing about the candidate as a whole: another text is to be tried. */
  | { readonly type: 'check-abandoned'; readonly at: number }
  | { readonly type: 'check-refused'; readonly message: string; readonly text: string; readonly at: number }
  | { readonly type: 'write-failed'; readonly at: number }
  /** The file has this configuration now. */
  | { readonly type: 'written'; readonly generation: string; readonly at: number }
  /** HAProxy runs the accepted configuration. */
  | { readonly type: 'loaded'; readonly at: number }
  /** HAProxy did not load the accepted configuration. `hasCulprits`: services are known that can be left out. */
  | { readonly type: 'load-failed'; readonly message: string; readonly hasCulprits: boolean }
  /** The last good file is back in place, or cannot be put back. */
  | { readonly type: 'restore-ended'; readonly at: number };

/** An effect of an event; effects are carried out in their order. */
export type ConfigEffect =
  /** The file is due. */
  | { readonly type: 'write' }
  /** From now on the wanted configuration says how servers should be. */
  | { readonly type: 'promote' }
  /** What was let out of the quarantine has passed this. */
  | { readonly type: 'release-passed'; readonly by: RefusedBy }
  /** Compare what runs with what is wanted, at run time. */
  | { readonly type: 'replan' }
  /** Nothing is accepted: the wanted specs say how the servers should be that HAProxy runs under our names. */
  | { readonly type: 'use-wanted' }
  /** Count a refusal; tell people of it when it is `news`. */
  | { readonly type: 'report-refusal'; readonly message: string; readonly news: boolean }
  /** Keep the file and its specs: HAProxy is known to have loaded them. */
  | { readonly type: 'keep-loaded' }
  /** Put back the last file that HAProxy has loaded. */
  | { readonly type: 'restore-file' }
  /** Leave out the services that HAProxy did not load, and write the rest. */
  | { readonly type: 'quarantine-culprits' };

/** What {@link advance} returns. */
export interface ConfigStep {
  readonly state: ConfigState;
  readonly effects: readonly ConfigEffect[];
}

/** A cause outside of the configuration, such as a missing certificate, heals by itself; trying to load costs a reload. */
const retryBackoff: Readonly<Record<RefusedBy, Backoff>> = {
  check: { baseMs: 60_000, maxMs: 300_000 },
  load: { baseMs: 5_000, maxMs: 300_000 },
};

/** Delay until something that was refused `failures` times in a row is tried again. */
export function retryDelayMs(by: RefusedBy, failures: number): number {
  return backoffMs(retryBackoff[by], failures - 1);
}

/** The state before anything was done. */
export function initialConfig(wanted: string): ConfigState {
  return { phase: 'idle', wanted, accepted: null, proven: null, refusal: null };
}

/** The next state and its effects. Pure; an event that does not apply to a state changes nothing. */
export function advance(state: ConfigState, event: ConfigEvent): ConfigStep {
  switch (event.type) {
    case 'wanted':
      return onWanted(state, event.generation, event.at);
    case 'tick':
      return onTick(state, event.at);
    case 'adopted':
      return onAdopted(state, event.at);
    case 'check-started':
      return still(isBusy(state) ? state : { ...factsOf(state), phase: 'checking', candidate: state.wanted });
    case 'check-abandoned':
      return still(state.phase === 'checking' ? settled(state, event.at) : state);
    case 'check-refused':
      return onCheckRefused(state, event);
    case 'write-failed':
      return onWriteFailed(state, event.at);
    case 'written':
      return onWritten(state, event.generation, event.at);
    case 'loaded':
      return onLoaded(state, event.at);
    case 'load-failed':
      return onLoadFailed(state, event);
    case 'restore-ended':
      return onRestoreEnded(state, event.at);
  }
}

function onTick(state: ConfigState, at: number): ConfigStep {
  if (state.phase !== 'refused' && state.phase !== 'rolled-back' && state.phase !== 'servers-refused')
    return still(state);
  if (at < state.refusal.retryAt) return still(state);
  return { state: settled(state, at), effects: [{ type: 'write' }] };
}

function onAdopted(state: ConfigState, at: number): ConfigStep {
  if (state.phase === 'rolling-back' || state.accepted === state.wanted || isRefused(state, at)) return still(state);
  return promoted(state, at);
}

function onCheckRefused(state: ConfigState, event: ConfigEvent & { readonly type: 'check-refused' }): ConfigStep {
  const { message, text, at } = event;
  if (state.phase !== 'checking') return still(state);
  // Another configuration is wanted meanwhile: that this one was refused is of no interest.
  if (state.candidate !== state.wanted) return still(settled(state, at));
  const refusal = refuse(state, { generation: state.candidate, by: 'check', message, text, at });
  return { state: settled({ ...factsOf(state), refusal }, at), effects: refusalEffects(refusal, state.accepted) };
}

function onWriteFailed(state: ConfigState, at: number): ConfigStep {
  if (state.phase !== 'checking') return still(state);
  return {
    state: settled(state, at),
    effects: state.accepted === null ? [{ type: 'use-wanted' }, { type: 'replan' }] : [],
  };
}

function onWritten(state: ConfigState, generation: string, at: number): ConfigStep {
  if (state.phase === 'rolling-back') return still(state);
  // Another configuration is wanted meanwhile: this one is in the file until that one is written.
  if (generation !== state.wanted) return still(settled(state, at));
  const { refusal } = state;
  const facts = {
    ...factsOf(state),
    refusal: refusal?.generation === generation && refusal.by === 'check' ? null : refusal,
  };
  if (state.accepted !== generation) return promoted(facts, at);
  return { state: settled(facts, at), effects: [{ type: 'release-passed', by: 'check' }] };
}

function onLoaded(state: ConfigState, at: number): ConfigStep {
  const { accepted, proven, wanted, refusal } = state;
  if (accepted === null || proven === accepted) return still(state);
  // That one configuration was loaded says nothing about another that the check refuses.
  const isMended = refusal?.generation !== wanted || (wanted === accepted && refusal.by === 'load');
  const facts = { ...factsOf(state), proven: accepted, refusal: isMended ? null : refusal };
  return {
    state: state.phase === 'checking' ? { ...state, ...facts } : settled(facts, at),
    effects: [{ type: 'release-passed', by: 'load' }, { type: 'keep-loaded' }],
  };
}

function onLoadFailed(state: ConfigState, event: ConfigEvent & { readonly type: 'load-failed' }): ConfigStep {
  const { message, hasCulprits } = event;
  const { accepted, proven } = state;
  if (isBusy(state) || accepted === null || proven === accepted) return still(state);
  if (proven !== null && hasCulprits) return { state, effects: [{ type: 'quarantine-culprits' }] };
  return {
    state: { ...factsOf(state), phase: 'rolling-back', accepted: null, failed: accepted, message },
    effects: [{ type: 'restore-file' }],
  };
}

function onRestoreEnded(state: ConfigState, at: number): ConfigStep {
  if (state.phase !== 'rolling-back') return still(state);
  const { failed: generation, message } = state;
  const refusal = refuse(state, { generation, by: 'load', message, text: undefined, at });
  return { state: settled({ ...factsOf(state), refusal }, at), effects: refusalEffects(refusal, null) };
}

/** What is under way goes on; its result is judged by what is wanted then. */
function onWanted(state: ConfigState, wanted: string, at: number): ConfigStep {
  const next = { ...state, wanted };
  return still(isBusy(state) ? next : settled(next, at));
}

/** The wanted configuration is accepted. */
function promoted(state: ConfigFacts | ConfigState, at: number): ConfigStep {
  const accepted = state.wanted;
  const isChecking = 'phase' in state && state.phase === 'checking';
  return {
    state: isChecking ? { ...state, accepted } : settled({ ...factsOf(state), accepted }, at),
    effects: [{ type: 'release-passed', by: 'check' }, { type: 'promote' }, { type: 'replan' }],
  };
}

/** A text is being checked, or put back. */
function isBusy({ phase }: ConfigState): boolean {
  return phase === 'checking' || phase === 'rolling-back';
}

interface Refused {
  readonly generation: string;
  readonly by: RefusedBy;
  readonly message: string;
  readonly text: string | undefined;
  readonly at: number;
}

function refuse({ refusal }: ConfigFacts, { at, ...refused }: Refused): ConfigRefusal {
  const failures = (refusal?.generation === refused.generation ? refusal.failures : 0) + 1;
  return { ...refused, failures, retryAt: at + retryDelayMs(refused.by, failures) };
}

function refusalEffects({ message, failures }: ConfigRefusal, accepted: string | null): readonly ConfigEffect[] {
  const report: ConfigEffect = { type: 'report-refusal', message, news: failures === 1 };
  return accepted === null ? [report, { type: 'use-wanted' }, { type: 'replan' }] : [report];
}

function isRefused({ wanted, refusal }: ConfigFacts, at: number): boolean {
  return refusal?.generation === wanted && at < refusal.retryAt;
}

/** The state of the wanted configuration while nothing is being checked. */
function settled(state: ConfigFacts, at: number): ConfigState {
  const facts = factsOf(state);
  const { wanted, accepted, proven, refusal } = facts;
  const refused = refusal !== null && isRefused(facts, at);
  if (wanted === accepted) {
    if (refused && refusal.by === 'check') return { ...facts, phase: 'servers-refused', accepted, refusal };
    return { ...facts, phase: proven === accepted ? 'loaded' : 'written', accepted };
  }
  if (refused) return { ...facts, phase: refusal.by === 'check' ? 'refused' : 'rolled-back', refusal };
  return { ...facts, phase: 'idle' };
}

function factsOf({ wanted, accepted, proven, refusal }: ConfigFacts): ConfigFacts {
  return { wanted, accepted, proven, refusal };
}

function still(state: ConfigState): ConfigStep {
  return { state, effects: [] };
}
