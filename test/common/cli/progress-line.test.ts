import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProgressLine } from '../../../common/cli/progress-line.ts';
import { stopClock } from '../../support/stopped-clock.ts';

const erase = '\r\u001b[K';

describe('the progress of a command', () => {
  it('replaces its line on a terminal, and leaves none there', () => {
    const printed: string[] = [];
    const line = new ProgressLine({ print: (text) => printed.push(text), isTerminal: true, columns: 10 });
    line.show('one');
    line.show('one');
    line.show('a text that is too long');
    line.clear();
    line.clear();
    assert.deepEqual(printed, [`${erase}one`, `${erase}a text t…`, erase]);
  });

  it('is printed elsewhere when it changes, once a second at most', (t) => {
    const printed: string[] = [];
    const clock = stopClock();
    t.after(() => clock.restore());
    const line = new ProgressLine({ print: (text) => printed.push(text), isTerminal: false });
    line.show('one');
    line.show('two');
    clock.now += 1_000;
    line.show('one');
    line.show('three');
    clock.now += 1_000;
    line.show('three');
    line.clear();
    assert.deepEqual(printed, ['one\n', 'three\n']);
  });
});
