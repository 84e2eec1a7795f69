import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NetworkRules, readNetworks } from '../../../synapse/addresses/networks.ts';

const outside = 'is outside of instance_networks';
const linkLocal = 'is link-local';
const multicast = 'is a multicast address';
const unspecified = 'is no address of a host (unspecified)';

describe('the networks of instances', () => {
  const byDefault: readonly (readonly [address: string, refusal: string | null])[] = [
    ['10.0.0.5', null],
    ['127.0.0.1', null],
    ['::1', null],
    ['8.8.8.8', null],
    ['2001:db8::1', null],
    ['fd12::1', null],
    ['::ffff:10.0.0.5', null],
    ['0.0.0.0', unspecified],
    ['0.1.2.3', unspecified],
    ['::', unspecified],
    ['0:0:0:0:0:0:0:0', unspecified],
    ['::ffff:0.0.0.0', unspecified],
    ['224.0.0.1', multicast],
    ['239.255.255.255', multicast],
    ['ff02::1', multicast],
    ['::ffff:224.0.0.1', multicast],
    ['255.255.255.255', 'is the broadcast address'],
    ['::ffff:ffff:ffff', 'is the broadcast address'],
    ['169.254.169.254', linkLocal],
    ['169.254.0.1', linkLocal],
    ['fe80::1', linkLocal],
    ['febf:ffff::1', linkLocal],
    ['fec0::1', null],
    ['::ffff:169.254.169.254', linkLocal],
    ['::ffff:a9fe:a9fe', linkLocal],
    ['::FFFF:A9FE:A9FE', linkLocal],
    ['0:0:0:0:0:ffff:a9fe:a9fe', linkLocal],
    ['0000:0000:0000:0000:0000:ffff:169.254.169.254', linkLocal],
    ['::169.254.169.254', linkLocal],
    ['::ffff:0:169.254.169.254', linkLocal],
    ['64:ff9b::a9fe:a9fe', linkLocal],
    ['64:ff9b::169.254.169.254', linkLocal],
    ['2002:a9fe:a9fe::1', linkLocal],
    ['fd00:ec2::254', linkLocal],
  ];
  for (const [address, refusal] of byDefault) {
    it(`${refusal === null ? 'may be at' : 'may not be at'} ${address} by default`, () => {
      assert.equal(new NetworkRules(undefined).refusal(address), refusal);
    });
  }

  const listed: readonly (readonly [networks: readonly string[], address: string, refusal: string | null])[] = [
    [['10.0.0.0/8'], '10.255.0.1', null],
    [['10.0.0.0/8'], '::ffff:10.255.0.1', null],
    [['10.0.0.0/8'], '11.0.0.1', outside],
    [['10.0.0.0/8'], '127.0.0.1', outside],
    [['10.0.0.0/8'], '2001:db8::1', outside],
    [['10.0.0.0/8'], '64:ff9b::10.0.0.1', outside],
    [['10.128.0.0/9'], '10.127.255.255', outside],
    [['10.0.0.5/32'], '10.0.0.5', null],
    [['10.0.0.5'], '10.0.0.6', outside],
    [['0.0.0.0/0'], '1.2.3.4', null],
    [['0.0.0.0/0'], '2001:db8::1', outside],
    [['0.0.0.0/0'], '169.254.169.254', linkLocal],
    [['0.0.0.0/0'], '0.0.0.0', unspecified],
    [['::/0'], '2001:db8::1', null],
    [['::/0'], '1.2.3.4', outside],
    [['::/0'], '::ffff:1.2.3.4', outside],
    [['::/0'], 'fe80::1', linkLocal],
    [['2001:db8::/33'], '2001:db8:7fff::1', null],
    [['2001:db8::/33'], '2001:db8:8000::1', outside],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', null],
    [['10.0.0.0/8', '169.254.10.0/24'], '169.254.10.7', null],
    [['10.0.0.0/8', '169.254.10.0/24'], '169.254.169.254', linkLocal],
    [['fe80::/10'], 'fe80::1', null],
    [['224.0.0.0/4'], '224.0.0.1', multicast],
  ];
  for (const [networks, address, refusal] of listed) {
    it(`${refusal === null ? 'have' : 'do not have'} ${address} with ${networks.join(', ')}`, () => {
      assert.equal(new NetworkRules(readNetworks(networks)).refusal(address), refusal);
    });
  }

  const wrong: readonly (readonly [value: unknown, message: RegExp])[] = [
    ['10.0.0.0/8', /must be a list of networks/],
    [[], /must be a list of networks/],
    [['10.0.0.0/33'], /"10\.0\.0\.0\/33" is no network: write ADDRESS\/LENGTH/],
    [['10.0.0.0/8', 'web.test/8'], /"web\.test\/8" is no network/],
    [['10.0.0/8'], /is no network/],
    [['2001:db8::/129'], /is no network/],
    [['fe80::1%eth0/64'], /is no network/],
    [['10.0.0.0/'], /is no network/],
    [[8], /8 is no network/],
    [[null], /null is no network/],
    [['10.0.0.5/8'], /10\.0\.0\.5 has bits behind the first 8; write the first address/],
    [['2001:db8::1/64'], /has bits behind the first 64/],
  ];
  for (const [value, message] of wrong) {
    it(`cannot be ${JSON.stringify(value)}`, () => assert.throws(() => readNetworks(value), message));
  }
});
