import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type ServiceDefinition,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';

/** The part of grpc/health/v1/health.proto that the server needs. */
const proto = `syntax = "proto3";
package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
`;

const longName = `shop.${'x'.repeat(200)}`;

describe('the grpc check', () => {
  let folder = '';
  let ca = '';
  let port = 0;
  let tlsPort = 0;
  let server: Server;
  let health: ServiceDefinition;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-grpc-test-'));
    await writeFile(join(folder, 'health.proto'), proto);
    const loaded = loadPackageDefinition(
      loadSync(join(folder, 'health.proto'), { enums: String, defaults: true }),
    ) as unknown as { grpc: { health: { v1: { Health: ServiceClientConstructor } } } };
    health = loaded.grpc.health.v1.Health.service;
    const statuses: Record<string, string> = {
      '': 'SERVING',
      shop: 'SERVING',
      [longName]: 'SERVING',
      bills: 'NOT_SERVING',
      odd: 'UNKNOWN',
    };
    const Check: UntypedHandleCall = (
      call: { request: { service: string }; metadata: { get(name: string): unknown[] } },
      reply: (error: object | null, answer?: object) => void,
    ) => {
      const { service } = call.request;
      if (service === 'vault' && call.metadata.get('authorization')[0] !== 'Bearer t0ken') {
        return reply({ code: status.UNAUTHENTICATED, message: 'who are you?\nsay so' });
      }
      const found = service === 'vault' ? 'SERVING' : statuses[service];
      if (found === undefined) return reply({ code: status.NOT_FOUND, message: 'unknown service' });
      reply(null, { status: found });
    };
    server = new Server();
    server.addService(health, { Check });
    const listen = (credentials: ServerCredentials): Promise<number> =>
      new Promise((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
      });
    port = await listen(ServerCredentials.createInsecure());
    const authority = await makeAuthority(folder, 'authority');
    ca = authority.cert;
    const { cert, key } = await makeCertificate(folder, 'grpc', {
      authority,
      names: ['IP:127.0.0.1', 'DNS:grpc.test'],
    });
    const pair = { cert_chain: await readFile(cert), private_key: await readFile(key) };
    tlsPort = await listen(ServerCredentials.createSsl(null, [pair]));
  });
  after(async () => {
    server?.forceShutdown();
    await rm(folder, { recursive: true, force: true });
  });

  it('passes when the server or the service answers SERVING', async () => {
    await assertPasses(await makeCheck('grpc', {}, { port }));
    await assertPasses(await makeCheck('grpc', { service: 'shop' }, { port }));
    await assertPasses(await makeCheck('grpc', { service: longName }, { port }));
  });

  it('fails on any other answer', async () => {
    await assertFails(
      await makeCheck('grpc', { service: 'bills' }, { port }),
      /^health status NOT_SERVING, expected SERVING$/,
    );
    await assertFails(
      await makeCheck('grpc', { service: 'odd' }, { port }),
      /^health status UNKNOWN, expected SERVING$/,
    );
    await assertFails(
      await makeCheck('grpc', { service: 'none' }, { port }),
      /^gRPC status 5 \(NOT_FOUND\): unknown service$/,
    );
  });

  it('sends metadata, and keeps it out of its reasons', async () => {
    const metadata = { authorization: 'Bearer t0ken' };
    await assertPasses(await makeCheck('grpc', { service: 'vault', metadata }, { port }));
    const wrong = { service: 'vault', metadata: { authorization: 'Bearer wr0ng' } };
    await assertFails(
      await makeCheck('grpc', wrong, { port }),
      /^gRPC status 16 \(UNAUTHENTICATED\): who are you\? say so$/,
    );
    await assert.rejects(
      makeCheck('grpc', { metadata: { Upper: 'x' } }),
      /metadata: must be an object of metadata names/,
    );
  });

  it('speaks TLS', async () => {
    await assertPasses(await makeCheck('grpc', { ssl: true, ssl_ca: ca }, { port: tlsPort }));
    await assertPasses(
      await makeCheck('grpc', { ssl: true, ssl_ca: ca, ssl_server_name: 'grpc.test' }, { port: tlsPort }),
    );
    await assertPasses(await makeCheck('grpc', { ssl: true, ssl_verify: false }, { port: tlsPort }));
    await assertFails(
      await makeCheck('grpc', { ssl: true }, { port: tlsPort }),
      /^gRPC call to .* failed: .*certificate/,
    );
    await assertFails(
      await makeCheck('grpc', { ssl: true, ssl_ca: ca, ssl_server_name: 'other.test' }, { port: tlsPort }),
      /^gRPC call to .* failed: .*other\.test/,
    );
  });

  it('fails when the server speaks no gRPC, or no HTTP/2', async () => {
    const web = createServer((_, response) => {
      response.statusCode = 404;
      response.end('no such page');
    }).listen(0, '127.0.0.1');
    const plain = await startPeer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    try {
      await eventually(() => assert.ok(web.address() !== null));
      const { port: webPort } = web.address() as { port: number };
      await assertFails(
        await makeCheck('grpc', {}, { port: webPort }),
        /^HTTP 404 without a gRPC status: not a gRPC server\?/,
      );
      await assertFails(await makeCheck('grpc', {}, { port: plain.port }), /^gRPC call to 127\.0\.0\.1:\d+ failed: /);
    } finally {
      web.close();
      await plain.close();
    }
  });

  it('fails when the connection is refused', async () => {
    await assertFails(
      await makeCheck('grpc', {}, { port: await freePort() }),
      /^cannot connect to .*: connection refused$/,
    );
  });

  it('gives up on a mute peer at the deadline and at an abort', async () => {
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail());
    try {
      for (const ssl of [false, true]) await assertGivesUp(await makeCheck('grpc', { ssl }, { port: mute.port }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
