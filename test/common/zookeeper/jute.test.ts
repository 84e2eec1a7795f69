import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameReader, JuteReader, JuteWriter } from '../../../common/zookeeper/jute.ts';

describe('jute', () => {
  it('reads what it writes', () => {
    const frame = new JuteWriter()
      .int(-7)
      .long(1n << 40n)
      .string('grün')
      .buffer(Buffer.from([1, 2]))
      .frame();
    assert.equal(frame.readInt32BE(), frame.length - 4);
    const reader = new JuteReader(frame.subarray(4));
    assert.deepEqual(
      [reader.int(), reader.long(), reader.string(), [...reader.buffer()]],
      [-7, 1n << 40n, 'grün', [1, 2]],
    );
    assert.throws(() => reader.int(), /ZooKeeper sent \d+ bytes where/);
  });

  it('a length of -1 is nothing, a count that promises too much is an error', () => {
    assert.equal(new JuteReader(Buffer.from([255, 255, 255, 255])).buffer().length, 0);
    assert.throws(() => new JuteReader(Buffer.from([127, 255, 255, 255])).strings(), /ZooKeeper sent/);
    assert.throws(() => new JuteReader(Buffer.from([0, 0, 0, 9, 1])).buffer(), /ZooKeeper sent/);
    assert.throws(() => new JuteReader(Buffer.from([255, 255, 255, 254])).buffer(), /a text or data of -2 bytes/);
    assert.throws(() => new JuteReader(Buffer.from([255, 255, 255, 255])).strings(), /a list of -1 texts/);
  });

  it('frames come out whole, however they arrive', () => {
    const stream = Buffer.concat(['', 'a', 'bc'.repeat(50)].map((text) => new JuteWriter().string(text).frame()));
    for (const size of [1, 3, 5, 7, 1000]) {
      const texts: string[] = [];
      const reader = new FrameReader(1000, (frame) => texts.push(new JuteReader(frame).string()));
      for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
      assert.deepEqual(texts, ['', 'a', 'bc'.repeat(50)], `chunks of ${size}`);
    }
  });

  it('a frame that is too large is refused', () => {
    const reader = new FrameReader(10, () => {});
    assert.throws(() => reader.push(Buffer.from([0, 0, 0, 11])), /a frame of 11 bytes: at most 10 are read/);
    assert.throws(() => new FrameReader(10, () => {}).push(Buffer.from([255, 0, 0, 0])), /a frame of -/);
  });
});
