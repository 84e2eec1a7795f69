import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  advance,
  type ConfigEvent,
  type ConfigPhase,
  type ConfigRefusal,
  type ConfigState,
  initialConfig,
  retryDelayMs,
} from '../../../../synapse/haproxy/configfile/config-lifecycle.ts';

const at = 1_000;
const retryAt = 5_000;
const refusedBy = (by: 'check' | 'load', generation: string): ConfigRefusal => ({
  generation,
  by,
  message: 'bad',
  failures: 1,
  retryAt,
  text: by === 'check' ? 'text' : undefined,
});

// 'new' is wanted; 'old' was accepted before it and HAProxy has loaded it.
const known = { wanted: 'new', accepted: 'old', proven: 'old', refusal: null } as const;
const states: Readonly<Record<ConfigPhase, ConfigState>> = {
  idle: { ...known, phase: 'idle' },
  checking: { ...known, phase: 'checking', candidate: 'new' },
  refused: { ...known, phase: 'refused', refusal: refusedBy('check', 'new') },
  'rolling-back': { ...known, phase: 'rolling-back', accepted: null, failed: 'new', message: 'bad' },
  'rolled-back': { ...known, phase: 'rolled-back', accepted: null, refusal: refusedBy('load', 'new') },
  written: { ...known, phase: 'written', accepted: 'new' },
  'servers-refused': { ...known, phase: 'servers-refused', accepted: 'new', refusal: refusedBy('check', 'new') },
  loaded: { ...known, phase: 'loaded', accepted: 'new', proven: 'new' },
};

const events = {
  'another is wanted': { type: 'wanted', generation: 'newer', at },
  'the accepted one is wanted': { type: 'wanted', generation: 'old', at },
  'time passes': { type: 'tick', at },
  'the retry is due': { type: 'tick', at: retryAt },
  'the file has it already': { type: 'adopted', at },
  'a check starts': { type: 'check-started' },
  'a check is abandoned': { type: 'check-abandoned', at },
  'the check refuses it': { type: 'check-refused', message: 'worse', text: 'text', at },
  'the write fails': { type: 'write-failed', at },
  'it is written': { type: 'written', generation: 'new', at },
  'another is written': { type: 'written', generation: 'other', at },
  'HAProxy loads the accepted one': { type: 'loaded', at },
  'HAProxy loads none, culprits are known': { type: 'load-failed', message: 'bad', hasCulprits: true },
  'HAProxy loads none, for no known cause': { type: 'load-failed', message: 'bad', hasCulprits: false },
  'the last good file is back': { type: 'restore-ended', at },
} as const satisfies Readonly<Record<string, ConfigEvent>>;

