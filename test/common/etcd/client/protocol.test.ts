import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { Channel, ChannelCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { AuthClient, ClusterClient, KVClient, LeaseClient, MaintenanceClient, WatchClient } from 'etcd3/lib/rpc.js';
import protobuf from 'protobufjs/light.js';
import { parseProtocol, type ServiceName, serviceClient } from '../../../../common/etcd/client/protocol.ts';

const file = join(dirname(createRequire(import.meta.url).resolve('etcd3')), '../proto/rpc.proto');
/** What gRPC's own loader makes of the same files. */
const reference = loadSync(file, { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true });
const typedClients: Readonly<Record<ServiceName, { readonly prototype: object }>> = {
  KV: KVClient,
  Watch: WatchClient,
  Lease: LeaseClient,
  Cluster: ClusterClient,
  Maintenance: MaintenanceClient,
  Auth: AuthClient,
};
const serviceNames = Object.keys(typedClients) as ServiceName[];

/** A lease ID that no number can hold. */
const id = '7587869127419469569';

/** One message of each shape: numbers of 64 bits, enums, bytes, repeated messages, one of several. */
const messages: readonly (readonly [service: ServiceName, method: string, request: object, response: object])[] = [
  ['KV', 'Range', { key: Buffer.from('a'), revision: id, sort_order: 'DESCEND' }, { kvs: [{ lease: id }], count: '2' }],
  [
    'KV',
    'Txn',
    {
      compare: [{ result: 'EQUAL', target: 'MOD', key: Buffer.from('a'), mod_revision: '0' }],
      success: [{ request_put: { key: Buffer.from('a'), value: Buffer.from([0, 255]), lease: id } }],
      failure: [{ request_range: { key: Buffer.from('a') } }],
    },
    { succeeded: true, responses: [{ response_put: { header: { revision: id } } }] },
  ],
  [
    'Watch',
    'Watch',
    { create_request: { key: Buffer.from('a'), filters: ['NOPUT'], start_revision: id } },
    { watch_id: '-1', events: [{ type: 'DELETE', kv: { key: Buffer.from('a') } }] },
  ],
  ['Lease', 'LeaseGrant', { TTL: '10', ID: id }, { ID: id, TTL: '10', error: '' }],
  ['Cluster', 'MemberList', {}, { members: [{ ID: id, peerURLs: ['http://a', 'http://b'] }] }],
  ['Auth', 'Authenticate', { name: 'a', password: 'b' }, { token: 'c' }],
];

function clientOf(name: ServiceName): { readonly constructor: { readonly service: ServiceDefinition } } {
  const credentials = ChannelCredentials.createInsecure();
  const channel = new Channel('127.0.0.1:1', credentials, {});
  return serviceClient(name, channel, credentials) as unknown as ReturnType<typeof clientOf>;
}

describe("etcd's protocol", () => {
  for (const name of serviceNames) {
    it(`has the methods of ${name} as gRPC's own loader finds them`, () => {
      const found = clientOf(name).constructor.service;
      const expected = reference[`etcdserverpb.${name}`] as ServiceDefinition;
      assert.deepEqual(Object.keys(found), Object.keys(expected));
      const typed = typedClients[name].prototype;
      for (const [method, { path, requestStream, responseStream }] of Object.entries(expected)) {
        const own = found[method];
        assert.deepEqual([own?.path, own?.requestStream, own?.responseStream], [path, requestStream, responseStream]);
        assert.ok(
          own?.originalName !== undefined && own.originalName in typed,
          `etcd3 calls ${method} by another name`,
        );
      }
    });
  }

  for (const [name, method, request, response] of messages) {
    it(`writes and reads the messages of ${name}.${method} as gRPC's own loader does`, () => {
      const own = clientOf(name).constructor.service[method];
      const expected = (reference[`etcdserverpb.${name}`] as ServiceDefinition)[method];
      assert.ok(own !== undefined && expected !== undefined);
      const sent = expected.requestSerialize(request);
      assert.deepEqual(own.requestSerialize(request), sent);
      assert.deepEqual(own.requestDeserialize(sent), expected.requestDeserialize(sent));
      const answer = expected.responseSerialize(response);
      assert.deepEqual(own.responseSerialize(response), answer);
      assert.deepEqual(own.responseDeserialize(answer), expected.responseDeserialize(answer));
    });
  }

  it('survives as JSON, as the published package has it', () => {
    const text = JSON.stringify(parseProtocol());
    assert.equal(JSON.stringify(protobuf.Root.fromJSON(JSON.parse(text)).toJSON()), text);
  });
});
