import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigText } from '../../../../synapse/haproxy/configfile/config-text.ts';
import { TextWriter } from '../../../../synapse/haproxy/configfile/text-writer.ts';

const signal = new AbortController().signal;

describe('the shapes of server lines that a check has accepted', () => {
  const file = {
    check: async () => ({ result: 'accepted' }) as const,
    write: async () => ({ result: 'written', checked: true }) as const,
  };
  const textOf = (shapes: readonly string[]): ConfigText => ({
    text: shapes.join('\n'),
    shapes: new Set(shapes),
    locate: () => undefined,
  });

  it('are not remembered without end, while those of the present text are', async () => {
    const writer = new TextWriter({ emit: () => {}, file });
    for (let count = 0; count < 25_000; count += 1) {
      await writer.write(textOf(['check', `check rise ${count}`]), { check: true }, signal);
    }
    assert.equal(writer.acceptedShapes.size, 10_000);
    assert.equal(writer.isAccepted(textOf(['check', 'check rise 24999'])), true);
    assert.equal(writer.isAccepted(textOf(['check rise 0'])), false);
  });

  it('are all remembered of a large text', async () => {
    const writer = new TextWriter({ emit: () => {}, file });
    const large = textOf(Array.from({ length: 30_000 }, (_, index) => `check rise ${index}`));
    await writer.write(large, { check: true }, signal);
    assert.equal(writer.isAccepted(large), true);
    await writer.write(textOf(['check fall 9']), { check: true }, signal);
    assert.equal(writer.acceptedShapes.size, 10_000);
  });
});