const promote = 'release-passed promote replan';
const outcomes: Readonly<Record<ConfigPhase, Readonly<Record<keyof typeof events, string>>>> = {
  idle: {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'loaded',
    'time passes': 'idle',
    'the retry is due': 'idle',
    'the file has it already': `written: ${promote}`,
    'a check starts': 'checking',
    'a check is abandoned': 'idle',
    'the check refuses it': 'idle',
    'the write fails': 'idle',
    'it is written': `written: ${promote}`,
    'another is written': 'idle',
    'HAProxy loads the accepted one': 'idle',
    'HAProxy loads none, culprits are known': 'idle',
    'HAProxy loads none, for no known cause': 'idle',
    'the last good file is back': 'idle',
  },
  checking: {
    'another is wanted': 'checking',
    'the accepted one is wanted': 'checking',
    'time passes': 'checking',
    'the retry is due': 'checking',
    'the file has it already': `checking: ${promote}`,
    'a check starts': 'checking',
    'a check is abandoned': 'idle',
    'the check refuses it': 'refused: report-refusal',
    'the write fails': 'idle',
    'it is written': `written: ${promote}`,
    'another is written': 'idle',
    'HAProxy loads the accepted one': 'checking',
    'HAProxy loads none, culprits are known': 'checking',
    'HAProxy loads none, for no known cause': 'checking',
    'the last good file is back': 'checking',
  },
  refused: {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'loaded',
    'time passes': 'refused',
    'the retry is due': 'idle: write',
    'the file has it already': 'refused',
    'a check starts': 'checking',
    'a check is abandoned': 'refused',
    'the check refuses it': 'refused',
    'the write fails': 'refused',
    'it is written': `written: ${promote}`,
    'another is written': 'refused',
    'HAProxy loads the accepted one': 'refused',
    'HAProxy loads none, culprits are known': 'refused',
    'HAProxy loads none, for no known cause': 'refused',
    'the last good file is back': 'refused',
  },
  'rolling-back': {
    'another is wanted': 'rolling-back',
    'the accepted one is wanted': 'rolling-back',
    'time passes': 'rolling-back',
    'the retry is due': 'rolling-back',
    'the file has it already': 'rolling-back',
    'a check starts': 'rolling-back',
    'a check is abandoned': 'rolling-back',
    'the check refuses it': 'rolling-back',
    'the write fails': 'rolling-back',
    'it is written': 'rolling-back',
    'another is written': 'rolling-back',
    'HAProxy loads the accepted one': 'rolling-back',
    'HAProxy loads none, culprits are known': 'rolling-back',
    'HAProxy loads none, for no known cause': 'rolling-back',
    'the last good file is back': 'rolled-back: report-refusal use-wanted replan',
  },
  'rolled-back': {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'idle',
    'time passes': 'rolled-back',
    'the retry is due': 'idle: write',
    'the file has it already': 'rolled-back',
    'a check starts': 'checking',
    'a check is abandoned': 'rolled-back',
    'the check refuses it': 'rolled-back',
    'the write fails': 'rolled-back',
    'it is written': `written: ${promote}`,
    'another is written': 'rolled-back',
    'HAProxy loads the accepted one': 'rolled-back',
    'HAProxy loads none, culprits are known': 'rolled-back',
    'HAProxy loads none, for no known cause': 'rolled-back',
    'the last good file is back': 'rolled-back',
  },
  written: {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'idle',
    'time passes': 'written',
    'the retry is due': 'written',
    'the file has it already': 'written',
    'a check starts': 'checking',
    'a check is abandoned': 'written',
    'the check refuses it': 'written',
    'the write fails': 'written',
    'it is written': 'written: release-passed',
    'another is written': 'written',
    'HAProxy loads the accepted one': 'loaded: release-passed keep-loaded',
    'HAProxy loads none, culprits are known': 'written: quarantine-culprits',
    'HAProxy loads none, for no known cause': 'rolling-back: restore-file',
    'the last good file is back': 'written',
  },
  'servers-refused': {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'idle',
    'time passes': 'servers-refused',
    'the retry is due': 'written: write',
    'the file has it already': 'servers-refused',
    'a check starts': 'checking',
    'a check is abandoned': 'servers-refused',
    'the check refuses it': 'servers-refused',
    'the write fails': 'servers-refused',
    'it is written': 'written: release-passed',
    'another is written': 'servers-refused',
    'HAProxy loads the accepted one': 'servers-refused: release-passed keep-loaded',
    'HAProxy loads none, culprits are known': 'servers-refused: quarantine-culprits',
    'HAProxy loads none, for no known cause': 'rolling-back: restore-file',
    'the last good file is back': 'servers-refused',
  },
  loaded: {
    'another is wanted': 'idle',
    'the accepted one is wanted': 'idle',
    'time passes': 'loaded',
    'the retry is due': 'loaded',
    'the file has it already': 'loaded',
    'a check starts': 'checking',
    'a check is abandoned': 'loaded',
    'the check refuses it': 'loaded',
    'the write fails': 'loaded',
    'it is written': 'loaded: release-passed',
    'another is written': 'loaded',
    'HAProxy loads the accepted one': 'loaded',
    'HAProxy loads none, culprits are known': 'loaded',
    'HAProxy loads none, for no known cause': 'loaded',
    'the last good file is back': 'loaded',
  },
};

/** The last state, and all effects, after some events. */
function follow(start: ConfigState, ...steps: readonly ConfigEvent[]) {
  let state = start;
  const effects: string[] = [];
  for (const event of steps) {
    const step = advance(state, event);
    state = step.state;
    effects.push(...step.effects.map(({ type }) => type));
  }
  return { state, effects };
}

