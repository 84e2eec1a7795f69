import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ackKey,
  ackOfKey,
  fleetKeys,
  isFleetId,
  newRequestId,
  proxyKey,
  proxyOfKey,
  requestKey,
  requestOfKey,
} from '../../../common/fleet/keys.ts';

const keys = fleetKeys('/smartstack/fleet');

describe('keys of the fleet', () => {
  const ids: readonly (readonly [id: string, segment: string])[] = [
    ['host-a', 'host-a'],
    ['host.example.com:1', 'host.example.com:1'],
    ['a/b', 'a%2Fb'],
    ['100%', '100%25'],
    ['a b', 'a%20b'],
    ['höst', 'h%C3%B6st'],
    ['..', '..'],
    ['😀', '%F0%9F%98%80'],
  ];
  for (const [id, segment] of ids) {
    it(`have the id ${id} as one segment`, () => {
      const request = newRequestId();
      assert.equal(proxyKey(keys, id), `/smartstack/fleet/proxies/${segment}`);
      assert.equal(proxyOfKey(keys, proxyKey(keys, id)), id);
      assert.deepEqual(ackOfKey(keys, ackKey(keys, request, id)), { request, id });
    });
  }

  const refused: readonly string[] = ['', 'a/b', 'a%2fb', '%41', '%', '%FF', 'a b', '%00', 'x'.repeat(129)];
  for (const segment of refused) {
    it(`are refused with the segment ${JSON.stringify(segment.slice(0, 20))}`, () => {
      assert.equal(proxyOfKey(keys, `${keys.proxies}${segment}`), undefined);
      assert.equal(ackOfKey(keys, `${keys.acks}${newRequestId()}/${segment}`), undefined);
    });
  }

  it('of one kind are not those of another', () => {
    const request = newRequestId();
    assert.equal(requestOfKey(keys, requestKey(keys, request)), request);
    for (const key of [requestKey(keys, request), '/smartstack/fleet', '/other/proxies/a', `${keys.acks}short/a`]) {
      assert.equal(proxyOfKey(keys, key), undefined);
      assert.equal(ackOfKey(keys, key), undefined);
    }
    for (const id of ['', 'short', 'a/b', `${request}/`, 'é'.repeat(20), 'x'.repeat(65)]) {
      assert.equal(requestOfKey(keys, `${keys.requests}${id}`), undefined);
    }
  });

  it('have request ids of 128 random bits', () => {
    const ids = new Set(Array.from({ length: 1_000 }, newRequestId));
    assert.equal(ids.size, 1_000);
    for (const id of ids) assert.equal(Buffer.from(id, 'base64url').length, 16);
  });

  for (const id of ['', '\n', 'a\u0000', '\ud800', 'x'.repeat(129), 7, null, undefined]) {
    it(`take no id ${JSON.stringify(id)?.slice(0, 20)}`, () => assert.equal(isFleetId(id), false));
  }
});
