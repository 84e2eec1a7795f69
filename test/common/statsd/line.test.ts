import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { counterLine, packets } from '../../../common/statsd/line.ts';

describe('a line for StatsD', () => {
  it('has the steps, and the tags in DogStatsD form', () => {
    assert.equal(counterLine('nerve.start', {}, { steps: 1 }), 'nerve.start:1|c');
    const tags = { service_name: 'api', new_status: 'up' };
    assert.equal(counterLine('a.b', tags, { steps: 3 }), 'a.b:3|c|#service_name:api,new_status:up');
  });

  it('has the share of the steps that the sample rate keeps, and the rate', () => {
    const throws = [0.05, 0.5, 0.09, 0.99];
    const random = (): number => throws.shift() ?? 1;
    assert.equal(counterLine('a', {}, { steps: 4, rate: 0.1, random }), 'a:2|c|@0.1');
    assert.equal(counterLine('a', {}, { steps: 1, rate: 0.1, random: () => 0.2 }), undefined);
    assert.equal(counterLine('a', {}, { steps: 50_000, rate: 0.1 }), 'a:5000|c|@0.1');
  });

  it('replaces line feeds and separators in values', () => {
    assert.equal(counterLine('a', { x: 'b|c#d,e\nf' }, { steps: 1 }), 'a:1|c|#x:b_c_d_e_f');
  });
});

describe('StatsD packets', () => {
  it('hold as many whole lines as fit', () => {
    assert.deepEqual(packets(['aaa', 'bbb', 'ccc'], 7), ['aaa\nbbb', 'ccc']);
    assert.deepEqual(packets(['äää', 'b'], 7), ['äää', 'b'], 'bytes are counted');
    assert.deepEqual(packets(['longer than that', 'b'], 7), ['longer than that', 'b']);
    assert.deepEqual(packets([], 7), []);
  });
});