describe('the life of a configuration', () => {
  for (const [phase, row] of Object.entries(outcomes)) {
    for (const [name, outcome] of Object.entries(row)) {
      it(`goes from ${phase} to ${outcome.replace(':', ', with')} when ${name}`, () => {
        const start = states[phase as ConfigPhase];
        const before = structuredClone(start);
        const { state, effects } = follow(start, events[name as keyof typeof events]);
        assert.equal([state.phase, effects.join(' ')].filter((part) => part !== '').join(': '), outcome);
        assert.deepEqual(start, before);
      });
    }
  }

  const first = { accepted: null, proven: null } as const;

  it('keeps servers up to date at run time while no configuration has been accepted', () => {
    const { state, effects } = follow(
      initialConfig('new'),
      { type: 'check-started' },
      { type: 'check-refused', message: 'bad', text: 'text', at },
    );
    assert.deepEqual(effects, ['report-refusal', 'use-wanted', 'replan']);
    assert.deepEqual(state, {
      ...known,
      ...first,
      phase: 'refused',
      refusal: { ...refusedBy('check', 'new'), retryAt: 61_000 },
    });
    const checking = follow(initialConfig('new'), { type: 'check-started' }).state;
    assert.deepEqual(follow(checking, events['the write fails']).effects, ['use-wanted', 'replan']);
  });

  it('puts the last good file back when HAProxy has never loaded a configuration, even where culprits are known', () => {
    const { state, effects } = follow(
      { ...states.written, proven: null },
      { type: 'load-failed', message: 'bad', hasCulprits: true },
      { type: 'restore-ended', at },
    );
    assert.deepEqual(effects, ['restore-file', 'report-refusal', 'use-wanted', 'replan']);
    assert.deepEqual(state, {
      ...known,
      ...first,
      phase: 'rolled-back',
      refusal: { ...refusedBy('load', 'new'), retryAt: 6_000 },
    });
  });

  it('waits longer with each refusal of the same configuration, and reports it once', () => {
    let state: ConfigState = initialConfig('new');
    const seen: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      state = follow(state, { type: 'check-started' }).state;
      const step = advance(state, { type: 'check-refused', message: 'bad', text: 'text', at: 0 });
      state = step.state;
      const [report] = step.effects;
      seen.push([state.refusal?.retryAt, report?.type === 'report-refusal' && report.news]);
    }
    assert.deepEqual(seen, [
      [60_000, true],
      [120_000, false],
      [240_000, false],
      [300_000, false],
      [300_000, false],
    ]);
  });

  it('is not tried again early when it was refused and another was wanted meanwhile', () => {
    const away = follow(states.refused, { type: 'wanted', generation: 'old', at });
    const back = { type: 'wanted', generation: 'new' } as const;
    assert.equal(follow(away.state, { ...back, at }).state.phase, 'refused');
    assert.equal(follow(away.state, { ...back, at: retryAt }).state.phase, 'idle');
  });

  it('forgets the refusal when the check accepts it after all', () => {
    assert.equal(follow(states.refused, { type: 'check-started' }, events['it is written']).state.refusal, null);
  });

  it('keeps a failed load in mind until HAProxy has loaded the same configuration', () => {
    const retried = follow(states['rolled-back'], { type: 'check-started' }, events['it is written']);
    assert.equal(retried.state.refusal?.failures, 1);
    assert.equal(follow(retried.state, events['HAProxy loads the accepted one']).state.refusal, null);
  });

  it('ignores the refusal of a text that is not wanted any more', () => {
    const { state, effects } = follow(states.checking, events['another is wanted'], events['the check refuses it']);
    assert.deepEqual([state.phase, state.refusal, effects], ['idle', null, []]);
  });

  it('does not accept a text that is written when another configuration is wanted already', () => {
    const { state, effects } = follow(states.checking, events['another is wanted'], events['it is written']);
    assert.deepEqual([state.phase, state.accepted, effects], ['idle', 'old', []]);
  });
});

describe('the time until something refused is tried again', () => {
  it('begins with a minute after a check and 5 s after a load, doubles, and ends at 5 minutes', () => {
    const after = (by: 'check' | 'load') => [1, 2, 3, 4, 7, 50].map((failures) => retryDelayMs(by, failures) / 1_000);
    assert.deepEqual(after('check'), [60, 120, 240, 300, 300, 300]);
    assert.deepEqual(after('load'), [5, 10, 20, 40, 300, 300]);
  });
});
