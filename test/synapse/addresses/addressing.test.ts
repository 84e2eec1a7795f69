import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import { Addressing } from '../../../synapse/addresses/addressing.ts';
import type { Listener } from '../../../synapse/output.ts';

const own = ['127.0.0.1', '::1', '10.0.0.5', '2001:db8::5'];
const on = (host: string, firstPort: number, lastPort = firstPort): Listener => ({
  host,
  firstPort,
  lastPort,
  what: 'the frontend of api',
});
const anyone = { networks: undefined, isTrusted: () => false };

function place(listeners: readonly Listener[], candidates: readonly Instance[], policy: object = {}) {
  const addressing = new Addressing({ look: () => undefined, ownAddresses: () => own });
  addressing.refresh();
  addressing.listen(listeners);
  return addressing.place(candidates, { service: 'api', policy: { ...anyone, ...policy } });
}

describe('what this host listens on', () => {
  const cases: readonly (readonly [listener: Listener, host: string, port: number, isLoop: boolean])[] = [
    [on('127.0.0.1', 80), '127.0.0.1', 80, true],
    [on('127.0.0.1', 80), '127.0.0.1', 81, false],
    [on('127.0.0.1', 80), '::ffff:127.0.0.1', 80, true],
    [on('127.0.0.1', 80), '::ffff:7f00:1', 80, true],
    [on('127.0.0.1', 80), '0:0:0:0:0:FFFF:7F00:1', 80, true],
    [on('127.0.0.1', 80), '10.0.0.5', 80, false],
    [on('127.0.0.1', 80), '127.0.0.2', 80, false],
    [on('::1', 80), '0:0::0001', 80, true],
    [on('10.0.0.5', 80, 90), '10.0.0.5', 85, true],
    [on('10.0.0.5', 80, 90), '10.0.0.5', 91, false],
    [on('any', 80), '127.0.0.1', 80, true],
    [on('any', 80), '127.9.9.9', 80, true],
    [on('any', 80), '::1', 80, true],
    [on('any', 80), '10.0.0.5', 80, true],
    [on('any', 80), '::ffff:10.0.0.5', 80, true],
    [on('any', 80), '2001:0db8::0005', 80, true],
    [on('any', 80), '10.0.0.6', 80, false],
    [on('any', 80), '10.0.0.5', 8080, false],
  ];
  for (const [listener, host, port, isLoop] of cases) {
    const where = `${listener.host}:${listener.firstPort}-${listener.lastPort}`;
    it(`${isLoop ? 'refuses' : 'leaves'} an instance at ${host} port ${port} with a listener on ${where}`, () => {
      const { unusable, instances } = place([listener], [makeInstance({ host, port })]);
      assert.equal(instances.length, isLoop ? 0 : 1);
      assert.deepEqual(
        unusable.map(({ reason }) => reason),
        isLoop ? [`its address ${host} and port ${port} are those of the frontend of api on this host: a loop`] : [],
      );
    });
  }
});

describe('the rules for addresses', () => {
  const far = makeInstance({ host: '192.0.2.1', port: 80 });
  const loop = makeInstance({ host: '127.0.0.1', port: 80 });

  it("do not apply to the operator's own instances, apart from loops", () => {
    const networks = ['10.0.0.0/8'];
    const listeners = [on('127.0.0.1', 80)];
    assert.equal(place(listeners, [far], { networks }).unusable[0]?.kind, 'refused');
    const { instances, unusable } = place(listeners, [far, loop], { networks, isTrusted: () => true });
    assert.deepEqual(instances, [far]);
    assert.match(unusable[0]?.reason ?? '', /a loop/);
  });

  it('are applied again when the listeners or the addresses of this host change, and only then', () => {
    let addresses: readonly string[] = ['127.0.0.1'];
    const addressing = new Addressing({ look: () => undefined, ownAddresses: () => addresses });
    const moving = makeInstance({ host: '10.0.0.9', port: 80 });
    const from = { service: 'api', policy: anyone };
    assert.equal(addressing.refresh(), true);
    assert.equal(addressing.listen([on('any', 80)]), true);
    assert.equal(addressing.listen([on('any', 80)]), false);
    const first = addressing.place([moving], from);
    assert.deepEqual(first.instances, [moving]);
    assert.equal(addressing.refresh(), false);
    addresses = ['127.0.0.1', '10.0.0.9'];
    assert.equal(addressing.refresh(), true);
    assert.deepEqual(addressing.place([moving], from, first).instances, []);
    assert.equal(addressing.listen([]), true);
    assert.deepEqual(addressing.place([moving], from, first).instances, [moving]);
  });
});
